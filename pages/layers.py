"""Layers: one quantity followed through the whole stack."""

import streamlit as st

from encoder.figures import layers as figures
from encoder.quantities import QUANTITIES
from pages.shared import prose, state, traces
from pages.shared.columns import columns, draw, switch

LABELS = {name: quantity.label for name, quantity in QUANTITIES.items()}

prose.title("Layers", "The same thing happens again and again; what it does changes from layer to layer.", "layers")
switch()
state.mirror(st.selectbox, "quantity", "Quantity", options=list(LABELS), format_func=LABELS.__getitem__, width=360)
quantity = QUANTITIES[state.get("quantity")]
st.caption(quantity.meaning)

by_token = quantity.across == "token"

found = [(column, quantity.of(column.trace if by_token else column.read)) for column in columns()]
if found:
    limits = figures.reach([values for _, values in found], quantity)
    lines = {column.name: figures.mean_line(values, column.colour, quantity) for column, values in found}
for column, values in found:
    with column:
        names = column.trace.tokens.text if by_token else figures.head_names(values.shape[1])
        picture = figures.quantity_map(values, names, column.colour, quantity, limits)
        column.show(picture, f"{quantity.label} through the layers")
if found:
    draw(figures.compare(lines, quantity), f"{quantity.label}: the mean of each layer", "means")
for column, _ in found:
    if guessed := traces.guesses_by_layer(column.side):
        with column:
            st.caption("Behind [MASK], as if this layer were the last: the five likeliest words, the likeliest first.")
            column.show(figures.guesses([first for first, *_ in guessed], column.colour), "guesses after each layer")
