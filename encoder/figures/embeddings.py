"""Embeddings: the sum they are, how alike tokens are, and where they lie on a map."""

from collections.abc import Mapping, Sequence

import numpy as np

from encoder.figures.style import (
    GREY,
    Drawn,
    Figure,
    above,
    across,
    colour_bar,
    down,
    escape,
    excerpt,
    heat,
    labels,
    map_axes,
    numbers,
    picture,
    probability_opacity,
    probability_scale,
    reach_of,
    rgba,
    sides,
    signed_heat,
    square,
)
from encoder.labels import visible
from encoder.maps import Places
from encoder.trace import Array, EmbeddingTrace

HEIGHT = 380  # pixels: all of it is in sight at a projector of 1280 × 720
STRIPS = (("token", "token"), ("position", "+ position"), ("segment", "+ segment"), ("output", "= embedding"))


def sum_strips(embedding: EmbeddingTrace, tokens: Sequence[str]) -> Figure:
    """token + position + segment = embedding as four strips [token, model], each vector's length at its right.

    Each strip has its own colour reach, given above it: the parts are much smaller than their normed sum.
    """
    names = labels(tokens)
    traces: list[Drawn] = []
    layout: Drawn = {"annotations": []}
    for number, (part, title) in enumerate(STRIPS):
        values: Array = getattr(embedding, part)
        reach, axis = reach_of(values), str(number + 1) if number else ""
        start, end = number / 4, (number + 0.64) / 4
        layout[f"xaxis{axis}"] = {"domain": (start, end), "showticklabels": False, "ticks": "", "anchor": "y"}
        layout["annotations"].append(above(f"<b>{title}</b><br>±{reach:.2g}", (start + end) / 2))
        channels = np.arange(1, values.shape[1] + 1, dtype=np.int32)
        hover = f"%{{y}}, number %{{x}}<br>{part} %{{z:.3f}}<extra></extra>"
        place = {"xaxis": f"x{axis}", "yaxis": "y"}
        traces.append(signed_heat(values, names, channels, reach, showscale=False, hovertemplate=hover, **place))
        lengths = [f"{length:.3g}" for length in np.linalg.norm(values, axis=-1)]
        traces.append({
            "type": "scatter", "mode": "text", "x": [channels[-1]] * len(names), "y": names, "text": lengths,
            "textposition": "middle right", "textfont": {"size": 11}, "cliponaxis": False, "hoverinfo": "skip", **place,
        })  # fmt: skip
        layout[f"xaxis{axis}"]["range"] = [0.5, channels[-1] + 0.5]
    height = 90 + max(10, min(24, 420 // len(names))) * len(names)
    return picture(traces, height, yaxis=down(), margin={"t": 44, "r": 36}, **layout)


def similarity(cosines: Array, tokens: Sequence[str]) -> Figure:
    """The cosine of every two tokens, [token, token], from −1 to 1."""
    names = labels(tokens)
    hover = "%{y}<br>%{x}<br>cosine %{z:.3f}<extra></extra>"
    drawn = signed_heat(cosines, names, names, 1, colorbar=colour_bar("cosine"), hovertemplate=hover)
    return picture([drawn], **square(len(names), HEIGHT), xaxis=across())


def self_similarity(cosines: Array, places: Sequence[tuple[str, int]]) -> Figure:
    """The cosine of one word's vectors in every two sentences; places: each sentence, and where the word begins."""
    names = [f"{number}. {excerpt(text, place)}" for number, (text, place) in enumerate(places, 1)]
    hover = "%{y}<br>%{x}<br>cosine %{z:.3f}<extra></extra>"
    short = [name.split(".")[0] for name in names]
    drawn = signed_heat(
        cosines, names, short, 1, colorbar=colour_bar("cosine"), hovertemplate=hover,
        xgap=1, ygap=1,
    )  # fmt: skip
    return picture(
        [drawn, *numbers(cosines, names, short, abs(cosines))],
        height=110 + 36 * len(names),
        xaxis=across(tickangle=0),
        yaxis=down(),
    )


def map_of(places: Places, level: int, tokens: Sequence[str], colour: str) -> Figure:
    """Tokens at one level on a map with two or three axes, whose ranges are the same at every level."""
    names, at, axes = labels(tokens), places.at[level], map_axes(places.at, places.axes)
    marks = {"mode": "markers+text", "hoverinfo": "text", "hovertext": names}
    if len(axes) == 2:
        dots = {"type": "scatter", "x": at[:, 0], "y": at[:, 1], "text": names, "marker": {"size": 8, "color": colour}}
        return picture(
            [{**dots, **marks, "textposition": sides(at, axes)}], height=HEIGHT, xaxis=axes[0], yaxis=axes[1]
        )
    x, y, z = at.T
    # WebGL knows tags but no &lt;, and an invisible space is enough to spoil a tag.
    text = [visible(token).replace("<", "<\u200b") for token in tokens]
    dots = {"type": "scatter3d", "x": x, "y": y, "z": z, "text": text, "marker": {"size": 4, "color": colour}}
    wall = {"showbackground": False, "gridcolor": GREY}  # walls would cut off the tokens near them
    scene: Drawn = {f"{name}axis": {**axis, **wall} for name, axis in zip("xyz", axes, strict=True)}
    scene |= {"aspectmode": "cube", "dragmode": "orbit"}
    return picture([{**dots, **marks}], height=HEIGHT, margin={"t": 0}, scene=scene)


def path_of(places: Places, token: int, tokens: Sequence[str], colour: str) -> Figure:
    """One token's way from the embedding (0) through all layers, among the last places of the others; two axes."""
    at, (horizontal, vertical) = places.at, map_axes(places.at, places.axes)
    others = {
        "type": "scatter", "x": at[-1, :, 0], "y": at[-1, :, 1], "mode": "markers+text", "text": labels(tokens),
        "textposition": "bottom center", "textfont": {"color": GREY, "size": 10}, "hoverinfo": "text",
        "marker": {"size": 6, "color": rgba(GREY, 0.5)},
    }  # fmt: skip
    way = {
        "type": "scatter", "x": at[:, token, 0], "y": at[:, token, 1], "mode": "lines+markers+text",
        "text": [str(number) for number in range(len(at))], "textposition": "top center", "marker": {"size": 8},
        "line": {"color": colour, "width": 2}, "hovertemplate": "after layer %{text}<extra></extra>",
    }  # fmt: skip
    return picture([others, way], height=HEIGHT, xaxis=horizontal, yaxis=vertical)


def layer_likeness(cka: Array, colour: str, rows: str = "", columns: str = "") -> Figure:
    """[level, level] likeness of layers from 0 to 1, the embedding first; of two models, with their names."""
    lower, upper = ([str(level) for level in range(size)] for size in cka.shape)
    hover = "%{y} and %{x}<br>CKA %{z:.3f}<extra></extra>"
    drawn = heat(
        cka, lower, upper, probability_scale(colour), (0, 1), colorbar=colour_bar("CKA"), hovertemplate=hover,
        xgap=1, ygap=1,
    )  # fmt: skip
    after = "after layer (0: the embedding)"
    axes = [{"type": "category", "title": {"text": escape(name) or after}} for name in (rows, columns)]
    said = numbers(cka, lower, upper, probability_opacity(cka))
    return picture([drawn, *said], height=110 + 34 * max(cka.shape), yaxis=axes[0], xaxis=axes[1])


def curves(found: Mapping[str, tuple[Sequence[float] | Array, str]], unit: str) -> Figure:
    """One number a level for several models, by name, each with its colour."""
    lines = [
        {"type": "scatter", "mode": "lines+markers", "x": list(range(len(values))), "y": list(map(float, values)),
         "name": escape(name), "line": {"color": colour, "width": 2},
         "hovertemplate": "after layer %{x}: %{y:.3f}<extra></extra>"}
        for name, (values, colour) in found.items()
    ]  # fmt: skip
    layers, height = {"title": {"text": "after layer"}, "dtick": 1}, {"title": {"text": unit}, "rangemode": "tozero"}
    return picture(
        lines, height=280, showlegend=True, legend={"orientation": "h", "y": 1.15}, xaxis=layers, yaxis=height
    )
