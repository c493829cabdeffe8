"""What if: how far a change turns every token, and how much each head's absence does."""

from collections.abc import Iterable, Sequence

import numpy as np

from encoder.figures.style import (
    Figure,
    across,
    colour_bar,
    heat,
    labels,
    layer_names,
    picture,
    plain_scale,
    present_scale,
    stack_height,
)
from encoder.trace import Array


def reach(every: Iterable[Array]) -> float:
    """The highest number of a scale that fits how far all models' states turned, so that colours compare."""
    return max([0.01, *(float(np.nanmax(values, initial=0.0)) for values in every)])


def turned(values: Array, tokens: Sequence[str], colour: str, top: float) -> Figure:
    """[layer, token] 1 − cosine between the same hidden states of two readings, the first layer at the bottom.

    NaN, where a token is not in both, stays empty. top: the highest number of the scale, `reach`.
    """
    names = layer_names(len(values))
    drawn = heat(
        values, names, labels(tokens), present_scale(colour),
        (0, top), colorbar=colour_bar("1 − cosine"),
        hovertemplate="%{y}, %{x}<br>%{z:.4f}<extra></extra>",
    )  # fmt: skip
    return picture([drawn], height=stack_height(len(names)), xaxis=across())


def ranking(values: Array, colour: str, unit: str) -> Figure:
    """[layer, head] as a heat map, the first layer at the bottom."""
    layers, heads = values.shape
    drawn = heat(
        values, layer_names(layers), [str(number + 1) for number in range(heads)],
        plain_scale(colour), (0, max(1e-3, float(values.max()))), xgap=2, ygap=2,
        colorbar=colour_bar(unit), hovertemplate="%{y}, head %{x}<br>%{z:.4f}<extra></extra>",
    )  # fmt: skip
    axis = {"type": "category", "title": {"text": "head"}}
    return picture([drawn], height=stack_height(layers), xaxis=axis)
