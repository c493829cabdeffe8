"""Printed, every page is a worksheet: white paper, dark ink, nothing cut, nothing that only a screen can use."""

import itertools
import re

import pytest
from playwright.sync_api import expect

from tests.colours import contrast
from tests.screen import PAGES, asked, explorer, frames, settle

pytestmark = pytest.mark.browser

TEXT, PAIR = "The 3 cats sat & purred: 100% <happy>.", "Did they?"
READABLE, WHITE = 4.5, [255, 255, 255]
A4 = (297 - 2 * 12) / 25.4 * 96  # CSS pixels of a sheet between its margins, from top to bottom
# Pages as they open, and views that draw by other means: three dimensions, tables, frames, numbers on cells.
VIEWS = {
    **{name: (path, {}) for name, path in PAGES.items()},
    "Train": ("/train-live", {}),
    "3-D": ("/token-embeddings", {"embedding_view": "map", "space": "3d"}),
    "Nearest": ("/token-embeddings", {"embedding_view": "nearest"}),
    "Heat maps": ("/attention-heads", {"attention_view": "maps"}),
    "Roles": ("/attention-heads", {"attention_view": "roles"}),
    "BertViz": ("/attention-heads", {"attention_view": "model"}),
    "Softmax": ("/inside-a-layer", {"step": "softmax"}),
}

# What is seen, and where, at the moment at which the browser has laid the sheets out.
LOOK = """() => matchMedia("print").addEventListener("change", ({ matches }) => {
  if (!matches) return;
  const hosts = [...document.querySelectorAll("*")].filter((one) => one.shadowRoot);
  const roots = [document, ...hosts.map((one) => one.shadowRoot)];
  const box = (one) => one.getBoundingClientRect();
  const edges = (one) => [box(one).left, box(one).top, box(one).right, box(one).bottom];
  const seen = (selector) => roots.flatMap((root) => [...root.querySelectorAll(selector)]).filter((one) =>
    one.getClientRects().length && getComputedStyle(one).visibility === "visible" && box(one).width > 1);
  const channels = (colour) => colour.match(/[\\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
  const name = (one) => one.outerHTML.slice(0, 100);
  window.sheet = {
    width: document.documentElement.clientWidth,
    height: box(document.querySelector(".stMainBlockContainer")).height,
    controls: seen("[data-testid=stSidebar], [data-testid=stHeader], .stElementToolbar, .modebar, .controls")
      .concat(seen("button:not(.token, .start), textarea, input:not([role=combobox]), [role=radiogroup]")).map(name),
    scrolling: seen("*").filter((one) => /auto|scroll/.test(getComputedStyle(one).overflow)
      && (one.scrollHeight > one.clientHeight + 1 || one.scrollWidth > one.clientWidth + 1)).map(name),
    wide: seen(":not(svg *), svg text").map((one) => [box(one).right, name(one)]),
    pictures: seen("[data-testid=stPlotlyChart], .stage img, iframe, canvas, .printed table")
      .map((one) => [one.ariaLabel ?? one.alt ?? one.title ?? one.tagName, ...edges(one)]),
    grounds: seen("html, body, .stApp, .stMain, .stMainBlockContainer, .explorer, .main-svg, .main-svg rect.bg")
      .map((one) => channels(one.matches("rect") ? getComputedStyle(one).fill : getComputedStyle(one).backgroundColor)),
    inks: seen("p, h1, h3, td, th, bdi, .name, .sizes, .caption, svg text").filter((one) => one.textContent.trim())
      .map((one) => [channels(getComputedStyle(one)[one.matches("text") ? "fill" : "color"]), one.textContent]),
    copies: seen(".gl-container img").map(({ src }) => src.length),
    said: document.querySelector(".stMain").innerText,
  };
})"""


def printed(page):
    """A page's sheets as the browser lays them out, and how many there are."""
    page.evaluate(LOOK)
    pdf = page.pdf(format="A4")
    return page.evaluate("sheet"), len(re.findall(rb"/Type\s*/Page\b", pdf))


