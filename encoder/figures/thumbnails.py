"""Small pictures for the Side by side page: a pixel a number, drawn as PNG because Plotly needs 10 ms for each."""

from io import BytesIO

import numpy as np
from PIL import Image

from encoder import measures
from encoder.figures.style import NEGATIVE, POSITIVE, reach_of
from encoder.quantities import QUANTITIES
from encoder.trace import Array, Trace

GAP = 1  # pixels between the heads of the atlas
MOST_PIXELS = 24  # a head there


def embedding_strip(trace: Trace) -> bytes:
    """PNG of the embedding: a row a token, a column a channel (the first 96), violet below zero, green above."""
    values = trace.embedding.output[:, :96]
    return _signed(values, reach_of(values))


def attention_atlas(trace: Trace, colour: str) -> bytes:
    """PNG of all heads of all layers: a row per layer, the first at the bottom, a column per head, each from 0 to 1.

    At most 24 pixels a head: of a longer text a pixel shows the largest weight of the tokens it stands for.
    """
    attention = np.stack([layer.attention for layer in trace.layers[::-1]])  # [layer, head, query, key]
    attention = measures.coarse(attention, MOST_PIXELS)
    layers, heads, tokens, _ = attention.shape
    tiles = np.pad(attention, ((0, 0), (0, 0), (0, GAP), (0, GAP)), constant_values=np.nan)
    side = tokens + GAP
    return _ink(tiles.transpose(0, 2, 1, 3).reshape(layers * side, heads * side)[:-GAP, :-GAP], colour)


def neuron_strip(trace: Trace) -> bytes:
    """PNG of the last layer's 24 most active neurons: a row a neuron, a column a token."""
    neurons = trace.layers[-1].neurons
    values = neurons[:, measures.most_active(neurons, 24)].T
    return _signed(values, reach_of(values))


def layer_changes(trace: Trace, colour: str) -> bytes:
    """PNG of how far each layer turns each token: a row a layer, the first at the bottom, a column a token."""
    changes = QUANTITIES["change"].of(trace)
    return _ink((changes[::-1] / max(1e-9, changes.max())) ** 2, colour)  # the ink's root undone: a plain scale


def _ink(values: Array, colour: str) -> bytes:
    """0–1 as opacity of a colour, growing with the square root as in the large maps; NaN is left clear."""
    alpha = np.sqrt(np.nan_to_num(values).clip(0, 1))
    return _png(np.broadcast_to(_rgb(colour), (*values.shape, 3)), alpha)


def _signed(values: Array, reach: float) -> bytes:
    rgb = np.where(values[..., None] < 0, _rgb(NEGATIVE), _rgb(POSITIVE))
    return _png(rgb, (abs(values) / reach).clip(0, 1))


def _rgb(colour: str) -> Array:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.uint8)


def _png(rgb: Array, alpha: Array) -> bytes:
    pixels = np.concatenate([rgb, np.round(alpha[..., None] * 255).astype(np.uint8)], -1).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(pixels, "RGBA").save(file, "PNG", compress_level=1)
    return file.getvalue()
