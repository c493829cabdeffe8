"""The What if page's choices: what is otherwise in the text, for both columns, and in each column's model."""

from collections.abc import Iterator, Sequence

import streamlit as st

from encoder.changes import Changes
from encoder.edits import Edit, Span, edited, words
from encoder.labels import apart, visible
from encoder.measures import most_active
from encoder.trace import Trace
from pages.shared import choices, prose, state, traces
from pages.shared.columns import Column

MOST_WORDS = 120  # that can be clicked: each is a button
FEW_WORDS, WORDS_HEIGHT = 40, 150  # more of them scroll, in so many pixels: the picture must not be pushed away
EACH_LAYER = 8  # neurons of each layer: its most active ones
WITHOUT: dict[str, tuple[str, tuple[str, str | bool]]] = {
    "positions": ("positions", ("position", "none")),
    "residuals": ("residuals", ("residuals", False)),
    "norms": ("norms in the layers", ("norm", "none")),
}
AS_IT_IS = "As the model has it"
WORDS: dict[str, tuple[str, dict[str, str]]] = {
    "score_scale": (
        "Scores are divided by",
        {"": AS_IT_IS, "sqrt_head_dim": "√ of the head’s size (the paper, BERT)",
         "sqrt_width": "√ of the width (the first article)"},
    ),
    "norm": (
        "Norm in each layer",
        {"": AS_IT_IS, "post": "after the sums (BERT)", "pre": "before each block", "none": "none (second article)"},
    ),
    "shared_projections": (
        "Query, key and value matrices",
        {"": AS_IT_IS, "full": "each head’s own (the paper, BERT)", "shared": "one for all heads (the first article)"},
    ),
    "activation": ("Activation function", {"": AS_IT_IS, "gelu": "GELU (BERT)", "relu": "ReLU (second article)"}),
}  # fmt: skip


def edit() -> Edit:
    """What the learner does to the text."""
    text = traces.text()
    spans = words(text)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        with st.container(width="stretch", height=WORDS_HEIGHT if len(spans) > FEW_WORDS else "content", border=False):
            changed = _clicked(text, spans)
        state.mirror(
            st.text_input, "put_in", "In its place", placeholder="Nothing", max_chars=choices.LONGEST_WORD, width=130
        )
        with st.popover("More changes", icon=":material/shuffle:"):
            state.mirror(st.toggle, "shuffled", "Shuffle the words")
            without = state.several(
                st.multiselect, "without", "Leave out of both models", list(WITHOUT), lambda name: WITHOUT[name][0],
                placeholder="Nothing",
            )  # fmt: skip
    if len(spans) > MOST_WORDS:
        st.caption(f"The first {MOST_WORDS} of {len(spans)} words.")
    found = Edit(changed, state.get("put_in"), state.get("shuffled"))
    left_out = f", without {', '.join(WITHOUT[name][0] for name in without)}" if without else ""
    if found or left_out:
        st.html(prose.labelled(f"Now{left_out}:", edited(text, found).text))
    if "residuals" in without or "norms" in without:
        st.caption("A model that never learned to do without mostly falls apart: that shows what the part carries.")
    return found


def _clicked(text: str, spans: list[Span]) -> frozenset[int]:
    """The words of a text, to be clicked; the places of those that are."""
    if not spans:
        st.caption("This text has no word to click.")
        return frozenset()
    # Streamlit tells buttons apart by their labels: of two equal words it would take the last.
    labels = apart(prose.plain(visible(text[slice(*span)])) for span in spans[:MOST_WORDS])
    places = [str(place) for place in range(len(labels))]
    chosen = state.several(
        st.pills, "changed", "Click a word to hide or replace it", places, lambda place: labels[int(place)],
        selection_mode="multi",
    )  # fmt: skip
    return frozenset(map(int, chosen))


