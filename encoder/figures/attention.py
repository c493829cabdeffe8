"""Attention: all heads of a layer as small maps, and one head large with its numbers."""

from collections.abc import Sequence
from math import ceil

import plotly.graph_objects as go

from encoder.figures.style import colour_bar, finish, heat, labels, probability_scale
from encoder.trace import Array

FROM, TO = "from: the token that reads (query)", "to: the token that is read (key)"
MOST_NUMBERS = 18  # tokens up to which every cell of the large map has room for its number


def all_heads(attention: Array, tokens: Sequence[str], colour: str, chosen: int, columns: int = 4) -> go.Figure:
    """Every head of a layer, [head, query, key], as a small map on the 0–1 scale; the chosen one's title is bold."""
    heads, names = len(attention), labels(tokens)
    columns = min(columns, heads)
    rows = ceil(heads / columns)
    scale = {"colorscale": probability_scale(colour), "cmin": 0, "cmax": 1}
    maps, layout = [], {"coloraxis": {**scale, "showscale": False}}
    for head in range(heads):
        row, column = divmod(head, columns)
        axis = str(head + 1) if head else ""
        across, down = (column / columns, (column + 0.93) / columns), (1 - (row + 0.86) / rows, 1 - row / rows)
        layout[f"xaxis{axis}"] = {
            "type": "category", "domain": across, "anchor": f"y{axis}", "tickangle": -90,
            "showticklabels": row == rows - 1,
        }  # fmt: skip
        layout[f"yaxis{axis}"] = {
            "type": "category", "domain": down, "anchor": f"x{axis}", "autorange": "reversed",
            "showticklabels": column == 0,
        }  # fmt: skip
        maps.append({
            "type": "heatmap", "z": attention[head], "x": names, "y": names, "coloraxis": "coloraxis",
            "xaxis": f"x{axis}", "yaxis": f"y{axis}",
            "hovertemplate": f"head {head + 1}<br>from %{{y}}<br>to %{{x}}<br>%{{z:.3f}}<extra></extra>",
        })  # fmt: skip
    titles = [_head_title(head, columns, rows, head == chosen) for head in range(heads)]
    figure = go.Figure(maps, {**layout, "annotations": titles})
    return finish(figure, height=70 + 112 * rows, margin={"t": 18})


def one_head(attention: Array, tokens: Sequence[str], colour: str) -> go.Figure:
    """One head large, [query, key], with numbers where there is room; the axes say which way attention points."""
    names = labels(tokens)
    hover = "from %{y}<br>to %{x}<br>%{z:.3f}<extra></extra>"
    scale, bar = probability_scale(colour), colour_bar("weight")
    figure = go.Figure(heat(attention, names, names, scale, zmin=0, zmax=1, colorbar=bar, hovertemplate=hover))
    if len(names) <= MOST_NUMBERS:
        figure.add_trace(_numbers(attention, names))
    figure.update_xaxes(type="category", title_text=TO, tickangle=-60)
    figure.update_yaxes(type="category", title_text=FROM, autorange="reversed")
    return finish(figure, height=480)


def _numbers(attention: Array, names: Sequence[str]) -> go.Scatter:
    """Weights written as .37; what rounds to nothing is left out.

    A trace of their own, because a heat map picks the colour of its numbers for an opaque scale.
    """
    cells = [
        (row, column, weight)
        for row, line in zip(names, attention, strict=True)
        for column, weight in zip(names, line, strict=True)
        if weight >= 0.005
    ]
    return go.Scatter(
        x=[column for _, column, _ in cells], y=[row for row, _, _ in cells],
        text=[f"{weight:.2f}".removeprefix("0") for _, _, weight in cells],
        mode="text", textfont={"size": 10}, hoverinfo="skip",
    )  # fmt: skip


def _head_title(head: int, columns: int, rows: int, bold: bool) -> dict[str, object]:
    row, column = divmod(head, columns)
    return {
        "text": f"<b>head {head + 1}</b>" if bold else f"head {head + 1}",
        "showarrow": False, "xref": "paper", "yref": "paper", "font": {"size": 11},
        "x": (column + 0.465) / columns, "xanchor": "center", "y": 1 - row / rows, "yanchor": "bottom",
    }  # fmt: skip
