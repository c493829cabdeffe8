"""Every view in a real Chromium without a network: pictures of both models, words on them, nothing from elsewhere."""

import csv

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

from encoder.maps import places
from tests.screen import (
    HEAT,
    PAGES,
    PROJECTOR,
    SIDES,
    VIEWS,
    Visitor,
    arrive,
    chart,
    click,
    expect_both_drawn,
    expect_drawn,
    labels,
    settle,
    ticks,
)

pytestmark = pytest.mark.browser

OTHER = {"roles", "elsewhere", "corpus"}
TEXT = "The dendrochronologist sat down."


@pytest.fixture(scope="module")
def left(scratch):
    return scratch.trace(TEXT)


@pytest.fixture(scope="module")
def right(minilm):
    return minilm.trace(TEXT)


@pytest.fixture(scope="module", params=VIEWS, ids=str)
def opened(request, browser, app):
    """A view, the tab that opened it at its own address, and the visitor; one for all tests of that view."""
    guest, view = Visitor(browser, app.url), request.param
    yield view, guest.open(view.path, text=TEXT, **view.query), guest
    guest.close()


def test_every_view_is_drawn_for_both_models_at_its_own_address(opened, left, right):
    view, page, _ = opened
    settle(page)
    expect_both_drawn(page, view, left, right)
    if view.button:
        expect(page.get_by_role("radio", name=view.button, exact=True)).to_be_checked()


def test_every_heat_map_of_tokens_is_labelled_with_the_tokens(opened, left, right):
    view, page, _ = opened
    if view.path in ("/inside-a-layer", "/what-if") or OTHER & set(view.query.values()):
        return  # whose maps are of numbers, heads, layers or sentences
    settle(page)
    for side, trace in zip(SIDES, (left, right), strict=True):
        for number in (1, 2):
            drawing = chart(page, side, number)
            if not drawing.count() or not drawing.locator(HEAT).count():
                continue
            tokens = [axis for axis in ("x", "y") if "[CLS]" in ticks(drawing, axis)]
            assert tokens
            for axis in tokens:
                shown = ticks(drawing, axis)[: len(trace.tokens)]
                small = drawing.locator(HEAT).count() in (3, trace.model.heads)  # too small for every token's name
                assert shown == labels(trace) or (small and set(shown) <= set(labels(trace)))


def test_at_a_projector_every_main_picture_begins_without_scrolling(opened, left, right):
    view, page, _ = opened
    settle(page)
    expect_both_drawn(page, view, left, right)
    drawings = page.locator(
        ".stage img, .found, [data-testid=stPlotlyChart], iframe[data-testid=stIFrame], .explorer canvas.heads"
    )
    other = 1 if view.path == "/token-embeddings" and OTHER & set(view.query.values()) else drawings.count() // 2
    stacked = {"model", "neuron"} & set(view.query.values())  # too wide for half a page: one below the other
    for place in (drawings.first, *([] if stacked else [drawings.nth(other)])):
        assert place.bounding_box()["y"] + 150 <= PROJECTOR["height"]


def test_every_picture_has_words_for_whoever_cannot_see_it(opened):
    view, page, _ = opened
    settle(page)
    if view.explorer:
        expect(page.locator("canvas.heads[data-drawn]")).to_have_count(2)
    drawings = page.locator("[data-testid=stPlotlyChart], [data-testid=stIFrame], .stMain img, .explorer canvas")
    names = drawings.evaluate_all("all => all.map(one => one.ariaLabel || one.title || one.alt)")
    assert len(names) >= 2
    assert all(len(name) > 10 for name in names)
    assert view.path == "/" or all("From scratch" in name or "MiniLM" in name for name in names[:2])


def test_no_view_complains_or_asks_anybody_else(opened):
    _, page, guest = opened
    settle(page)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_test_id("stAlert")).to_have_count(0)
    assert guest.complaints == []


def test_the_navigation_leads_to_every_page_with_the_same_text(visitor, left, right):
    page = visitor().open("/", text=TEXT)
    for title, path in [*list(PAGES.items())[1:], ("Side by side", "/")]:
        page.get_by_test_id("stTopNavLink").get_by_text(title, exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
        expect_both_drawn(page, next(view for view in VIEWS if view.path == path), left, right)
        settle(page)


@pytest.mark.parametrize("title", ["Embeddings", "Attention", "Feed-forward", "Layers"])
def test_every_small_picture_leads_to_its_page(visitor, title, right):
    page = visitor().open("/", text=TEXT)
    page.get_by_test_id("stPageLink").get_by_text(title, exact=True).last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect_drawn(page, next(view for view in VIEWS if view.path == PAGES[title]), "b", right)


@pytest.mark.parametrize(("space", "button"), [("2d", "PCA in 2-D"), ("3d", "PCA in 3-D")])
def test_the_coordinates_that_are_downloaded_are_those_of_the_map(visitor, left, right, tmp_path, space, button):
    page = visitor().open("/token-embeddings", text=TEXT, embedding_view="map")
    if space != "2d":
        click(page, button)
        arrive(page, space=space)
    settle(page)
    for number, trace in enumerate((left, right)):
        with page.expect_download() as coming:
            page.get_by_role("button", name="Download coordinates").nth(number).click()
        assert coming.value.suggested_filename == f"coordinates-{'ab'[number]}.csv"
        coming.value.save_as(tmp_path / "coordinates.csv")
        with (tmp_path / "coordinates.csv").open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        at = places(trace, space).at  # [level, token, dimension]
        axes = [f"x{number + 1}" for number in range(at.shape[-1])]
        given = np.array([[float(row[axis]) for axis in axes] for row in rows]).reshape(at.shape)
        np.testing.assert_allclose(given, at, atol=1e-3)
        assert [row["token"] for row in rows] == list(trace.tokens.text) * len(at)
        assert [int(row["after_layer"]) for row in rows] == sorted([*range(len(at))] * len(trace.tokens))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_its_toggle_is_there_disabled_and_explained(visitor):
    page = visitor().open("/all-layers", text=TEXT)
    toggle = page.locator(".st-key-no-gpu")
    expect(toggle.locator("input")).to_be_disabled()
    expect(page.get_by_test_id("stSidebar")).to_contain_text("This machine has no GPU that PyTorch can use")
    toggle.get_by_test_id("stTooltipIcon").hover()
    expect(page.get_by_test_id("stTooltipContent")).to_contain_text("GPU")
