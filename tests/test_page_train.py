"""The Train page, driven as a learner would: choose, start, look, use what was trained."""

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from encoder import checkpoints, pace
from encoder.errors import KnownError
from encoder.lesson import LessonConfig, best_head, by_head
from encoder.workshop import Run
from pages.shared import choosing, lessons, prose, training
from pages.shared import trained as keeping
from tests.app import APP, OWNER, PAGES, charts, fine, go, html, open_page, said, trained, until

VIEWS = ("curves", "weights", "heads", "map")
SMALL = {"train_steps": "2000", "train_width": "16", "train_layers": "1", "train_heads": "2"}


@pytest.fixture(scope="module")
def lesson():
    with trained() as run:
        yield run


@pytest.fixture(autouse=True)
def tidy(monkeypatch):
    """What a test has started ends with it."""
    monkeypatch.setattr(lessons, "_owner", lambda: OWNER)
    shop = lessons.workshop()
    before = {*shop.of(OWNER), *shop.brought_by(OWNER)}
    yield
    for run in set(shop.of(OWNER)) - before:
        shop.stop(run)
        until(lambda run=run: run.over)
    for each in {*shop.of(OWNER), *shop.brought_by(OWNER)} - before:
        shop._forget(each)


def button(app, label):
    return next(button for button in app.button if button.label == label)


def press(app, label):
    return button(app, label).click().run()


def upload(app, key, name, data):
    uploader = next(each for each in app.file_uploader if each.key == key)
    return uploader.set_value([(name, data, "application/octet-stream")]).run()


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
    assert (run.config.width, run.config.layers, run.config.heads, run.config.steps) == (16, 1, 2, 2_000)
    until(lambda: run.step > 5)
    app.run()
    assert fine(app)
    assert [button.disabled for button in app.button if button.label == "Start"] == [True]
    press(app, "Stop")
    until(lambda: run.over)
    app.run()
    text = app.text_area(key="pick.text").value
    press(app, "Use on the left")
    assert [toast.value for toast in app.toast] == ["Training 1 is the left model on every page now."]
    assert app.text_area(key="pick.text").value == text
    assert app.query_params["a"] == run.name
    for page in PAGES:
        assert fine(go(app, page))
        assert any("Training 1" in html.proto.body for html in app.get("html"))
    assert [warning.value for warning in app.warning] == []


def test_a_training_that_left_the_queue_has_no_weights_and_no_pictures(lesson, monkeypatch):
    app = open_page("train")
    assert app.button_group(key="pick.train_view").value == "curves"
    shown = dict(state="stopped", step=0, marks=[], losses=[], parameters=0, model=None)
    changing(lesson, monkeypatch, **{name: lambda run, value=value: value for name, value in shown.items()})
    assert fine(app.run())
    assert any(re.match(r"Stopped · Step 0 of 40 · \d+ s$", caption.value) for caption in app.caption)
    with pytest.raises(KeyError):
        app.button_group(key="pick.train_view")


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


def paused(app):
    press(app, "Start")
    run = lessons.workshop().of(OWNER)[-1]
    until(lambda: run.step > 5)
    press(app.run(), "Pause")
    until(lambda: run.state == "paused")
    return run


def test_while_a_training_is_under_way_no_other_can_be_started_or_resumed_and_the_page_says_why():
    app = open_page("train", **SMALL)
    first = paused(app)
    assert (button(app.run(), "Resume").disabled, button(app, "Resume").help) == (False, "")
    press(app, "Start")
    app.selectbox(key="lesson.shown").set_value(first.name).run()
    assert fine(app)
    for label in ("Start", "Resume"):
        assert button(app, label).disabled
        assert button(app, label).help == "One training of yours is under way already."


def test_a_training_that_may_not_go_on_is_said(monkeypatch):
    def resume(run):
        raise KnownError("Not now.")

    app = open_page("train", **SMALL)
    paused(app)
    monkeypatch.setattr(lessons.workshop(), "resume", resume)
    press(app.run(), "Resume")
    assert fine(app)
    assert [warning.value for warning in app.warning] == ["Not now\\."]


def changing(run, monkeypatch, **looks):
    """What is seen of this run changes from look to look; returns what was seen, as it is.

    Of no other run: the workshop may be at work on one.
    """
    seen = []

    def looked(run, look):
        seen.append(look(run))
        return seen[-1]

    fleeting = {name: property(lambda run, look=look: looked(run, look)) for name, look in looks.items()}
    monkeypatch.setattr(run, "__class__", type("Fleeting", (Run,), fleeting))
    return seen


