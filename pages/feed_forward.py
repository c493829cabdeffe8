"""Feed-forward: which neurons speak for which tokens."""

import streamlit as st

from encoder.figures import feed_forward as figures
from encoder.measures import sparsity
from pages.shared import prose, state
from pages.shared.columns import columns, switch

VIEWS = {"after": "After the activation function", "before": "Before it"}

prose.title(
    "Feed-forward", "Each token, by itself, switches neurons on, and they write into its vector.", "feed_forward"
)
switch("neuron_view", VIEWS)
before = state.get("neuron_view") == "before"

for column in columns():
    with column:
        trace, colour, tokens = column.trace, column.colour, column.trace.tokens.text
        number = column.layer()
        layer = trace.layers[number]
        column.show(
            figures.neuron_map(layer, tokens, before), f"the most active neurons of layer {number + 1}, by token"
        )
        left, right = st.columns(2)
        with left:
            column.show(
                figures.strongest_neurons(layer.neurons, column.token(), colour), "strongest neurons of a token"
            )
        with right:
            neuron = column.neuron(number)
            column.show(figures.strongest_tokens(layer.neurons, neuron, tokens, colour), "strongest tokens of a neuron")
        st.caption("Silent neurons: the share of activations that say (almost) nothing, in each layer.")
        shares = [sparsity(each.neurons) for each in column.read.layers]
        column.show(figures.silent_bars(shares, colour, number), "share of silent neurons in each layer")
