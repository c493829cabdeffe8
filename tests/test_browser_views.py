"""Every view in a real Chromium with no network: pictures of both models, words on them, nothing from elsewhere."""

import csv

import numpy as np
import pytest
from playwright.sync_api import expect

from encoder.maps import places
from tests.screen import (
    PAGES,
    SIDES,
    VIEWS,
    chart,
    click,
    expect_both_drawn,
    frames,
    labels,
    pick,
    settle,
    ticks,
)

pytestmark = pytest.mark.browser

TEXT = "The dendrochronologist sat down."


@pytest.fixture(scope="module")
def left(scratch):
    return scratch.trace(TEXT)


@pytest.fixture(scope="module")
def right(minilm):
    return minilm.trace(TEXT)


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_every_view_is_drawn_for_both_models_at_its_own_address(visitor, view, left, right):
    page = visitor().open(view.path, text=TEXT, **view.query)
    settle(page)
    expect_both_drawn(page, view, left, right)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    if view.button:
        expect(page.get_by_role("radio", name=view.button, exact=True)).to_be_checked()


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_at_a_projector_the_main_picture_begins_without_scrolling(visitor, view, left, right):
    page = visitor().open(view.path, text=TEXT, **view.query)
    settle(page)
    expect_both_drawn(page, view, left, right)
    for picture in (page.locator(".stage img, [data-testid=stPlotlyChart], iframe[data-testid=stIFrame]").first,):
        box = picture.bounding_box()
        assert box["y"] + 150 <= 720
