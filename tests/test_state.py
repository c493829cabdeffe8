"""Choices: each survives a change of page, is in the address, and comes back from it."""

import pytest
import streamlit as st

from encoder.catalogue import DEFAULT_LEFT, DEFAULT_RIGHT
from pages.shared import choices, state
from tests.app import (
    MAPS,
    PAGES,
    ask,
    back,
    charts,
    choose,
    explored,
    fine,
    go,
    layers_and_heads,
    open_page,
    said,
    start,
    told,
    trained,
)

ELSEWHERE = {"embedding_view": "elsewhere"}
AFTER = {"neuron_view": "after"}

# For every choice: the page and view where its widget is, the kind of widget, another value, and how the address
# writes it.
CHANGES = {
    "text": ("layers", {}, "text_area", "A dog barks.", "A dog barks."),
    "pair": ("layers", {}, "text_input", "It is loud.", "It is loud."),
    "a": ("layers", {}, "selectbox", "first-article", "first-article"),
    "b": ("layers", {}, "selectbox", "second-article", "second-article"),
    "words": ("layers", {}, "toggle", True, "1"),
    "hide": ("layers", {}, "toggle", True, "1"),
    "limit": ("layers", {}, "number_input", 64, "64"),
    "show": ("layers", {}, "button_group", "b", "b"),
    "together": ("layers", {}, "toggle", False, "0"),
    "layer": ("attention", MAPS, "slider", 3, "3"),
    "head": ("attention", MAPS, "slider", 2, "2"),
    "level": ("embeddings", {"embedding_view": "similarity"}, "slider", 2, "2"),
    "token": ("feed_forward", AFTER, "selectbox", 4, "4"),
    "neuron": ("feed_forward", {**AFTER, "neuron": "7", "a": "scratch-untrained"}, "selectbox", 185, "185"),
    "embedding_view": ("embeddings", {}, "button_group", "path", "path"),
    "space": ("embeddings", {"embedding_view": "map"}, "button_group", "3d", "3d"),
    "attention_view": ("attention", {}, "button_group", "neuron", "neuron"),
    "neuron_view": ("feed_forward", {}, "button_group", "before", "before"),
    "elsewhere": ("embeddings", ELSEWHERE, "text_area", "A bank.\nThe bank?", "A bank.\nThe bank?"),
    "word": ("embeddings", ELSEWHERE, "text_input", "the", "the"),
    "basis": ("attention", {"attention_view": "roles"}, "button_group", "corpus", "corpus"),
    "what_if_view": ("what_if", {}, "button_group", "each", "each"),
    "outcome": ("what_if", {}, "button_group", "attention", "attention"),
    "changed": ("what_if", {}, "button_group", ["0", "3"], "0-3"),
    "put_in": ("what_if", {"changed": "1"}, "text_input", "dog", "dog"),
    "shuffled": ("what_if", {}, "toggle", True, "1"),
    "without": ("what_if", {}, "multiselect", ["positions", "norms"], "positions-norms"),
    "off": ("what_if", {}, "multiselect", ["2.1", "3.0"], "2.1-3.0"),
    "off_b": ("what_if", {}, "multiselect", ["6.12"], "6.12"),
    "scaled": ("what_if", {"scaled": "1.7"}, "multiselect", ["1.7"], "1.7"),
    "scaled_b": ("what_if", {"scaled_b": "6.1536-2.9"}, "multiselect", ["2.9"], "2.9"),
    "factor": ("what_if", {"scaled": "1.7"}, "button_group", 2.0, "2.0"),
    "factor_b": ("what_if", {"scaled_b": "1.7"}, "button_group", -1.0, "-1.0"),
    "flip_score_scale": ("step_by_step", {}, "selectbox", "sqrt_width", "sqrt_width"),
    "flip_norm": ("step_by_step", {}, "selectbox", "none", "none"),
    "flip_shared_projections": ("step_by_step", {}, "selectbox", "shared", "shared"),
    "flip_activation": ("step_by_step", {}, "selectbox", "relu", "relu"),
    "to": ("step_by_step", {}, "selectbox", 3, "3"),
    "step": ("step_by_step", {}, "selectbox", "score", "score"),
    "quantity": ("layers", {}, "selectbox", "entropy", "entropy"),
    "layout": ("attention", {}, "explorer", "lines", "lines"),
    "weights": ("attention", {}, "explorer", "rollout", "rollout"),
    "over": ("attention", {}, "explorer", "mean", "mean"),
    "part": ("attention", {"pair": "It is loud."}, "explorer", "ab", "ab"),
    "renorm": ("attention", {}, "explorer", True, "1"),
    "top": ("attention", {}, "explorer", 50, "50"),
    "minus": ("attention", {}, "explorer", True, "1"),
    "sort": ("attention", {}, "explorer", "entropy", "entropy"),
    "least": ("attention", {}, "explorer", 40, "40"),
    "pins": ("attention", {}, "explorer", "3.5", "3.5"),
    "pins_b": ("attention", {"together": "0"}, "explorer", "2", "2"),
    "more": ("attention", {}, "explorer", "2.1-4.3", "2.1-4.3"),
    "more_b": ("attention", {}, "explorer", "6.12", "6.12"),
    "learn": ("train", {}, "button_group", "own", "own"),
    "train_width": ("train", {}, "button_group", 128, "128"),
    "train_layers": ("train", {}, "button_group", 3, "3"),
    "train_heads": ("train", {}, "button_group", 8, "8"),
    "train_norm": ("train", {}, "button_group", "none", "none"),
    "train_activation": ("train", {}, "button_group", "relu", "relu"),
    "train_score_scale": ("train", {}, "button_group", "sqrt_width", "sqrt_width"),
    "train_learning_rate": ("train", {}, "button_group", 0.001, "0.001"),
    "train_steps": ("train", {}, "button_group", 2_000, "2000"),
    "train_view": ("train", {}, "button_group", "map", "map"),
    "train_text": ("train", {"train_view": "heads"}, "text_input", "the car falls .", "the car falls ."),
    "compare": ("train", {}, "selectbox", "brackets", "brackets"),
    "look_at": ("train", {"train_view": "weights"}, "button_group", "copying", "copying"),
    "look_head": ("train", {"train_view": "weights"}, "selectbox", "2-1", "2-1"),
    "level_of": ("train", {"train_view": "map"}, "button_group", "first", "first"),
}
SIDED = ("layer", "head", "level", "token", "to", "neuron")
FIRST = {"layer": "1", "head": "1"}  # not where the text would have it open
APART = {"together": "0", **FIRST, "layer_b": "1", "head_b": "1"}
for _name in SIDED:
    _page, _address, *_rest = CHANGES[_name]
    CHANGES[f"{_name}_b"] = (_page, {**_address, **APART}, *_rest)
