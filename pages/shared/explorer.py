"""The attention explorer: a component that draws in the browser, and what it tells of the choices made there."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from encoder import packing
from encoder.starts import Start
from pages.shared import prose, state, traces
from pages.shared.choices import OPEN
from pages.shared.columns import Column
from pages.shared.state import Side

# In this order they stand in one function: assets/explorer/frame.js says why.
FILES = ("payload", "lenses", "paint", "atlas", "large", "save", "controls", "between", "side", "explorer")
CHOICES = (
    *("together", "layer", "layer_b", "head", "head_b", "pins", "pins_b", "more", "more_b", "words", "hide"),
    *("layout", "weights", "over", "part", "renorm", "top", "minus", "sort", "least"),
)
KEY, TOLD, TAKEN, HEARD = "explorer", "explorer.told", "explorer.taken", "explorer.heard"


def program() -> str:
    """The component's JavaScript, one text."""
    files = "\n".join(prose.asset(str(Path("explorer", f"{name}.js"))) for name in FILES)
    return prose.asset("explorer/frame.js").replace("/* files */", files)


_explorer = st.components.v2.component("explorer", js=program(), css=prose.asset("explorer/explorer.css"))


def show(columns: Sequence[Column]) -> None:
    """All heads of all layers of the models that have read the text; everything else happens in the browser."""
    models, starts = [], {}
    for column in columns:
        with column:
            packed, starts[column.side] = traces.packed(column.side), column.start
            models.append(packed)
    if models:
        _explorer(key=KEY, data=packing.message(models, _told(_opening(starts))), on_choice_change=_chosen)


def _opening(starts: Mapping[Side, Start]) -> dict[str, int]:
    """The layer and head of each side until the learner chooses; both sides' where one is shown alone."""
    sides: tuple[Side, ...] = ("a", "b")
    found: dict[str, int] = {}
    for side in sides:
        start = starts.get(side) or next(iter(starts.values()))
        found |= {state.sided("layer", side): start.layer + 1, state.sided("head", side): start.head + 1}
    return found


def _told(opening: Mapping[str, int]) -> dict[str, Any]:
    """The choices that the message names; `opening` are those that nobody has made yet.

    While the browser's own are the newest they stay what they were: an equal message is not sent again. `report` is the
    last of the browser's reports that they know of.
    """
    sides = ("layer", "head"), ("layer_b", "head_b")
    for names in [sides[0] + sides[1]] if state.get("together") else sides:  # other pages may open elsewhere
        state.settle(names, opening)
    now = {name: state.get_or(name, opening[name]) if name in opening else state.get(name) for name in CHOICES}
    if KEY not in st.session_state or now != st.session_state.get(TAKEN):
        turn = st.session_state.get(TOLD, {"turn": 0})["turn"] + 1  # back to what was told before is news too
        heard, _ = _heard()
        st.session_state[TOLD], st.session_state[TAKEN] = {**now, "turn": turn, "report": heard}, now
    told: dict[str, Any] = st.session_state[TOLD]
    return told


def _chosen() -> None:
    chosen = st.session_state.get(KEY, {}).get("choice")  # its page may have been left since
    if not isinstance(chosen, dict) or not isinstance(chosen.get("report"), int):
        return
    heard, by = _heard()
    known = heard if chosen.get("by") == by else 0  # another explorer counts anew
    made = chosen.get("made")
    made = made if isinstance(made, dict) else {}
    # A report repeats those that may have been lost: of one that was not, the choice may have changed elsewhere since.
    names = [name for name in CHOICES if name in chosen and not _is_known(made.get(name), known)]
    told = st.session_state.get(TOLD, {})
    names = [name for name in names if state.get(name) != OPEN or chosen[name] != told.get(name)]  # shown, not chosen
    state.take({name: chosen[name] for name in names})
    st.session_state[HEARD] = chosen["report"], chosen.get("by")
    st.session_state[TAKEN] = {**st.session_state.get(TAKEN, {}), **{name: state.get(name) for name in names}}


def _is_known(report: object, last: object) -> bool:
    """Whether a choice was made in one of the reports that were heard; what a browser sends may be anything."""
    return isinstance(report, int) and isinstance(last, int) and 0 <= report <= last


def _heard() -> tuple[int, float | None]:
    """The last report that was heard, and of which of the browser's explorers."""
    last: tuple[int, float | None] = st.session_state.get(HEARD, (0, None))
    return last


def leave() -> None:
    """Another picture takes the explorer's place: when it comes back it is told the choices as they are then."""
    st.session_state.pop(TAKEN, None)
