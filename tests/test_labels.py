"""Labels: whatever was typed can be seen, and stays where it stands."""

import pytest

from encoder.figures.style import labels
from encoder.labels import LONGEST, beginning, visible
from tests.synthetic import HOSTILE


@pytest.mark.parametrize("token", ["cat", "##ing", "[CLS]", "漢", "🎉", "é", "القطة", "<b>", "▁the"])
def test_what_has_a_picture_is_shown_as_it_is(token):
    assert visible(token) == token


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        ("\x00", "␀"),
        ("\n", "␊"),
        ("\t", "␉"),
        ("\x1f", "␟"),
        ("\x7f", "␡"),
        ("\x85", "U+0085"),
        ("a\rb", "a␍b"),
        (" the", "␣the"),
    ],
)
def test_control_characters_get_a_sign(token, shown):
    assert visible(token) == shown


@pytest.mark.parametrize("character", "\u200b\u200e\u202e\u2066\ufeff\u00ad\u2028\u00a0\u3000\ud800\U000e0041")
def test_invisible_characters_are_named_and_cannot_turn_their_neighbours_round(character):
    assert visible(f"a{character}b") == f"aU+{ord(character):04X}b"


def test_joiners_stay_because_emoji_and_scripts_are_spelt_with_them():
    family = "👩\u200d👧"
    assert visible(family) == family
    assert visible("می\u200cخواهم") == "می\u200cخواهم"


def test_every_character_of_the_first_plane_is_shown_without_anything_unprintable():
    for code in range(0x10000):
        shown = visible(chr(code))
        assert shown
        assert shown.isprintable() or shown in "\u200c\u200d"


def test_long_tokens_lose_their_middle():
    token = "abcdefghijklmnopqrstuvwxyz"
    assert visible(token[:LONGEST]) == token[:LONGEST]
    assert visible(token) == "abcdefghijklmnop…tuvwxyz"
    assert [len(visible("x" * length)) for length in (24, 25, 5_000)] == [24, 24, 24]
    assert visible("x" * 50, longest=60) == "x" * 50
    assert len(visible("\u202e" * 50)) == LONGEST  # cut after the signs, not before


def test_tokens_on_an_axis_stay_apart_though_they_look_the_same():
    tokens = ["the", "cat", "the", "x" * 30, "x" * 31, "the"]
    names = labels(tokens)
    assert len(set(names)) == len(tokens)
    assert [name.rstrip("\u200b") for name in names] == [
        "the",
        "cat",
        "the",
        visible("x" * 30),
        visible("x" * 31),
        "the",
    ]


def test_a_token_cannot_pass_for_a_repeated_one():
    names = labels(["a", "a\u200b", "a"])
    assert len(set(names)) == 3


def test_labels_escape_the_little_html_that_plotly_reads():
    assert labels(["<b>x</b>", "&amp;", "a<br>b"]) == ["&lt;b&gt;x&lt;/b&gt;", "&amp;amp;", "a&lt;br&gt;b"]
    assert not any(sign in name for name in labels(HOSTILE) for sign in "<>\n\x00\u202e")


def test_the_beginning_of_a_token_fits_a_cell_on_a_phone():
    assert [beginning(token) for token in ("cat", "building", "buildings", "\u202ebuilding")] == [
        "cat", "building", "buildin…", "U+202Eb…",
    ]  # fmt: skip
