"""Embeddings: the sum they are, how alike tokens are, and where they lie on a map."""

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np

from encoder.figures.cells import SEPARATORS, WRITTEN, pooled, pooled_names, pooled_square, thousandths
from encoder.figures.naming import placed
from encoder.figures.style import (
    GREY,
    Drawn,
    Figure,
    above,
    across,
    colour_bar,
    depth,
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
    signed_heat,
    square,
)
from encoder.labels import visible
from encoder.maps import Places
from encoder.numerals import number
from encoder.trace import Array, EmbeddingTrace

HEIGHT = 380  # pixels: all of it is in sight at a projector of 1280 × 720
MOST_TOKENS = 256  # rows and columns of a similarity map: more than that are no pixels of their own on most screens
CELLS, CELLS_WIDE = 48, 96  # of a vector in a strip: in one of two columns it has some 40 pixels, alone some 100
PARTS = {"token": "token", "position": "+ position", "segment": "+ segment", "sum": "= sum", "output": "→ norm"}
MOST_NUMBERED = 8  # rows and columns: of more, numbers would run into each other on a phone
MOST_NAMED = 30  # tokens of a map in 3-D that have their names beside them
AFTER = "after layer (0: the embedding)"
SHARE = 0.6  # of a part's width that its strip takes; the rest is for the lengths


def sum_parts(embedding: EmbeddingTrace) -> dict[str, Array]:
    """token, position, segment, their sum and the embedding, [token, model] each; a model without a norm has no sum."""
    total = embedding.token + (embedding.position + embedding.segment)
    parts = {name: getattr(embedding, name) for name in ("token", "position", "segment")}
    parts |= {"sum": total} if has_norm(embedding) else {}
    return parts | {"output": embedding.output}


def has_norm(embedding: EmbeddingTrace) -> bool:
    """Whether a norm turns the sum into the embedding."""
    total = embedding.token + (embedding.position + embedding.segment)
    return not np.allclose(total, embedding.output, rtol=1e-4, atol=1e-6)


def equation(embedding: EmbeddingTrace) -> str:
    """What the strips show, as one line."""
    return "token + position + segment = " + ("sum, norm → embedding" if has_norm(embedding) else "embedding")


def of_a_cell(width: int, wide: bool = False) -> str:
    """What a cell of a strip stands for, as a sentence, where it is more than one number of a vector so wide."""
    cells = CELLS_WIDE if wide else CELLS
    if width <= cells:
        return ""
    most = "up to " if width % cells else ""
    return f"A cell stands for {most}{ceil(width / cells)} of the {width} numbers and shows the largest in size."


