"""The address of a view, what a new text changes, and two visitors at once, in a real Chromium."""

import pytest
from playwright.sync_api import expect

from encoder.starts import start
from tests.screen import (
    ATTENTION,
    EXPLORER,
    HEAT,
    asked,
    chart,
    click,
    expect_both_drawn,
    expect_ticks,
    explorer,
    labels,
    pick,
    settle,
    type_text,
    unfold,
)

pytestmark = pytest.mark.browser

TEXT, OTHER = "The dendrochronologist sat down.", "A dog barks."
MAPS = ATTENTION.query

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


def control(page, name):
    """A lens of the explorer."""
    return page.locator(f".explorer .controls [name={name}]:is(select, input)")


def test_an_address_restores_the_text_the_models_and_every_switch_of_the_sidebar(visitor):
    page = visitor().open("/attention-heads", **MAPS, **SIDEBAR, layer=5, head=11, layer_b=2, head_b=3)
    settle(page)
    _expect_sidebar(page)
    for name, value in (("layer", 5), ("head", 11), ("layer_b", 2), ("head_b", 3)):
        expect(slider(page, name)).to_have_value(str(value))
    expect(chart(page, "a", 2, "MiniLM: attention of head 11 of layer 5")).to_be_visible()
    expect(chart(page, "b", 2, "First article's encoder: attention of head 3 of layer 2")).to_be_visible()
    assert asked(page.url) == {**SIDEBAR, **MAPS, "layer": "5", "head": "11", "layer_b": "2", "head_b": "3"}


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
    expect(radio(page, "Before the activation function")).to_be_checked()
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


def test_an_address_restores_everything_that_the_explorer_shows(visitor):
    address = {
        "text": TEXT, "pair": "It is loud.", "together": "0", "words": "1", "hide": "1", "layer": "3", "head": "2",
        "layer_b": "5", "head_b": "11", "layout": "lines", "weights": "norm", "part": "ab", "renorm": "1", "top": "50",
        "sort": "distance", "pins": "3.2", "pins_b": "3", "more_b": "2.7",
    }  # fmt: skip
    page = visitor().open("/attention-heads", **address)
    for name in ("layout", "weights", "part", "top", "sort"):
        expect(control(page, name)).to_have_value(address[name])
    for name in ("words", "hide", "renorm"):
        expect(control(page, name)).to_be_checked()
    expect(control(page, "minus")).not_to_be_checked()
    left, right = (explorer(page, side) for side in "ab")
    expect(left.locator(".title")).to_contain_text("From scratch: layer 3, head 2, norm-weighted")
    expect(right.locator(".title")).to_contain_text("MiniLM: layer 5, head 11, norm-weighted")
    expect(left.locator(".token.picked")).to_have_text(["the", "dendrochronologist"])
    expect(right.locator(".token.picked")).to_have_text(["dendrochronologist"])
    expect(left.locator(".ring")).to_have_count(1)
    expect(right.locator(".ring")).to_have_count(2)  # one for the head, one for that among the lines besides
    settle(page)
    assert asked(page.url) == address


def test_a_head_chosen_in_the_explorer_stands_in_the_address_and_back_undoes_it(visitor, scratch, minilm):
    page = visitor().open("/attention-heads", text=OTHER, layer="1", head="1")
    expect_both_drawn(page, EXPLORER, scratch.trace(OTHER), minilm.trace(OTHER))
    page.locator(".explorer").focus()
    for key in ("ArrowUp", "ArrowRight"):
        page.keyboard.press(key)
    _expect_head(page, 2, 2)
    _expect_address(page, text=OTHER, layer="2", head="2")
    settle(page)
    page.go_back()
    _expect_head(page, 1, 1)
    _expect_address(page, text=OTHER, layer="1", head="1")