@pytest.mark.parametrize("looks", range(5))
def test_a_training_may_end_between_any_two_looks_at_it(lesson, monkeypatch, looks):
    app = open_page("train")
    left, seen = iter([True] * looks), changing(lesson, monkeypatch, under_way=lambda run: next(left, False))
    assert fine(app.run())
    assert seen
    assert len(charts(app)) == 2


@pytest.mark.parametrize("looks", range(5))
@pytest.mark.parametrize("later", ["starting", "paused", "done", "failed"])
def test_a_training_may_go_on_between_any_two_looks_at_its_state(lesson, monkeypatch, looks, later):
    app = open_page("train")
    states = iter(["running" if later != "starting" else "waiting"] * looks)
    seen = changing(lesson, monkeypatch, state=lambda run: next(states, later))
    assert fine(app.run())
    assert seen


@pytest.mark.parametrize("view", VIEWS)
def test_every_picture_of_a_training(lesson, view):
    app = open_page("train", train_view=view)
    assert fine(app)
    assert len(charts(app)) == (2 if view == "curves" else 1)


def test_right_answers_are_drawn_as_they_were_marked_beside_what_guessing_gets(lesson):
    lines = charts(open_page("train"))["lesson-accuracy"]["data"]
    assert len(lesson.chance) == 4
    for structure, line, dots in zip(lesson.chance, lines[::2], lines[1::2], strict=True):
        chance, unigram = lesson.chance[structure], lesson.unigram[structure]
        assert line["name"] == training.about()["structures"][structure]["title"]
        assert (line["x"], line["y"]) == lesson.accuracy(structure)
        assert dots["y"] == [unigram] * 2
        assert f"{unigram:.0%} by the most frequent word, {chance:.0%} by pure chance" in dots["hovertemplate"]
    chance, unigram = 100 * lesson.chance["agreement"], 100 * lesson.unigram["agreement"]
    assert f"agreement {unigram:.3g}\u00a0% (by pure chance {chance:.3g}\u00a0%)" in said(open_page("train"))


@pytest.mark.parametrize("what", ["loss", "all", "brackets"])
def test_trainings_are_compared_by_what_was_chosen(lesson, what):
    [line] = charts(open_page("train", compare=what))["lesson-compare"]["data"]
    steps, values = lesson.loss if what == "loss" else lesson.accuracy("brackets")
    if what == "all":
        values = np.mean([lesson.accuracy(structure)[1] for structure in lesson.chance], 0)
    assert line["x"] == steps
    assert line["y"] == pytest.approx(values)


@pytest.mark.parametrize("what", ["copying", "next"])
def test_every_heads_weights_are_drawn_as_they_were_marked_and_the_best_head_is_told(lesson, what):
    app = open_page("train", train_view="weights", look_at=what)
    steps, weights = lesson.weights(what)
    lines = {line["name"]: (line["x"], line["y"]) for line in charts(app)["lesson-weights"]["data"]}
    expected = {
        f"head {layer + 1}-{head + 1}": (steps, [moment[layer][head] for moment in weights])
        for layer, head in np.ndindex(2, 2)
    }
    asked = {"right answers": lesson.accuracy(what)} if what in lesson.chance else {}
    assert lines == expected | asked
    assert f"ead {best_head(by_head(weights))} gives" in said(app)


def test_any_heads_curve_can_be_looked_at(lesson):
    app = open_page("train", train_view="weights", look_at="next")
    heads = app.selectbox(key="pick.look_head")
    assert heads.options == ["Best head", "Head 1-1", "Head 1-2", "Head 2-1", "Head 2-2"]
    _, weights = lesson.weights("next")
    other = next(name for name in by_head(weights) if name != best_head(by_head(weights)))
    heads.set_value(other).run()
    assert fine(app)
    assert app.query_params["look_head"] == other
    lines = charts(app)["lesson-weights"]["data"]
    assert [line["name"] for line in lines if line["showlegend"]] == [f"head {other}"]
    assert re.search(f"Head {other} (now )?gives the right token", said(app))
    app = open_page("train", train_view="weights", look_head="9-9")
    assert fine(app)
    assert app.selectbox(key="pick.look_head").value == "best"