def sum_strips(embedding: EmbeddingTrace, tokens: Sequence[str], wide: bool = False) -> Figure:
    """token + position + segment = sum, and the norm of it, as strips [token, model], each vector's length beside it.

    Each strip has its own colour reach, given above it: the parts are much smaller than their normed sum.
    """
    parts = sum_parts(embedding)
    traces: list[Drawn] = []
    layout: Drawn = {"annotations": [], "separators": SEPARATORS}
    for at, (part, values) in enumerate(parts.items()):
        axis, start, end = str(at + 1) if at else "", at / len(parts), (at + SHARE) / len(parts)
        place = {"xaxis": f"x{axis}", "yaxis": "y"}
        title = PARTS[part] if "sum" in parts or part != "output" else "= embedding"
        reach, width = reach_of(values), values.shape[-1]
        channels = pooled_names([str(channel) for channel in range(1, width + 1)], CELLS_WIDE if wide else CELLS)
        traces += [_strip(values, len(channels), title, reach) | place, _lengths(values, len(channels)) | place]
        layout[f"xaxis{axis}"] = {
            "domain": (start, end), "range": [-0.5, len(channels) - 0.5], "tickvals": _numbers(len(channels)),
            "ticktext": channels, "showticklabels": False, "ticks": "", "anchor": "y",
        }  # fmt: skip
        if at == len(parts) // 2:
            layout[f"xaxis{axis}"]["title"] = {"text": f"numbers 1 to {width} of each vector"}
        scale = f"±{number(reach, 2)}" if values.any() else "all 0"
        head = above(f"{title}<br>{scale}", start)
        layout["annotations"].append(head | {"xanchor": "left", "align": "left", "font": {"size": 10}})
    rows = len(tokens)
    height = 90 + max(12, min(24, 420 // rows)) * (rows + 1)
    # Rows by number: ten traces with the names of all rows would be larger than what they draw.
    names = [escape(visible(token)) for token in tokens][::-1]
    down = {"tickvals": _numbers(rows)[::-1], "ticktext": names, "range": [rows - 0.5, -1.5]}
    return picture(traces, height, yaxis=down, margin={"t": 40, "r": 34}, **layout)


def _lengths(values: Array, cells: int) -> Drawn:
    """The length of each vector of [token, model], written beside the last cell of its row, and what it is above."""
    rows = np.arange(-1, len(values), dtype=np.int16)
    return {
        "type": "scatter", "mode": "text", "x": np.full_like(rows, cells - 1), "y": rows,
        "text": ["length", *(number(length, 3) for length in np.linalg.norm(values, axis=-1).tolist())],
        "textposition": "middle right", "textfont": {"size": 10}, "cliponaxis": False, "hoverinfo": "skip",
    }  # fmt: skip


def _strip(values: Array, cells: int, title: str, reach: float) -> Drawn:
    """The vectors of one part, [token, model], as coloured cells."""
    which = "number %{x}:" if cells == values.shape[1] else "numbers %{x}, the largest in size:"
    hover = f"{title}<br>%{{y}}, {which} {WRITTEN}<extra></extra>"
    shown = thousandths(pooled(values, cells, -1))
    rows, columns = _numbers(len(shown)), _numbers(cells)
    return signed_heat(shown, rows, columns, 1_000 * reach, showscale=False, hovertemplate=hover)


def _numbers(count: int) -> Array:
    """0, 1, 2, … in two bytes each."""
    return np.arange(count, dtype=np.int16)


def similarity(cosines: Array, tokens: Sequence[str]) -> Figure:
    """The cosine of every two tokens, [token, token], from −1 to 1; of a long text that of blocks."""
    names = pooled_names(labels(tokens), MOST_TOKENS)
    of_block = "<br>the largest in size of these" if len(names) < len(tokens) else ""
    hover = f"%{{y}}<br>%{{x}}<br>cosine {WRITTEN}{of_block}<extra></extra>"
    bar = colour_bar("cosine") | {
        "tickvals": [-1_000, -500, 0, 500, 1_000],
        "ticktext": ["−1", "−0.5", "0", "0.5", "1"],
    }
    cells = thousandths(pooled_square(cosines, MOST_TOKENS))
    drawn = signed_heat(cells, names, names, 1_000, colorbar=bar, hovertemplate=hover)
    layout = square(len(names), HEIGHT)
    layout["yaxis"]["title"] = title = {"text": "token"}
    return picture([drawn], **layout, xaxis=across(title=title), separators=SEPARATORS)


def self_similarity(cosines: Array, places: Sequence[tuple[str, int]]) -> Figure:
    """The cosine of one word's vectors in every two sentences; places: each sentence, and where the word begins."""
    names = [f"{row}. {excerpt(text, place, 18)}" for row, (text, place) in enumerate(places, 1)]
    hover = "%{y}<br>%{x}<br>cosine %{z:.3f}<extra></extra>"
    short = [str(row) for row in range(1, len(names) + 1)]
    drawn = signed_heat(
        cosines, names, short, 1, showscale=False, hovertemplate=hover, xgap=1, ygap=1,
    )  # fmt: skip
    return picture(
        [drawn, *numbers(cosines, names, short, abs(cosines))],
        height=110 + 36 * len(names),
        xaxis=across(tickangle=0, title={"text": "sentence"}),
        yaxis=down(dtick=1),
    )


def map_of(places: Places, level: int, tokens: Sequence[str], colour: str) -> Figure:
    """Tokens at one level on a map with two or three axes, whose ranges are the same at every level."""
    names, at, axes = labels(tokens), places.at[level], map_axes(places.at, places.axes)
    if len(axes) == 3:
        return _map_in_3d(at, axes, tokens, colour)
    sides = placed(at, axes, [visible(token) for token in tokens])
    dots = {
        "type": "scatter", "x": at[:, 0], "y": at[:, 1], "mode": "markers+text",
        "hoverinfo": "text", "hovertext": names, "marker": {"size": 8, "color": colour}, **_written(names, sides),
    }  # fmt: skip
    return picture([dots], height=HEIGHT, xaxis=axes[0], yaxis=axes[1])


def _map_in_3d(at: Array, axes: Sequence[Drawn], tokens: Sequence[str], colour: str) -> Figure:
    """The same with three axes, to be turned; of many tokens the names would be a heap, and come on hover only."""
    x, y, z = at.T
    # WebGL knows tags but no &lt;, and an invisible space is enough to spoil a tag.
    text = [visible(token).replace("<", "<\u200b") for token in tokens]
    dots = {
        "type": "scatter3d", "x": x, "y": y, "z": z, "marker": {"size": 4, "color": colour}, "hoverinfo": "text",
        "text": text, "hovertext": labels(tokens), "mode": "markers+text" if len(tokens) <= MOST_NAMED else "markers",
    }  # fmt: skip
    wall = {"showbackground": False, "gridcolor": GREY}  # walls would cut off the tokens near them
    for axis in axes:  # a long title would be cut off at the picture's edge
        axis["title"] = {"text": axis["title"]["text"].replace(" of variance", ""), "font": {"size": 10}}
    scene: Drawn = {f"{name}axis": {**axis, **wall} for name, axis in zip("xyz", axes, strict=True)}
    scene |= {"aspectmode": "cube", "dragmode": "orbit", "camera": {"eye": {"x": 1.5, "y": 1.5, "z": 1.1}}}
    return picture([dots], height=HEIGHT, margin={"t": 0}, scene=scene)


def path_of(places: Places, token: int, tokens: Sequence[str], colour: str) -> Figure:
    """One token's way from the embedding (0) through all layers, among the last places of the others; two axes."""
    at, (horizontal, vertical) = places.at, map_axes(places.at, places.axes)
    names, steps = labels(tokens), [str(level) for level in range(len(at))]
    sides = placed(
        np.concatenate([at[:, token], at[-1]]), (horizontal, vertical), [*steps, *(visible(each) for each in tokens)]
    )
    others = {
        "type": "scatter", "x": at[-1, :, 0], "y": at[-1, :, 1], "mode": "markers+text", "hovertext": names,
        "textfont": {"color": GREY, "size": 10}, "hoverinfo": "text", "marker": {"size": 6, "color": rgba(GREY, 0.5)},
        **_written(names, sides[len(at) :]),
    }  # fmt: skip
    way = {
        "type": "scatter", "x": at[:, token, 0], "y": at[:, token, 1], "mode": "lines+markers+text",
        "hovertext": steps, "marker": {"size": 8}, "line": {"color": colour, "width": 2},
        "hovertemplate": "%{fullData.name} after layer %{hovertext}<extra></extra>", "name": names[token],
        **_written(steps, sides),
    }  # fmt: skip
    return picture([others, way], height=HEIGHT, xaxis=horizontal, yaxis=vertical)


def _written(names: Sequence[str], sides: Sequence[str]) -> Drawn:
    """Names where they have a side, nothing elsewhere."""
    pairs = list(zip(names, sides, strict=False))
    return {
        "text": [name if side else "" for name, side in pairs],
        "textposition": [side or "top center" for _, side in pairs],
    }


def layer_likeness(cka: Array, colour: str, rows: str = "", columns: str = "") -> Figure:
    """[level, level] likeness of layers from 0 to 1, the embedding first; of two models, with their names."""
    lower, upper = ([str(level) for level in range(size)] for size in cka.shape)
    hover = "%{y} and %{x}<br>CKA %{z:.3f}<extra></extra>"
    drawn = heat(
        cka, lower, upper, probability_scale(colour), (0, 1), colorbar=colour_bar("CKA"), hovertemplate=hover,
        xgap=1, ygap=1,
    )  # fmt: skip
    below, beside = (f"{escape(name)}: layer" if name else AFTER for name in (columns, rows))
    fits = max(cka.shape) <= MOST_NUMBERED
    said = numbers(cka, lower, upper, probability_opacity(cka)) if fits else []
    height = 110 + 34 * min(max(cka.shape), 10)
    down, right = depth(title={"text": beside}), depth(title={"text": below}, tickangle=0)
    return picture([drawn, *said], height=height, yaxis=down, xaxis=right)


def curves(found: Mapping[str, tuple[Sequence[float] | Array, str]], unit: str) -> Figure:
    """One number a level for several models, by name, each with its colour."""
    lines = [
        {"type": "scatter", "mode": "lines+markers", "cliponaxis": False,
         "x": list(range(len(values))), "y": list(map(float, values)),
         "name": escape(name), "line": {"color": colour, "width": 2},
         "hovertemplate": "after layer %{x}: %{y:.3f}<extra></extra>"}
        for name, (values, colour) in found.items()
    ]  # fmt: skip
    layers, height = {"title": {"text": AFTER}, "dtick": 1}, {"title": {"text": unit}, "rangemode": "tozero"}
    return picture(
        lines, height=280, showlegend=True, legend={"orientation": "h", "y": 1.15}, xaxis=layers, yaxis=height
    )
