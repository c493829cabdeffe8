"""What is changed on the What if page now, said on screen, with one click to undo each change or all of them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import streamlit as st

from encoder.changes import Changes
from encoder.edits import HIDDEN, Edit, edited, words
from encoder.labels import visible
from pages.shared import changing, choices, prose, state, traces
from pages.shared.columns import SIDES, Column

MOST = 4  # changes of one kind that have a button each; more have one together
NOTHING: dict[str, Any] = {"changed": "", **{name: choices.CHOICES[name].default for name in state.CHANGES}}


class Change(NamedTuple):
    """Something that is changed: what is said of it, and what to choose to undo it."""

    said: str
    undone: dict[str, Any]


def show(edit: Edit, changed: Sequence[tuple[Column, Changes]]) -> None:
    """All changes as buttons that undo them, and the text as it is now."""
    found = [*_in_the_text(edit), *_in_both(changed)]
    for column, changes in changed:
        found += _inside(column, changes)
    if not found:
        return
    st.caption("Changed:", width="content")
    for number, change in enumerate(found):
        st.button(
            prose.plain(change.said), key=f"undo-{number}", icon=":material/close:", help="Undo this",
            on_click=_choose, args=(change.undone,),
        )  # fmt: skip
    if len(found) > 1:
        st.button("Undo everything", key="undo-all", icon=":material/undo:", type="tertiary", on_click=_choose,
                  args=(NOTHING,))  # fmt: skip
    if edit:
        st.html(prose.labelled("Now:", edited(traces.text(), edit).text), width="content")


def _choose(values: dict[str, Any]) -> None:
    for name, value in values.items():
        state.put(name, value)


def _in_the_text(edit: Edit) -> Iterator[Change]:
    text, places = traces.text(), sorted(edit.changed)
    what = "masked" if edit.put_in == HIDDEN else f"replaced by “{visible(edit.put_in)}”" if edit.put_in else "left out"
    spoken = [text[start:end] for start, end in words(text)]
    named = [(str(place), f"“{visible(spoken[place])}” {what}") for place in places]
    yield from _each("changed", named, f"{len(places)} words {what}")
    if edit.shuffled:
        yield Change("words shuffled", {"shuffled": False})


def _in_both(changed: Sequence[tuple[Column, Changes]]) -> Iterator[Change]:
    """What is left out of both models: of one that is without it already nothing is."""
    real = {choice for _, changes in changed for choice in changes.choices}
    named = [(name, title) for name, (title, choice) in changing.WITHOUT.items() if choice in real]
    yield from _each("without", [(name, f"without {title}") for name, title in named], "")


def _inside(column: Column, changes: Changes) -> Iterator[Change]:
    where, off, scaled = SIDES[column.side], state.sided("off", column.side), state.sided("scaled", column.side)
    heads = [(name, f"{where}: {changing.head_name(name)} off") for name in changing.heads_off(column)]
    yield from _each(off, heads, f"{where}: {len(changes.heads_off)} heads off")
    how = choices.FACTORS[changes.neurons[0][2]] if changes.neurons else ""
    named = [(f"{layer + 1}.{neuron + 1}", f"{where}: layer {layer + 1}, neuron {neuron + 1} {how}")
             for layer, neuron, _ in changes.neurons]  # fmt: skip
    yield from _each(scaled, named, f"{where}: {len(named)} neurons {how}")


def _each(choice: str, named: Sequence[tuple[str, str]], together: str) -> Iterator[Change]:
    """A change for each name of a choice of several, or one for very many."""
    if together and len(named) > MOST:
        yield Change(together, {choice: ""})
        return
    for name, said in named:
        yield Change(said, {choice: _without(name, (other for other, _ in named))})


def _without(name: str, names: Iterable[str]) -> str:
    return "-".join(other for other in names if other != name)