def test_what_was_chosen_in_the_explorer_is_kept_by_a_new_text_another_page_and_a_reload(visitor, scratch, minilm):
    page = visitor().open("/attention-heads", text=TEXT, layer="1", head="1")
    expect_both_drawn(page, EXPLORER, scratch.trace(TEXT), minilm.trace(TEXT))
    page.locator(".explorer").focus()
    page.keyboard.press("ArrowUp")
    _expect_address(page, text=TEXT, layer="2", head="1")
    type_text(page, OTHER)
    expect_both_drawn(page, EXPLORER, scratch.trace(OTHER), minilm.trace(OTHER))
    _expect_head(page, 2, 1)
    page.get_by_test_id("stTopNavLink").get_by_text("Feed-forward", exact=True).click()
    expect(slider(page, "layer_b")).to_have_value("2")
    page.get_by_test_id("stTopNavLink").get_by_text("Attention", exact=True).click()
    _expect_head(page, 2, 1)
    _expect_address(page, text=OTHER, layer="2", head="1")
    page.reload()
    _expect_head(page, 2, 1)
    expect_both_drawn(page, EXPLORER, scratch.trace(OTHER), minilm.trace(OTHER))


def test_a_switch_that_the_sidebar_and_the_explorer_share_shows_the_same_in_both(visitor):
    page = visitor().open("/attention-heads", text=TEXT)
    words, pieces = explorer(page, "b").locator(".token").get_by_text("dendrochronologist"), control(page, "words")
    expect(words).to_have_count(0)
    pieces.check()
    expect(words).to_have_count(1)
    expect(toggle(page, "words")).to_be_checked()
    _expect_address(page, text=TEXT, words="1")
    settle(page)
    pick(page, "words").locator("label").click()
    expect(pieces).not_to_be_checked()
    expect(words).to_have_count(0)
    _expect_address(page, text=TEXT)


def test_the_address_follows_what_is_clicked_and_typed_and_opens_the_same_view(visitor, scratch, minilm):
    guest, heads = visitor(), _heads(OTHER, scratch, minilm)
    page = guest.open("/attention-heads")
    settle(page)
    assert asked(page.url) == {}
    click(page, ATTENTION.button)
    _expect_address(page, **MAPS)
    type_text(page, OTHER)
    _expect_address(page, **MAPS, text=OTHER)
    slider(page, "layer").press("ArrowRight")
    _expect_address(page, **MAPS, text=OTHER, layer="2")
    expect(slider(page, "layer_b")).to_have_value("2")  # they move together
    pick(page, "together").locator("label").click()
    apart = {"layer": "2", "layer_b": "2", **heads, "together": "0"}
    _expect_address(page, **MAPS, text=OTHER, **apart)
    slider(page, "head_b").press("End")
    _expect_address(page, **MAPS, text=OTHER, **apart | {"head_b": "12"})
    pick(page, "words").locator("label").click()
    click(page, "BertViz heads")
    wanted = {
        "text": OTHER, **apart, "head_b": "12", "words": "1", "attention_view": "head",
    }  # fmt: skip
    _expect_address(page, **wanted)
    again = guest.open(page.url.removeprefix(guest.url))
    settle(again)
    expect(slider(again, "head_b")).to_have_value("12")
    expect(slider(again, "layer")).to_have_value("2")
    expect(radio(again, "BertViz heads")).to_be_checked()
    assert asked(again.url) == wanted


def test_choosing_another_model_draws_it_and_stands_in_the_address(visitor):
    page = visitor().open("/attention-heads", **MAPS, text=OTHER)
    settle(page)
    unfold(pick(page, "a"))
    page.get_by_role("option", name="Second article's encoder").click()
    expect(chart(page, "a", 1, "Second article's encoder: attention of all heads").locator(HEAT).first).to_be_visible()
    _expect_address(page, **MAPS, text=OTHER, a="second-article")


