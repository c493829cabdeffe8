"""Choices: each survives a change of page, is in the address, and comes back from it."""

import pytest
import streamlit as st

from encoder.catalogue import DEFAULT_LEFT, DEFAULT_RIGHT
from pages.shared import state
from tests.app import PAGES, ask, back, charts, fine, go, layers_and_heads, open_page, said, start

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
    "layer": ("attention", {}, "slider", 3, "3"),
    "head": ("attention", {}, "slider", 2, "2"),
    "level": ("embeddings", {"embedding_view": "similarity"}, "slider", 2, "2"),
    "token": ("feed_forward", {}, "selectbox", 4, "4"),
    "neuron": ("feed_forward", {"neuron": "7"}, "selectbox", 185, "185"),
    "embedding_view": ("embeddings", {}, "button_group", "path", "path"),
    "space": ("embeddings", {"embedding_view": "map"}, "button_group", "3d", "3d"),
    "attention_view": ("attention", {}, "button_group", "neuron", "neuron"),
    "neuron_view": ("feed_forward", {}, "button_group", "before", "before"),
    "quantity": ("layers", {}, "selectbox", "entropy", "entropy"),
}
SIDED = ("layer", "head", "level", "token", "neuron")
for _name in SIDED:
    _page, _address, *_rest = CHANGES[_name]
    CHANGES[f"{_name}_b"] = (_page, {**_address, "together": "0"}, *_rest)
CHANGES["neuron_b"] = ("feed_forward", {"neuron_b": "7", "together": "0"}, "selectbox", 857, "857")


def test_this_table_has_every_choice_but_the_gpu_which_needs_one():
    assert set(CHANGES) == set(state.CHOICES) - {"gpu"}


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


def test_a_first_visit_has_an_empty_address_and_a_finished_example():
    app = start()
    assert fine(app)
    assert app.query_params == {}
    assert app.text_area(key="pick.text").value == state.FIRST_TEXT
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
    app = open_page("attention", layer="3", head="2")
    for page in PAGES:
        go(app, page)
    go(app, "attention")
    assert layers_and_heads(app) == {"layer": 3, "head": 2, "layer_b": 3, "head_b": 2}


def test_an_address_that_the_browser_goes_back_to_is_followed():
    app = open_page("attention", layer="3", text="A dog barks.")
    app.query_params.clear()
    app.query_params.update(head="2")
    back(app)
    assert layers_and_heads(app) == {"layer": 1, "head": 2, "layer_b": 1, "head_b": 2}
    assert app.text_area(key="pick.text").value == state.FIRST_TEXT


def test_going_back_to_the_plain_address_shows_the_usual():
    app = open_page("attention", layer="3", text="A dog barks.")
    app.query_params.clear()
    back(app)
    assert layers_and_heads(app) == {"layer": 1, "head": 1, "layer_b": 1, "head_b": 1}
    assert app.text_area(key="pick.text").value == state.FIRST_TEXT


def test_a_quick_second_change_that_still_carries_the_old_address_loses_nothing():
    app = open_page("attention", text="A dog barks.")
    ask(app, "Two dogs bark.")
    app.query_params["text"] = "A dog barks."  # the browser had not heard of the new address yet
    app.slider(key="pick.layer").set_value(3).run()
    assert app.text_area(key="pick.text").value == "Two dogs bark."
    assert app.query_params == {"text": "Two dogs bark.", "layer": "3"}


def test_what_the_browser_still_showed_when_a_second_change_came_is_no_choice():
    app = open_page("attention")
    app.slider(key="pick.layer").set_value(3).run()  # moves the right slider too, but the browser has not heard of it
    app.query_params.clear()
    app.slider(key="pick.layer").set_value(4)
    app.slider(key="pick.layer_b").set_value(1).run()
    assert layers_and_heads(app) == {"layer": 4, "head": 1, "layer_b": 4, "head_b": 1}
    app.slider(key="pick.layer_b").set_value(1).run()
    assert layers_and_heads(app) == {"layer": 1, "head": 1, "layer_b": 1, "head_b": 1}