CHANGES["neuron_b"] = ("feed_forward", {**AFTER, "neuron_b": "7", **APART}, "selectbox", 857, "857")


@pytest.fixture(scope="module", autouse=True)
def lesson():
    """The Train page shows most of its choices once there is a training."""
    with trained():
        yield


def test_this_table_has_every_choice_but_the_gpu_which_needs_one():
    assert set(CHANGES) == set(choices.CHOICES) - {"gpu"}


@pytest.mark.parametrize("name", CHANGES)
def test_every_choice_survives_a_change_of_page_and_is_in_an_address_that_opens_the_same_view(name):
    page, address, widget, value, written = CHANGES[name]
    app = open_page(page, **address)
    pick = f"pick.{name}"
    _widget(app, widget, pick).set_value(value).run()
    assert fine(app)
    assert app.query_params[name] == written

    elsewhere = "attention" if page != "attention" else "layers"
    assert fine(go(app, elsewhere))
    assert app.query_params[name] == written
    assert fine(go(app, page))
    assert _widget(app, widget, pick).value == value

    friend = open_page(page, **app.query_params)
    assert fine(friend)
    assert _widget(friend, widget, pick).value == value
    assert friend.query_params == app.query_params
    assert charts(friend) == charts(app)
    assert _shown(friend) == _shown(app)


def test_a_first_visit_has_an_empty_address_and_a_finished_example():
    app = start()
    assert fine(app)
    assert app.query_params == {}
    assert app.text_area(key="pick.text").value == choices.FIRST_TEXT
    assert app.selectbox(key="pick.a").value == DEFAULT_LEFT
    assert app.selectbox(key="pick.b").value == DEFAULT_RIGHT


