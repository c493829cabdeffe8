"""The server's workshop, and what of it belongs to this learner: lessons, and models of their own."""

import shutil
import tempfile
from atexit import register
from pathlib import Path

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from encoder.catalogue import Entry, catalogue
from encoder.lesson import LessonConfig
from encoder.workshop import Run, Workshop


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


def bring(name: str, data: bytes) -> str:
    """Keep a model that was downloaded here before; returns its name in the catalogue. Raises ModelError."""
    return workshop().bring(_owner(), name, data).folder.name


def entries() -> dict[str, Entry]:
    """Every model that this learner may choose, by name: the catalogue's, then their own, which nobody else sees."""
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


def _owner() -> str:
    context = get_script_run_ctx()
    return context.session_id if context else ""


def _is_here(owner: str) -> bool:
    """Whether a learner's page is connected; where there is no server (in a test, say) everybody is."""
    return not runtime.exists() or runtime.get_instance().is_active_session(owner)