def test_a_finding_is_the_best_head_and_from_which_step_on_it_and_the_answers_are_good():
    run = Run("nobody", 1, LessonConfig(), Path("nowhere"))
    run.chance = {"brackets": 0.3}
    for step, right, best in ((0, 0.3, 0.1), (20, 0.96, 0.4), (1_000, 0.9, 0.6), (2_500, 0.97, 0.8)):
        weights = [[0.45, 0.2], [best, 0.3]]  # [layer][head]
        run.marks.append({"step": step, "accuracy": {"brackets": right}, "weight": {"brackets": weights}})
    assert training.finding(run, "brackets").endswith(
        "Head 2-1 gives the right token more than half of its attention from step 1,000 on. "
        "At least 95\u00a0% of the answers are right from step 2,500 on."
    )
    del run.marks[2:]
    assert training.finding(run, "brackets").endswith(
        "No head gives the right token half of its attention; head 1-1 gives most. At least 95\u00a0% of the answers "
        "are right from step 20 on."
    )
    assert training.finding(run, "brackets", "2-1").endswith(
        "Head 2-1 now gives the right token 40\u00a0% of its attention; it does not stay above half from any step on. "
        "At least 95\u00a0% of the answers are right from step 20 on."
    )


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


def test_what_there_is_to_learn_can_still_be_read_beside_a_training(lesson):
    app = open_page("train")
    [about] = [each for each in app.expander if each.label == "What there is to learn"]
    assert [title.value for title in about.subheader] == ["The toy language"]


def test_a_training_that_cannot_read_the_learners_sentence_offers_one_that_it_can_and_a_way_back(lesson):
    mine = "My own dog is happy."
    app = open_page("train", text=mine, pair="And the king?")
    press(app, "Use on the right")
    assert app.text_area(key="pick.text").value == mine
    assert "This training knows 3 of the 6 words and signs in your text: the others are [UNK]." in said(app)
    press(app, "Read a sentence of the toy language")
    assert fine(app)
    assert app.text_area(key="pick.text").value == "the dogs near the old king [MASK] ."
    assert "[UNK]" not in said(app.main)
    backs = [button for button in app.button if button.label == "Back to “My own dog is happy\\.”"]
    assert len(backs) == 2  # here and in the sidebar
    backs[0].click().run()
    assert app.text_area(key="pick.text").value == mine
    assert app.text_input(key="pick.pair").value == "And the king?"


def test_an_example_for_the_snapshots_takes_the_place_of_a_typed_one_and_a_click_brings_that_back(lesson):
    app = open_page("train", train_view="heads", train_text="the green car falls .")
    app.selectbox(key="lesson-example").set_value("Brackets").run()
    assert app.text_input(key="pick.train_text").value == "( [ ] { ( ) [MASK] ) ."
    press(app, "Back to “the green car falls \\.”")
    assert app.text_input(key="pick.train_text").value == "the green car falls ."


def test_how_long_a_training_will_take_is_said_before_it_starts(monkeypatch):
    monkeypatch.setattr(pace, "_measured", lambda config: 0.01 * config.layers)
    app = open_page("train")
    extra = (pace.EXAMS + pace.SNAPSHOTS) * pace.AN_EXAM
    for layers, steps in ((2, 4_500), (1, 4_500), (1, 9_000), (1, 2_000)):
        app.button_group(key="pick.train_layers").set_value(layers).run()
        app.button_group(key="pick.train_steps").set_value(steps).run()
        duration = choosing.spoken(pace.START + 0.01 * layers * (steps + extra))
        assert f"{steps:,} steps take about {duration} on this machine, longer while it is busy." in said(app)


def test_an_earlier_training_says_how_long_the_next_one_of_such_an_encoder_takes(lesson, monkeypatch):
    monkeypatch.setattr(lesson, "seconds", 60.0)
    step = pace.of_a_step(lesson.config, 60.0)
    longer = replace(lesson.config, steps=lesson.config.steps + 1_000, learning_rate=0.01)
    assert lessons.seconds(lesson.config) == pytest.approx(60)
    assert lessons.seconds(longer) == pytest.approx(60 + 1_000 * step)
    assert pace.seconds(longer) > 0  # measured


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "5 seconds"), (33, "35 seconds"), (87, "85 seconds"), (95, "2 minutes"), (950, "16 minutes")],
)
def test_a_duration_that_is_not_known_to_the_second_is_said_in_round_numbers(seconds, words):
    assert choosing.spoken(seconds) == words


def test_the_text_of_a_file_is_read_as_it_was_meant_and_a_file_that_is_no_text_changes_nothing():
    app = open_page("train", learn="own")
    text = "Le garçon a mangé la pomme, près de la forêt.\n" * 50
    upload(app, "lesson-txt", "livre.txt", text.encode("cp1252"))
    assert app.session_state[choosing.TEXT] == text
    assert prose.plain("Your text, from livre.txt: read as Windows-1252 (Western European).") in said(app)
    upload(app, "lesson-txt", "letter.txt", b"PK\x03\x04" + bytes(500))
    assert fine(app)
    why = "This is a Word, OpenDocument, EPUB or ZIP file, not plain text. Save it as plain text in UTF-8 (.txt) first."
    assert [each.value for each in app.warning] == [prose.plain(why)]
    assert app.session_state[choosing.TEXT] == text


