"""Attention: who reads whom, in every head."""

import streamlit as st

from encoder import heads
from encoder.figures import attention as figures
from encoder.figures import heads as figures_of_heads
from encoder.figures.heads import Roles
from encoder.trace import Array
from pages.shared import bertviz, explorer, prose, state, surveys, tables, traces
from pages.shared.columns import Column, as_read, columns, segments, switch

VIEWS = {
    "all": "All heads",
    "maps": "Heat maps",
    "roles": "Roles",
    "three": "Three readings",
    "head": "BertViz heads",
    "model": "BertViz model",
    "neuron": "BertViz neurons",
}

BASES = {"text": "This text", "corpus": "Example sentences"}
ROWS = "A row is a token that reads (query), a column a token that is read (key). Rows sum to 1, columns need not."
COARSE = " In small maps a cell is the largest weight of several tokens."
LAYERS = "One row per layer, layer 1 at the bottom; one column per head."
TOO_LONG = (
    "Heat maps hold {most} tokens, and this text has {tokens}. “All heads” shows longer ones; "
    "a smaller number under “Longest text” in the sidebar shortens this one."
)


def heat_maps(column: Column) -> None:
    """All heads of one layer, and one of them large."""
    tokens = column.trace.tokens.text
    if len(tokens) > figures.MOST_TOKENS:
        st.info(TOO_LONG.format(most=figures.MOST_TOKENS, tokens=len(tokens)), icon=":material/straighten:")
        return
    layer, head = column.layer_and_head()
    attention = column.trace.layers[layer].attention
    st.caption(ROWS + COARSE * (len(tokens) > figures.MOST_CELLS))
    column.show(
        figures.all_heads(attention, tokens, column.colour, head, 6 if column.wide else 4),
        f"attention of all heads of layer {layer + 1}",
    )
    column.show(
        figures.one_head(attention[head], tokens, column.colour), f"attention of head {head + 1} of layer {layer + 1}"
    )


def roles(column: Column) -> None:
    """What each head mostly does, in this text or over the example corpus."""
    if state.get("basis") == "corpus":
        if (found := surveys.of(column)) is None:
            return
        st.caption(f"What each head does most often in the {found.sentences} example sentences.")
        show_roles(column, *found.usual_roles(), dict(zip(heads.MEASURES, found.measures, strict=True)))
    else:
        measured = traces.measured(column.side)
        st.caption("What each head does in this text. In another text it may do something else.")
        show_roles(column, heads.roles(column.read, measured), None, measured)


def show_roles(column: Column, roles: Roles, shares: Array | None, measured: dict[str, Array]) -> None:
    """A map and a table of what all heads do."""
    st.caption(f"{LAYERS} {figures_of_heads.legend(roles)}")
    column.show(figures_of_heads.role_map(roles, shares), "what each head mostly does, one row per layer")
    tables.roles(roles, shares, measured, column.side)


def three_readings(column: Column) -> None:
    """One head's weights, what they bring by length, and what the layers together let through."""
    read = column.read
    if len(read.tokens) > figures.MOST_TOKENS:
        st.info(TOO_LONG.format(most=figures.MOST_TOKENS, tokens=len(read.tokens)), icon=":material/straighten:")
        return
    layer, head = column.layer_and_head()
    st.caption(
        f"{ROWS} That holds for raw weights and rollout; norm-weighted is a length, on a scale of its own."
        + COARSE * (len(read.tokens) > figures.MOST_IN_THREE)
    )
    column.show(
        figures.three_readings(read, layer, head, column.colour),
        f"head {head + 1} of layer {layer + 1}: raw weights, norm-weighted, and rollout up to this layer",
    )


def bertviz_view(column: Column) -> None:
    """One of BertViz's own pictures."""
    layer, head = column.layer_and_head() if view != "model" else (0, 0)
    # The neuron view computes attention from queries and keys, which holds for the tokens that were read only.
    bertviz.show(view, column.read if view == "neuron" else column.trace, layer, head, column.colour)


PICTURES = {"maps": heat_maps, "roles": roles, "three": three_readings}

view = state.get("attention_view")
prose.title(
    "Attention",
    "In every head, each token decides anew which tokens it reads, and how much of each.",
    "attention",
    view,
)
switch("attention_view", VIEWS)
if view != "all":
    explorer.leave()
if view == "all":
    explorer.show(list(columns()))
else:
    if view == "roles":
        segments("basis", "What it holds for", BASES)
    if view in ("three", "neuron") or (view == "roles" and state.get("basis") == "text"):
        as_read()
    for column in columns(stacked=view in ("model", "neuron")):  # they are too wide for half a page
        with column:
            PICTURES.get(view, bertviz_view)(column)
    if view == "three":
        prose.paragraph("not_an_explanation")