@pytest.mark.parametrize("page", PAGES)
def test_a_change_back_to_the_usual_leaves_the_address(page):
    app = open_page(page)
    app.toggle(key="pick.words").set_value(True).run()
    assert app.query_params == {"words": "1"}
    app.toggle(key="pick.words").set_value(False).run()
    assert app.query_params == {}


def test_a_page_keeps_its_choices_while_others_are_looked_at():
    app = open_page("attention", **MAPS | {"layer": "3", "head": "2"})
    for page in PAGES:
        go(app, page)
    go(app, "attention")
    assert layers_and_heads(app) == {"layer": 3, "head": 2, "layer_b": 3, "head_b": 2}


def test_an_address_that_the_browser_goes_back_to_is_followed():
    app = open_page("attention", **MAPS | {"layer": "3", "text": "A dog barks."})
    app.query_params.clear()
    app.query_params.update(MAPS | {"head": "2"})
    back(app)
    assert layers_and_heads(app) == {"layer": 1, "head": 2, "layer_b": 1, "head_b": 2}
    assert app.text_area(key="pick.text").value == choices.FIRST_TEXT


def test_going_back_to_the_plain_address_shows_the_usual():
    usual = explored(open_page("attention"))["choice"]
    app = open_page("attention", **MAPS | {"layer": "3", "text": "A dog barks."})
    app.query_params.clear()
    back(app)
    assert _without_turn(explored(app)["choice"]) == _without_turn(usual)
    assert app.text_area(key="pick.text").value == choices.FIRST_TEXT


def test_a_quick_second_change_that_still_carries_the_old_address_loses_nothing():
    app = open_page("attention", **MAPS, text="A dog barks.")
    ask(app, "Two dogs bark.")
    app.query_params["text"] = "A dog barks."  # the browser had not heard of the new address yet
    app.slider(key="pick.layer").set_value(3).run()
    assert app.text_area(key="pick.text").value == "Two dogs bark."
    assert app.query_params == {**MAPS, "text": "Two dogs bark.", "layer": "3"}


def heard(app, turn=None):
    """The last turn of which the browser has heard everything; or let it be an earlier one."""
    answer = app.number_input(key=state.HEARD)
    return answer.value if turn is None else answer.set_value(turn)


def test_what_the_browser_still_showed_when_a_second_change_came_is_no_choice():
    app = open_page("attention", **MAPS)
    before = heard(app)
    app.slider(key="pick.layer").set_value(3).run()  # moves the right slider too, but the browser has not heard of it
    heard(app, before)
    app.slider(key="pick.layer").set_value(4)
    app.slider(key="pick.layer_b").set_value(1).run()
    assert layers_and_heads(app) == {"layer": 4, "head": 1, "layer_b": 4, "head_b": 1}
    app.slider(key="pick.layer_b").set_value(1).run()
    assert layers_and_heads(app) == {"layer": 1, "head": 1, "layer_b": 1, "head_b": 1}


def test_a_choice_taken_back_before_the_browser_heard_of_it_elsewhere_stays_taken_back():
    app = open_page("attention")
    before = heard(app)
    choose(app, {"words": True, "report": 1})
    after = heard(app)
    heard(app, before)
    app.toggle(key="pick.words").set_value(False)  # the sidebar's, which has not been told
    choose(app, {"words": False, "report": 2})
    heard(app, after)
    app.toggle(key="pick.words").set_value(True)  # it has been told the first time only
    choose(app, {"hide": True, "report": 3})
    assert app.query_params == {"hide": "1"}
    app.toggle(key="pick.words").set_value(True).run()
    assert app.query_params == {"hide": "1", "words": "1"}


@pytest.mark.parametrize("shown", ["A dog barks.", "Two dogs bark.", "Ten dogs bark."])
def test_a_text_is_not_undone_by_the_phones_box_that_still_shows_an_older_one(shown):
    app = open_page("attention", **MAPS, text="A dog barks.")
    before = heard(app)
    for text in ("Two dogs bark.", "Ten dogs bark.", "No dog barks."):
        heard(app, before)
        ask(app, text)
    heard(app, before)
    app.text_area(key="pick.text-phone").set_value(shown)
    app.slider(key="pick.layer").set_value(3).run()
    assert app.text_area(key="pick.text").value == "No dog barks."
    assert app.text_area(key="pick.text-phone").value == "No dog barks."
    app.text_area(key="pick.text-phone").set_value(shown).run()
    assert app.text_area(key="pick.text").value == shown


