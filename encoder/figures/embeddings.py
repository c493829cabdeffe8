"""Embeddings: the sum they are, how alike tokens are, and where they lie on a map."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from encoder.figures.style import GREY, colour_bar, finish, labels, reach_of, rgba, signed_heat
from encoder.labels import visible
from encoder.maps import Places
from encoder.trace import Array, EmbeddingTrace

STRIPS = (("token", "token"), ("position", "+ position"), ("segment", "+ segment"), ("output", "= embedding"))


def sum_strips(embedding: EmbeddingTrace, tokens: Sequence[str]) -> go.Figure:
    """token + position + segment = embedding as four strips [token, model], each vector's length at its right.

    Each strip has its own colour reach, given above it: the parts are much smaller than their normed sum.
    """
    names, figure = labels(tokens), go.Figure()
    titles = []
    for number, (part, title) in enumerate(STRIPS):
        values: Array = getattr(embedding, part)
        reach, axis = reach_of(values), str(number + 1) if number else ""
        start, end = number / 4, (number + 0.64) / 4
        hover = f"%{{y}}, channel %{{x}}<br>{part} %{{z:.3f}}<extra></extra>"
        channels = np.arange(1, values.shape[1] + 1)
        figure.add_trace(
            signed_heat(
                values, names, channels, reach, showscale=False, hovertemplate=hover, xaxis=f"x{axis}", yaxis="y"
            )
        )
        figure.update_layout(
            {f"xaxis{axis}": {"domain": (start, end), "showticklabels": False, "ticks": "", "anchor": "y"}}
        )
        titles.append(_text(f"<b>{title}</b><br>±{reach:.2g}", (start + end) / 2, 1, "paper", "center", "bottom"))
        lengths = np.linalg.norm(values, axis=-1)
        titles += [
            _text(f"{length:.3g}", end + 0.004, name, "y", "left", "middle")
            for name, length in zip(names, lengths, strict=True)
        ]
    figure.update_layout(annotations=titles)
    figure.update_yaxes(type="category", autorange="reversed")
    return finish(figure, height=90 + max(10, min(24, 420 // len(names))) * len(names), margin={"t": 44, "r": 36})


def similarity(cosines: Array, tokens: Sequence[str]) -> go.Figure:
    """The cosine of every two tokens, [token, token], from −1 to 1."""
    names = labels(tokens)
    hover = "%{y}<br>%{x}<br>cosine %{z:.3f}<extra></extra>"
    figure = go.Figure(signed_heat(cosines, names, names, 1, colorbar=colour_bar("cosine"), hovertemplate=hover))
    figure.update_xaxes(type="category", tickangle=-60)
    figure.update_yaxes(type="category", autorange="reversed")
    return finish(figure, height=460)


def map_of(places: Places, level: int, tokens: Sequence[str], colour: str) -> go.Figure:
    """Tokens at one level on a map with two or three axes, whose ranges are the same at every level."""
    names, reach, axes = labels(tokens), _ranges(places.at), places.axes
    marks = {
        "mode": "markers+text",
        "text": names,
        "textposition": "top center",
        "hoverinfo": "text",
        "hovertext": names,
    }
    if len(axes) == 3:
        x, y, z = places.at[level].T
        # WebGL knows tags but no &lt;, and an invisible space is enough to spoil a tag.
        marks["text"] = [visible(token).replace("<", "<\u200b") for token in tokens]
        figure = go.Figure(go.Scatter3d(x=x, y=y, z=z, marker={"size": 4, "color": colour}, **marks))
        # Walls would cut off the tokens near them.
        wall = {"showbackground": False, "gridcolor": GREY}
        scene = {
            f"{name}axis": {"title": title, "range": limits, **wall}
            for name, title, limits in zip("xyz", axes, reach, strict=True)
        }
        figure.update_layout(scene={**scene, "aspectmode": "cube"})
        figure = finish(figure, height=480, margin={"t": 0})
        return figure.update_layout(dragmode="orbit")
    figure = go.Figure(
        go.Scatter(x=places.at[level, :, 0], y=places.at[level, :, 1], marker={"size": 8, "color": colour}, **marks)
    )
    figure.update_xaxes(title_text=axes[0], range=reach[0])
    figure.update_yaxes(title_text=axes[1], range=reach[1])
    return finish(figure, height=460)


def path_of(places: Places, token: int, tokens: Sequence[str], colour: str) -> go.Figure:
    """One token's way from the embedding (0) through all layers, among the last places of the others; two axes."""
    names, at, (across, up) = labels(tokens), places.at, _ranges(places.at)
    others = go.Scatter(
        x=at[-1, :, 0], y=at[-1, :, 1], mode="markers+text", text=names, textposition="bottom center",
        marker={"size": 6, "color": rgba(GREY, 0.5)}, textfont={"color": GREY, "size": 10}, hoverinfo="text",
    )  # fmt: skip
    steps = [str(number) for number in range(len(at))]
    way = go.Scatter(
        x=at[:, token, 0], y=at[:, token, 1], mode="lines+markers+text", text=steps, textposition="top center",
        line={"color": colour, "width": 2}, marker={"size": 8}, hovertemplate="after layer %{text}<extra></extra>",
    )  # fmt: skip
    figure = go.Figure([others, way])
    figure.update_xaxes(title_text=places.axes[0], range=across)
    figure.update_yaxes(title_text=places.axes[1], range=up)
    return finish(figure, height=460)


def _ranges(places: Array) -> list[list[float]]:
    low, high = places.min((0, 1)), places.max((0, 1))
    room = 0.12 * np.maximum(high - low, 1e-6)
    return [[float(bottom), float(top)] for bottom, top in zip(low - room, high + room, strict=True)]


def _text(text: str, x: float, y: float | str, yref: str, xanchor: str, yanchor: str) -> dict[str, object]:
    place = {"x": x, "y": y, "xref": "paper", "yref": yref, "xanchor": xanchor, "yanchor": yanchor}
    return {"text": text, "showarrow": False, "font": {"size": 11}, **place}
