"""Step by step: one token reads another, with every number on the way."""

import streamlit as st

from encoder.changes import everything
from encoder.errors import ModelError
from encoder.figures import steps as figures
from encoder.steps import TITLES, Place, Step
from encoder.trace import Trace
from pages.shared import changing, prose, state, tables, traces
from pages.shared.cards import guesses
from pages.shared.columns import Column, as_read, columns, row

ROUNDING = 1e-5  # a larger difference to the model's own numbers is none that rounding makes
NEURON_STEPS = ("preactivation", "activation", "ffn_output")


def walked(column: Column) -> tuple[Step, ...]:
    """The steps of one column, at the place that its pickers say."""
    layer, head = column.layer_and_head()
    read = neuron = 0
    left, right = st.columns(2, wrap=False)
    with left:
        reads = column.reads()
    with right:
        if state.get("step") in NEURON_STEPS:  # in which no other token has a part
            neuron = column.neuron(layer)
        else:
            read = column.is_read()
    try:
        return traces.walk(column.side, Place(layer, head, reads, read, neuron), changing.making(column))
    except ModelError as error:
        st.info(prose.plain(str(error)), icon=":material/info:")
        return ()


def show(column: Column, steps: tuple[Step, ...]) -> None:
    """The chosen step of one column."""
    step = next((step for step in steps if step.name == state.get("step")), None)
    if step is None:
        st.caption(f"{prose.plain(column.name)} has no such step in this layer.")
        return
    st.markdown(step.sentence)
    for number, figure in enumerate(figures.strips(step.strips), 1):
        column.show(figure, f"{step.title}: vectors as coloured cells, {number}")
    if step.bend:
        column.show(figures.bend(step.bend, column.colour), "the activation function, and every neuron on it")
    if step.shares:
        tables.shares(step.shares, column.read.tokens.text, column.side)
    st.latex(step.formula)
    st.caption(step.shapes)
    if step.facts:
        st.html(tables.facts(step.facts))
    if step.difference is not None:
        st.caption(checked(column, step.difference))
    if changes := changing.making(column):
        otherwise(column, traces.what_if(column.side, changes))


def otherwise(column: Column, after: Trace) -> None:
    """What the choices that were flipped do to the whole reading."""
    st.caption("What is flipped does this to the reading, layer by layer:")
    tables.consequences(column.read, after, column.side)
    guesses(column)
    guesses(column, after, everything(after))


def checked(column: Column, difference: float) -> str:
    """How far the step's result is from the model's own: rounding, or else something is wrong and is said."""
    whose = "our forward pass" if column.from_scratch else "transformers"
    if difference <= ROUNDING:
        close = prose.closeness(difference)
        return f":material/check: Computed anew, from these numbers and the weights: equals what {whose} did, {close}."
    return f":material/warning: Computed anew, this differs from what {whose} computed, by {difference:.2g}."


def move(names: list[str], by: int) -> None:
    """Go on from the step that is chosen now: a second quick press comes before the page has heard of the first."""
    place = names.index(state.get("step")) + by
    state.put("step", names[min(max(place, 0), len(names) - 1)])


def navigate(steps: tuple[Step, ...]) -> None:
    """Back and on through the steps, by button or arrow key, or straight to one of them."""
    names = [step.name for step in steps]
    if state.get("step") not in names:
        names.append(state.get("step"))
    place = names.index(state.get("step"))
    for label, key, by in (("Back", "Left", -1), ("On", "Right", 1)):
        at_the_end = not 0 <= place + by < len(names)
        st.button(label, key=f"step-{label}", shortcut=key, disabled=at_the_end, on_click=move, args=(names, by))
    state.mirror(
        st.selectbox, "step", "Step", options=names, label_visibility="collapsed", width=300,
        format_func=lambda name: f"{names.index(name) + 1} of {len(names)}: {TITLES[name]}",
    )  # fmt: skip


prose.title(
    "Step by step", "One token reads another, in one head of one layer, with every number on the way.", "step_by_step"
)
with row():
    bar = st.container(key="steps", horizontal=True, vertical_alignment="center", width="content")
as_read()
found = []
for column in columns():
    with column:
        found.append((column, walked(column)))
if steps := max((steps for _, steps in found), key=len, default=()):
    with bar:
        navigate(steps)
        changing.flips([column for column, _ in found])
for column, steps in found:
    if steps:
        with column:
            show(column, steps)