def inside(column: Column) -> Changes:
    """What the learner changes in a column's model."""
    without = tuple(WITHOUT[name][1] for name in state.chosen("without", WITHOUT))
    off, scaled = state.sided("off", column.side), state.sided("scaled", column.side)
    of_heads, of_neurons = _heads(column), _neurons(column)
    count = len(state.chosen(off, of_heads)) + len(state.chosen(scaled, of_neurons))
    label = f"Heads and neurons ({count} changed)" if count else "Heads and neurons"
    with st.popover(label, icon=":material/tune:", width="stretch"):
        heads = state.several(st.multiselect, off, "Heads that are off", of_heads, _head_name)
        neurons = state.several(st.multiselect, scaled, "Neurons", of_neurons, _neuron_name)
        factor = state.mirror(
            st.segmented_control, state.sided("factor", column.side), "These neurons’ activations", required=True,
            options=list(choices.FACTORS), format_func=choices.FACTORS.__getitem__,
        )  # fmt: skip
        st.caption(f"Offered are the {EACH_LAYER} most active neurons of each layer, and any that the address names.")
    return Changes(
        frozenset(head for name in heads for head in _off(name, column.read.model.heads)),
        tuple((layer - 1, neuron - 1, factor) for layer, neuron in map(_pair, neurons)),
        without,
    )


def flips(columns: Sequence[Column]) -> None:
    """Choices in the making of an encoder in which the articles, BERT and the textbook differ."""
    if not any(column.from_scratch for column in columns):
        return
    count = sum(bool(state.get(f"flip_{name}")) for name in WORDS)
    with st.popover(f"Flip a choice ({count} flipped)" if count else "Flip a choice", icon=":material/tune:"):
        st.caption("The encoder from scratch with its own weights, made otherwise. It was never trained so.")
        st.caption(prose.asset("explain/articles.md"))
        for name, (label, options) in WORDS.items():
            state.mirror(st.selectbox, f"flip_{name}", label, options=list(options), format_func=options.__getitem__)


def making(column: Column) -> Changes:
    """The choices that were flipped, for a column whose encoder is from scratch."""
    chosen = {name: state.get(f"flip_{name}") for name in WORDS} if column.from_scratch else {}
    return Changes(choices=tuple((name, choices.FLIPS[name][value]) for name, value in chosen.items() if value))


def _heads(column: Column) -> list[str]:
    """Every layer's attention, then each of its heads: layer.head, 0 for all of them."""
    card = column.read.model
    return [f"{layer}.{head}" for layer in range(1, card.layers + 1) for head in range(card.heads + 1)]


def _off(name: str, heads: int) -> Iterator[tuple[int, int]]:
    layer, head = _pair(name)
    return ((layer - 1, number - 1) for number in ([head] if head else range(1, heads + 1)))


def _head_name(name: str) -> str:
    layer, head = _pair(name)
    return f"layer {layer}, head {head}" if head else f"layer {layer}, all heads"


def _neurons(column: Column) -> list[str]:
    return [*_most_active(column.read), *_asked_for(column)]


def _most_active(read: Trace) -> list[str]:
    return [
        f"{number}.{neuron + 1}"
        for number, layer in enumerate(read.layers, 1)
        for neuron in sorted(most_active(layer.neurons, EACH_LAYER).tolist())
    ]


def _asked_for(column: Column) -> Iterator[str]:
    card, offered = column.read.model, set(_most_active(column.read))
    for name in dict.fromkeys(filter(None, state.get(state.sided("scaled", column.side)).split("-"))):
        layer, neuron = _pair(name)
        known = 1 <= layer <= card.layers and 1 <= neuron <= card.ffn_width
        if known and name == f"{layer}.{neuron}" and name not in offered:
            yield name


def _neuron_name(name: str) -> str:
    return "layer {}, neuron {}".format(*_pair(name))


def _pair(name: str) -> tuple[int, int]:
    layer, number = name.split(".")
    return int(layer), int(number)
