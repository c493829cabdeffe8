"""Attention: who reads whom, in every head."""

import streamlit as st

from encoder.figures import attention as figures
from pages.shared import bertviz, explorer, prose, state
from pages.shared.columns import Column, columns, switch

VIEWS = {
    "all": "All heads",
    "maps": "Heat maps",
    "head": "BertViz heads",
    "model": "BertViz model",
    "neuron": "BertViz neurons",
}


def heat_maps(column: Column) -> None:
    """All heads of one layer, and one of them large."""
    tokens = column.trace.tokens.text
    if len(tokens) > figures.MOST_TOKENS:
        st.info(
            f"Heat maps hold {figures.MOST_TOKENS} tokens, and this text has {len(tokens)}. “All heads” shows longer "
            "ones; a smaller limit in the sidebar shortens this one.",
            icon=":material/straighten:",
        )
        return
    layer, head = column.layer_and_head()
    attention = column.trace.layers[layer].attention
    column.show(
        figures.all_heads(attention, tokens, column.colour, head, 6 if column.wide else 4),
        f"attention of all heads of layer {layer + 1}",
    )
    column.show(
        figures.one_head(attention[head], tokens, column.colour), f"attention of head {head + 1} of layer {layer + 1}"
    )


def bertviz_view(column: Column, view: str) -> None:
    """One of BertViz's own pictures."""
    layer, head = column.layer_and_head() if view != "model" else (0, 0)
    # The neuron view computes attention from queries and keys, which holds for the tokens that were read only.
    bertviz.show(view, column.read if view == "neuron" else column.trace, layer, head)


prose.title(
    "Attention", "In every head, each token decides anew which tokens it reads, and how much of each.", "attention"
)
switch("attention_view", VIEWS)
view = state.get("attention_view")
if view != "all":
    explorer.leave()
if view == "all":
    explorer.show(list(columns()))
elif view == "maps":
    for column in columns():
        with column:
            heat_maps(column)
else:
    prose.more("How to read BertViz", "bertviz")
    for column in columns():
        with column:
            bertviz_view(column, view)