# Moving together


def test_columns_that_move_together_have_one_choice_and_one_place_in_the_address():
    app = open_page("attention", **MAPS)
    app.slider(key="pick.layer_b").set_value(3).run()
    assert layers_and_heads(app) == {"layer": 3, "head": 1, "layer_b": 3, "head_b": 1}
    app.slider(key="pick.head").set_value(2).run()
    assert layers_and_heads(app) == {"layer": 3, "head": 2, "layer_b": 3, "head_b": 2}
    assert app.query_params == {**MAPS, "layer": "3", "head": "2"}


def test_columns_that_move_apart_have_a_choice_each():
    app = open_page("attention", **MAPS)
    app.toggle(key="pick.together").set_value(False).run()
    app.slider(key="pick.layer").set_value(2).run()
    app.slider(key="pick.layer_b").set_value(5).run()
    assert layers_and_heads(app) == {"layer": 2, "head": 1, "layer_b": 5, "head_b": 1}
    assert app.query_params == {**MAPS, **APART, "layer": "2", "layer_b": "5"}


def test_columns_told_to_move_together_again_meet_where_the_left_one_is():
    app = open_page("attention", **MAPS | {"together": "0", "layer": "2", "layer_b": "5", "head_b": "3"})
    app.toggle(key="pick.together").set_value(True).run()
    assert layers_and_heads(app) == {"layer": 2, "head": 1, "layer_b": 2, "head_b": 1}
    assert app.query_params == {**MAPS, "layer": "2"}


def test_columns_that_start_apart_move_together_from_the_first_choice_on():
    address = {**MAPS, "layer": "2", "layer_b": "5"}
    app = open_page("attention", **address)
    assert layers_and_heads(app) == {"layer": 2, "head": 1, "layer_b": 5, "head_b": 1}
    assert app.query_params == address
    app.slider(key="pick.layer_b").set_value(4).run()
    assert layers_and_heads(app) == {"layer": 4, "head": 1, "layer_b": 4, "head_b": 1}
    assert app.query_params == {**MAPS, "layer": "4"}


def test_columns_apart_in_the_address_start_where_each_was():
    app = open_page("attention", **MAPS | APART | {"layer_b": "5"})
    assert layers_and_heads(app) == {"layer": 1, "head": 1, "layer_b": 5, "head_b": 1}


# The explorer's choices, made in the browser


class InBrowser:
    """One control of the explorer, in the manner of AppTest's widgets."""

    def __init__(self, app, name):
        self.app, self.name, self.value = app, name, explored(app)["choice"][name]

    def set_value(self, value):
        self.value = value
        return self

    def run(self):
        return choose(self.app, {**explored(self.app)["choice"], self.name: self.value})


@pytest.fixture
def session(monkeypatch):
    """A visitor's choices, without a page."""
    monkeypatch.setattr(state.st, "session_state", {})


def test_a_choice_of_the_browser_is_taken_and_the_others_stay(session):
    state.put("together", False)
    state.put("head", 4)
    chosen = {"layer": 3, "layer_b": 5, "words": True, "layout": "lines", "top": 30, "more_b": "1.2-3.4", "pins": ""}
    state.take(chosen)
    assert {name: state.get(name) for name in chosen} == chosen
    assert (state.get("head"), state.get("head_b"), state.get("hide")) == (4, choices.OPEN, False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("layer", value) for value in (0, -1, 2.5, 10**7, "9" * 5000, "first", "", None, [3], {"layer": 3})),
        *(("words", value) for value in (2, "true", None)),
        *(("layout", value) for value in ("3d", "", 1, ["map"])),
        *(("top", value) for value in (0, 101, 50.5, "50 %")),
        *(("sort", value) for value in ("__class__", True)),
        *(("pins", value) for value in ("3-4", "3.", ".3", "a", "-1", "1." * 3000 + "1", 2.5e30, [1, 2])),
        *(("more_b", value) for value in ("3", "3.5-", "x.1", "1.2.3", 3)),
    ],
)
def test_what_the_browser_cannot_have_chosen_is_left_as_it_was(session, name, value):
    state.take({"head": 2, name: value, "hide": True})
    assert state.get(name) == choices.CHOICES[name].default
    assert (state.get("head"), state.get("hide")) == (2, True)


