"""On a phone and in the dark: every view fits the screen, keeps its controls in reach, and can be read."""

from collections import Counter
from io import BytesIO

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.colours import contrast, luminance
from tests.screen import PAGES, PHONE, chart, click, expect_both_drawn, explorer, frames, pick, settle, walk

pytestmark = pytest.mark.browser

TEXT = "The dendrochronologist sat down."
DARK = 0.03  # luminance that a dark ground stays below
READABLE, VISIBLE, FAINT = 4.5, 3.0, 1.5  # contrasts; WCAG 2.1 asks the first of text, the second of pictures


@pytest.fixture(scope="module")
def left(scratch):
    return scratch.trace(TEXT)


@pytest.fixture(scope="module")
def right(minilm):
    return minilm.trace(TEXT)


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_on_a_phone_every_view_fits_and_the_switch_stays_in_reach_and_works(visitor, path, left, right):
    page = visitor(phone=True).open(path, text=TEXT)
    for view in walk(page, path):
        expect_both_drawn(page, view, left, right)
        _expect_text_box_first(page)
        _expect_nothing_scrolls_sideways(page, view)
        _expect_columns_stacked(page, view)
        _expect_switch_in_reach_at_the_end(page, view)
        _expect_words_stand_out(page, view)
    click(page, "Right")  # from there
    expect(page.locator(".model.a")).to_have_count(0)
    expect(page.locator(".model.b")).to_have_count(1)


def test_on_a_phone_the_menu_leads_to_another_page(visitor):
    page = visitor(phone=True).open("/", text=TEXT)
    settle(page)
    page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_test_id("stSidebar").get_by_role("link", name="Attention").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Attention")
    expect(explorer(page, "b").locator("canvas.heads[data-drawn]")).to_be_attached()
    expect(pick(page, "text-phone").locator("textarea")).to_have_value(TEXT)


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_in_the_dark_words_and_pictures_stand_out_from_a_dark_ground(visitor, path, left, right):
    page = visitor(dark=True).open(path, text=TEXT)
    for view in walk(page, path):
        expect_both_drawn(page, view, left, right)
        grounds = _expect_words_stand_out(page, view)
        page_ground = grounds[0]
        assert max(map(luminance, grounds)) < DARK, str(view)
        for ground, ink, word in page.locator(".textpoint text").evaluate_all(COLOURS):  # in the theme's ink, or white
            assert contrast(ground, ink) >= READABLE, (str(view), word)
        for drawing in page.locator(
            "[data-testid=stPlotlyChart], .stage img, [data-testid=stIFrame], .explorer .side canvas"
        ).all():
            seen = _colours_seen(drawing)
            name = drawing.evaluate("one => one.ariaLabel || one.title || one.alt")
            best = max(contrast(page_ground, colour) for colour in seen)
            if view.path == "/":  # no words on them, no ground of their own, and faint where the numbers are small
                assert best >= FAINT, name
            else:
                assert best >= VISIBLE, name
                assert luminance(seen.most_common(1)[0][0]) < DARK, name


# A word's own colour and that of what lies behind it, in 0–255, opacities applied.
COLOURS = """(words) => words.map((word) => {
  const rgba = (colour) => {
    const pen = new OffscreenCanvas(1, 1).getContext("2d");
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  const over = (top, ground, opacity) => ground.map((value, i) => value + (top[i] - value) * top[3] * opacity);
  let layers = [], opacity = 1;
  for (let one = word; one; one = one.parentElement ?? one.getRootNode().host) {
    layers.unshift(rgba(getComputedStyle(one).backgroundColor));
    opacity *= getComputedStyle(one).opacity;
  }
  const ground = layers.reduce((below, layer) => over(layer, below, 1), [255, 255, 255]);
  const style = getComputedStyle(word);
  return [ground, over(rgba(word instanceof SVGElement ? style.fill : style.color), ground, opacity), word.textContent];
})"""


def _expect_words_stand_out(page, view):
    """Every word can be read; returns the colours of their grounds, the page's own first.

    But for those of tokens in the explorer, whose grounds are coloured by weights.
    """
    words = page.locator(
        "h1, .stMain [data-testid=stCaptionContainer] p, .model span, .tokens .token, .said span, .guess .what, "
        ".card span, "
        ".explorer .control > span:visible, .explorer .caption, .xtick text, .ytick text, .xtitle, .ytitle, "
        ".cbaxis text, .cbtitle text, .annotation-text, .bartext-outside"
    )
    for _ in range(20):
        seen, tokens = words.evaluate_all(COLOURS), page.locator(".explorer .token").evaluate_all(COLOURS)
        pale = [word for ground, ink, word in [*seen, *tokens] if contrast(ground, ink) < READABLE]
        if not pale:
            return [ground for ground, _, _ in seen]
        page.wait_for_timeout(250)  # what is drawn anew fades in
    raise AssertionError(f"{view}: too pale to be read: {pale}")


def _expect_text_box_first(page):
    box, title = pick(page, "text-phone").locator("textarea"), page.get_by_role("heading", level=1)
    expect(box).to_be_visible()
    assert box.bounding_box()["y"] < title.bounding_box()["y"]


def _expect_nothing_scrolls_sideways(page, view):
    wide = page.evaluate(
        """() => [document.scrollingElement, document.querySelector("[data-testid=stMain]")]
                 .map((part) => part.scrollWidth)"""
    )
    assert max(wide) <= PHONE["width"], str(view)


def _expect_columns_stacked(page, view):
    upper, lower = page.locator(".model.a"), page.locator(".model.b")
    assert upper.bounding_box()["x"] == lower.bounding_box()["x"], str(view)
    if view.explorer:  # which is one, below both models' names
        upper, lower = (explorer(page, side).locator("canvas.heads") for side in "ab")
        assert upper.bounding_box()["x"] == lower.bounding_box()["x"]
        assert upper.bounding_box()["y"] < lower.bounding_box()["y"]
    for drawing in (chart(page, "a", 1), frames(page).first):
        if drawing.count():
            assert drawing.bounding_box()["y"] < lower.bounding_box()["y"], str(view)


def _expect_switch_in_reach_at_the_end(page, view):
    _scroll_to_the_end(page)
    box = page.get_by_role("radio", name="Left", exact=True).bounding_box()
    assert 0 <= box["y"] <= PHONE["height"] / 3, str(view)


def _scroll_to_the_end(page):
    page.locator(".st-key-ready").scroll_into_view_if_needed()
    expect(page.locator(".st-key-ready")).to_be_in_viewport()


def _colours_seen(drawing):
    """How many pixels there are of each colour."""
    pixels = Image.open(BytesIO(drawing.screenshot())).convert("RGB")
    return Counter({colour: count for count, colour in pixels.getcolors(pixels.width * pixels.height)})


def test_in_the_dark_bars_of_guesses_and_marked_words_are_clear(visitor):
    page = visitor(dark=True).open("/", text="She opened the [MASK].")
    settle(page)
    bars = page.locator(".guess.a .bar")
    expect(bars).not_to_have_count(0)
    for ground, ink in bars.evaluate_all(BAR):
        assert contrast(ground, ink) >= VISIBLE
    expect(page.get_by_role("img", name="Logo")).to_be_visible()


# The colour of a bar's edge and that of the page, as channels.
BAR = """(bars) => bars.map((bar) => {
  const page = getComputedStyle(bar.closest(".stApp")), edge = getComputedStyle(bar).borderBottomColor;
  return [page.backgroundColor, edge].map((colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number));
})"""
