"""What if: words masked or replaced, heads and neurons switched off, and what that changes."""

from typing import NamedTuple

import streamlit as st

from encoder.changes import Ablation, Changes, apart, difference, mean_turn, sentence_similarity, strongest, turns
from encoder.edits import Edit, Pairs, edited, pairs
from encoder.figures import attention
from encoder.figures import what_if as figures
from encoder.numerals import number
from encoder.trace import Array, Trace
from pages.shared import changing, prose, state, tables, traces, undoing
from pages.shared.cards import guesses
from pages.shared.columns import Column, as_read, columns, row, segments

VIEWS = {"change": "Change something", "each": "Every head alone"}
OUTCOMES = {"hidden": "Hidden states", "attention": "Attention", "guesses": "Guesses"}
MOST_TOKENS = 128  # for every head alone: the work grows with heads × layers × tokens, for BERT base to many seconds
NAMED = 3  # heads that are told in words
TURN = "1 − cosine: 0 where it points as before, 1 where it is at a right angle to what it was"


class Changed(NamedTuple):
    """One column before and after what the learner changed."""

    column: Column
    after: Trace
    matching: Pairs
    turned: Array  # [layer, token]


class Maps(NamedTuple):
    """One head's attention before and after, [query, key] each, and the difference where both have a token."""

    layer: int
    head: int
    before: Array
    after: Array
    difference: Array


def change(column: Column, changes: Changes, edit: Edit) -> Changed | None:
    """What a change does in one column; None, and what to do in a sentence, where nothing is changed."""
    after = traces.what_if(column.side, changes, edit)
    if not (changes or edit):
        close = prose.closeness(apart(column.read, after))
        already = (
            f" {prose.plain(column.read.model.name)} has none of what is left out." if state.get("without") else ""
        )
        st.caption(
            f"Nothing is changed here.{already} Click a word above, or switch heads off; “Every head alone” shows "
            f"which of them matter in this text. As it is, our encoder with this model’s weights computes the last "
            f"hidden states that the model does, {close}."
        )
        return None
    matching = pairs(column.read.tokens, after.tokens, edited(traces.text(), edit).moved)
    return Changed(column, after, matching, turns(column.read, after, matching))


def hidden_states(found: list[Changed]) -> None:
    """How far every token turns in every layer, in all columns on one scale."""
    top = figures.reach(each.turned for each in found)
    for column, after, _, turned in found:
        with column:
            drawn = figures.turned(turned, column.read.tokens.text, column.colour, top)
            column.show(drawn, "how far each token turns")
            st.caption(f"How far each token’s hidden state turns in each layer ({TURN}).{shared(found)}")
            in_all(column, after, turned)


def in_all(column: Column, after: Trace, turned: Array) -> None:
    """How far all went, in a sentence."""
    st.caption(
        f"Cosine of the whole sentence before and after: {number(sentence_similarity(column.read, after), 3)}. "
        f"Its tokens have turned by {mean_turn(turned):.3f} on average, after the last layer."
    )


def guessed(found: list[Changed]) -> None:
    """What each [MASK] is taken for before and after."""
    for column, after, matching, turned in found:
        with column:
            guesses(column)
            guesses(column, after, matching)
            if (nats := traces.moved(column.side, after, matching)) is not None:
                st.caption(
                    f"The guess behind the first [MASK] of both texts has moved by {nats:.3f} nats (KL; 0: not at all)."
                )
            if traces.guesses(column.side, after) is None:
                st.info("Nothing is masked: click a word above and put [MASK] in its place.", icon=":material/edit:")
            in_all(column, after, turned)


def attention_maps(found: list[Changed]) -> None:
    """One head's attention before and after and the difference, which has one scale in all columns."""
    drawn: list[tuple[Changed, Maps]] = []
    for each in found:
        with each.column:
            if maps := maps_of(each):
                drawn.append((each, maps))
    top = figures.reach(abs(maps.difference) for _, maps in drawn)
    for (column, after, _, turned), (layer, head, before, now, moved) in drawn:
        with column:
            tokens = column.read.tokens.text, after.tokens.text
            picture = figures.before_and_after((before, now), tokens, moved, column.colour, top)
            column.show(picture, f"attention of head {head + 1} of layer {layer + 1} before, the difference, and after")
            st.caption(
                "The difference is after − before: green where more is read, violet where less, full colour at "
                f"±{top:.2f}. Attention is on 0–1.{shared(found)}"
            )
            in_all(column, after, turned)