def test_another_layer_chosen_in_the_browser_forgets_the_neuron_of_the_old_one(session):
    state.put("together", False)
    state.take({"layer": 2, "layer_b": 2})
    for name in ("neuron", "neuron_b"):
        state.put(name, 7)
    state.take({"layer": 2, "layer_b": 3, "head": 4})
    assert (state.get("neuron"), state.get("neuron_b")) == (7, 0)


def test_a_token_picked_in_the_browser_is_the_one_that_the_other_pages_follow(session):
    state.take({"pins": "4.2", "pins_b": "5"})  # the same word, cut differently
    assert (state.get("token"), state.get("token_b")) == (4, 4)
    state.take({"pins": "", "pins_b": "6"})
    assert (state.get("token"), state.get("token_b")) == (6, 6)
    state.take({"together": False, "pins": "3", "pins_b": "7"})
    assert (state.get("token"), state.get("token_b")) == (3, 7)


@pytest.mark.parametrize("pins", ["0", "0.3", "9" * 30])
def test_a_picked_token_that_no_address_can_have_is_not_followed(session, pins):
    state.take({"pins": pins})
    assert state.get("token") == choices.OPEN


def test_a_choice_of_the_browser_is_in_the_address_and_on_the_other_pages():
    app = open_page("attention")
    choose(app, {**explored(app)["choice"], "layer": 3, "layer_b": 3, "words": True, "pins": "4", "pins_b": "4"})
    assert fine(app)
    assert app.query_params == {"layer": "3", "words": "1", "token": "4", "pins": "4", "pins_b": "4"}
    assert app.toggle(key="pick.words").value is True
    go(app, "feed_forward")
    assert app.slider(key="pick.layer_b").value == 3
    assert app.button_group(key="pick.neuron_view").set_value("after").run().selectbox(key="pick.token").value == 4


def test_the_browser_is_not_told_its_own_choice_again():
    app = open_page("attention")
    before = told(app)
    for layer in (2, 3, 1):
        choose(app, {**explored(app)["choice"], "layer": layer, "layer_b": layer, "sort": "entropy"})
        assert told(app) == before
    app.run()
    assert told(app) == before


def test_a_choice_made_beside_the_explorer_reaches_it_with_the_browsers_own():
    app = open_page("attention")
    choose(app, {**explored(app)["choice"], "layer": 3, "layer_b": 3})
    app.toggle(key="pick.hide").set_value(True).run()
    choice = explored(app)["choice"]
    assert (choice["layer"], choice["layer_b"], choice["hide"]) == (3, 3, True)


def test_a_report_that_crosses_a_change_beside_the_explorer_undoes_nothing():
    app = open_page("attention", **FIRST)
    app.toggle(key="pick.words").set_value(True).run()
    choose(app, {"layer": 3, "layer_b": 3, "report": 1})  # of a browser that has not heard of the words yet
    assert app.toggle(key="pick.words").value is True
    assert app.query_params == {**FIRST, "layer": "3", "words": "1"}
    app.toggle(key="pick.hide").set_value(True)
    choose(app, {"layer": 4, "layer_b": 4, "report": 2})  # in the same run
    choice = explored(app)["choice"]
    assert (choice["words"], choice["hide"], choice["layer"], choice["report"]) == (True, True, 4, 2)


