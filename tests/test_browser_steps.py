"""Step by step in a real Chromium: on with the arrow keys, and what is shown is what was asked for."""

import pytest
from playwright.sync_api import expect

from tests.screen import HEAT, arrive, chart, pick, settle, unfold

pytestmark = pytest.mark.browser

TEXT = "A cat saw a bird."


def step(page):
    return pick(page, "step").get_by_role("combobox")


def test_arrow_keys_go_through_the_steps_and_leave_sliders_and_text_alone(visitor):
    page = visitor().open("/inside-a-layer", text=TEXT, step="embedding")
    settle(page)
    expect(step(page)).to_have_value("Embedding")
    expect(chart(page, "a", 1).locator(HEAT)).to_have_count(1)
    page.keyboard.press("ArrowRight")
    expect(step(page)).to_have_value("Norm around attention (left only)")
    expect(page.get_by_text("MiniLM has no step here", exact=False)).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(step(page)).to_have_value("Query, key and value")
    expect(page.get_by_text("Step 3 of 13", exact=False)).to_be_visible()
    expect(page.get_by_text("Step 2 of 13", exact=False)).to_be_visible()
    expect(chart(page, "b", 2).locator(".ytick text")).to_have_text(["value", "key", "query"])
    page.keyboard.press("ArrowLeft")
    expect(step(page)).to_have_value("Norm around attention (left only)")
    settle(page)
    slider = pick(page, "layer").locator("input[type=range]")
    before = slider.input_value()
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_value(str(int(before) + 1))
    settle(page)
    expect(step(page)).to_have_value("Norm around attention (left only)")
    text = pick(page, "text").locator("textarea").first
    text.focus()
    page.keyboard.press("ArrowRight")
    settle(page)
    expect(step(page)).to_have_value("Norm around attention (left only)")
    page.get_by_role("button", name="On").click()
    expect(step(page)).to_have_value("Query, key and value")


def test_each_side_keeps_its_own_order_to_the_end(visitor):
    page = visitor().open("/inside-a-layer", text=TEXT, step="after_attention")
    settle(page)
    for title in ("Norm around attention (right only)", "Norm around feed-forward (left only)", "Feed-forward, in"):
        page.keyboard.press("ArrowRight")
        expect(step(page)).to_have_value(title)
        settle(page)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(step(page)).to_have_value("Norm around attention (right only)")
    arrive(page, step="attention_norm_b")


def test_hovering_a_cell_says_the_number_of_the_trace(visitor, minilm):
    page = visitor().open("/inside-a-layer", text=TEXT, step="score", layer=3, head=2, token=3, to=6)
    settle(page)
    layer = minilm.trace(TEXT).layers[2]
    picture = chart(page, "b", 1)
    expect(picture.locator(HEAT)).to_have_count(1)
    cells = picture.locator(".nsewdrag")
    box = cells.bounding_box()
    at = {"x": box["width"] * 4.5 / 32, "y": box["height"] / 2}  # the fifth number of the second strip, the key
    cells.hover(position=at, force=True)
    hover = picture.locator(".hoverlayer .hovertext")
    expect(hover).to_contain_text("key, number 5")
    expect(hover).to_contain_text(f"{layer.key[1, 5, 4]:.5g}".replace("-", "−"))


def test_a_flipped_choice_changes_the_side_from_scratch_only(visitor):
    page = visitor().open("/inside-a-layer", text=TEXT, step="softmax")
    settle(page)
    page.get_by_role("button", name="Flip a choice").click()
    unfold(pick(page, "flip_norm"))
    page.get_by_role("option", name="none (second article)").click()
    arrive(page, flip_norm="none")
    expect(page.get_by_role("button", name="Flip a choice (1 flipped)")).to_be_visible()
    expect(page.get_by_test_id("stDataFrame")).to_have_count(3)  # two softmaxes, and what the flip does on the left
    expect(page.get_by_text("Computed anew", exact=False)).to_have_count(2)


@pytest.mark.parametrize("query", [{"limit": "512", "text": "word " * 600}, {"pair": "It was tired."}, {"text": "cat"}])
def test_long_paired_and_short_texts_can_be_followed(visitor, query):
    page = visitor().open("/inside-a-layer", **{"text": TEXT, "step": "context", "layer": "2", "token": "2", **query})
    settle(page)
    for side in "ab":
        expect(chart(page, side, 1).locator(HEAT)).to_have_count(1)
    expect(page.get_by_text("Computed anew", exact=False)).to_have_count(2)
    expect(page.get_by_text("this differs from", exact=False)).to_have_count(0)
