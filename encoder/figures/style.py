"""What all pictures share: colours with one meaning each, token labels, axes and plain layouts.

Figures set no fonts and no backgrounds, so that the page's theme, light or dark, shows through:
scales run from transparent to a colour.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from plotly.graph_objects import Figure as Figure  # also for pages, which know nothing else of Plotly

from encoder.labels import LONGEST, apart, visible
from encoder.trace import Array

# Okabe and Ito's palette, which colour-blind readers can tell apart. Left is from scratch, right is pretrained.
LEFT, RIGHT, GREY = "#0072B2", "#D55E00", "#8A8F98"
LEFT_IN_DARK = "#2583C4"  # on a dark ground the blue is as clear as the vermilion; it prints well too
# Of signed values, and of nothing else: colour-blind readers see a blue and a yellow.
NEGATIVE, POSITIVE = "#8250C4", "#5A8F00"

INK = "#000037"  # nearly black; Streamlit's charts have the strongest ink of the page's theme instead (its "gray 90")
DEEP = 0.85  # opacity from which white is easier to read on a colour than the page's ink, whichever the theme
Scale = list[tuple[float, str]]
Drawn = dict[str, Any]  # part of a figure, as Plotly writes it
Names = Sequence[Any] | Array


def rgba(colour: str, alpha: float) -> str:
    """A #RRGGBB colour with an opacity of 0–1, as CSS."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


def probability_scale(colour: str) -> Scale:
    """0–1 from the page's background to a colour, growing with the square root, so that small weights stay visible."""
    return [(step * step / 100, rgba(colour, step / 10)) for step in range(11)]


def probability_opacity(values: Array) -> Array:
    """How opaque that scale is for each value."""
    return np.sqrt(values.clip(0, 1))


def plain_scale(colour: str) -> Scale:
    """From the page's background to a colour, evenly."""
    return [(0.0, rgba(colour, 0)), (1.0, rgba(colour, 1))]


def present_scale(colour: str) -> Scale:
    """From a breath of a colour, for 0, to all of it; what is not there stays empty."""
    return [(0.0, rgba(colour, 0.07)), (1.0, rgba(colour, 1))]


SIGNED_SCALE: Scale = [
    (0.0, rgba(NEGATIVE, 1)), (0.5, rgba(NEGATIVE, 0)), (0.5, rgba(POSITIVE, 0)), (1.0, rgba(POSITIVE, 1)),
]  # fmt: skip


def labels(tokens: Sequence[str], longest: int = LONGEST) -> list[str]:
    """Tokens as axis categories: safe to draw, at most so many characters, and each its own.

    Plotly would draw a token that comes twice only once. Axes of tokens are of type category: Plotly would place "7" or
    "2020" by number.
    """
    return apart(escape(visible(token, longest)) for token in tokens)


