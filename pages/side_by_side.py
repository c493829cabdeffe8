"""Side by side: one sentence, two encoders, a small picture of every stage."""

import streamlit as st

from encoder.figures import thumbnails
from pages.shared import prose, trouble
from pages.shared.cards import card, chips, guesses, stage
from pages.shared.columns import columns, switch

prose.title("Side by side", "The same sentence, read by two models side by side.", "side_by_side")
switch()
st.caption(
    "Attention has one scale in both models, from 0 to 1; every other picture has its own: compare patterns, not how "
    "deep the colours are."
)
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
                strip, "pages/embeddings.py", "Embeddings", "one row per token: the first 96 numbers of its embedding"
            )
            neurons = thumbnails.neuron_strip(trace)
            stage(
                neurons,
                "pages/feed_forward.py",
                "Feed-forward",
                "one row per neuron: the most active of the last layer; one column per token",
            )
        with second:
            atlas = thumbnails.attention_atlas(trace, colour)
            stage(
                atlas,
                "pages/attention.py",
                "Attention",
                "one row per layer, layer 1 at the bottom; one small map per head",
            )
            changes = thumbnails.layer_changes(trace, colour)
            stage(
                changes,
                "pages/layers.py",
                "Layers",
                "one row per layer, layer 1 at the bottom: how far it turns each token",
            )
        card(column.read)
