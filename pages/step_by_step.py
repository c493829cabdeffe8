"""Step by step: one token reads another, with every number on the way."""

import streamlit as st

from encoder.alignment import SECOND, Row, absence, find, rows
from encoder.changes import everything
from encoder.figures import steps as figures
from encoder.measures import most_active
from encoder.numerals import number
from encoder.steps import TITLES, Place, Step
from encoder.trace import Trace
from pages.shared import changing, prose, state, tables, traces
from pages.shared.cards import guesses
from pages.shared.columns import OFFERED, SIDES, Column, as_read, columns, row
from pages.shared.state import Side

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
        if state.get("step").removesuffix(SECOND) in NEURON_STEPS:  # in which no other token has a part
            active = most_active(column.read.layers[layer].neurons[[reads]], OFFERED)  # at the token that reads
            neuron = column.neuron(layer, active.tolist())
        else:
            read = column.is_read()
    return traces.walk(column.side, Place(layer, head, reads, read, neuron), changing.making(column))


def show(column: Column, steps: tuple[Step, ...], place: int, shown: dict[Side, Step]) -> None:
    """A column's step at a place, from 0. shown: what is to be seen in both columns, whose scales are compared."""
    step = steps[place]
    st.markdown(f"**Step {place + 1} of {len(steps)}: {step.title}.** {step.sentence}")
    for count, figure in enumerate(figures.strips(step.strips), 1):
        column.show(figure, f"{step.title}: vectors as coloured cells, {count}")
    if scales := reach(column.side, shown):
        st.caption(scales)
    if step.bend:
        bends = [each.bend for each in shown.values() if each.bend]
        drawn = figures.bend(step.bend, column.colour, figures.span(bends))
        column.show(drawn, "the activation function, and every neuron on it")
    if step.shares:
        column.show(figures.shares(step.shares, column.read.tokens.text, column.colour), "the share of every token")
        tables.shares(step.shares, column.read.tokens.text, column.side)
    st.latex(step.formula)
    st.caption(step.shapes)
    if step.facts:
        st.html(tables.facts(step.facts))
    if step.difference is not None:
        st.caption(checked(column, step.difference))
    if changes := changing.making(column):
        otherwise(column, traces.what_if(column.side, changes))


def reach(side: Side, shown: dict[Side, Step]) -> str:
    """How far the colours of a side reach, and those of the other where they reach elsewhere; nothing if all agree."""
    ends = {each: [f"±{number(end, 2)}" for end in figures.reaches(step.strips)] for each, step in shown.items()}
    if not ends[side] or len(set(map(tuple, ends.values()))) < 2:
        return ""
    others = [f"on the {SIDES[other].lower()} {' and '.join(there)}" for other, there in ends.items() if other != side]
    return f"Each side’s colours have a scale of their own: here {' and '.join(ends[side])}, {', '.join(others)}."


def gap(column: Column, steps: tuple[Step, ...], name: str) -> None:
    """Where the other model takes a step that this one does not take there."""
    why = absence(name, [step.name for step in steps])
    st.info(f"{prose.plain(column.read.model.name)} has no step here: it {why}.", icon=":material/more_horiz:")


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
    return f":material/warning: Computed anew, this differs from what {whose} computed, by {number(difference, 2)}."


def move(found: tuple[Row, ...], by: int) -> None:
    """Go on from the row that is chosen now: a second quick press comes before the page has heard of the first."""
    place = find(found, state.get("step")) + by
    state.put("step", found[min(max(place, 0), len(found) - 1)].key)


def navigate(found: tuple[Row, ...], place: int, sides: list[Side]) -> None:
    """Back and on through the rows, by button or arrow key, or straight to one of them."""
    for label, key, by in (("Back", "Left", -1), ("On", "Right", 1)):
        at_the_end = not 0 <= place + by < len(found)
        st.button(label, key=f"step-{label}", shortcut=key, disabled=at_the_end, on_click=move, args=(found, by))
    titles = {row.key: titled(row, sides) for row in found}
    state.mirror(
        st.selectbox, "step", "Step", found[place].key, options=list(titles), format_func=titles.__getitem__,
        label_visibility="collapsed", width=300,
    )  # fmt: skip


def titled(row: Row, sides: list[Side]) -> str:
    """The title of a step, and of one that not every model takes there, whose it is."""
    takes = [SIDES[side].lower() for side, place in zip(sides, row.places, strict=True) if place is not None]
    whose = "" if len(takes) == len(sides) else f" ({takes[0]} only)" if takes else " (none)"
    return TITLES[row.name] + whose


prose.title(
    "Step by step", "One token reads another, in one head of one layer, with every number on the way.", "step_by_step"
)
with row():
    bar = st.container(key="steps", horizontal=True, vertical_alignment="center", width="content")
as_read()
walks: list[tuple[Column, tuple[Step, ...]]] = []
both = list(columns())
for column in both:
    with column:
        walks.append((column, walked(column)))
with bar:
    if walks:
        found = rows([[step.name for step in steps] for _, steps in walks], state.get("step"))
        here = find(found, state.get("step"))
        navigate(found, here, [column.side for column, _ in walks])
    changing.flips(both)  # also where what was flipped leaves nothing to show: it can be flipped back
if walks:
    at = list(zip(walks, found[here].places, strict=True))
    shown = {column.side: steps[place] for (column, steps), place in at if place is not None}
    for (column, steps), place in at:
        with column:
            if place is None:
                gap(column, steps, found[here].name)
            else:
                show(column, steps, place, shown)
