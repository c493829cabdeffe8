"""A text that is sent while it is typed, in a real Chromium."""

import pytest
from playwright.sync_api import expect

from pages.shared.state import HEARD
from tests.screen import asked, pick, settle

pytestmark = pytest.mark.browser

TEXT = "The cat sat."


@pytest.fixture
def page(visitor):
    page = visitor().open("/attention-heads", text=TEXT)
    settle(page)
    box(page).click()
    box(page).press("End")
    return page


def box(page):
    return pick(page, "text").locator("textarea")


def expect_read(page, *words):
    """Both models' sentences in the explorer, special tokens left out."""
    for side in ("a", "b"):
        expect(page.locator(f"section.side.{side} .token:not(.special)")).to_have_text(list(words))


def test_what_is_typed_is_read_after_a_pause_and_the_box_keeps_the_focus(page):
    box(page).press_sequentially(" It left", delay=20)
    expect_read(page, "the", "cat", "sat", ".", "it", "left")
    expect(box(page)).to_be_focused()
    box(page).press_sequentially(" us")
    expect_read(page, "the", "cat", "sat", ".", "it", "left", "us")
    expect(box(page)).to_have_value(f"{TEXT} It left us")


def test_enter_sends_and_shift_with_enter_begins_a_line(page):
    box(page).fill("Dogs bark")
    box(page).press("Enter")
    expect_read(page, "dogs", "bark")
    expect(box(page)).to_have_value("Dogs bark")
    box(page).press("Shift+Enter")
    box(page).press_sequentially("loudly")
    expect_read(page, "dogs", "bark", "loudly")
    expect(box(page)).to_have_value("Dogs bark\nloudly")


def test_fifty_quick_edits_end_on_the_last_text(page):
    for number in range(50):
        box(page).fill(f"Edit {number}")
        if number % 3 == 0:
            box(page).press("Enter")
    expect_read(page, "edit", "49")
    page.wait_for_url(lambda url: asked(url)["text"] == "Edit 49")
    settle(page)
    expect_read(page, "edit", "49")
    expect(box(page)).to_have_value("Edit 49")


def test_a_text_whose_turn_was_cut_off_is_not_undone_by_the_phones_box(visitor):
    guest, losing = visitor(), [False]
    # A quick click ends a turn before the phone's box, which the projector hides, has heard of the text.
    guest.intercept(lambda message, send: None if losing[0] and _is_cut_off(message) else send())
    page = guest.open("/attention-heads", text=TEXT)
    settle(page)
    losing[0] = True
    box(page).fill("Dogs bark")
    expect_read(page, "dogs", "bark")
    losing[0] = False
    pick(page, "words").locator("label").click()
    page.wait_for_url(lambda url: "words" in asked(url))
    settle(page)
    expect_read(page, "dogs", "bark")
    expect(box(page)).to_have_value("Dogs bark")
    assert asked(page.url) == {"text": "Dogs bark", "words": "1"}


def _is_cut_off(message):
    drawn = message.delta.new_element
    hidden = drawn.text_area.id.endswith("pick.text-phone") or drawn.number_input.id.endswith(HEARD)
    return hidden or message.WhichOneof("type") == "script_finished"


def test_half_a_text_shows_no_error_and_an_empty_one_asks_for_words(page):
    box(page).fill("unbelieva")
    expect_read(page, "un", "##bel", "##ie", "##va")
    expect(page.get_by_test_id("stException")).to_have_count(0)
    box(page).fill("")
    expect(page.get_by_text("Type a sentence, or pick an example")).to_be_visible()
    box(page).press_sequentially("Dogs")
    expect_read(page, "dogs")


def test_a_word_that_is_being_composed_is_not_sent(page):
    box(page).evaluate(
        """(area) => {
             const type = (value, composing) => {
               Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(area, value);
               area.dispatchEvent(new InputEvent("input", { bubbles: true, isComposing: composing }));
             };
             type("ni", true);
             window.compose = () => {
               type("你", true);
               area.dispatchEvent(new CompositionEvent("compositionend", { bubbles: true }));
             };
           }"""
    )
    page.wait_for_timeout(600)  # longer than the pause after which it would be sent
    assert asked(page.url)["text"] == TEXT
    page.evaluate("compose()")
    page.wait_for_url(lambda url: asked(url)["text"] == "你")
