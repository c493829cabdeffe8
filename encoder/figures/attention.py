"""Attention: all heads of a layer as small maps, and one head large with its numbers."""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil

import numpy as np

from encoder.figures.style import (
    Drawn,
    Figure,
    above,
    across,
    colour_bar,
    down,
    heat,
    labels,
    numbers,
    picture,
    probability_opacity,
    probability_scale,
    square,
)
from encoder.measures import coarse, norm_weighted, rollout
from encoder.trace import Array, Trace

FROM, TO = "from: the token that reads (query)", "to: the token that is read (key)"
MOST_TOKENS = 160  # of a map of tokens by tokens: with more, its cells are smaller than a pixel of a phone
MOST_CELLS = 36  # rows and columns of a small map: more than are drawn need not be sent
MOST_IN_THREE = 96  # the same of three maps side by side
SMALL = {"size": 11}
MOST_NUMBERS = 10  # tokens up to which every cell of the large map has room for its number, on a phone too


def all_heads(attention: Array, tokens: Sequence[str], colour: str, chosen: int, columns: int = 4) -> Figure:
    """Every head of a layer, [head, query, key], as a small map on the 0–1 scale; the chosen one's title is bold.

    Of many tokens a cell is the largest weight of a block of them.
    """
    attention, tokens = _fitting(attention, tokens, MOST_CELLS)
    names = [f"head {head + 1}" for head in range(len(attention))]
    titles = [f"<b>{name}</b>" if head == chosen else name for head, name in enumerate(names)]
    return small_maps(attention, names, titles, tokens, colour, columns)


def small_maps(
    attention: Array,
    names: Sequence[str],
    titles: Sequence[str],
    tokens: Sequence[str],
    colour: str,
    columns: int,
    dtick: int | None = None,
) -> Figure:
    """Attention of several heads, [head, query, key], as small maps in rows, each with its title.

    dtick: one name for so many queries, where there is the height for it; None: as many names as have room.
    """
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
            title={"text": "key" if row == rows - 1 else "", "font": SMALL, "standoff": 2},
        )
        layout[f"yaxis{axis}"] = down(
            domain=(top - 0.86 / rows, top), anchor=f"x{axis}", ticks="", showticklabels=column == 0, dtick=dtick,
            title={"text": "query" if column == 0 else "", "font": SMALL, "standoff": 2},
        )  # fmt: skip
        layout["annotations"].append(above(titles[head], left + 0.465 / columns, top))
        maps.append({
            "type": "heatmap", "z": attention[head], "x": tokens, "y": tokens, "coloraxis": "coloraxis",
            "xaxis": f"x{axis}", "yaxis": f"y{axis}",
            "hovertemplate": f"{names[head]}<br>from %{{y}}<br>to %{{x}}<br>%{{z:.3f}}<extra></extra>",
        })  # fmt: skip
    return picture(maps, height=66 + 100 * rows, margin={"t": 18}, **layout)


def three_readings(read: Trace, layer: int, head: int, colour: str) -> Figure:
    """One head's weights, the lengths of what they bring, and rollout from the text up to its layer, side by side."""
    weights = read.layers[layer].attention[head]
    brought = norm_weighted(weights, read.layers[layer].value_size[head])
    followed = rollout(np.stack([each.attention for each in read.layers[: layer + 1]]))[layer]
    top = float(brought.max()) or 1.0
    maps = (("Raw weights", weights, 1.0), ("Norm-weighted", brought, top), (f"Rollout to {layer + 1}", followed, 1.0))
    layout: Drawn = {"annotations": []}
    drawn: list[Drawn] = []
    for number, (title, values, full) in enumerate(maps):
        axis = str(number + 1) if number else ""
        domain = (number / len(maps), (number + 0.92) / len(maps))
        values, tokens = _fitting(values, read.tokens.text, MOST_IN_THREE)
        names = labels(tokens)
        layout[f"xaxis{axis}"] = across(
            domain=domain, anchor=f"y{axis}", ticks="", tickangle=-90, title={"text": "key", "font": SMALL}
        )
        layout[f"yaxis{axis}"] = down(
            anchor=f"x{axis}", ticks="", showticklabels=not number,
            title={"text": "" if number else "query", "font": SMALL},
        )  # fmt: skip
        layout["annotations"].append(above(f"{title},<br>full colour: {full:.4g}", sum(domain) / 2))
        drawn.append(heat(
            values, names, names, probability_scale(colour), (0, full), showscale=False,
            xaxis=f"x{axis}", yaxis=f"y{axis}", name=title,
            hovertemplate="%{fullData.name}<br>from %{y}<br>to %{x}<br>%{z:.3f}<extra></extra>",
        ))  # fmt: skip
    return picture(drawn, height=min(640, max(260, 140 + 14 * len(read.tokens))), margin={"t": 40}, **layout)


def _fitting(values: Array, tokens: Sequence[str], most: int) -> tuple[Array, Sequence[str]]:
    """Weights [..., query, key] with at most so many rows and columns, and their names: of a block its first token."""
    if values.shape[-1] <= most:
        return values, tokens
    starts = np.arange(most + 1) * len(tokens) // most
    names = [tokens[start] + "…" * (end - start > 1) for start, end in pairwise(starts.tolist())]
    return coarse(values, most), names


def one_head(attention: Array, tokens: Sequence[str], colour: str) -> Figure:
    """One head large, [query, key], with numbers where there is room; the axes say which way attention points."""
    names = labels(tokens)
    hover = "from %{y}<br>to %{x}<br>%{z:.3f}<extra></extra>"
    scale, bar = probability_scale(colour), colour_bar("weight")
    traces = [heat(attention, names, names, scale, (0, 1), colorbar=bar, hovertemplate=hover)]
    if len(names) <= MOST_NUMBERS:
        opacity = probability_opacity(attention)
        traces += numbers(attention, names, names, opacity, least=0.005)  # less would be written .00
    layout = square(len(names), least=480)
    layout["yaxis"]["title"] = {"text": FROM}
    return picture(traces, **layout, xaxis=across(title={"text": TO}))
