"""What is blue, vermilion or grey stands out from a dark ground as from a light one."""

import re
import tomllib
from pathlib import Path
from unittest.mock import patch

import pytest

from encoder.figures.style import GREY, LEFT, LEFT_IN_DARK, RIGHT
from tests.app import charts, open_page
from tests.colours import contrast, parsed

ROOT = Path(__file__).parents[1]
THEMES = tomllib.loads((ROOT / ".streamlit/config.toml").read_text(encoding="utf-8"))["theme"]
SIDEBAR = {"light": "#F0F2F6", "dark": THEMES["dark"]["secondaryBackgroundColor"]}  # the first is Streamlit's own
GROUNDS = {theme: (THEMES[theme]["backgroundColor"], SIDEBAR[theme]) for theme in ("light", "dark")}
VISIBLE, READABLE = 3.0, 4.5  # WCAG 2.1


@pytest.mark.parametrize(("theme", "name"), [("light", "logo"), ("dark", "logo-dark")])
def test_the_logo_stands_out_from_the_page_and_from_the_sidebar(theme, name):
    logo = (ROOT / f"assets/{name}.svg").read_text(encoding="utf-8")
    assert "opacity" not in logo
    for kind, colour in re.findall(r'<(rect|text)[^>]* fill="(#\w+)"', logo):
        page, sidebar = GROUNDS[theme]
        assert contrast(parsed(colour), parsed(page)) >= (READABLE if kind == "text" else VISIBLE)
        assert contrast(parsed(colour), parsed(sidebar)) >= (READABLE if kind == "text" else VISIBLE)


@pytest.mark.parametrize(
    ("colour", "theme"),
    [(LEFT, "light"), (RIGHT, "light"), (GREY, "light"), (LEFT_IN_DARK, "dark"), (RIGHT, "dark"), (GREY, "dark")],
)
def test_the_colours_of_pictures_stand_out_from_their_ground(colour, theme):
    assert contrast(parsed(colour), parsed(GROUNDS[theme][0])) >= VISIBLE


def test_what_is_left_is_as_clear_in_the_dark_as_what_is_right_and_prints():
    dark = parsed(GROUNDS["dark"][0])
    assert contrast(parsed(LEFT_IN_DARK), dark) >= 0.9 * contrast(parsed(RIGHT), dark) > 0.9 * 4.5
    assert contrast(parsed(LEFT_IN_DARK), parsed("#ffffff")) >= VISIBLE


@pytest.mark.parametrize(("theme", "colour"), [("light", LEFT), ("dark", LEFT_IN_DARK), (None, LEFT)])
def test_pictures_have_the_blue_of_the_theme(theme, colour):
    with patch("streamlit.runtime.context.ContextProxy.theme") as shown:
        shown.type = theme
        app = open_page("feed_forward", neuron_view="after")
    [bars] = charts(app, "a")["chart-a-2"]["data"]
    assert bars["marker"]["color"] == colour
