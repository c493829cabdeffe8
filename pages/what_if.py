"""What if: words hidden or replaced, heads and neurons switched off, and what that changes."""

from typing import NamedTuple

import streamlit as st

from encoder.changes import apart, difference, mean_turn, sentence_similarity, strongest, turns
from encoder.edits import Edit, Pairs, edited, pairs
from encoder.errors import ModelError
from encoder.figures import attention
from encoder.figures import what_if as figures
from encoder.trace import Array, Trace
from pages.shared import changing, prose, state, tables, traces
from pages.shared.cards import guesses
from pages.shared.columns import Column, as_read, columns, row, segments

VIEWS = {"change": "Change something", "each": "Every head alone"}
OUTCOMES = {"hidden": "Hidden states", "attention": "Attention", "guesses": "Guesses"}
MOST_TOKENS = 128  # for every head alone: the work grows with heads × layers × tokens, for BERT base to many seconds
NAMED = 5  # heads that are told in words


class Changed(NamedTuple):
    """One column before and after what the learner changed."""

    column: Column
    after: Trace
    matching: Pairs
    turned: Array  # [layer, token]


def change(column: Column, edit: Edit) -> Changed | None:
    """What the learner changes in one column; None, and what to do in a sentence, where nothing is changed."""
    changes = changing.inside(column)
    after = traces.what_if(column.side, changes, edit)
    if not (changes or edit):
        close = prose.closeness(apart(column.read, after))
        st.caption(
            "Nothing is changed yet. Click a word above, or switch heads off; “Every head alone” shows which of them "
            f"matter in this text. As it is, our encoder with this model’s weights computes the last hidden states "
            f"that the model does, {close}."
        )
        return None
    matching = pairs(column.read.tokens, after.tokens, edited(traces.text(), edit).moved)
    return Changed(column, after, matching, turns(column.read, after, matching))


def before_and_after(changed: Changed, top: float) -> None:
    """What the learner wants to look at, and how far all went in a sentence. top: of the scale of hidden states."""
    column, after, matching, turned = changed
    outcome = state.get("outcome")
    if outcome == "hidden":
        drawn = figures.turned(turned, column.read.tokens.text, column.colour, top)
        column.show(drawn, "how far each token turns")
    elif outcome == "attention":
        maps(column, after, matching)
    else:
        guessed(column, after, matching)
    st.caption(
        f"Cosine of the whole sentence before and after: {sentence_similarity(column.read, after):.3f}. "
        f"Its tokens have turned by {mean_turn(turned):.3f} on average."
    )


def guessed(column: Column, after: Trace, matching: Pairs) -> None:
    """What each [MASK] is taken for before and after."""
    guesses(column)
    guesses(column, after, matching)
    if (nats := traces.moved(column.side, after, matching)) is not None:
        st.caption(f"The guess behind the first [MASK] of both texts has moved by {nats:.3f} nats (KL; 0: not at all).")
    if traces.guesses(column.side, after) is None:
        st.info("Nothing is hidden: click a word above and put [MASK] in its place.", icon=":material/edit:")


def maps(column: Column, after: Trace, matching: Pairs) -> None:
    """One head's attention before, after, and the difference."""
    most = max(len(column.read.tokens), len(after.tokens))
    if most > attention.MOST_TOKENS:
        st.info(f"These maps hold {attention.MOST_TOKENS} tokens; here are {most}.", icon=":material/straighten:")
        return
    layer, head = column.layer_and_head()
    before, now = (read.layers[layer].attention[head] for read in (column.read, after))
    drawn = attention.before_and_after(
        attention.Panel("Before", before, column.read.tokens.text),
        attention.Panel("After", now, after.tokens.text),
        difference(before, now, matching),
        column.colour,
    )
    column.show(drawn, f"attention of head {head + 1} of layer {layer + 1} before, after, and the difference")


def each_head(column: Column) -> None:
    """All heads by what changes when they alone are off."""
    if (tokens := len(column.read.tokens)) > MOST_TOKENS:
        st.info(
            f"“Every head alone” is for texts of up to {MOST_TOKENS} tokens, and this one has {tokens}. "
            "A smaller number under “Longest text” in the sidebar shortens it.",
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
    tables.ablation(found, column.side)


prose.title("What if", "Change the text or the model and see what it did.", "what_if")
changing_something = state.get("what_if_view") == "change"
with row():
    segments("what_if_view", "Picture", VIEWS)
    if changing_something:
        segments("outcome", "What to look at", OUTCOMES)
edit = changing.edit() if changing_something else Edit()
as_read()
found: list[Changed] = []
for column in columns():
    with column:
        try:
            if not changing_something:
                each_head(column)
            elif changed := change(column, edit):
                found.append(changed)
        except ModelError as error:
            st.info(prose.plain(str(error)), icon=":material/info:")
top = figures.reach(each.turned for each in found)
for changed in found:
    with changed.column:
        before_and_after(changed, top)
