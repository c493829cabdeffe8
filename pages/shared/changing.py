"""The What if page's choices: what is otherwise in the text, for both columns, and in each column's model."""

from collections.abc import Iterator, Sequence

import streamlit as st

from encoder.changes import Changes
from encoder.edits import Edit, Span, real, words
from encoder.labels import apart, visible
from encoder.measures import most_active
from encoder.starts import noun
from encoder.tokens import MASKS
from encoder.trace import Trace
from pages.shared import choices, prose, state, traces
from pages.shared.columns import SIDES, Column

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
    """What the learner does to the text, or our example: a noun is masked, and nothing else is changed."""
    text = traces.text()
    state.keep_example(off="", off_b="")
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
    if "residuals" in without or "norms" in without:
        st.caption("A model that never learned to do without mostly falls apart: that shows what the part carries.")
    return real(text, Edit(changed, state.get("put_in"), state.get("shuffled")))


def has_mask() -> bool:
    """Whether a token is masked as the text was typed: then our example masks no second one."""
    return any(mask in traces.text(name) for name in ("text", "pair") for mask in MASKS)


def _example(text: str) -> int | None:
    """The word that our example masks."""
    return noun(text) if state.is_example() and not has_mask() else None


def _clicked(text: str, spans: list[Span]) -> frozenset[int]:
    """The words of a text, to be clicked; the places of those that are."""
    if not spans:
        st.caption("This text has no word to click.")
        return frozenset()
    # Streamlit tells buttons apart by their labels: of two equal words it would take the last.
    labels = apart(prose.plain(visible(text[slice(*span)])) for span in spans[:MOST_WORDS])
    places = [str(place) for place in range(len(labels))]
    ours = str(_example(text))
    chosen = state.several(
        st.pills, "changed", "Click a word to mask or replace it", places, lambda place: labels[int(place)],
        wish=[ours] if ours in places else None, selection_mode="multi",
    )  # fmt: skip
    return frozenset(map(int, chosen))


def inside(column: Column) -> Changes:
    """What the learner changes in a column's model, or our example: the head that opens this page is off.

    What the model is without already is no change. Raises ModelError.
    """
    without = tuple(WITHOUT[name][1] for name in state.chosen("without", WITHOUT))
    off, scaled = state.sided("off", column.side), state.sided("scaled", column.side)
    of_heads, of_neurons = _heads(column), _neurons(column)
    count = len(heads_off(column)) + len(state.chosen(scaled, of_neurons))
    label = f"Heads and neurons ({count} changed)" if count else "Heads and neurons"
    with st.popover(label, icon=":material/tune:", width="stretch"):
        heads = state.several(st.multiselect, off, "Heads that are off", of_heads, head_name, wish=heads_off(column))
        neurons = state.several(st.multiselect, scaled, "Neurons", of_neurons, neuron_name)
        factor = state.mirror(
            st.segmented_control, state.sided("factor", column.side), "These neurons’ activations", required=True,
            options=list(choices.FACTORS), format_func=choices.FACTORS.__getitem__,
        )  # fmt: skip
        st.caption(
            f"Offered are the {EACH_LAYER} most active neurons of each layer, and any that the address names. "
            "A neuron’s number is its place in the layer; it has no other name."
        )
    return Changes(
        frozenset(head for name in heads for head in _off(name, column.read.model.heads)),
        tuple((layer - 1, neuron - 1, factor) for layer, neuron in map(_pair, neurons)),
        traces.differences(column.side, without),
    )


def heads_off(column: Column) -> list[str]:
    """The names of the heads that are off in a column."""
    ours = _example_head(column)
    return state.chosen(state.sided("off", column.side), _heads(column)) if ours is None else ours


def _example_head(column: Column) -> list[str] | None:
    """The head that our example has off where no word is masked for it; None once the learner chooses."""
    if not state.is_example() or _example(traces.text()) is not None:
        return None
    ours = f"{column.start.layer + 1}.{column.start.head + 1}"
    state.keep_example(**{state.sided("off", column.side): ours})
    return [ours]


def flips(columns: Sequence[Column]) -> None:
    """Choices in the making of an encoder in which the articles, BERT and the textbook differ."""
    own = [column for column in columns if column.from_scratch]
    if not own:
        return
    count = len({name for column in own for name, _ in making(column).choices})
    with st.popover(f"Flip a choice ({count} flipped)" if count else "Flip a choice", icon=":material/tune:"):
        st.caption("The encoder from scratch with its own weights, made otherwise. It was never trained so.")
        st.caption(prose.asset("explain/articles.md"))
        for name, (label, options) in WORDS.items():
            titles = {value: title + _already(name, value, own) for value, title in options.items()}
            state.mirror(
                st.selectbox, f"flip_{name}", label, options=list(titles), format_func=titles.__getitem__
            )  # fmt: skip


def _already(name: str, value: str, own: Sequence[Column]) -> str:
    """What stands beside an option that is no change for some of the encoders from scratch."""
    if not value:
        return ""
    choice = (name, choices.FLIPS[name][value])
    same = [SIDES[column.side].lower() for column in own if not traces.differences(column.side, (choice,))]
    return "" if not same else " · already so" if len(same) == len(own) else f" · already so on the {same[0]}"


def making(column: Column) -> Changes:
    """The choices that were flipped, for a column whose encoder is from scratch: to what it is not already."""
    chosen = {name: state.get(f"flip_{name}") for name in WORDS} if column.from_scratch else {}
    flipped = tuple((name, choices.FLIPS[name][value]) for name, value in chosen.items() if value)
    return Changes(choices=traces.differences(column.side, flipped))


def _heads(column: Column) -> list[str]:
    """Every layer's attention, then each of its heads: layer.head, 0 for all of them."""
    card = column.read.model
    return [f"{layer}.{head}" for layer in range(1, card.layers + 1) for head in range(card.heads + 1)]


def _off(name: str, heads: int) -> Iterator[tuple[int, int]]:
    layer, head = _pair(name)
    return ((layer - 1, number - 1) for number in ([head] if head else range(1, heads + 1)))


def head_name(name: str) -> str:
    """What the learner reads of a head, or of all heads of a layer."""
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


def neuron_name(name: str) -> str:
    """What the learner reads of a neuron."""
    return "layer {}, neuron {}".format(*_pair(name))


def _pair(name: str) -> tuple[int, int]:
    layer, number = name.split(".")
    return int(layer), int(number)
