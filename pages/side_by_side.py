"""Side by side: one sentence, two encoders, a small picture of every stage."""

import streamlit as st

from encoder.figures import thumbnails
from pages.shared import prose, trouble
from pages.shared.cards import card, chips, guesses, stage
from pages.shared.columns import columns, switch

prose.title(
    "Side by side",
    "The same sentence, read by an encoder written from scratch and by a pretrained BERT.",
    "side_by_side",
)
switch()
for column in columns():
    with column:
        trace, colour = column.trace, column.colour
        chips(trace)
        with trouble.said():  # of a head for predictions alone: what the layers made is true
            guesses(column)
        first, second = st.columns(2, wrap=False)
        with first:
            strip = thumbnails.embedding_strip(trace)
            stage(
                strip,
                "pages/embeddings.py",
                "Embeddings",
                "each token's embedding, a row a token, its first 96 numbers",
            )
            neurons = thumbnails.neuron_strip(trace)
            stage(
                neurons, "pages/feed_forward.py", "Feed-forward", "the last layer's strongest neurons, a row a neuron"
            )
        with second:
            atlas = thumbnails.attention_atlas(trace, colour)
            stage(atlas, "pages/attention.py", "Attention", "all heads as small maps, a row a layer, a column a head")
            changes = thumbnails.layer_changes(trace, colour)
            stage(changes, "pages/layers.py", "Layers", "how far each layer turns each token, a row a layer")
        card(column.read)