def test_a_report_that_was_lost_is_made_up_for_by_the_next_and_one_that_was_not_undoes_nothing():
    app = open_page("attention", **FIRST)
    made = {"layer": 1, "layer_b": 1, "words": 2}
    choose(app, {"layer": 3, "layer_b": 3, "words": True, "made": made, "report": 2, "by": 0.5})
    assert app.query_params == {**FIRST, "layer": "3", "words": "1"}
    app.toggle(key="pick.words").set_value(False).run()
    choose(app, {"words": True, "hide": True, "made": {"words": 2, "hide": 3}, "report": 3, "by": 0.5})
    assert app.query_params == {**FIRST, "layer": "3", "hide": "1"}
    choose(
        app, {"layer": 4, "layer_b": 4, "made": {"layer": 1}, "report": 1, "by": 0.7}
    )  # of an explorer that has just begun
    assert app.query_params == {**FIRST, "layer": "4", "hide": "1"}


@pytest.mark.parametrize("made", [0.5, "1", None, [1], 2**60])
def test_a_report_that_says_strange_things_of_others_is_taken_at_once(made):
    app = open_page("attention", **FIRST)
    for layer in (3, 4):
        both = {"layer": layer, "layer_b": layer}
        choose(app, {**both, "made": dict.fromkeys(both, made), "report": 2**53, "by": 0.5})
        assert fine(app)
    assert app.query_params == {**FIRST, "layer": "4"}


@pytest.mark.parametrize("report", [None, "1", 2.5, [1]])
def test_a_report_without_its_number_is_not_taken(report):
    app = open_page("attention", **FIRST)
    choose(app, {"layer": 3, "report": report})
    assert fine(app)
    assert app.query_params == FIRST


def test_a_choice_of_the_browser_that_is_undone_elsewhere_is_undone_in_the_browser():
    app = open_page("attention", **FIRST)
    before = told(app)
    choose(app, {**explored(app)["choice"], "words": True})
    app.toggle(key="pick.words").set_value(False).run()
    assert explored(app)["choice"]["words"] is False
    assert told(app) != before, "the browser takes over only what is not what it was told last"
    before = told(app)
    choose(app, {**explored(app)["choice"], "layer": 3, "layer_b": 3})
    app.query_params.clear()
    app.query_params.update(FIRST)
    back(app)
    assert explored(app)["choice"]["layer"] == 1
    assert told(app) != before


def test_a_new_text_leaves_what_the_browser_chose():
    app = open_page("attention", **FIRST)
    choose(app, {**explored(app)["choice"], "layer": 3, "layer_b": 3, "layout": "lines"})
    ask(app, "A dog barks.")
    assert "dog" in explored(app)["models"]["b"]["tokens"]
    assert app.query_params == {**FIRST, "text": "A dog barks.", "layer": "3", "layout": "lines"}


@pytest.mark.parametrize(
    "answer", [None, "all", 7, [1, 2], {}, {"text": "x", "layer": "<b>", "address": 1, "gpu": True}]
)
def test_an_answer_that_is_no_choice_of_the_explorer_changes_nothing(answer):
    app = open_page("attention", **FIRST)
    choose(app, answer)
    assert fine(app)
    assert app.query_params == FIRST
    assert app.text_area(key="pick.text").value == choices.FIRST_TEXT


# What cannot be had


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("layer", "0"),
        ("layer", "-1"),
        ("layer", "1e3"),
        ("layer", "9" * 5000),
        ("head", "first"),
        ("token", "0"),
        ("neuron", "-1"),
        ("level", ""),
        ("a", "../../etc/passwd"),
        ("b", "bert-base-uncased/../minilm"),
        ("b", "/etc"),
        ("limit", "abc"),
        ("limit", "7"),
        ("limit", "4097"),
        ("show", "x"),
        ("gpu", "yes"),
        ("words", "true"),
        ("embedding_view", "sum "),
        ("space", "4d"),
        ("quantity", "__class__"),
        ("attention_view", "heads"),
        ("layout", "3d"),
        ("weights", ""),
        ("over", "min"),
        ("part", "ac"),
        ("top", "0"),
        ("least", "101"),
        ("sort", "__class__"),
        ("pins", "3-5"),
        ("pins_b", "1." * 3000),
        ("more", "3"),
        ("more_b", "1.2-"),
        ("changed", "1.2"),
        ("put_in", "w" * 61),
        ("without", "<b>"),
        ("factor", "3"),
        ("scaled", "neuron"),
        ("flip_norm", "both"),
        ("word", "w" * 61),
    ],
)
def test_what_an_address_cannot_have_falls_back_with_a_note_that_names_it(name, value):
    app = open_page("layers", **{name: value})
    assert fine(app)
    assert [note.value for note in app.info] == [
        f"The address asks for something that is not there ({name}); the usual is shown."
    ]
    assert app.query_params == {}
    app.toggle(key="pick.words").set_value(True).run()
    assert not app.info, "the note is for the visit, not for ever"


