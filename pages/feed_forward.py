"""Feed-forward: which neurons speak for which tokens."""

import streamlit as st

from encoder.figures import feed_forward as figures
from encoder.figures.feed_forward import AFTER, BEFORE
from encoder.measures import below_zero
from encoder.quantities import QUANTITIES, silent
from pages.shared import prose, state, surveys
from pages.shared.columns import OFFERED, Column, columns, switch

VIEWS = {
    "corpus": "Example sentences",
    "after": "After the activation function",
    "before": "Before the activation function",
}
SCALES = (
    "Violet is below zero, green above. Each model has a scale of its own: the bar beside the map tells it, and larger "
    "values have its last colour."
)
SILENT = "Silent neurons: the share of activations that say (almost) nothing, in each layer."
SHARES = {"silent": "share of silent neurons, by layer", "below zero": "share of preactivations below zero, by layer"}
BELOW = "Values below zero, in each layer: ReLU makes all of them 0, GELU leaves little of them."


def this_text(column: Column, before: bool) -> None:
    """The neurons of one layer in this text."""
    trace, colour, tokens = column.trace, column.colour, column.trace.tokens.text
    number = column.layer()
    layer, unit = trace.layers[number], BEFORE if before else AFTER
    values = layer.preactivation if before else layer.neurons
    st.caption(f"The {unit}s of the {figures.MANY} neurons that are most active at any token of this text. {SCALES}")
    said = f"{unit}s of the most active neurons of layer {number + 1}, by token"
    column.show(figures.neuron_map(layer, tokens, before), said)
    left, right = st.columns(2) if column.wide else (st.container(), st.container())
    with left:
        token = column.token()
        st.caption(f"At “{prose.plain(prose.line(tokens[token]))}”, the neurons with the largest {unit}s, in size.")
        bars = figures.strongest_neurons(values, token, colour, unit)
        column.show(bars, f"{unit}s of the strongest neurons of a token")
    with right:
        neuron = column.neuron(number)
        st.caption(f"Of neuron {neuron + 1}, the tokens with the largest {unit}s, in size.")
        bars = figures.strongest_tokens(values, neuron, tokens, colour, unit)
        column.show(bars, f"{unit}s of the strongest tokens of a neuron")
    if before:
        st.caption(BELOW)
        shares, share = [below_zero(each.preactivation) for each in trace.layers], "below zero"
    else:
        st.caption(f"Silent neurons in each layer. {QUANTITIES['silent'].meaning}")
        shares, share = silent(column.read, state.get("words"), state.get("hide")).mean(1).tolist(), "silent"
    column.show(figures.share_bars(shares, colour, number, share), SHARES[share])


def example_sentences(column: Column, other: Column | None) -> None:
    """One neuron over the example sentences: where it is most active, and what goes with it in the other model."""
    found = surveys.of(column)
    if found is None:
        st.caption("Until then, the neurons in this text:")
        this_text(column, before=False)
        return
    clear = surveys.clear(found)
    left, right = st.columns(2)
    with left:
        number = column.layer(clear.layer)
    offered = clear.order[number, :OFFERED].tolist()
    with right:
        neuron = column.neuron(number, offered, lambda neuron: surveys.word_of(found, number, neuron))
    st.caption(surveys.about(found, number, neuron))
    st.html(surveys.sentences_of(found, number, neuron, column.side))
    if other and (theirs := surveys.ready(other.side)):
        close = [
            f"layer {layer + 1}, neuron {theirs_neuron + 1} (r = {r:.2f})"
            for layer, theirs_neuron, r in surveys.partners(found, theirs, number, neuron)
            if r >= surveys.CLOSE
        ]
        name, alike = prose.plain(other.read.model.name), "; ".join(close) or "none"
        st.caption(f"Neurons of {name} that are active at the same words (every fourth word is compared): {alike}.")
    st.caption(SILENT)
    column.show(figures.share_bars(found.silent.tolist(), column.colour, number, "silent"), SHARES["silent"])


view = state.get("neuron_view")
prose.title(
    "Feed-forward", "Each token, by itself, switches neurons on, and they write into its vector.", "feed_forward", view
)
switch("neuron_view", VIEWS)
if view == "corpus":
    st.caption(
        "Each list offers the neurons of its layer with the clearest examples: most of them mark the same word, or lie "
        "in sentences of the same kind, and the neuron is far more active there than elsewhere."
    )
both = list(columns())
for column in both:
    with column:
        if view == "corpus":
            example_sentences(column, next((other for other in both if other is not column), None))
        else:
            this_text(column, before=view == "before")
