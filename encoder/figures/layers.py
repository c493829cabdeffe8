"""Layers: one quantity through the whole stack, token by token or head by head, and its mean in both models."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from encoder.figures.style import colour_bar, escape, finish, heat, labels, rgba
from encoder.quantities import Quantity
from encoder.trace import Array


def quantity_map(values: Array, columns: Sequence[str], colour: str, quantity: Quantity) -> go.Figure:
    """[layer, token or head] as a heat map with the first layer at the bottom, as the stack is drawn in the paper."""
    names = [f"layer {number}" if number else "embedding" for number in _numbers(values, quantity)]
    scale = [(0.0, rgba(colour, 0)), (1.0, rgba(colour, 1))]
    low, high = min(0.0, float(values.min())), quantity.top or float(values.max()) or 1.0
    hover, bar = "%{y}, %{x}<br>%{z:.3f}<extra></extra>", colour_bar(quantity.unit)
    figure = go.Figure(
        heat(values, names, labels(columns), scale, zmin=low, zmax=high, colorbar=bar, hovertemplate=hover)
    )
    figure.update_xaxes(type="category", tickangle=-60)
    return finish(figure, height=max(240, 110 + 30 * len(names)))


def mean_line(values: Array, colour: str, quantity: Quantity) -> go.Scatter:
    """The mean of the quantity in each layer, as a line."""
    hover = "layer %{x}: %{y:.3f}<extra></extra>"
    line = {"color": colour, "width": 2}
    return go.Scatter(
        x=_numbers(values, quantity), y=values.mean(1), mode="lines+markers", line=line, hovertemplate=hover
    )


def compare(lines: Mapping[str, go.Scatter], quantity: Quantity) -> go.Figure:
    """The means of several models in one picture, by name."""
    figure = go.Figure([line.update(name=escape(name)) for name, line in lines.items()])
    figure.update_xaxes(title_text="layer", dtick=1)
    figure.update_yaxes(title_text=quantity.unit, rangemode="tozero")
    return finish(figure, height=280, showlegend=True, legend={"orientation": "h", "y": 1.15})


def head_names(count: int) -> list[str]:
    return [f"head {number + 1}" for number in range(count)]


def _numbers(values: Array, quantity: Quantity) -> list[int]:
    """The number of each row's layer: 0 is the embedding."""
    first = 0 if quantity.from_embedding else 1
    return list(range(first, first + len(values)))
