"""What goes wrong while a part of a page is drawn: one sentence in its place, and all other parts are drawn."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from encoder.errors import KnownError
from pages.shared import prose

log = logging.getLogger(__name__)


def sentence(error: Exception) -> str:
    """What an error says, or, of one that nobody foresaw, where to read about it: it is in the log then."""
    if isinstance(error, KnownError):
        return str(error)
    log.error("a part of a page failed", exc_info=error)
    return "Something unexpected went wrong here; the server’s log says what."


def say(error: Exception) -> None:
    """The same, where something should have been drawn."""
    st.warning(prose.plain(sentence(error)), icon=":material/warning:")


@contextmanager
def said() -> Iterator[None]:
    """Whatever goes wrong inside is said there, and what comes after goes on.

    How Streamlit ends a turn is no Exception, and passes through.
    """
    try:
        yield
    except Exception as error:
        say(error)
