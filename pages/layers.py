"""Layers: one quantity followed through the whole stack."""

from collections.abc import Sequence

import streamlit as st

from encoder.figures import layers as figures
from encoder.quantities import QUANTITIES
from encoder.trace import Array, Trace
from pages.shared import prose, state, traces
from pages.shared.columns import Column, as_read, columns, draw, switch

LABELS = {name: quantity.label for name, quantity in QUANTITIES.items()}


def values_of(column: Column, shown: Trace) -> Array:
    """The quantity asked for, [layer, token or head]. Raises ModelError."""
    if quantity.counted:
        return quantity.of(column.read, state.get("words"), state.get("hide"))
    return traces.quantity(column.side, quantity, shown)


prose.title("Layers", "The same thing happens again and again; what it does changes from layer to layer.", "layers")
switch()
state.mirror(st.selectbox, "quantity", "Quantity", options=list(LABELS), format_func=LABELS.__getitem__, width=360)
quantity = QUANTITIES[state.get("quantity")]
st.caption(quantity.meaning)
if quantity.across == "head" or quantity.inside:
    as_read()

found: list[tuple[Column, Sequence[str], Array]] = []
lines = {}
for column in columns():
    with column:
        shown = column.trace if quantity.across == "token" and not quantity.inside else column.read
        values = values_of(column, shown)
        lines[column.name] = figures.mean_line(values, column.colour, quantity)
        found.append((column, shown.tokens.text, values))
if found:
    limits = figures.reach([values for _, _, values in found], quantity)
for column, texts, values in found:
    with column:
        names = texts if quantity.across == "token" else figures.head_names(values.shape[1])
        picture = figures.quantity_map(values, names, column.colour, quantity, limits)
        column.show(picture, f"{quantity.label} through the layers")
if found:
    draw(figures.compare(lines, quantity), f"{quantity.label}: the mean of each layer", "means")
for column, *_ in found:
    with column:
        if guessed := traces.guesses_by_layer(column.side):
            place = "the first [MASK]" if len(guessed[0]) > 1 else "[MASK]"
            st.caption(f"Behind {place}, as if this layer were the last: the five likeliest tokens, likeliest first.")
            column.show(figures.guesses([first for first, *_ in guessed], column.colour), "guesses after each layer")