def test_a_text_is_not_undone_by_the_phones_box_that_still_shows_the_old_one():
    app = open_page("attention", text="A dog barks.")
    ask(app, "Two dogs bark.")
    app.query_params["text"] = "A dog barks."
    app.text_input(key="pick.text-phone").set_value("A dog barks.")
    app.slider(key="pick.layer").set_value(3).run()
    assert app.text_area(key="pick.text").value == "Two dogs bark."


# Moving together


def test_columns_that_move_together_have_one_choice_and_one_place_in_the_address():
    app = open_page("attention")
    app.slider(key="pick.layer_b").set_value(3).run()
    assert layers_and_heads(app) == {"layer": 3, "head": 1, "layer_b": 3, "head_b": 1}
    app.slider(key="pick.head").set_value(2).run()
    assert layers_and_heads(app) == {"layer": 3, "head": 2, "layer_b": 3, "head_b": 2}
    assert app.query_params == {"layer": "3", "head": "2"}


def test_columns_that_move_apart_have_a_choice_each():
    app = open_page("attention")
    app.toggle(key="pick.together").set_value(False).run()
    app.slider(key="pick.layer").set_value(2).run()
    app.slider(key="pick.layer_b").set_value(5).run()
    assert layers_and_heads(app) == {"layer": 2, "head": 1, "layer_b": 5, "head_b": 1}
    assert app.query_params == {"together": "0", "layer": "2", "layer_b": "5"}


def test_columns_told_to_move_together_again_meet_where_the_left_one_is():
    app = open_page("attention", together="0", layer="2", layer_b="5", head_b="3")
    app.toggle(key="pick.together").set_value(True).run()
    assert layers_and_heads(app) == {"layer": 2, "head": 1, "layer_b": 2, "head_b": 1}
    assert app.query_params == {"layer": "2"}


def test_an_address_that_contradicts_itself_moves_together():
    app = open_page("attention", layer="2", layer_b="5")
    assert layers_and_heads(app) == {"layer": 2, "head": 1, "layer_b": 2, "head_b": 1}
    assert app.query_params == {"layer": "2"}


def test_columns_apart_in_the_address_start_where_each_was():
    app = open_page("attention", together="0", layer_b="5")
    assert layers_and_heads(app) == {"layer": 1, "head": 1, "layer_b": 5, "head_b": 1}


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
    app.query_params["layer"] = ["2", "3"]
    back(app.switch_page("pages/attention.py"))
    assert fine(app)
    assert layers_and_heads(app)["layer"] == 3


# A text too long for an address


LONG = "The cat sat on the mat. " * 200


def test_a_text_too_long_for_the_address_stays_out_of_it_and_is_read_on_every_page():
    app = ask(open_page("attention"), LONG)
    app.slider(key="pick.layer").set_value(3).run()
    assert app.query_params == {"layer": "3"}
    assert "a link to this view, or loading it anew, leaves the text out" in said(app.sidebar)
    for page in PAGES:
        assert fine(go(app, page))
        assert app.text_area(key="pick.text").value == LONG
        assert app.query_params == {"layer": "3"}


def test_a_long_text_is_not_lost_by_going_back():
    app = ask(open_page("attention"), LONG)
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
    one, other = open_page("attention", text="A dog barks."), open_page("attention", text="Rain fell.", layer="3")
    for _ in range(2):
        one.slider(key="pick.head").set_value(2).run()
        other.slider(key="pick.head").set_value(4).run()
        assert layers_and_heads(one) == {"layer": 1, "head": 2, "layer_b": 1, "head_b": 2}
        assert layers_and_heads(other) == {"layer": 3, "head": 4, "layer_b": 3, "head_b": 4}
        assert "dog" in _tokens(one)
        assert "rain" in _tokens(other)
        one.slider(key="pick.head").set_value(1).run()
    assert one.query_params == {"text": "A dog barks."}
    assert other.query_params == {"text": "Rain fell.", "layer": "3", "head": "4"}


def _tokens(app):
    return charts(app)["chart-b-1"]["data"][0]["x"]


def _widget(app, kind, key):
    return next(element for element in app.get(kind) if element.key == key)


def test_a_widget_whose_page_has_been_left_chooses_nothing(monkeypatch):
    monkeypatch.setattr(st, "session_state", {})
    state._picked("show", "pick.show")
    assert state.get("show") == "both"