def maps_of(changed: Changed) -> Maps | None:
    """The head that a column's sliders choose; None, said in a sentence, where there are too many tokens."""
    column, after, matching, _ = changed
    most = max(len(column.read.tokens), len(after.tokens))
    if most > attention.MOST_TOKENS:
        st.info(f"These maps hold {attention.MOST_TOKENS} tokens; here are {most}.", icon=":material/straighten:")
        return None
    layer, head = column.layer_and_head()
    before, now = (read.layers[layer].attention[head] for read in (column.read, after))
    return Maps(layer, head, before, now, difference(before, now, matching))


def shared(found: list[Changed]) -> str:
    """That left and right can be compared by their colours, where there are two."""
    return " Left and right have one scale." if len(found) > 1 else ""


def each_head(column: Column) -> Ablation | None:
    """What each head's absence changes in one column; None, said in a sentence, where the text is too long."""
    if (tokens := len(column.read.tokens)) > MOST_TOKENS:
        st.info(
            f"“Every head alone” is for texts of up to {MOST_TOKENS} tokens, and this one has {tokens}. "
            "A smaller number under “Longest text” in the sidebar shortens it.",
            icon=":material/straighten:",
        )
        return None
    with st.spinner("Switching off one head after the other"):
        return traces.ablation(column.side)


def ranking(column: Column, found: Ablation, every: list[Ablation]) -> None:
    """All heads of one column by what changes when they alone are off; `every` column's share a scale."""
    named = [
        f"layer {layer + 1}, head {head + 1} ({found.change[layer, head]:.3f})"
        for layer, head in strongest(found.change, NAMED)
    ]
    scale = " Left and right have one scale." if len(every) > 1 else ""
    st.caption(f"How far the last hidden states turn without this one head ({TURN}). Most: {'; '.join(named)}.{scale}")
    top = figures.reach(each.change for each in every)
    column.show(figures.ranking(found.change, column.colour, "turn: 1 − cosine", top), "change without each head")
    if found.divergence is not None:
        guessing = [each.divergence for each in every if each.divergence is not None]
        scale = " Left and right have one scale." if len(guessing) > 1 else ""
        st.caption(
            f"How far the guess behind the first [MASK] moves without this head (KL in nats; 0: not at all).{scale}"
        )
        drawn = figures.ranking(found.divergence, column.colour, "nats", figures.reach(guessing))
        column.show(drawn, "change of the guess without each head")
    tables.ablation(found, column.side)


SHOWN = {"hidden": hidden_states, "attention": attention_maps, "guesses": guessed}

view = state.get("what_if_view")
prose.title("What if", "Change the text or the model and see what it did.", "what_if", view)
with row():
    segments("what_if_view", "Picture", VIEWS)
    if view == "change":
        segments("outcome", "What to look at", OUTCOMES)
if view == "change":
    edit = changing.edit()
    bar = st.container(key="changes", horizontal=True, vertical_alignment="center")
    as_read()
    made: list[tuple[Column, Changes]] = []  # also where the model cannot read on with them: they can be undone
    found: list[Changed] = []
    for column in columns():
        with column:
            made.append((column, changing.inside(column)))
            if changed := change(*made[-1], edit):
                found.append(changed)
    with bar:
        undoing.show(edit, made)
    SHOWN[state.get("outcome")](found)
else:
    as_read()
    ablations: list[tuple[Column, Ablation]] = []
    for column in columns():
        with column:
            if ablation := each_head(column):
                ablations.append((column, ablation))
    for column, ablation in ablations:
        with column:
            ranking(column, ablation, [each for _, each in ablations])