def excerpt(text: str, place: int, longest: int = 30) -> str:
    """A piece of a learner's sentence around a place, safe to draw."""
    start = max(0, min(place - longest // 3, len(text) - longest))
    if start and (space := text.find(" ", start, place)) >= 0:  # best from the beginning of a word
        start = space + 1
    piece = " ".join(visible(word, longest) for word in text[start : start + longest].split())
    return escape(("…" if start else "") + piece + ("…" if start + longest < len(text) else ""))


def escape(text: str) -> str:
    """Plotly reads a little HTML in every text; what a learner typed is none."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def heat(values: Array, rows: Names, columns: Names, scale: Scale, reach: tuple[float, float], **more: Any) -> Drawn:
    """A heat map of [row, column]; its reach is always given, so that a colour means one number."""
    low, high = reach
    return {
        "type": "heatmap",
        "z": values,
        "y": rows,
        "x": columns,
        "colorscale": scale,
        "zmin": low,
        "zmax": high,
        **more,
    }


def signed_heat(values: Array, rows: Names, columns: Names, reach: float, **more: Any) -> Drawn:
    """A heat map of signed values, violet below zero and green above, zero in the middle."""
    return heat(values, rows, columns, SIGNED_SCALE, (-reach, reach), **more)


def reach_of(values: Array, almost_all: float = 0.995) -> float:
    """The size that almost all values stay within: one outlier should not pale all others. Never 0."""
    return float(np.quantile(abs(values), almost_all)) or 1.0


def written(words: Sequence[Sequence[str]], rows: Names, columns: Names, opacity: Array, size: int = 10) -> list[Drawn]:
    """Words in the cells of a heat map, [row][column], the empty ones left out; opacity: of each cell's colour.

    A heat map would pick their colour for an opaque scale, which this page's ground shines through: so they are traces
    of their own, one in the page's ink, and for deep colours one in white.
    """
    cells = [(row, column) for row, line in enumerate(words) for column, word in enumerate(line) if word]
    found = [
        (ink, [cell for cell in cells if (opacity[cell] >= DEEP) == is_deep])
        for is_deep, ink in ((False, INK), (True, "white"))
    ]
    return [
        {
            "type": "scatter", "mode": "text", "textfont": {"size": size, "color": ink}, "hoverinfo": "skip",
            "x": [columns[column] for _, column in some], "y": [rows[row] for row, _ in some],
            "text": [words[row][column] for row, column in some],
        }
        for ink, some in found
    ]  # fmt: skip


def numbers(values: Array, rows: Names, columns: Names, opacity: Array, least: float = -np.inf) -> list[Drawn]:
    """The numbers of a heat map's cells, written as .37; what is smaller than `least` is left out."""
    words = [[f"{value:z.2f}".replace("0.", ".", 1) * (value >= least) for value in row] for row in values.tolist()]
    return written(words, rows, columns, opacity)


def layer_names(count: int) -> list[str]:
    """The rows of a map of the stack, the first layer at the bottom."""
    return [f"layer {number}" for number in range(1, count + 1)]


def depth(**more: Any) -> Drawn:
    """A vertical axis of layers by their numbers, the first at the bottom, each with its label."""
    return {"type": "category", "title": {"text": "layer"}, "dtick": 1, **more}


def stack_height(rows: int) -> int:
    """Pixels of a map with a row a layer."""
    return max(240, 110 + 30 * rows)


def above(text: str, x: float, y: float = 1) -> Drawn:
    """Words above a part of a picture; x, y: the middle of its upper edge, in parts of the whole."""
    place = {"x": x, "y": y, "xref": "paper", "yref": "paper", "xanchor": "center", "yanchor": "bottom"}
    return {"text": text, "showarrow": False, "font": {"size": 11}, **place}


def map_axes(at: Array, titles: Sequence[str]) -> list[Drawn]:
    """An axis for each dimension of [picture, token, dimension], with room for all pictures."""
    low, high = at.min((0, 1)), at.max((0, 1))
    room = 0.12 * np.maximum(high - low, 1e-6)
    return [
        {"title": {"text": title}, "range": [float(start), float(end)]}
        for title, start, end in zip(titles, low - room, high + room, strict=True)
    ]


def sides(at: Array, axes: Sequence[Drawn]) -> list[str]:
    """Where each token of [token, 2] has its name on a map with these axes: on the side away from its neighbour."""
    if len(at) < 2:
        return ["top center"] * len(at)
    spans = [axis["range"][1] - axis["range"][0] for axis in axes]
    places = np.asarray(at) / spans * (2.5, 1.0)  # a map is some two and a half times as wide as high
    away = places[:, None] - places  # [token, other, 2]
    lengths = np.linalg.norm(away, axis=-1)
    np.fill_diagonal(lengths, np.inf)
    right, up = away[np.arange(len(at)), lengths.argmin(-1)].T
    beside, above = np.where(right > 0, "middle right", "middle left"), np.where(up < 0, "bottom center", "top center")
    return [str(side) for side in np.where(abs(right) > abs(up), beside, above)]


def colour_bar(title: str) -> Drawn:
    return {"title": {"text": title, "side": "right"}, "thickness": 10, "outlinewidth": 0}


def picture(traces: Sequence[Drawn], height: int, **layout: Any) -> Figure:
    """A figure with what all pictures share: little margin, no grid, no legend unless asked for, no zooming.

    Plain dictionaries become a figure in one step at the very end: each of Plotly's own update_… calls costs
    milliseconds, which every learner would wait for at every turn.
    """
    axes = {name for name in layout if name[1:].startswith("axis")} | {"xaxis", "yaxis"}
    for name in axes:
        layout[name] = {
            "automargin": True,
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
            **layout.get(name, {}),
        }
    margin = {"l": 8, "r": 8, "t": 12, "b": 8, **layout.pop("margin", {})}
    return Figure(list(traces), {"height": height, "margin": margin, "dragmode": False, "showlegend": False, **layout})


def square(names: int, least: int) -> Drawn:
    """The height and the rows of a map of tokens by tokens: it grows with them, and up to 24 all have their names."""
    rows = down(dtick=1) if names <= 24 else down()
    return {"height": min(900, max(least, 110 + 20 * names)), "yaxis": rows}


def down(**more: Any) -> Drawn:
    """A vertical axis of names, the first on top; names that are numbers (the token 1984) are names all the same."""
    return {"type": "category", "autorange": "reversed", **more}


def across(**more: Any) -> Drawn:
    """A horizontal axis of names, slanted so that long tokens have room."""
    return {"type": "category", "tickangle": -60, **more}
