"""The address of a view, what a new text changes, and two visitors at once, in a real Chromium."""

import re

import pytest
from playwright.sync_api import expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.screen import (
    HEAT,
    VIEWS,
    asked,
    chart,
    click,
    expect_both_drawn,
    expect_ticks,
    labels,
    pick,
    settle,
    type_text,
    unfold,
)

pytestmark = pytest.mark.browser

TEXT, OTHER = "The dendrochronologist sat down.", "A dog barks."
ATTENTION = next(view for view in VIEWS if view.path == "/attention-heads")

SIDEBAR = {
    "text": "Öl & Wasser: 50 % #1?", "pair": "Und = nicht +", "a": "minilm", "b": "first-article",
    "words": "1", "hide": "1", "together": "0", "limit": "64",
}  # fmt: skip


def slider(page, name):
    return pick(page, name).locator("input[type=range]")


def toggle(page, name):
    return pick(page, name).locator("input[type=checkbox]")


def chosen(page, name):
    return pick(page, name).get_by_role("combobox")


def radio(page, name):
    return page.get_by_role("radio", name=name, exact=True)


def test_an_address_restores_the_text_the_models_and_every_switch_of_the_sidebar(visitor):
    page = visitor().open("/attention-heads", **SIDEBAR, layer=5, head=11, layer_b=2, head_b=3)
    settle(page)
    _expect_sidebar(page)
    for name, value in (("layer", 5), ("head", 11), ("layer_b", 2), ("head_b", 3)):
        expect(slider(page, name)).to_have_value(str(value))
    expect(chart(page, "a", 2, "MiniLM: attention of head 11 of layer 5")).to_be_visible()
    expect(chart(page, "b", 2, "First article's encoder: attention of head 3 of layer 2")).to_be_visible()
    assert asked(page.url) == {**SIDEBAR, "layer": "5", "head": "11", "layer_b": "2", "head_b": "3"}


def test_an_address_restores_the_map_and_its_level(visitor):
    page = visitor().open("/token-embeddings", text=TEXT, embedding_view="map", space="3d", level=3)
    expect(radio(page, "Map")).to_be_checked()
    expect(radio(page, "PCA in 3-D")).to_be_checked()
    for name in ("level", "level_b"):
        expect(slider(page, name)).to_have_value("3")


def test_an_address_restores_the_token_whose_path_is_drawn(visitor):
    page = visitor().open("/token-embeddings", text=TEXT, embedding_view="path", token=4)
    for name in ("token", "token_b"):
        expect(chosen(page, name)).to_have_value("4  ##dro")


def test_an_address_restores_one_model_alone_with_its_token_and_neuron(visitor):
    address = {"neuron_view": "before", "layer": "2", "token": "3", "neuron_b": "7", "show": "b"}
    page = visitor().open("/feed-forward", text=TEXT, **address)
    expect(radio(page, "Before it")).to_be_checked()
    expect(radio(page, "Right")).to_be_checked()
    expect(slider(page, "layer_b")).to_have_value("2")
    expect(chosen(page, "token_b")).to_have_value("3  den")
    expect(chosen(page, "neuron_b")).to_have_value("neuron 7")
    expect(page.locator(".model.a")).to_have_count(0)
    settle(page)
    assert asked(page.url) == {"text": TEXT, **address}


def test_an_address_restores_the_quantity(visitor):
    page = visitor().open("/all-layers", text=TEXT, quantity="entropy")
    expect(chosen(page, "quantity")).to_have_value("Spread of attention")
    settle(page)
    assert asked(page.url) == {"text": TEXT, "quantity": "entropy"}


def test_the_address_follows_what_is_clicked_and_typed_and_opens_the_same_view(visitor):
    guest = visitor()
    page = guest.open("/attention-heads")
    settle(page)
    assert asked(page.url) == {}
    type_text(page, OTHER)
    _expect_address(page, text=OTHER)
    slider(page, "layer").press("ArrowRight")
    _expect_address(page, text=OTHER, layer="2")
    expect(slider(page, "layer_b")).to_have_value("2")  # they move together
    pick(page, "together").locator("label").click()
    _expect_address(page, text=OTHER, layer="2", layer_b="2", together="0")
    slider(page, "head_b").press("End")
    _expect_address(page, text=OTHER, layer="2", layer_b="2", head_b="12", together="0")
    pick(page, "words").locator("label").click()
    click(page, "BertViz heads")
    wanted = {
        "text": OTHER, "layer": "2", "layer_b": "2", "head_b": "12", "together": "0", "words": "1",
        "attention_view": "head",
    }  # fmt: skip
    _expect_address(page, **wanted)
    again = guest.open(page.url.removeprefix(guest.url))
    settle(again)
    expect(slider(again, "head_b")).to_have_value("12")
    expect(slider(again, "layer")).to_have_value("2")
    expect(radio(again, "BertViz heads")).to_be_checked()
    assert asked(again.url) == wanted


def test_choosing_another_model_draws_it_and_stands_in_the_address(visitor):
    page = visitor().open("/attention-heads", text=OTHER)
    settle(page)
    unfold(pick(page, "a"))
    page.get_by_role("option", name="Second article's encoder").click()
    expect(chart(page, "a", 1, "Second article's encoder: attention of all heads").locator(HEAT).first).to_be_visible()
    _expect_address(page, text=OTHER, a="second-article")


