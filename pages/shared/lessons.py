"""The server's workshop, and what of it belongs to this learner: lessons, and models of their own."""

import json
import re
import shutil
import tempfile
from atexit import register
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import Any
from uuid import uuid4

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from encoder.catalogue import Entry, catalogue
from encoder.lesson import LessonConfig
from encoder.workshop import Run, Workshop

COOKIE = "encoder-lens-learner"
WHATEVER: dict[str, Any] = {"steps": 1, "learning_rate": 1.0, "seed": 0}  # a step takes as long with any other of these
DAY = 86_400  # seconds that a browser keeps it, counted from when it loaded the page: longer than any lesson in class


@st.cache_resource(show_spinner=False)
def workshop() -> Workshop:
    """One for the whole server."""
    home = Path(tempfile.mkdtemp(prefix="encoder-lens-"))
    register(shutil.rmtree, home, ignore_errors=True)
    return Workshop(home, _is_here)


def mine() -> list[Run]:
    """This learner's lessons, the oldest first."""
    return workshop().of(_owner())


def hindrance() -> str | None:
    """Why this learner cannot start or resume a training now, in a sentence; None where they can."""
    return workshop().hindrance(_owner())


def start(config: LessonConfig, text: str) -> Run:
    """Raises KnownError where one is under way."""
    return workshop().start(_owner(), config, text)


def seconds(config: LessonConfig) -> float:
    """How long a training will take: as the last one of such an encoder here says, or a few steps of it."""
    from encoder import pace  # torch takes a second to import

    for run in reversed(workshop().done()):
        if replace(run.config, **WHATEVER) == replace(config, **WHATEVER):
            return pace.seconds(config, pace.of_a_step(run.config, run.worked))
    return pace.seconds(config)


def bring(name: str, data: bytes) -> str:
    """Keep a model that was downloaded here before, and say what lists call it. Raises ModelError."""
    brought = workshop().bring(_owner(), name, data)
    return _entries()[brought.folder.name].label


def entries() -> dict[str, Entry]:
    """Every model that this learner may choose, by name: the catalogue's, then their own, which nobody else sees.

    Looked up once a turn: a page asks dozens of times.
    """
    session = st.session_state
    known: tuple[int, dict[str, Entry]] = session.get("entries", (-1, {}))
    if known[0] != session.get("turn", 0) or not known[1]:
        session["entries"] = known = session.get("turn", 0), _entries()
    return known[1]


def _entries() -> dict[str, Entry]:
    found = catalogue()
    for run in mine():
        if folder := run.model:
            label = f"Training {run.number}" + (" (stopped)" if run.state == "stopped" else "")
            about = f"You trained it here, {run.step:,} steps."
            found[run.name] = Entry(run.name, _unlike(found, label, "trained"), about, folder=folder)
    for brought in workshop().brought_by(_owner()):
        name, label = brought.folder.name, _unlike(found, brought.label, "brought")
        found[name] = Entry(name, label, "You brought it as a file.", folder=brought.folder)
    return found


def _unlike(found: dict[str, Entry], label: str, how: str) -> str:
    """The label, or one that no other model has: a list knows its options by what it shows of them."""
    taken = {entry.label for entry in found.values()}
    ways = chain((label, f"{label} ({how})"), (f"{label} ({how} {number})" for number in count(2)))
    return next(way for way in ways if way not in taken)


def remember() -> None:
    """Let the browser tell, after its page was loaded anew, whose trainings these are."""
    cookie = f"{COOKIE}={_owner()}; path=/; max-age={DAY}; SameSite=Strict"
    st.html(f"<script>document.cookie = {json.dumps(cookie)}</script>", unsafe_allow_javascript=True)


def _owner() -> str:
    """Who this learner is: a number that only their browser knows."""
    session = st.session_state
    if "owner" not in session:
        known = str(st.context.cookies.get(COOKIE, ""))  # whatever a browser claims
        session["owner"] = known if re.fullmatch("[0-9a-f]{32}", known) else uuid4().hex
    context = get_script_run_ctx()
    if context is not None and runtime.exists():
        _arrive(session["owner"], context.session_id)
    return str(session["owner"])


def _arrive(owner: str, session: str) -> None:
    """Note whose a page is. With each that is new, pages that are gone are forgotten, and who has nothing here."""
    pages = _pages()
    if session in pages.get(owner, ()):
        return
    pages[owner] = {session, *filter(_is_connected, pages.get(owner, ()))}
    for other in list(pages):
        if not (workshop().of(other) or workshop().brought_by(other) or _is_here(other)):
            pages.pop(other, None)


@st.cache_resource(show_spinner=False)
def _pages() -> dict[str, set[str]]:
    """The sessions of each owner: one for every tab, and for every time that it was loaded."""
    return {}


def _is_here(owner: str) -> bool:
    """Whether a learner has a page that is connected; where there is no server (in a test, say) everybody has."""
    return not runtime.exists() or any(map(_is_connected, _pages().get(owner, ())))


def _is_connected(session: str) -> bool:
    return runtime.get_instance().is_active_session(session)