def test_back_returns_to_the_page_before_as_it_was(visitor, scratch, minilm):
    page = visitor().open("/attention-heads", **MAPS, text=OTHER, layer=3, head=1)
    settle(page)
    page.get_by_test_id("stTopNavLink").get_by_text("Layers", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Layers")
    expect(chart(page, "b", 1)).to_be_visible()
    settle(page)
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Attention")
    expect_both_drawn(page, ATTENTION, scratch.trace(OTHER), minilm.trace(OTHER))
    expect(slider(page, "layer")).to_have_value("3")
    _expect_address(page, **MAPS, text=OTHER, layer="3", head="1")


def test_back_leads_to_the_page_before_even_if_the_browser_hears_of_a_page_late(visitor):
    guest, late, waiting = visitor(), [False], []

    def handle(message, send):
        if waiting:
            waiting.append(send)
            return
        send()
        if late[0] and message.WhichOneof("type") == "navigation":
            waiting.append(lambda: None)  # what comes after it waits

    guest.intercept(handle)
    page = guest.open("/attention-heads", text="Hello")
    settle(page)
    late[0] = True
    page.get_by_test_id("stTopNavLink").get_by_text("Layers", exact=True).click()
    page.wait_for_url("**/all-layers*")
    late[0] = False
    for send in waiting:
        send()
    waiting.clear()
    expect(page.get_by_role("heading", level=1)).to_have_text("Layers")
    settle(page)
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Attention")
    _expect_address(page, text="Hello")


def test_back_undoes_a_choice(visitor):
    page = visitor().open("/feed-forward", text=OTHER, neuron_view="after", layer="1")
    settle(page)
    slider(page, "layer").press("ArrowRight")
    _expect_address(page, text=OTHER, neuron_view="after", layer="2")
    settle(page)
    page.go_back()
    expect(slider(page, "layer")).to_have_value("1")
    expect(slider(page, "layer_b")).to_have_value("1")
    _expect_address(page, text=OTHER, neuron_view="after", layer="1")


def test_reloading_keeps_the_view(visitor, scratch, minilm):
    page = visitor().open("/attention-heads", **MAPS, text=OTHER, layer="1", head="1")
    settle(page)
    slider(page, "layer").press("ArrowRight")
    _expect_address(page, **MAPS, text=OTHER, layer="2", head="1")
    page.reload()
    settle(page)
    expect(slider(page, "layer_b")).to_have_value("2")
    expect_both_drawn(page, ATTENTION, scratch.trace(OTHER), minilm.trace(OTHER))


def test_two_tabs_with_different_texts_do_not_mix(visitor, scratch, minilm):
    guest = visitor()
    one, other = (guest.open("/attention-heads", **MAPS, text=text) for text in (TEXT, OTHER))
    for page, text in ((one, TEXT), (other, OTHER)):
        expect_both_drawn(page, ATTENTION, scratch.trace(text), minilm.trace(text))
    slider(one, "layer").press("ArrowRight")
    type_text(other, "It rains.")
    _expect_tokens(one, minilm.trace(TEXT))
    _expect_tokens(other, minilm.trace("It rains."))
    _expect_address(one, **MAPS, text=TEXT, layer="2")
    _expect_address(other, **MAPS, text="It rains.")


def test_a_text_typed_in_the_sidebar_redraws_both_columns(visitor, scratch, minilm):
    page = visitor().open("/attention-heads", **MAPS, text=TEXT)
    settle(page)
    type_text(page, OTHER)
    expect_both_drawn(page, ATTENTION, scratch.trace(OTHER), minilm.trace(OTHER))
    _expect_tokens(page, minilm.trace(OTHER))


def test_an_example_and_a_second_sentence_redraw_both_columns(visitor, scratch, minilm):
    page = visitor().open("/attention-heads", **MAPS, text=TEXT)
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
    page = visitor(phone=True).open("/attention-heads", **MAPS, text=TEXT)
    settle(page)
    expect(pick(page, "text-phone").locator("textarea")).to_have_value(TEXT)
    type_text(page, OTHER, phone=True)
    expect_both_drawn(page, ATTENTION, scratch.trace(OTHER), minilm.trace(OTHER))
    _expect_tokens(page, minilm.trace(OTHER))
    _expect_address(page, **MAPS, text=OTHER)


def _heads(text, scratch, minilm):
    """The heads on which a text opens: they stay where they are once a layer is chosen."""
    left, right = (str(start(model.trace(text)).head + 1) for model in (scratch, minilm))
    return {"head": left, "head_b": right}


def _expect_head(page, layer, head):
    """Both sides of the explorer show this head."""
    for side in ("a", "b"):
        expect(explorer(page, side).locator(".title")).to_contain_text(f": layer {layer}, head {head}")


def test_a_sidebar_that_a_quick_click_cut_off_loses_no_choice(visitor):
    guest, losing = visitor(), [True]
    # What Streamlit has not sent when the next run begins it throws away: here, all that the first run says of it.
    guest.intercept(lambda message, send: None if losing[0] and _is_of_the_sidebar(message) else send())
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


def _is_of_the_sidebar(message):
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
