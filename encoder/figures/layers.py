"""Layers: one quantity through the whole stack, token by token or head by head, and its mean in both models."""

from collections.abc import Mapping, Sequence

import numpy as np

from encoder.figures.style import (
    SIGNED_SCALE,
    Drawn,
    Figure,
    across,
    colour_bar,
    depth,
    escape,
    heat,
    labels,
    picture,
    plain_scale,
    probability_opacity,
    probability_scale,
    stack_height,
    written,
)
from encoder.labels import beginning, visible
from encoder.quantities import Quantity
from encoder.trace import Array, Guess

MOST_NAMED = 24  # tokens that all have their names below a map, on a phone too


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
    names = [str(number) for number in _numbers(values, quantity)]
    scale = SIGNED_SCALE if limits[0] < 0 else plain_scale(colour)
    of_tokens = quantity.across == "token"
    columns = labels(columns) if of_tokens else columns  # heads are named by us
    where = "%{x}" if of_tokens else "head %{x}"
    hover, bar = f"layer %{{y}}, {where}<br>%{{z:.3f}}<extra></extra>", colour_bar(quantity.unit)
    drawn = heat(values, names, columns, scale, limits, colorbar=bar, hovertemplate=hover)
    below: Drawn = {"title": {"text": quantity.across}}
    below |= {"dtick": 1} if len(columns) <= MOST_NAMED else {}
    below |= {} if of_tokens else {"tickangle": 0}
    return picture([drawn], height=stack_height(len(names)), yaxis=_layers(quantity), xaxis=across(**below))


def mean_line(values: Array, colour: str, quantity: Quantity) -> Drawn:
    """The mean of the quantity in each layer, as a line."""
    return {
        "type": "scatter", "x": _numbers(values, quantity), "y": values.mean(1), "mode": "lines+markers",
        "cliponaxis": False, "line": {"color": colour, "width": 2},
        "hovertemplate": "layer %{x}: %{y:.3f}<extra></extra>",
    }  # fmt: skip


def compare(lines: Mapping[str, Drawn], quantity: Quantity) -> Figure:
    """The means of several models in one picture, by name."""
    traces = [{**line, "name": escape(name)} for name, line in lines.items()]
    layers = {"title": _layers(quantity)["title"], "dtick": 1}
    unit = {"title": {"text": quantity.unit}, "rangemode": "tozero"}
    legend = {"orientation": "h", "y": 1.15}
    return picture(traces, height=280, showlegend=True, legend=legend, xaxis=layers, yaxis=unit)


def predictions(found: Sequence[Guess], colour: str) -> Figure:
    """The predictions at one masked token after each layer: one row per layer, the likeliest token on the left.

    No colour bar: the words need its room, and a cell says its probability on hover.
    """
    names = [str(number) for number in range(1, len(found) + 1)]
    shares = np.array([guess.shares for guess in found])
    whole = [[escape(visible(token)) for token in guess.tokens] for guess in found]
    words = [[escape(beginning(token)) for token in guess.tokens] for guess in found]
    ranks = [f"{number}." for number in range(1, shares.shape[1] + 1)]
    drawn = heat(
        shares, names, ranks, probability_scale(colour), (0, 1), text=whole, xgap=2, ygap=2, showscale=False,
        hovertemplate="after layer %{y}: %{text}<br>probability %{z:.1%}<extra></extra>",
    )  # fmt: skip
    said = written(words, names, ranks, probability_opacity(shares), size=11)
    title = {"text": "likeliest first", "standoff": 4}
    return picture(
        [drawn, *said], height=80 + 28 * len(names), yaxis=depth(), xaxis=across(side="top", tickangle=0, title=title)
    )


def head_names(count: int) -> list[str]:
    return [str(number + 1) for number in range(count)]


def _layers(quantity: Quantity) -> Drawn:
    """The axis of layers, which says what 0 is where there is one."""
    return depth(title={"text": "layer (0: the embedding)"}) if quantity.from_embedding else depth()


def _numbers(values: Array, quantity: Quantity) -> list[int]:
    """The number of each row's layer: 0 is the embedding."""
    first = 0 if quantity.from_embedding else 1
    return list(range(first, first + len(values)))