def test_a_pasted_text_comes_back_when_the_file_that_came_after_it_is_taken_away():
    app = open_page("train", learn="own")
    app.text_area(key="lesson-paste").set_value("The cat sat on the mat.").run()
    upload(app, "lesson-txt", "dogs.txt", b"A dog barked.")
    assert any("3 words to learn from, from dogs" in expander.label for expander in app.expander)
    next(each for each in app.file_uploader if each.key == "lesson-txt").set_value([]).run()
    assert app.text_area(key="lesson-paste").value == "The cat sat on the mat."
    assert any("6 words to learn from, pasted" in expander.label for expander in app.expander)


def test_what_of_a_learners_own_text_is_unknown_is_said(lesson, monkeypatch):
    changing(lesson, monkeypatch, config=lambda run: replace(LessonConfig(), own_text=True))
    monkeypatch.setattr(lesson, "unknown", 0.034)
    assert "3\\.4% of your text is \\[UNK\\]" in said(open_page("train"))


def test_who_starts_another_training_is_told_that_the_oldest_goes(lesson, monkeypatch):
    monkeypatch.setattr(choosing, "MOST", 1)
    deletes = f"deletes “{training.called(lesson)}”."
    assert prose.plain(deletes) in said(open_page("train"))
    monkeypatch.setattr(choosing, "MOST", 2)
    assert prose.plain(deletes) not in said(open_page("train"))


def test_without_a_text_of_their_own_a_learner_is_told():
    app = open_page("train", learn="own")
    press(app, "Start")
    assert fine(app)
    assert [warning.value for warning in app.warning] == [
        "There is no text to learn from yet\\: paste one, or bring a \\.txt file\\."
    ]
    assert not any(run.config.own_text for run in lessons.workshop().of(OWNER))


def test_a_learners_own_text_is_kept_while_other_pages_are_looked_at_and_learned_from(monkeypatch):
    app = open_page("train", learn="own", **SMALL)
    app.text_area(key="lesson-paste").set_value("The cat sat on the mat. " * 300).run()
    go(app, "layers")
    go(app, "train")
    assert any("1,800 words" in expander.label for expander in app.expander)
    press(app, "Start")
    run = lessons.workshop().of(OWNER)[-1]
    until(lambda: run.step > 2)
    assert list(run.chance) == ["hidden pieces"]
    until(lambda: run.marks)
    assert fine(app.run())
    assert "the end of your text, which it has not learned from" in said(app)
    assert "what always guessing the most frequent piece gets: hidden pieces " in said(app)
    monkeypatch.setattr(lessons, "mine", lambda: [run])
    app = open_page("train", learn="own", compare="agreement")
    assert app.selectbox(key="pick.compare").options == ["Loss", "Right answers"]
    assert charts(app)["lesson-compare"]["layout"]["yaxis"]["title"]["text"] == "loss (nats per hidden token)"
    assert "range" not in charts(app)["lesson-compare"]["layout"]["yaxis"]


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
    upload(app, "lesson-file", "my model.safetensors", good)
    assert fine(app)
    assert any("my model" in each.value for each in app.success)
    assert "my model" in app.selectbox(key="pick.a").options
    upload(app, "lesson-file", "bad.safetensors", good[:200])
    assert fine(app)
    assert any(each.value.startswith("“bad\\.safetensors” could not") for each in app.warning)
    assert any("damaged" in each.value for each in app.warning)
    upload(app, "lesson-file", "numbers.safetensors", spoiled(good))
    assert any("The model in this file has weights that are no numbers" in each.value for each in app.warning)
    assert "my model" in app.selectbox(key="pick.a").options


def spoiled(packed):
    weights, header = load(packed), json.loads(packed[8 : 8 + int.from_bytes(packed[:8], "little")])
    weights["head.bias"][0] = torch.nan
    return save(weights, header["__metadata__"])


def test_a_model_with_anothers_name_takes_no_place_but_its_own(lesson):
    app = open_page("train")
    good = checkpoints.pack(lesson.model)
    for name in ("MiniLM", "MiniLM", "Training 1"):
        upload(app, "lesson-file", f"{name}.safetensors", good)
    assert any("Training 1 \\(brought\\)" in each.value for each in app.success)
    labels = app.selectbox(key="pick.b").options
    assert {"MiniLM", "MiniLM (brought)", "MiniLM (brought 2)", "Training 1", "Training 1 (brought)"} < set(labels)
    assert len(set(labels)) == len(labels)
    next(each for each in app.toggle if each.label == "Hide special tokens").set_value(True).run()
    assert fine(app)
    assert (app.selectbox(key="pick.b").value, "b" in app.query_params) == ("minilm", False)


