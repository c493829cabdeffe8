"""Before the first visitor comes: the server learns its pages, and models load while nobody waits."""

import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import streamlit as st
from streamlit import config, net_util
from streamlit.web.server.server_util import get_url

from encoder import survey
from encoder.catalogue import DEFAULT_LEFT, DEFAULT_RIGHT, catalogue
from pages.shared import explorer as explorer  # registers its component before the first visitor comes
from pages.shared import lessons, traces

QUIET = 10.0  # seconds after the models have loaded: the first visitors come before the example sentences
MOMENT = 2.0  # seconds: who comes at once sees the page first, as importing torch leaves little of a small machine
EVERY_ADDRESS = ("0.0.0.0", "::")


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
    _later(MOMENT, _load)
    greet()
    yield
    lessons.workshop().close()


def greet() -> None:
    """Say where the server is reached."""
    # Streamlit's own greeting asks an outside service for this machine's address, or advertises in the page.
    here, *others = addresses()
    lines = [f"Encoder Lens runs on {here}"]
    lines += [f"Everybody in the same network reaches it on {other}" for other in others]
    print(*lines, "Ctrl+C stops it.", sep="\n", flush=True)  # noqa: T201


def addresses() -> list[str]:
    """Where this server is reached, as its options say: for one address only that, else here, then in the network."""
    public, listens = st.get_option("browser.serverAddress"), st.get_option("server.address")
    if config.is_manually_set("browser.serverAddress"):
        return [_address(public)]
    if listens and listens.startswith("unix:"):
        return [listens]
    if listens and listens not in EVERY_ADDRESS:
        return [_address(listens)]
    return [_address(host) for host in ("localhost", net_util.get_internal_ip()) if host]


def _address(host: str) -> str:
    return get_url(f"[{host}]" if ":" in host else host)  # an IPv6 address has colons of its own


def _load() -> None:
    for name in (DEFAULT_LEFT, DEFAULT_RIGHT):
        traces.load(catalogue()[name], "cpu")
    _later(QUIET, read_examples)


def read_examples() -> None:
    """Have both models read the example sentences, unhurried, so that nobody has to wait for it later."""
    for name in (DEFAULT_LEFT, DEFAULT_RIGHT):
        entry = catalogue()[name]
        survey.start(entry, partial(traces.load, entry, "cpu"), hurry=False)


def _later(seconds: float, task: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, task)
    timer.daemon = True
    timer.start()
