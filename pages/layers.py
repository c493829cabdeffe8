"""Layers: one quantity followed through the whole stack."""

from collections.abc import Sequence

import streamlit as st

from encoder.figures import layers as figures
from encoder.quantities import QUANTITIES, Quantity
from encoder.trace import Array, Guess, Trace
from pages.shared import prose, state, traces
from pages.shared.columns import Column, as_read, below, columns, draw, switch

LABELS = {name: quantity.label for name, quantity in QUANTITIES.items()}


def choose_quantity(both: Sequence[Column]) -> Quantity:
    """What is followed through the layers, and what it says."""
    state.mirror(st.selectbox, "quantity", "Quantity", options=list(LABELS), format_func=LABELS.__getitem__, width=360)
    quantity = QUANTITIES[state.get("quantity")]
    scale = " Both models have one colour scale." if len(both) > 1 else ""
    st.caption(f"{quantity.meaning} Layer 1 is at the bottom.{scale}")
    if quantity.across == "head" or quantity.inside:
        as_read()
    return quantity


def predictions(column: Column, found: Sequence[tuple[Guess, ...]]) -> None:
    """What the model predicts at its first masked token after each layer, or why it does not."""
    if not found:
        st.caption(f"{prose.plain(column.read.model.name)} has no prediction head: it does not predict masked tokens.")
        return
    place = "the first [MASK]" if len(found[0]) > 1 else "[MASK]"
    st.caption(
        f"Predictions at {place} after each layer, as if it were the last one; layer 1 is at the bottom. "
        "The deeper the colour, the more probable."
    )
    column.show(figures.predictions([first for first, *_ in found], column.colour), "predictions after each layer")


def values_of(column: Column, shown: Trace, quantity: Quantity) -> Array:
    """The quantity asked for, [layer, token or head]. Raises ModelError."""
    if quantity.counted:
        return quantity.of(column.read, state.get("words"), state.get("hide"))
    return traces.quantity(column.side, quantity, shown)


def through_the_layers(both: Sequence[Column], quantity: Quantity) -> None:
    """A map for each model, and the means of both in one picture."""
    found: list[tuple[Column, Sequence[str], Array]] = []
    lines = {}
    for column in both:
        with column:
            shown = column.trace if quantity.across == "token" and not quantity.inside else column.read
            values = values_of(column, shown, quantity)
            lines[column.name] = figures.mean_line(values, column.colour, quantity)
            found.append((column, shown.tokens.text, values))
    if not found:
        return
    limits = figures.reach([values for _, _, values in found], quantity)
    for column, texts, values in found:
        with column:
            names = texts if quantity.across == "token" else figures.head_names(values.shape[1])
            picture = figures.quantity_map(values, names, column.colour, quantity, limits)
            column.show(picture, f"{quantity.label} through the layers")
    st.caption(f"The mean of each layer over all {quantity.across}s.")
    draw(figures.compare(lines, quantity), f"{quantity.label}: the mean of each layer", "means")


prose.title("Layers", "The same thing happens again and again; what it does changes from layer to layer.", "layers")
switch()
above = st.container()  # the choice of a quantity stands here, unless predictions come first
both = list(columns())
predicted: list[tuple[Column, list[tuple[Guess, ...]]]] = []
for column in both:
    with column:
        predicted.append((column, traces.guesses_by_layer(column.side)))
if any(found for _, found in predicted):
    for column, found in predicted:
        with column:
            predictions(column, found)
    quantity = choose_quantity(both)
    below(both)
else:
    with above:
        quantity = choose_quantity(both)
through_the_layers(both, quantity)
