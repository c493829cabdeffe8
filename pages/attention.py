"""Attention: who reads whom, in every head."""

from encoder.figures import attention as figures
from pages.shared import bertviz, prose, state
from pages.shared.columns import columns, switch

VIEWS = {"maps": "Heat maps", "head": "BertViz heads", "model": "BertViz model", "neuron": "BertViz neurons"}

prose.title(
    "Attention", "In every head, each token decides anew which tokens it reads, and how much of each.", "attention"
)
switch("attention_view", VIEWS)
view = state.get("attention_view")
if view != "maps":
    prose.more("How to read BertViz", "bertviz")

for column in columns():
    with column:
        trace, colour, tokens = column.trace, column.colour, column.trace.tokens.text
        layer, head = column.layer_and_head() if view != "model" else (0, 0)
        if view == "maps":
            attention = trace.layers[layer].attention
            column.show(
                figures.all_heads(attention, tokens, colour, head, 6 if column.wide else 4),
                f"attention of all heads of layer {layer + 1}",
            )
            column.show(
                figures.one_head(attention[head], tokens, colour), f"attention of head {head + 1} of layer {layer + 1}"
            )
        else:
            # The neuron view computes attention from queries and keys, which holds for the tokens that were read only.
            bertviz.show(view, column.read if view == "neuron" else trace, layer, head)
