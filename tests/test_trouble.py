"""What goes wrong in one column is one sentence there: the other one is drawn, and the log says more."""

import logging

import pytest
import streamlit as st
from streamlit.runtime.scriptrunner import RerunException, StopException

from encoder.errors import KnownError
from pages.shared import traces, trained, trouble
from pages.shared.columns import Column
from tests.app import VIEWS, charts, explored, frames, half, html, open_page, said, view_name

UNFORESEEN = "Something unexpected went wrong here; the server’s log says what."
PICTURED = [view for view in VIEWS if view[1].get("space") != "tsne"]


@pytest.fixture
def failing(monkeypatch):
    """Makes the left column fail wherever a page asks for its numbers: `failing(error)`."""

    def fail(error):
        def broken(work):
            def try_it(side, *given, **more):
                if side == "a":
                    raise error
                return work(side, *given, **more)

            return try_it

        for name in ("trace", "shown", "packed", "model", "measured", "quantity"):
            monkeypatch.setattr(traces, name, broken(getattr(traces, name)))

    return fail


def plain(part):
    """The warnings of a part of a page, without the signs that keep Markdown away."""
    return [warning.value.replace("\\", "") for warning in part.warning]


def whole(app):
    """Whether a page was drawn to its end."""
    return not app.exception and not app.error and "every number on this page" in said(app.main)


@pytest.mark.parametrize("error", [RuntimeError("size mismatch"), KnownError("This cannot be.")], ids=str)
@pytest.mark.parametrize(("page", "address"), PICTURED, ids=[view_name(*view) for view in PICTURED])
def test_whatever_goes_wrong_in_one_column_is_said_there_and_the_other_is_drawn(page, address, error, failing, caplog):
    before = open_page(page, **address)
    failing(error)
    app = open_page(page, **address)
    assert whole(app)
    known = isinstance(error, KnownError)
    assert plain(half(app, "a")) == [str(error) if known else UNFORESEEN]
    assert not half(app, "b").warning
    assert charts(app, "b").keys() == charts(before, "b").keys()
    assert explored(app)["models"].keys() == explored(before)["models"].keys() - {"a"}
    assert len(frames(app)) == len(frames(before)) / 2
    logged = [record for record in caplog.records if record.exc_info and record.exc_info[1] is error]
    assert bool(logged) is not known


@pytest.mark.parametrize(("page", "address"), PICTURED, ids=[view_name(*view) for view in PICTURED])
def test_what_goes_wrong_while_a_column_is_drawn_is_said_there_too(page, address, monkeypatch):
    show = Column.show

    def broken(column, *given):
        if column.side == "a":
            raise ZeroDivisionError
        show(column, *given)

    before = open_page(page, **address)
    monkeypatch.setattr(Column, "show", broken)
    app = open_page(page, **address)
    assert whole(app)
    assert charts(app, "b").keys() == charts(before, "b").keys()
    drawn = bool(charts(before, "a"))
    assert plain(half(app, "a")) == [UNFORESEEN] * drawn


def test_how_streamlit_ends_a_turn_is_nothing_that_went_wrong(monkeypatch):
    told = []
    monkeypatch.setattr(trouble, "say", told.append)
    column = Column("a", st.container(), traces.load(traces.entry("a"), "cpu").trace("The cat sat."))
    for end in (StopException, RerunException):
        with pytest.raises(end), column, trouble.said():
            raise end(None) if end is RerunException else end
    assert told == []


def test_one_prediction_head_that_fails_leaves_the_pictures_of_its_column(monkeypatch):
    guesses = traces.guesses

    def broken(side, *given):
        if side == "b":
            raise RuntimeError("a head of another width")
        return guesses(side, *given)

    monkeypatch.setattr(traces, "guesses", broken)
    app = open_page("side_by_side", text="The [MASK] sat.")
    assert whole(app)
    assert plain(half(app, "b")) == [UNFORESEEN]
    assert html(app).count('class="stage"') == 8
    assert html(app).count('class="guess a"') == 1


def test_a_file_whose_reading_fails_unforeseen_is_said_and_logged(monkeypatch, caplog):
    class File:
        name, size = "model.safetensors", 12

        def getvalue(self):
            raise RuntimeError("gone")

    with caplog.at_level(logging.ERROR):
        good, sentence = trained._kept(File())
    assert (good, sentence) == (False, f"“model.safetensors” could not be taken: {UNFORESEEN}")
    assert caplog.records[0].exc_info
