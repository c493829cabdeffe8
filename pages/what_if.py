"""What if: heads switched off, and what that changes."""

import streamlit as st

from encoder.changes import apart, strongest, turns
from encoder.errors import ModelError
from encoder.figures import what_if as figures
from pages.shared import prose, state, traces
from pages.shared.cards import guesses
from pages.shared.columns import Column, columns, switch

VIEWS = {"each": "Every head alone", "off": "Heads switched off"}
MOST_TOKENS = 128  # for every head alone: the work grows with heads × layers × tokens, for BERT base to many seconds
NAMED = 5  # heads that are told in words


def heads_off(column: Column) -> None:
    """Some heads switched off: how far hidden states turn, and what is guessed now."""
    changes = column.heads_off()
    after = traces.what_if(column.side, changes)
    if not changes:
        close = prose.closeness(apart(column.read, after))
        st.caption(
            "Nothing is off yet. Choose heads above; “Every head alone” shows which of them matter in this text. As it "
            f"is, our encoder with this model’s weights computes the last hidden states that the model does, {close}."
        )
        return
    values = turns(column.read, after)
    column.show(figures.turned(values, column.read.tokens.text, column.colour), "how far each token turns")
    st.caption(f"The last hidden states have turned by {values[-1].mean():.3f} on average (1 − cosine).")
    guesses(column)
    guesses(column, changes)


def each_head(column: Column) -> None:
    """All heads by what changes when they alone are off."""
    if (tokens := len(column.read.tokens)) > MOST_TOKENS:
        st.info(
            f"“Every head alone” is for texts of up to {MOST_TOKENS} tokens, and this one has {tokens}. "
            "A smaller limit in the sidebar shortens it.",
            icon=":material/straighten:",
        )
        return
    with st.spinner("Switching off one head after the other"):
        found = traces.ablation(column.side)
    named = [
        f"layer {layer + 1}, head {head + 1} ({found.change[layer, head]:.3f})"
        for layer, head in strongest(found.change, NAMED)
    ]
    st.caption(f"How far the last hidden states turn without this head. Most: {'; '.join(named)}.")
    column.show(figures.ranking(found.change, column.colour, "1 − cosine"), "change without each head")
    if found.divergence is not None:
        st.caption("How far the guess behind the first [MASK] moves without this head, in nats.")
        column.show(figures.ranking(found.divergence, column.colour, "nats"), "change of the guess without each head")


prose.title("What if", "Switch heads off and see what they were good for in this text.", "what_if")
switch("what_if_view", VIEWS)
show = heads_off if state.get("what_if_view") == "off" else each_head
for column in columns():
    with column:
        try:
            show(column)
        except ModelError as error:
            st.info(prose.plain(str(error)), icon=":material/info:")
