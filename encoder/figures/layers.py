"""Layers: one quantity through the whole stack, token by token or head by head, and its mean in both models."""

from collections.abc import Mapping, Sequence

import numpy as np

from encoder.figures.style import (
    SIGNED_SCALE,
    Drawn,
    Figure,
    across,
    colour_bar,
    escape,
    heat,
    labels,
    layer_names,
    picture,
    plain_scale,
    probability_opacity,
    probability_scale,
    stack_height,
    written,
)
from encoder.labels import visible
from encoder.quantities import Quantity
from encoder.trace import Array, Guess


def reach(every: Sequence[Array], quantity: Quantity) -> tuple[float, float]:
    """The lowest and the highest number of a scale that fits the values of all models, so that colours compare."""
    low = min(0.0, *(float(values.min()) for values in every))
    high = quantity.top or max(float(values.max()) for values in every)
    if low < 0:  # signed: zero stays in the middle
        low, high = -max(high, -low), max(high, -low)
    return low, high if high > low else low + 1  # where all is the same there is no scale to read off


def quantity_map(
    values: Array, columns: Sequence[str], colour: str, quantity: Quantity, limits: tuple[float, float]
) -> Figure:
    """[layer, token or head] as a heat map with the first layer at the bottom, as the stack is drawn in the paper."""
    names = [f"layer {number}" if number else "embedding" for number in _numbers(values, quantity)]
    scale = SIGNED_SCALE if limits[0] < 0 else plain_scale(colour)
    hover, bar = "%{y}, %{x}<br>%{z:.3f}<extra></extra>", colour_bar(quantity.unit)
    columns = labels(columns) if quantity.across == "token" else columns  # heads are named by us
    drawn = heat(values, names, columns, scale, limits, colorbar=bar, hovertemplate=hover)
    return picture([drawn], height=stack_height(len(names)), xaxis=across())


def mean_line(values: Array, colour: str, quantity: Quantity) -> Drawn:
    """The mean of the quantity in each layer, as a line."""
    return {
        "type": "scatter", "x": _numbers(values, quantity), "y": values.mean(1), "mode": "lines+markers",
        "line": {"color": colour, "width": 2}, "hovertemplate": "layer %{x}: %{y:.3f}<extra></extra>",
    }  # fmt: skip


def compare(lines: Mapping[str, Drawn], quantity: Quantity) -> Figure:
    """The means of several models in one picture, by name."""
    traces = [{**line, "name": escape(name)} for name, line in lines.items()]
    layers, unit = {"title": {"text": "layer"}, "dtick": 1}, {"title": {"text": quantity.unit}, "rangemode": "tozero"}
    legend = {"orientation": "h", "y": 1.15}
    return picture(traces, height=280, showlegend=True, legend=legend, xaxis=layers, yaxis=unit)


def guesses(found: Sequence[Guess], colour: str) -> Figure:
    """What is guessed at one hidden token after each layer: a row a layer, the likeliest word on the left."""
    names = layer_names(len(found))
    shares = np.array([guess.shares for guess in found])
    words = [[escape(visible(token, 14)) for token in guess.tokens] for guess in found]
    ranks = [f"{number}." for number in range(1, shares.shape[1] + 1)]
    drawn = heat(
        shares, names, ranks, probability_scale(colour), (0, 1), text=words, xgap=2, ygap=2,
        hovertemplate="%{y}: %{text}<br>%{z:.1%}<extra></extra>", colorbar=colour_bar("probability"),
    )  # fmt: skip
    said = written(words, names, ranks, probability_opacity(shares), size=12)
    return picture([drawn, *said], height=110 + 34 * len(names), xaxis={"type": "category", "side": "top"})


def head_names(count: int) -> list[str]:
    return [f"head {number + 1}" for number in range(count)]


def _numbers(values: Array, quantity: Quantity) -> list[int]:
    """The number of each row's layer: 0 is the embedding."""
    first = 0 if quantity.from_embedding else 1
    return list(range(first, first + len(values)))
