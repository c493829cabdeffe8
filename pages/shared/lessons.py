"""The server's workshop, and what of it belongs to this learner: lessons, and models of their own."""

import json
import re
import shutil
import tempfile
from atexit import register
from pathlib import Path
from uuid import uuid4

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from encoder.catalogue import Entry, catalogue
from encoder.lesson import LessonConfig
from encoder.workshop import KEEP, Run, Workshop

COOKIE = "encoder-lens-learner"


@st.cache_resource(show_spinner=False)
def workshop() -> Workshop:
    """One for the whole server."""
    home = Path(tempfile.mkdtemp(prefix="encoder-lens-"))
    register(shutil.rmtree, home, ignore_errors=True)
    return Workshop(home, _is_here)


def mine() -> list[Run]:
    """This learner's lessons, the oldest first."""
    return workshop().of(_owner())


def start(config: LessonConfig, text: str) -> None:
    """Raises ValueError where one is under way."""
    workshop().start(_owner(), config, text)


def bring(name: str, data: bytes) -> None:
    """Keep a model that was downloaded here before. Raises ModelError."""
    workshop().bring(_owner(), name, data)


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
            found[run.name] = Entry(run.name, label, about, folder=folder)
    for brought in workshop().brought_by(_owner()):
        found[brought.folder.name] = Entry(
            brought.folder.name, brought.label, "You brought it as a file.", folder=brought.folder
        )
    return found


def remember() -> None:
    """Let the browser tell, after its page was loaded anew, whose trainings these are."""
    cookie = f"{COOKIE}={_owner()}; path=/; max-age={int(KEEP)}; SameSite=Strict"
    st.html(f"<script>document.cookie = {json.dumps(cookie)}</script>", unsafe_allow_javascript=True)


def _owner() -> str:
    """Who this learner is: a number that only their browser knows."""
    session = st.session_state
    if "owner" not in session:
        known = str(st.context.cookies.get(COOKIE, ""))  # whatever a browser claims
        session["owner"] = known if re.fullmatch("[0-9a-f]{32}", known) else uuid4().hex
    context = get_script_run_ctx()
    if context is not None:
        _pages().setdefault(session["owner"], set()).add(context.session_id)
    return str(session["owner"])


@st.cache_resource(show_spinner=False)
def _pages() -> dict[str, set[str]]:
    """The sessions of each owner: one for every tab, and for every time that it was loaded."""
    return {}


def _is_here(owner: str) -> bool:
    """Whether a learner has a page that is connected; where there is no server (in a test, say) everybody has."""
    if not runtime.exists():
        return True
    server = runtime.get_instance()
    return any(server.is_active_session(session) for session in list(_pages().get(owner, ())))
