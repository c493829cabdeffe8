"""Attention: all heads of a layer as small maps, and one head large with its numbers."""

from collections.abc import Sequence
from math import ceil

from encoder.figures.style import (
    Drawn,
    Figure,
    across,
    colour_bar,
    down,
    heat,
    labels,
    picture,
    probability_scale,
    square,
)
from encoder.trace import Array

FROM, TO = "from: the token that reads (query)", "to: the token that is read (key)"
MOST_TOKENS = 160  # of all heads of a layer: their maps are one message of a megabyte then
MOST_NUMBERS = 18  # tokens up to which every cell of the large map has room for its number


def all_heads(attention: Array, tokens: Sequence[str], colour: str, chosen: int, columns: int = 4) -> Figure:
    """Every head of a layer, [head, query, key], as a small map on the 0–1 scale; the chosen one's title is bold."""
    names = [f"head {head + 1}" for head in range(len(attention))]
    titles = [f"<b>{name}</b>" if head == chosen else name for head, name in enumerate(names)]
    return small_maps(attention, names, titles, tokens, colour, columns)


def small_maps(
    attention: Array, names: Sequence[str], titles: Sequence[str], tokens: Sequence[str], colour: str, columns: int
) -> Figure:
    """Attention of several heads, [head, query, key], as small maps in rows, each with its title."""
    heads, tokens = len(attention), labels(tokens)
    columns = min(columns, heads)
    rows = ceil(heads / columns)
    scale = {"colorscale": probability_scale(colour), "cmin": 0, "cmax": 1, "showscale": False}
    maps: list[Drawn] = []
    layout: Drawn = {"coloraxis": scale, "annotations": []}
    for head in range(heads):
        row, column = divmod(head, columns)
        left, top = column / columns, 1 - row / rows
        axis = str(head + 1) if head else ""
        layout[f"xaxis{axis}"] = across(
            domain=(left, left + 0.93 / columns),
            anchor=f"y{axis}",
            ticks="",
            tickangle=-90,
            showticklabels=row == rows - 1,
        )
        layout[f"yaxis{axis}"] = down(
            domain=(top - 0.86 / rows, top), anchor=f"x{axis}", ticks="", showticklabels=column == 0
        )
        layout["annotations"].append(_title(titles[head], left + 0.465 / columns, top))
        maps.append({
            "type": "heatmap", "z": attention[head], "x": tokens, "y": tokens, "coloraxis": "coloraxis",
            "xaxis": f"x{axis}", "yaxis": f"y{axis}",
            "hovertemplate": f"{names[head]}<br>from %{{y}}<br>to %{{x}}<br>%{{z:.3f}}<extra></extra>",
        })  # fmt: skip
    return picture(maps, height=66 + 100 * rows, margin={"t": 18}, **layout)


def one_head(attention: Array, tokens: Sequence[str], colour: str) -> Figure:
    """One head large, [query, key], with numbers where there is room; the axes say which way attention points."""
    names = labels(tokens)
    hover = "from %{y}<br>to %{x}<br>%{z:.3f}<extra></extra>"
    scale, bar = probability_scale(colour), colour_bar("weight")
    traces = [heat(attention, names, names, scale, (0, 1), colorbar=bar, hovertemplate=hover)]
    if len(names) <= MOST_NUMBERS:
        traces.append(_numbers(attention, names))
    layout = square(len(names), least=480)
    layout["yaxis"]["title"] = {"text": FROM}
    return picture(traces, **layout, xaxis=across(title={"text": TO}))


def _numbers(attention: Array, names: Sequence[str]) -> Drawn:
    """Weights written as .37; what rounds to nothing is left out.

    A trace of their own, because a heat map picks the colour of its numbers for an opaque scale.
    """
    cells = [
        (row, column) for row in range(len(names)) for column in range(len(names)) if attention[row, column] >= 0.005
    ]
    return {
        "type": "scatter", "mode": "text", "textfont": {"size": 10}, "hoverinfo": "skip",
        "x": [names[column] for _, column in cells], "y": [names[row] for row, _ in cells],
        "text": [f"{attention[cell]:.2f}".removeprefix("0") for cell in cells],
    }  # fmt: skip


def _title(text: str, x: float, y: float) -> Drawn:
    place = {"x": x, "y": y, "xref": "paper", "yref": "paper", "xanchor": "center", "yanchor": "bottom"}
    return {"text": text, "showarrow": False, "font": {"size": 11}, **place}
