"""Before the first visitor comes: the server learns its pages, and models load while nobody waits."""

import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import streamlit as st
from streamlit import net_util

from encoder.catalogue import DEFAULT_LEFT, DEFAULT_RIGHT, catalogue
from pages.shared import explorer as explorer  # registers its component before the first visitor comes
from pages.shared import lessons, traces

MOMENT = 2.0  # seconds: who comes at once sees the page first, as importing torch leaves little of a small machine


def announce(pages: Callable[[], object]) -> None:
    """Let Streamlit hear of the pages once, outside any visit.

    Else it takes the pages folder for the list of pages when the first visitor comes, and greets a deep link with
    “Page not found”.
    """
    log = logging.getLogger("streamlit.runtime.scriptrunner_utils.script_run_context")
    level = log.level
    log.setLevel(logging.ERROR)  # it warns of being outside a visit
    pages()
    log.setLevel(level)


@asynccontextmanager
async def up(app: st.App) -> AsyncIterator[None]:
    """Start the server, and a moment later load the two models that a first visit shows."""
    loading = threading.Timer(MOMENT, _load)
    loading.daemon = True
    loading.start()
    _greet()
    yield
    lessons.workshop().close()


def _greet() -> None:
    # Streamlit's own greeting asks an outside service for this machine's address, or advertises in the page.
    port = st.get_option("server.port")
    lines = [f"Encoder Lens runs on http://localhost:{port}"]
    if address := net_util.get_internal_ip():
        lines.append(f"Everybody in the same network reaches it on http://{address}:{port}")
    print(*lines, "Ctrl+C stops it.", sep="\n", flush=True)  # noqa: T201


def _load() -> None:
    for name in (DEFAULT_LEFT, DEFAULT_RIGHT):
        traces.load(catalogue()[name], "cpu")