def test_a_chosen_model_stays_chosen_when_older_ones_of_its_name_go(lesson):
    app = open_page("train")
    good = checkpoints.pack(lesson.model)
    for _ in range(3):
        upload(app, "lesson-file", "mine.safetensors", good)
    chosen = lessons.workshop().brought_by(OWNER)[-1].folder.name
    app.selectbox(key="pick.b").set_value(chosen).run()
    upload(app, "lesson-file", "mine.safetensors", good)
    next(each for each in app.toggle if each.label == "Hide special tokens").set_value(True).run()
    assert fine(app)
    assert app.selectbox(key="pick.b").value == app.query_params["b"] == chosen


def test_a_file_without_a_name_gets_one(lesson):
    app = upload(open_page("train"), "lesson-file", ".safetensors", checkpoints.pack(lesson.model))
    assert "Without a name" in app.selectbox(key="pick.b").options


def test_files_and_texts_beyond_the_limits_are_refused_whatever_the_browser_lets_through(lesson, monkeypatch):
    monkeypatch.setattr(keeping, "LARGEST_FILE", 1)
    monkeypatch.setattr(choosing, "OWN_TEXT_BYTES", 1_000_000)
    app = open_page("train", learn="own")
    upload(app, "lesson-file", "large.safetensors", bytes(2**20 + 1))
    refused = "“large\\.safetensors” could not be taken\\: a file that is brought can have 1 MB at most\\."
    assert [warning.value for warning in app.warning] == [refused]
    upload(app, "lesson-file", "small.safetensors", checkpoints.pack(lesson.model))
    assert app.success
    too_long = "A text to learn from can have 1 MB at most\\."
    upload(app, "lesson-txt", "long.txt", b"dog " * 250_001)
    assert [warning.value for warning in app.warning] == [too_long]
    app.text_area(key="lesson-paste").set_value("кот " * 150_000).run()
    assert [warning.value for warning in app.warning] == [too_long]
    assert fine(app)
    app.text_area(key="lesson-paste").set_value("кот " * 140_000).run()
    assert any("140,000 words" in expander.label for expander in app.expander)


def test_the_server_takes_no_larger_files_than_the_page():
    config = tomllib.loads((APP.parent / ".streamlit/config.toml").read_text(encoding="utf-8"))
    assert config["server"]["maxUploadSize"] == keeping.LARGEST_FILE


def test_a_browser_remembers_its_learner_for_a_day():
    assert "max-age=86400;" in html(open_page("train"))


def test_pages_that_are_gone_are_forgotten_and_so_is_who_has_nothing_here(lesson, monkeypatch):
    connected, pages = {"old", "new", "idle"}, {}

    class Server:
        is_active_session = connected.__contains__

    monkeypatch.setattr(lessons, "_pages", lambda: pages)
    monkeypatch.setattr(lessons.runtime, "exists", lambda: True)
    monkeypatch.setattr(lessons.runtime, "get_instance", Server)
    lessons._arrive(OWNER, "old")
    lessons._arrive("somebody idle", "idle")
    assert pages == {OWNER: {"old"}, "somebody idle": {"idle"}}
    connected -= {"old", "idle"}
    assert not lessons._is_here(OWNER)
    lessons._arrive(OWNER, "new")
    assert pages == {OWNER: {"new"}}
    assert lessons._is_here(OWNER)


def test_another_visitor_does_not_see_these_models_nor_can_they_load_them(lesson, monkeypatch):
    brought = lessons.workshop().bring(OWNER, "my own model", checkpoints.pack(lesson.model))
    mine = {lesson.name: f"Training {lesson.number}", brought.folder.name: "my own model"}
    for visitor, theirs in ((OWNER, True), ("somebody else", False)):
        monkeypatch.setattr(lessons, "_owner", lambda visitor=visitor: visitor)
        for name, label in mine.items():
            app = open_page("layers", a=name)
            assert fine(app)
            assert (f'<span class="name">{label}</span>' in html(app)) is theirs
            assert (app.selectbox(key="pick.a").value == name) is theirs
            assert ("a" in app.query_params) is theirs
            for side in "ab":
                offered = {*mine.values()} & {*app.selectbox(key=f"pick.{side}").options}
                assert offered == ({*mine.values()} if theirs else set())
