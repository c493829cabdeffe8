"""Step by step: vectors as strips of coloured cells, and an activation function at work."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from encoder.figures.style import (
    GREY,
    Figure,
    colour_bar,
    down,
    escape,
    picture,
    reach_of,
    rgba,
    signed_heat,
)
from encoder.formulas import activated
from encoder.steps import Bend, Strip

ROW = 34  # pixels of a strip
MOST_POINTS = 400
FEWEST = 0.05  # of what a colour bar spans: smaller numbers would be rounding made visible


def strips(vectors: Sequence[Strip]) -> Iterator[Figure]:
    """One picture for vectors of the same length, in their order; in it a colour means one number."""
    for size, same in groupby(vectors, lambda strip: len(strip.values)):
        some = list(same)
        values = np.stack([strip.values for strip in some])
        names = [escape(strip.label) for strip in some]
        reach = max(FEWEST, reach_of(values))
        bar = colour_bar("") | {"len": 1, "tickvals": [-reach, 0, reach], "tickformat": ".2~g"}
        drawn = signed_heat(
            values, names, np.arange(1, size + 1, dtype=np.int32), reach, colorbar=bar, ygap=6,
            xgap=1 if size <= 64 else 0, hovertemplate="%{y}, number %{x}<br>%{z:.5g}<extra></extra>",
        )  # fmt: skip
        yield picture([drawn], height=44 + ROW * len(some), yaxis=down(), xaxis={"nticks": 6})


def bend(at: Bend, colour: str) -> Figure:
    """The activation function with the neurons' points on it, of very many some hundred, and one of them large."""
    some = np.argsort(at.before, kind="stable")[:: -(-len(at.before) // MOST_POINTS)]  # each is a node of the page
    low, high = min(-3.0, float(at.before.min())), max(3.0, float(at.before.max()))
    curve = np.linspace(low, high, 121, dtype=np.float32)
    line = {"type": "scatter", "mode": "lines", "x": curve, "y": activated(curve, at.activation), "hoverinfo": "skip",
            "line": {"color": GREY, "width": 1.5}}  # fmt: skip
    hover = "neuron %{text}<br>%{x:.4g} → %{y:.4g}<extra></extra>"
    points = {"type": "scatter", "mode": "markers", "hovertemplate": hover}
    every = {**points, "x": at.before[some], "y": at.after[some], "text": (some + 1).tolist(),
             "marker": {"color": rgba(colour, 0.25), "size": 6}}  # fmt: skip
    one = {**points, "x": at.before[[at.neuron]], "y": at.after[[at.neuron]], "text": [at.neuron + 1],
           "marker": {"color": colour, "size": 14}}  # fmt: skip
    return picture(
        [line, every, one], height=300, xaxis={"title": {"text": "before"}, "zeroline": True},
        yaxis={"title": {"text": "after"}, "zeroline": True},
    )  # fmt: skip
