"""Feed-forward: which neurons speak for which tokens."""

import streamlit as st

from encoder.figures import feed_forward as figures
from encoder.quantities import QUANTITIES, silent
from pages.shared import prose, state, surveys
from pages.shared.columns import OFFERED, Column, columns, switch

VIEWS = {"after": "After the activation function", "before": "Before it", "corpus": "Over the example sentences"}


def this_text(column: Column, before: bool) -> None:
    """The neurons of one layer in this text."""
    trace, colour, tokens = column.trace, column.colour, column.trace.tokens.text
    number = column.layer()
    layer = trace.layers[number]
    column.show(figures.neuron_map(layer, tokens, before), f"the most active neurons of layer {number + 1}, by token")
    left, right = st.columns(2)
    with left:
        column.show(figures.strongest_neurons(layer.neurons, column.token(), colour), "strongest neurons of a token")
    with right:
        neuron = column.neuron(number)
        column.show(figures.strongest_tokens(layer.neurons, neuron, tokens, colour), "strongest tokens of a neuron")
    st.caption(f"Silent neurons in each layer. {QUANTITIES['silent'].meaning}")
    shares = silent(column.read, state.get("words"), state.get("hide")).mean(1).tolist()
    column.show(figures.silent_bars(shares, colour, number), "share of silent neurons in each layer")


def example_sentences(column: Column, other: Column | None) -> None:
    """One neuron over the example sentences: where it is most active, and what goes with it in the other model."""
    found = surveys.of(column)
    if found is None:
        return
    number = column.layer()
    neuron = column.neuron(number, found.most_active(number, OFFERED))
    st.caption(f"Where this neuron is most active in {found.sentences} example sentences.")
    st.html(surveys.sentences_of(found, number, neuron, column.side))
    if other and (theirs := surveys.ready(other.side)):
        close = [
            f"layer {layer + 1}, neuron {theirs_neuron + 1} (r = {r:.2f})"
            for layer, theirs_neuron, r in surveys.partners(found, theirs, number, neuron)
            if r >= surveys.CLOSE
        ]
        name, alike = prose.plain(other.read.model.name), "; ".join(close) or "none"
        st.caption(f"Neurons of {name} that are active at the same words (every fourth word is compared): {alike}.")
    st.caption("Silent neurons: the share of activations that say (almost) nothing, in each layer.")
    column.show(figures.silent_bars(found.silent.tolist(), column.colour, number), "share of silent neurons, by layer")


prose.title(
    "Feed-forward", "Each token, by itself, switches neurons on, and they write into its vector.", "feed_forward"
)
switch("neuron_view", VIEWS)
view = state.get("neuron_view")
both = list(columns())
for column in both:
    with column:
        if view == "corpus":
            example_sentences(column, next((other for other in both if other is not column), None))
        else:
            this_text(column, before=view == "before")
