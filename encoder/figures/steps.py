"""Step by step: vectors as strips of coloured cells, a softmax as bars, and an activation function at work."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from encoder.figures.style import (
    GREY,
    Figure,
    across,
    colour_bar,
    down,
    escape,
    labels,
    picture,
    reach_of,
    rgba,
    signed_heat,
)
from encoder.formulas import activated
from encoder.numerals import number
from encoder.steps import Bend, Shares, Strip
from encoder.trace import Array

ROW = 34  # pixels of a strip
MOST_POINTS = 400
FEWEST = 0.05  # of what a colour bar spans: smaller numbers would be rounding made visible
BESIDE = 0.45  # opacity of the bars beside the one that is looked at


def strips(vectors: Sequence[Strip]) -> Iterator[Figure]:
    """One picture for vectors of the same length, in their order; in it a colour means one number."""
    for some, values, reach in _pictures(vectors):
        size = values.shape[1]
        names = [escape(strip.label) for strip in some]
        ends = {"tickvals": [-reach, 0, reach], "ticktext": [number(end, 2) for end in (-reach, 0, reach)]}
        drawn = signed_heat(
            values, names, np.arange(1, size + 1, dtype=np.int32), reach,
            colorbar=colour_bar("value") | {"len": 1} | ends, ygap=6, xgap=1 if size <= 64 else 0,
            hovertemplate="%{y}, number %{x}<br>%{z:.5~r}<extra></extra>",
        )  # fmt: skip
        axis = {"nticks": 6, "title": {"text": "which number of the vector"}}
        room = {"t": 28}  # for the button of a phone, which is always there: it must not lie on the scale
        yield picture([drawn], height=80 + ROW * len(some), margin=room, yaxis=down(), xaxis=axis)


def reaches(vectors: Sequence[Strip]) -> list[float]:
    """How far the colours of each picture of these vectors reach."""
    return [reach for _, _, reach in _pictures(vectors)]


def _pictures(vectors: Sequence[Strip]) -> Iterator[tuple[list[Strip], Array, float]]:
    """Vectors of the same length, their values [strip, cell], and the number of the full colour."""
    for _, same in groupby(vectors, lambda strip: len(strip.values)):
        some = list(same)
        values = np.stack([strip.values for strip in some])
        yield some, values, max(FEWEST, reach_of(values))


def shares(row: Shares, tokens: Sequence[str], colour: str) -> Figure:
    """Every token's share as a bar, always on 0–1; the one that is looked at has its number and the full colour."""
    names = labels(tokens)
    looked_at = np.arange(len(names)) == row.read
    bars = {
        "type": "bar", "x": names, "y": row.share, "cliponaxis": False, "textposition": "outside",
        "textangle": 0, "constraintext": "none",
        "text": [f"{share:.2f}" if here else "" for share, here in zip(row.share, looked_at, strict=True)],
        "marker": {"color": [rgba(colour, 1 if here else BESIDE) for here in looked_at]},
        "hovertemplate": "%{x}<br>%{y:.4f}<extra></extra>",
    }  # fmt: skip
    axis = {"range": (0, 1.15), "tickvals": [0, 0.5, 1], "title": {"text": "share"}, "zeroline": True}
    return picture([bars], height=210, xaxis=across(title={"text": "token that is read"}), yaxis=axis)


def span(bends: Sequence[Bend]) -> tuple[float, float]:
    """What goes into several activation functions, from the smallest number to the largest: one axis for them all."""
    return min([-3.0, *(float(at.before.min()) for at in bends)]), max([3.0, *(float(at.before.max()) for at in bends)])


def bend(at: Bend, colour: str, reach: tuple[float, float]) -> Figure:
    """The activation function with the neurons' points on it, of very many some hundred, and one of them large.

    reach: of the axis of what goes in, `span`; that of what comes out follows from it.
    """
    some = np.argsort(at.before, kind="stable")[:: -(-len(at.before) // MOST_POINTS)]  # each is a node of the page
    curve = np.linspace(*reach, 121, dtype=np.float32)
    line = {"type": "scatter", "mode": "lines", "x": curve, "y": activated(curve, at.activation), "hoverinfo": "skip",
            "line": {"color": GREY, "width": 1.5}}  # fmt: skip
    hover = "neuron %{text}<br>%{x:.4~r} → %{y:.4~r}<extra></extra>"
    points = {"type": "scatter", "mode": "markers", "hovertemplate": hover}
    every = {**points, "x": at.before[some], "y": at.after[some], "text": (some + 1).tolist(),
             "marker": {"color": rgba(colour, 0.25), "size": 6}}  # fmt: skip
    one = {**points, "x": at.before[[at.neuron]], "y": at.after[[at.neuron]], "text": [at.neuron + 1],
           "marker": {"color": colour, "size": 14}}  # fmt: skip
    return picture(
        [line, every, one], height=300,
        xaxis={"title": {"text": "before the activation function"}, "zeroline": True},
        yaxis={"title": {"text": "after it"}, "zeroline": True},
    )  # fmt: skip