def test_back_returns_to_the_page_before_as_it_was(visitor, scratch, minilm):
    page = visitor().open("/attention-heads", text=OTHER, layer=3)
    settle(page)
    page.get_by_test_id("stTopNavLink").get_by_text("Layers", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Layers")
    expect(chart(page, "b", 1)).to_be_visible()
    settle(page)
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Attention")
    expect_both_drawn(page, ATTENTION, scratch.trace(OTHER), minilm.trace(OTHER))
    expect(slider(page, "layer")).to_have_value("3")
    _expect_address(page, text=OTHER, layer="3")


def test_back_undoes_a_choice(visitor):
    page = visitor().open("/feed-forward", text=OTHER)
    settle(page)
    slider(page, "layer").press("ArrowRight")
    _expect_address(page, text=OTHER, layer="2")
    settle(page)
    page.go_back()
    expect(slider(page, "layer")).to_have_value("1")
    expect(slider(page, "layer_b")).to_have_value("1")
    _expect_address(page, text=OTHER)


def test_reloading_keeps_the_view(visitor, scratch, minilm):
    page = visitor().open("/attention-heads", text=OTHER)
    settle(page)
    slider(page, "layer").press("ArrowRight")
    _expect_address(page, text=OTHER, layer="2")
    page.reload()
    settle(page)
    expect(slider(page, "layer_b")).to_have_value("2")
    expect_both_drawn(page, ATTENTION, scratch.trace(OTHER), minilm.trace(OTHER))


def test_two_tabs_with_different_texts_do_not_mix(visitor, scratch, minilm):
    guest = visitor()
    one, other = guest.open("/attention-heads", text=TEXT), guest.open("/attention-heads", text=OTHER)
    for page, text in ((one, TEXT), (other, OTHER)):
        expect_both_drawn(page, ATTENTION, scratch.trace(text), minilm.trace(text))
    slider(one, "layer").press("ArrowRight")
    type_text(other, "It rains.")
    _expect_tokens(one, minilm.trace(TEXT))
    _expect_tokens(other, minilm.trace("It rains."))
    _expect_address(one, text=TEXT, layer="2")
    _expect_address(other, text="It rains.")


def test_a_text_typed_in_the_sidebar_redraws_both_columns(visitor, scratch, minilm):
    page = visitor().open("/attention-heads", text=TEXT)
    settle(page)
    type_text(page, OTHER)
    expect_both_drawn(page, ATTENTION, scratch.trace(OTHER), minilm.trace(OTHER))
    _expect_tokens(page, minilm.trace(OTHER))


def test_an_example_and_a_second_sentence_redraw_both_columns(visitor, scratch, minilm):
    page = visitor().open("/attention-heads", text=TEXT)
    settle(page)
    unfold(page.locator(".st-key-example"))
    page.get_by_role("option", name="Dog and man").click()
    first, second = "The dog bit the man.", "The man bit the dog."
    expect(pick(page, "pair").locator("input")).to_have_value(second)
    _expect_tokens(page, minilm.trace(first, second))
    pick(page, "pair").locator("input").fill("So what?")
    pick(page, "pair").locator("input").press("Enter")
    _expect_tokens(page, minilm.trace(first, "So what?"))


def test_the_text_typed_on_a_phone_redraws_both_columns(visitor, scratch, minilm):
    page = visitor(phone=True).open("/attention-heads", text=TEXT)
    settle(page)
    expect(pick(page, "text-phone").locator("input")).to_have_value(TEXT)
    type_text(page, OTHER, phone=True)
    expect_both_drawn(page, ATTENTION, scratch.trace(OTHER), minilm.trace(OTHER))
    _expect_tokens(page, minilm.trace(OTHER))
    _expect_address(page, text=OTHER)


def test_a_sidebar_that_a_quick_click_cut_off_loses_no_choice(visitor):
    guest, losing = visitor(), [True]

    def carry(browser):
        server = browser.connect_to_server()
        server.on_message(lambda words: None if losing[0] and _is_of_the_sidebar(words) else browser.send(words))

    # What Streamlit has not sent when the next run begins it throws away: here, all that the first run says of it.
    guest.context.route_web_socket(re.compile("/_stcore/stream"), carry)
    page = guest.open("/", **SIDEBAR)
    expect(page.get_by_role("heading", level=1)).to_have_text("Side by side")
    settle(page)
    expect(pick(page, "text").locator("textarea")).to_have_count(0)
    losing[0] = False
    for title, part in (("Layers", "layers"), ("Embeddings", "embeddings"), ("Layers", "layers")):
        page.get_by_test_id("stTopNavLink").get_by_text(title, exact=True).click()
        page.wait_for_url(f"**/*{part}?*")
        settle(page)
    _expect_address(page, **SIDEBAR)
    _expect_sidebar(page)


def _is_of_the_sidebar(words):
    message = ForwardMsg.FromString(words) if isinstance(words, bytes) else ForwardMsg()
    return message.WhichOneof("type") == "delta" and message.metadata.delta_path[0] == 1


def _expect_sidebar(page):
    """Every widget of the sidebar shows what SIDEBAR asks for."""
    expect(pick(page, "text").locator("textarea")).to_have_value(SIDEBAR["text"])
    expect(pick(page, "pair").locator("input")).to_have_value(SIDEBAR["pair"])
    expect(chosen(page, "a")).to_have_value("MiniLM")
    expect(chosen(page, "b")).to_have_value("First article's encoder")
    for name, wanted in (("words", True), ("hide", True), ("together", False)):
        expect(toggle(page, name)).to_be_checked(checked=wanted)
    expect(pick(page, "limit").locator("input")).to_have_value(SIDEBAR["limit"])


def _expect_address(page, **wanted):
    page.wait_for_url(lambda url: asked(url) == wanted)


def _expect_tokens(page, trace):
    """The large head of both columns is labelled with these tokens."""
    for side in ("a", "b"):
        expect_ticks(chart(page, side, 2), "x", labels(trace))
