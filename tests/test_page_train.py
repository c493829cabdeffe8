"""The Train page, driven as a learner would: choose, start, look, use what was trained."""

import json

import pytest

from encoder import checkpoints
from pages.shared import lessons, training
from tests.app import OWNER, PAGES, charts, fine, go, open_page, said, trained, until

VIEWS = ("curves", "weights", "heads", "map")
SMALL = {"train_steps": "1000", "train_width": "16", "train_layers": "1", "train_heads": "2"}


@pytest.fixture(scope="module")
def lesson():
    with trained() as run:
        yield run


@pytest.fixture(autouse=True)
def tidy(monkeypatch):
    """What a test has started ends with it."""
    monkeypatch.setattr(lessons, "_owner", lambda: OWNER)
    before = set(lessons.workshop().of(OWNER))
    yield
    for run in set(lessons.workshop().of(OWNER)) - before:
        lessons.workshop().stop(run)
        until(lambda run=run: run.over)
        lessons.workshop()._forget(run)


def press(app, label):
    return next(button for button in app.button if button.label == label).click().run()


def test_the_first_visit_tells_what_there_is_to_learn_and_what_a_head_must_do():
    app = open_page("train")
    assert fine(app)
    assert [title.value for title in app.subheader] == ["The toy language"]
    for structure in ("agreement", "pronouns", "brackets", "copying"):
        words = training.about()["structures"][structure]
        assert any(words["head"] in caption.value for caption in app.caption)


def test_a_training_runs_from_the_button_to_a_model_that_every_page_can_show():
    app = open_page("train", **SMALL)
    press(app, "Start")
    assert fine(app)
    run = lessons.workshop().of(OWNER)[-1]
    assert (run.config.width, run.config.layers, run.config.heads, run.config.steps) == (16, 1, 2, 1_000)
    until(lambda: run.step > 5)
    app.run()
    assert fine(app)
    assert [button.disabled for button in app.button if button.label == "Start"] == [True]
    press(app, "Stop")
    until(lambda: run.over)
    app.run()
    press(app, "Use on the left")
    assert app.query_params["a"] == run.name
    for page in PAGES:
        assert fine(go(app, page))
        assert any("Training 1" in html.proto.body for html in app.get("html"))
    assert [warning.value for warning in app.warning] == []


def test_a_training_can_pause_and_resume():
    app = open_page("train", **SMALL)
    press(app, "Start")
    run = lessons.workshop().of(OWNER)[-1]
    until(lambda: run.step > 5)
    app.run()
    press(app, "Pause")
    until(lambda: run.state == "paused")
    app.run()
    assert fine(app)
    assert charts(app)
    press(app, "Resume")
    until(lambda: run.state == "running")


@pytest.mark.parametrize("view", VIEWS)
def test_every_picture_of_a_training(lesson, view):
    app = open_page("train", train_view=view)
    assert fine(app)
    assert len(charts(app)) == (2 if view == "curves" else 1)


@pytest.mark.parametrize("view", ["heads", "map"])
def test_a_slider_has_a_step_for_every_snapshot_and_each_its_picture(lesson, view):
    [figure] = list(charts(open_page("train", train_view=view, train_text="the dogs sleep .")).values())
    steps = [step["label"] for step in figure["layout"]["sliders"][0]["steps"]]
    assert steps == [f"{step:,}" for step, _ in lesson.moments]
    frames = figure["frames"]
    assert [frame["name"] for frame in frames] == [str(step) for step, _ in lesson.moments]
    assert len({json.dumps(frame["data"], sort_keys=True) for frame in frames}) == len(frames)
    if view == "heads":
        assert all(len(frame["data"]) == 4 for frame in frames)  # 2 layers of 2 heads


HOSTILE = ["<img src=x onerror=alert(1)>", "$x$ **bold** [link](http://a)", "\u202e\x00é", "a" * 5_000, "dog " * 500]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:12])
def test_any_sentence_can_be_seen_through_time(lesson, text):
    app = open_page("train", train_view="heads", train_text=text)
    assert fine(app)
    assert len(charts(app)) == 1
    assert "<img" not in json.dumps(charts(app)).replace("&lt;img", "")
    if text.startswith("dog"):
        assert "left out" in said(app)


def test_curves_of_earlier_trainings_stay_and_tell_what_was_unusual(lesson):
    with trained(norm="none", steps=20):
        app = open_page("train", compare="brackets")
        names = [curve["name"] for curve in charts(app)["lesson-compare"]["data"]]
    assert len(names) == 2
    assert "norm: None" in names[1]
    assert "norm" not in names[0]


def test_without_a_text_of_their_own_a_learner_is_told():
    app = open_page("train", learn="own")
    press(app, "Start")
    assert fine(app)
    assert [warning.value for warning in app.warning] == [
        "There is no text to learn from yet\\: paste one, or bring a \\.txt file\\."
    ]
    assert not any(run.config.own_text for run in lessons.workshop().of(OWNER))


def test_a_learners_own_text_is_kept_while_other_pages_are_looked_at_and_learned_from():
    app = open_page("train", learn="own", **SMALL)
    app.text_area(key="lesson-paste").set_value("The cat sat on the mat. " * 300).run()
    go(app, "layers")
    go(app, "train")
    assert any("1,800 words" in expander.label for expander in app.expander)
    press(app, "Start")
    run = lessons.workshop().of(OWNER)[-1]
    until(lambda: run.step > 2)
    assert list(run.chance) == ["hidden pieces"]
    assert fine(app.run())


def test_a_training_that_fails_says_why_and_the_page_lives_on():
    app = open_page("train", learn="own", **SMALL)
    app.text_area(key="lesson-paste").set_value("Too short.").run()
    press(app, "Start")
    run = lessons.workshop().of(OWNER)[-1]
    until(lambda: run.over)
    assert fine(app.run())
    assert any("at least 800" in warning.value for warning in app.warning)
    assert [button.disabled for button in app.button if button.label == "Start"] == [False]


def test_a_file_comes_back_as_a_model_and_a_bad_one_is_refused_with_the_reason(lesson):
    app = open_page("train")
    good = checkpoints.pack(lesson.model)
    upload = next(each for each in app.file_uploader if each.key == "lesson-file")
    upload.set_value([("my model.safetensors", good, "application/octet-stream")]).run()
    assert fine(app)
    assert any("my model" in each.value for each in app.success)
    assert "my model" in app.selectbox(key="pick.a").options
    upload = next(each for each in app.file_uploader if each.key == "lesson-file")
    upload.set_value([("bad.safetensors", good[:200], "application/octet-stream")]).run()
    assert fine(app)
    assert any("damaged" in each.value for each in app.warning)
    assert "my model" in app.selectbox(key="pick.a").options


def test_another_visitor_does_not_see_these_models(lesson):
    assert lesson.name in lessons.workshop().of(OWNER)[0].name
    assert lessons.workshop().of("somebody else") == []