def test_a_strange_name_in_the_address_is_left_alone_and_left_out():
    app = open_page("layers", **{"utm_source": "mail", "<script>": "1", "layer": "2"})
    assert fine(app)
    assert app.query_params == {"layer": "2"}


def test_a_value_given_twice_in_the_address_is_read_once():
    app = start()
    app.query_params.update(MAPS)
    app.query_params["layer"] = ["2", "3"]
    back(app.switch_page("pages/attention.py"))
    assert fine(app)
    assert layers_and_heads(app)["layer"] == 3


# A text too long for an address


LONG = "The cat sat on the mat. " * 200


def test_a_text_too_long_for_the_address_stays_out_of_it_and_is_read_on_every_page():
    app = ask(open_page("attention", **MAPS), LONG)
    app.slider(key="pick.layer").set_value(3).run()
    assert app.query_params == {**MAPS, "layer": "3"}
    assert "a link to this view, or loading it anew, leaves the text out" in said(app.sidebar)
    for page in PAGES:
        assert fine(go(app, page))
        assert app.text_area(key="pick.text").value == LONG
        assert app.query_params == {**MAPS, "layer": "3"}


def test_a_long_text_is_not_lost_by_going_back():
    app = ask(open_page("attention", **MAPS), LONG)
    app.slider(key="pick.layer").set_value(2).run()
    app.slider(key="pick.layer").set_value(3).run()
    app.query_params["layer"] = "2"  # an address that could not hold the text either
    back(app)
    assert layers_and_heads(app)["layer"] == 2
    assert app.text_area(key="pick.text").value == LONG


@pytest.mark.parametrize("address", [{}, {"quantity": "entropy", "words": "1"}, {"pair": "It is loud."}])
def test_whenever_the_text_leaves_the_address_the_page_says_so(address):
    app = open_page("layers", **address)
    seen = set()
    for length in (3_940, 3_955, 3_970, 3_985, 3_995, 3_996):
        ask(app, "a" * length)
        left_out = "a link to this view, or loading it anew, leaves the text out" in said(app.sidebar)
        assert left_out == ("text" not in app.query_params), length
        seen.add(left_out)
    assert seen == {True, False}


# Several visitors


def test_two_visitors_do_not_mix():
    one = open_page("attention", **MAPS, text="A dog barks.")
    other = open_page("attention", **MAPS | {"text": "Rain fell.", "layer": "3"})
    for _ in range(2):
        one.slider(key="pick.head").set_value(2).run()
        other.slider(key="pick.head").set_value(4).run()
        assert layers_and_heads(one) == {"layer": 1, "head": 2, "layer_b": 1, "head_b": 2}
        assert layers_and_heads(other) == {"layer": 3, "head": 4, "layer_b": 3, "head_b": 4}
        assert "dog" in _tokens(one)
        assert "rain" in _tokens(other)
        one.slider(key="pick.head").set_value(1).run()
    assert one.query_params == {**MAPS, "text": "A dog barks."}
    assert other.query_params == {**MAPS, "text": "Rain fell.", "layer": "3", "head": "4"}


def _tokens(app):
    return charts(app)["chart-b-1"]["data"][0]["x"]


def _shown(app):
    """What the explorer shows: texts and choices, without how often it has been told."""
    found = explored(app)
    read = [(model["name"], model["tokens"]) for model in found["models"].values()]
    return read, _without_turn(found["choice"])


def _without_turn(choice):
    return {name: value for name, value in choice.items() if name != "turn"}


def _widget(app, kind, key):
    if kind == "explorer":
        return InBrowser(app, key.removeprefix("pick."))
    return next(element for element in app.get(kind) if element.key == key)


def test_a_widget_whose_page_has_been_left_chooses_nothing(monkeypatch):
    monkeypatch.setattr(st, "session_state", {})
    state._picked("show", "pick.show")
    assert state.get("show") == "both"
