"""A phone with a touch screen: its text box, the list of pages, and what must stay within 390 pixels."""

import pytest
from playwright.sync_api import expect

from tests.screen import PAGES, PHONE, asked, pick, settle, type_text

pytestmark = pytest.mark.browser

PATHS = {**PAGES, "Train": "/train-live"}
LINES = "The cat sat\non the mat"


def test_the_box_of_a_phone_holds_all_lines_of_a_text_and_loses_none_when_it_is_edited(visitor):
    page = visitor(phone=True).open("/", text=LINES)
    settle(page)
    box = pick(page, "text-phone").locator("textarea")
    expect(box).to_have_value(LINES)
    expect(page.locator(".tokens").first).to_contain_text("on")
    box.tap()
    box.press("Control+End")
    box.press_sequentially(" again")
    page.wait_for_url(lambda url: asked(url).get("text") == f"{LINES} again")
    settle(page)
    expect(page.locator(".tokens").first.locator(".token:not(.special)")).to_have_text(
        ["the", "cat", "sat", "on", "the", "mat", "again"]
    )


def test_a_long_text_is_seen_to_its_end_in_the_box_of_a_phone(visitor):
    text = "A long sentence that goes on, and on, beyond the edge of a phone, until it ends here."
    page = visitor(phone=True).open("/")
    settle(page)
    type_text(page, text, phone=True)
    box = pick(page, "text-phone").locator("textarea")
    expect(box).to_have_value(text)
    assert box.evaluate("(one) => [one.scrollWidth <= one.clientWidth, one.scrollHeight <= one.clientHeight + 1]") == [
        True, True,
    ]  # fmt: skip


def test_a_box_of_one_line_shows_a_second_sentence_with_a_space_where_its_line_ended(visitor):
    page = visitor().open("/", text="Hello.", pair="One line\nand another")
    settle(page)
    expect(pick(page, "pair").locator("input")).to_have_value("One line and another")
    page.wait_for_url(lambda url: asked(url)["pair"] == "One line and another")


@pytest.mark.parametrize("name", ["Attention", "Train"])
def test_on_a_phone_the_page_list_closes_over_the_page_that_was_chosen(visitor, name):
    page = visitor(phone=True).open("/", text="The cat sat.")
    settle(page)
    page.get_by_test_id("stExpandSidebarButton").tap()
    expect(page.get_by_test_id("stSidebar")).to_be_in_viewport()
    page.get_by_test_id("stSidebar").get_by_role("link", name=name).tap()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.get_by_test_id("stSidebar")).not_to_be_in_viewport()
    settle(page)
    expect(page.get_by_test_id("stSidebar")).not_to_be_in_viewport()
    assert page.evaluate("document.elementFromPoint(60, 400).closest('[data-testid=stMain]') !== null")


def test_at_a_projector_the_sidebar_stays_when_a_page_is_chosen(visitor):
    page = visitor().open("/", text="The cat sat.")
    settle(page)
    page.get_by_test_id("stTopNavLink").get_by_text("Layers", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Layers")
    settle(page)
    expect(page.get_by_test_id("stSidebar")).to_be_in_viewport()


# Every formula, toolbar and table of a page: its left and right edge on the screen, and how far it scrolls inside.
EDGES = """() => [...document.querySelectorAll(".katex-display, .stElementToolbar, .modebar, .stDataFrame")]
  .filter((one) => one.getClientRects().length)
  .map((one) => [one.className, one.getBoundingClientRect().left, one.getBoundingClientRect().right])"""


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_on_a_phone_formulas_stay_within_the_screen_and_can_be_moved_to_their_end(visitor, path):
    page = visitor(phone=True).open(path, text="The cat sat.")
    settle(page)
    _expect_within(page)
    page.get_by_role("button", name="Why, and the formula").tap()
    expect(page.get_by_test_id("stPopoverBody")).to_be_visible()
    _expect_within(page)


@pytest.mark.parametrize("step", ["score", "softmax", "context", "after_attention", "activation"])
def test_on_a_phone_the_formula_of_a_step_can_be_read_whole(visitor, step):
    page = visitor(phone=True).open("/inside-a-layer", text="The cat sat.", step=step)
    settle(page)
    _expect_within(page)


def _expect_within(page):
    for name, left, right in page.evaluate(EDGES):
        assert left >= -1, name
        assert right <= PHONE["width"] + 1, name
    hidden = page.evaluate(
        """() => [...document.querySelectorAll(".katex-display")].filter((one) => {
             const scrolls = /auto|scroll/.test(getComputedStyle(one).overflowX);
             return one.scrollWidth > one.clientWidth + 1 && !scrolls;
           }).map((one) => one.textContent)"""
    )
    assert hidden == []


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/inside-a-layer", {"step": "softmax"}),
        ("/attention-heads", {"attention_view": "roles"}),
        ("/token-embeddings", {"embedding_view": "nearest"}),
        ("/what-if", {"what_if_view": "each"}),
        ("/feed-forward", {}),
    ],
)
def test_on_a_touch_screen_toolbars_lie_on_nothing_that_is_to_be_read(visitor, path, query):
    page = visitor(phone=True).open(path, text="The cat sat.", **query)
    settle(page)
    for table in page.get_by_test_id("stDataFrame").all():
        table.tap()
        _expect_clear(page)
    expect(page.locator(".stDataFrame, .modebar")).not_to_have_count(0)
    _expect_clear(page)


def _expect_clear(page):
    """No toolbar covers a word, a cell of a chart or a table."""
    covered = page.evaluate(
        """() => {
             const seen = (one) => one.getClientRects().length && getComputedStyle(one).visibility === "visible";
             const shared = (a, b) => Math.min(Math.min(a.right, b.right) - Math.max(a.left, b.left),
               Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));
             const words = ".stMain p, .stDataFrame canvas, .main-svg .plot, .main-svg text";
             const things = [...document.querySelectorAll(words)]
               .filter((one) => seen(one) && !one.closest(".st-key-switch"));
             const bars = [...document.querySelectorAll(".stElementToolbar, .modebar")].filter(seen);
             return bars.flatMap((bar) => things.filter((one) => !bar.contains(one) && one.getBoundingClientRect().width
               && shared(bar.getBoundingClientRect(), one.getBoundingClientRect()) > 2)
               .map((one) => `${bar.className.slice(0, 20)} on ${one.textContent.slice(0, 40) || one.tagName}`));
           }"""
    )
    assert covered == []