def opened(visitor, view, dark=False):
    path, query = VIEWS[view]
    page = visitor(dark=dark).open(path, text=TEXT, pair=PAIR, **query)
    settle(page)
    page.wait_for_function("() => !document.querySelector('[data-testid=stPlotlyChart]:not(:has(.main-svg))')")
    if view == "Attention":
        for side in "ab":
            expect(explorer(page, side).locator("canvas.heads[data-drawn]")).to_be_attached()
    return page


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_printed_page_is_a_worksheet(visitor, view, dark):
    page = opened(visitor, view, dark)
    sheet, pages = printed(page)
    assert sheet["controls"] == []
    assert sheet["scrolling"] == []
    right, widest = max(sheet["wide"])
    assert right <= sheet["width"] + 1, widest
    assert sheet["height"] <= pages * A4 + 1  # the last of it has a sheet too
    for (one, *box), (other, *its) in itertools.combinations(sheet["pictures"], 2):
        assert min(_overlap(box, its)) <= 1, f"{one} lies on {other}"
    for ground in sheet["grounds"]:
        assert ground in (WHITE, [0, 0, 0, 0])
    for ink, words in sheet["inks"]:
        if ink != WHITE:  # numbers on cells of a deep colour
            assert contrast(ink[:3], WHITE) >= READABLE, words
    title = page.get_by_role("heading", level=1).text_content()
    for words in (TEXT, PAIR, "From scratch", "MiniLM", title):
        assert words in sheet["said"]
    assert len(sheet["pictures"]) >= (0 if view == "Train" else 2)


@pytest.mark.parametrize("view", ["Side by side", "Heat maps"])
def test_the_address_on_a_sheet_opens_the_view_that_was_printed(visitor, view):
    page = opened(visitor, view)
    sheet, _ = printed(page)
    [typed] = re.findall(r"Address:\s*(\S+)", sheet["said"])
    assert asked(typed) == asked(page.url) == {"text": TEXT, "pair": PAIR, **VIEWS[view][1]}
    assert "+cats+" in typed  # as a person would type it


def test_a_picture_in_three_dimensions_is_printed_as_it_was_turned(visitor):
    page = opened(visitor, "3-D")
    sheet, _ = printed(page)
    assert len(sheet["copies"]) == 2
    assert min(sheet["copies"]) > 2000
    expect(page.locator(".gl-container img")).to_have_count(0)  # the screen has its own again


def test_the_explorer_prints_in_the_papers_colours_and_goes_back_to_the_screens(visitor):
    page = opened(visitor, "Attention", dark=True)
    large = explorer(page, "a").locator("canvas.large")
    large.evaluate(
        """(canvas) => matchMedia("print").addEventListener("change", ({ matches }) => {
             const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
             const drawn = new Uint32Array(data.buffer).filter((pixel) => pixel);
             if (matches) window.white = drawn.filter((pixel) => pixel === 0xffffffff).length / drawn.length;
           })"""
    )
    before = large.bounding_box()
    page.pdf(format="A4")
    assert page.evaluate("white") > 0.1  # where weights are small
    page.wait_for_function(
        "([canvas, width]) => Math.abs(canvas.getBoundingClientRect().width - width) < 1",
        arg=[large.element_handle(), before["width"]],
    )


@pytest.mark.parametrize("kind", ["head", "model", "neuron"])
def test_bertviz_prints_dark_on_white_and_whole(visitor, kind):
    page = visitor(dark=True).open("/attention-heads", text=TEXT, attention_view=kind)
    settle(page)
    frame = frames(page).first.content_frame
    expect(frame.locator("#vis svg").first).to_be_visible()
    page.pdf(format="A4")
    page.emulate_media(media="print")
    ground, inks, wide = frame.locator("body").evaluate(
        """(body) => {
             const words = [...document.querySelectorAll("#vis text")].filter((one) =>
               one.textContent.trim() && getComputedStyle(one).visibility === "visible" && one.getClientRects().length);
             return [getComputedStyle(body).backgroundColor, words.map((one) => getComputedStyle(one).fill),
               Math.max(...words.map((one) => one.getBoundingClientRect().right))];
           }"""
    )
    assert ground == "rgb(255, 255, 255)"
    for ink in inks:
        assert contrast(list(map(int, re.findall(r"\d+", ink)))[:3], WHITE) >= READABLE
    assert wide <= 703


def _overlap(one, other):
    """How far two boxes of left, top, right, bottom reach into each other, across and down."""
    return min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])


def test_side_by_side_is_one_sheet(visitor):
    page = opened(visitor, "Side by side")
    _, pages = printed(page)
    assert pages == 1
