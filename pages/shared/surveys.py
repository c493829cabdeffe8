"""What each model does over the example corpus: computed once for everybody, with progress for those who wait."""

from collections.abc import Sequence
from html import escape

import numpy as np
import streamlit as st

from encoder import edits, numerals, survey
from encoder.catalogue import Entry
from encoder.clearest import Clear, clearest, marked
from encoder.edits import Span
from encoder.labels import visible
from encoder.maps import hidden_states
from encoder.measures import cka_table, correlations, mean_cosine
from encoder.sentences import corpus
from encoder.survey import Survey
from encoder.trace import Array
from pages.shared import prose, traces
from pages.shared.columns import Column
from pages.shared.state import Side

PARTNERS = 3  # neurons of the other model that are named
CLOSE = 0.4  # r from which two neurons are said to go together
SHOWN = 0.005  # an activation that is more than 0.00
ALIKE = 4  # examples that mark the same word, from which this is said
FEWEST = 3  # words for each channel: with fewer, CKA finds likeness where there is none


def of(column: Column) -> Survey | None:
    """The survey of a column's model, or None while it is made or where it cannot be, which is said in the column."""
    entry = traces.entry(column.side)
    found = survey.start(entry, lambda: traces.load(entry, "cpu"))
    if found.error:
        st.warning(prose.plain(found.error), icon=":material/warning:")
        st.button("Try again", key=f"survey-again-{column.side}", on_click=_again, args=(entry,))
    elif found.survey is None:
        _watch(entry)
    return found.survey


def _again(entry: Entry) -> None:
    survey.start(entry, lambda: traces.load(entry, "cpu"), again=True)


@st.fragment(run_every=0.5)
def _watch(entry: Entry) -> None:
    found = survey.running(entry)
    if found is None or found.finished:
        st.rerun()  # the whole page: it can be drawn now, or says why not
    name = prose.plain(entry.label)
    far = f"{found.read} of {found.total}" if found.read else "waiting for its turn"
    st.progress(found.read / max(1, found.total), f"{name} reads the example sentences, once: {far}")


def ready(side: Side) -> Survey | None:
    """The survey of a side's model if it has been made."""
    found = survey.running(traces.entry(side))
    return found.survey if found else None


def clear(found: Survey) -> Clear:
    """Which neurons have the clearest examples."""
    return traces.once(Clear, (found.name, "clear"), lambda: clearest(found, corpus()))


def anisotropy(found: Survey) -> Array:
    """[level] the mean cosine of all words of the corpus; level 0 is the embedding."""
    return traces.once(
        np.ndarray,
        (found.name, "anisotropy"),
        lambda: np.array([mean_cosine(each[found.read]) for each in found.hidden]),
    )


def alike(one: Survey, other: Survey) -> Array | None:
    """[level, level of the other] CKA of two models' hidden states, or of one's own; None where words are too few."""
    read = one.read & other.read
    if read.sum() < FEWEST * max(one.hidden.shape[-1], other.hidden.shape[-1]):
        return None
    mine, theirs = (found.hidden[:, read] for found in (one, other))
    with st.spinner("Comparing the layers"):
        return traces.once(
            np.ndarray, (one.name, other.name, "cka"),
            lambda: traces.in_turn(cka_table, mine, None if other is one else theirs),
        )  # fmt: skip


def partners(one: Survey, other: Survey, layer: int, neuron: int) -> list[tuple[int, int, float]]:
    """The other model's neurons that go with a neuron most closely: (layer, neuron, r), each from 0."""

    def look() -> Array:
        read = (one.read & other.read)[:: survey.EVERY]
        values = one.neurons[layer, read, neuron]
        r = np.stack([correlations(values, each[read]) for each in other.neurons])  # [layer, ffn]
        layers, neurons = np.unravel_index(np.argsort(-r, axis=None)[:PARTNERS], r.shape)
        return np.column_stack([layers, neurons, r[layers, neurons]])

    found = traces.once(np.ndarray, (one.name, other.name, layer, neuron), lambda: traces.in_turn(look))
    return [(int(layer), int(neuron), float(r)) for layer, neuron, r in found]


def word_of(found: Survey, layer: int, neuron: int) -> str:
    """The word that a neuron's examples mark most often, to stand beside its number; nothing where they differ."""
    word, times = marked(found, corpus(), layer, neuron)
    return f": {visible(word)}" if times >= ALIKE else ""


def about(found: Survey, layer: int, neuron: int) -> str:
    """What `sentences_of` shows: which neuron, what the numbers mean, and what its examples have in common."""
    word, times = marked(found, corpus(), layer, neuron)
    alike = f" {times} of them mark “{prose.plain(visible(word))}”." if times >= ALIKE else ""
    return (
        f"The {survey.TOP} places in {found.sentences} example sentences where neuron {neuron + 1} of layer "
        f"{layer + 1} is most active: the marked tokens. The number before each is the neuron’s activation there; its "
        f"mean over all words is {numerals.number(clear(found).mean[layer, neuron], 2)}.{alike}"
    )


def sentences_of(found: Survey, layer: int, neuron: int, side: Side) -> str:
    """The sentences in which a neuron is most active, the tokens it is active at marked, as HTML."""
    rows = []  # the most active first
    for value, (number, start, end) in zip(found.top[layer, neuron], found.where[layer, neuron].tolist(), strict=True):
        if value < SHOWN:
            break
        text, kind = corpus()[number].text, corpus()[number].kind
        said = f"{escape(text[:start])}<mark>{escape(text[start:end])}</mark>{escape(text[end:])}"
        rows.append(f'<div class="row" title="{escape(kind)}"><b>{value:.2f}</b><span>{said}</span></div>')
    return f'<div class="found {side}">{"".join(rows) or "It is active in none of them."}</div>'


def elsewhere(side: Side, found: Sequence[tuple[str, Span]]) -> tuple[list[int], Array]:
    """[sentence, level, model] the hidden states of one word, by its place in several sentences, mean over its tokens.

    Before them the numbers of the sentences: where the word does not wholly fit into the model it is left out.
    """
    numbers, states = [], []
    for number, (sentence, span) in enumerate(found):
        read = traces.of(side, sentence)
        member = edits.covered(read.tokens, [span])[0]
        if read.tokens.span[member, 1].max(initial=0) >= span[1]:
            numbers.append(number)
            states.append(np.stack([hidden[member].mean(0) for hidden in hidden_states(read)]))
    return numbers, np.stack(states) if states else np.zeros((0, 1, 1))


def self_similarity(states: Array) -> Array:
    """[level] the mean cosine of a word's hidden states [sentence, level, model] in different sentences."""
    return np.array([mean_cosine(level) for level in states.swapaxes(0, 1)])
