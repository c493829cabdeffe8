"""What if: how far a change turns every token, attention before and after it, and what each head's absence does."""

from collections.abc import Iterable, Sequence

import numpy as np

from encoder.figures.cells import pooled_names, pooled_square
from encoder.figures.style import (
    SIGNED_SCALE,
    Drawn,
    Figure,
    above,
    across,
    colour_bar,
    down,
    heat,
    labels,
    layer_names,
    picture,
    plain_scale,
    present_scale,
    probability_scale,
    stack_height,
)
from encoder.trace import Array

SMALLEST = 0.01  # that a full colour stands for: less would be rounding made visible
MOST_CELLS = 96  # rows and columns of one of three maps: more than are drawn need not be sent
LONGEST, SMALL = 9, {"size": 10}  # characters of a token beside a map of three, and how they are written


def reach(every: Iterable[Array]) -> float:
    """The highest number of a scale that fits what several models' pictures show, so that colours compare."""
    return max([SMALLEST, *(float(np.nanmax(values, initial=0.0)) for values in every)])


def turned(values: Array, tokens: Sequence[str], colour: str, top: float) -> Figure:
    """[layer, token] 1 − cosine between the same hidden states of two readings, the first layer at the bottom.

    NaN, where a token is not in both, stays empty. top: the highest number of the scale, `reach`.
    """
    names = layer_names(len(values))
    drawn = heat(
        values, names, labels(tokens), present_scale(colour),
        (0, top), colorbar=colour_bar("turn: 1 − cosine"),
        hovertemplate="%{y}, %{x}<br>%{z:.4f}<extra></extra>",
    )  # fmt: skip
    return picture([drawn], height=stack_height(len(names)), xaxis=across(title={"text": "token"}))


def ranking(values: Array, colour: str, unit: str, top: float) -> Figure:
    """[layer, head] as a heat map, the first layer at the bottom. top: the highest number of the scale, `reach`."""
    layers, heads = values.shape
    drawn = heat(
        values, layer_names(layers), [str(number + 1) for number in range(heads)],
        plain_scale(colour), (0, top), xgap=2, ygap=2,
        colorbar=colour_bar(unit), hovertemplate="%{y}, head %{x}<br>%{z:.4f}<extra></extra>",
    )  # fmt: skip
    axis = {"type": "category", "title": {"text": "head that is off"}}
    return picture([drawn], height=stack_height(layers), xaxis=axis)


def before_and_after(
    weights: tuple[Array, Array],
    tokens: tuple[Sequence[str], Sequence[str]],
    difference: Array,
    colour: str,
    top: float,
) -> Figure:
    """A head's attention before a change and after it, [query, key] each, and between them the difference.

    The difference is at the tokens of before, NaN where after has none. So the names of before stand at the left edge
    and those of after at the right: none of them can run into a map. top: of the difference's scale, `reach`. Of many
    tokens a cell is the number of a block of them that is largest in size.
    """
    names = [labels(pooled_names(some, MOST_CELLS), LONGEST) for some in tokens]
    maps = (
        ("Before", weights[0], names[0], probability_scale(colour), (0, 1)),
        ("Difference", difference, names[0], SIGNED_SCALE, (-top, top)),
        ("After", weights[1], names[1], probability_scale(colour), (0, 1)),
    )
    layout: Drawn = {"annotations": []}
    drawn: list[Drawn] = []
    for number, (title, values, own, scale, ends) in enumerate(maps):
        axis = str(number + 1) if number else ""
        domain = (number / 3 + 0.02, (number + 1) / 3 - 0.02)
        layout[f"xaxis{axis}"] = across(
            domain=domain, anchor=f"y{axis}", ticks="", tickangle=-90, tickfont=SMALL,
            title={"text": "row: token that reads, column: token that is read" if number == 1 else "", "font": SMALL},
        )  # fmt: skip
        layout[f"yaxis{axis}"] = down(
            anchor=f"x{axis}", ticks="", side="right" if number == 2 else "left", tickfont=SMALL,
            showticklabels=number == 0 or (number == 2 and names[0] != names[1]),
        )  # fmt: skip
        layout["annotations"].append(above(title, sum(domain) / 2))
        drawn.append(heat(
            pooled_square(values, MOST_CELLS), own, own, scale, ends,
            showscale=False, xaxis=f"x{axis}", yaxis=f"y{axis}", name=title,
            hovertemplate="%{fullData.name}<br>from %{y}<br>to %{x}<br>%{z:.3f}<extra></extra>",
        ))  # fmt: skip
    longest = max(map(len, tokens))
    return picture(drawn, height=min(640, max(280, 160 + 14 * longest)), margin={"t": 24}, **layout)
