"""Training: curves of what is learned when, and how heads and words look at every snapshot."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from math import isqrt

from encoder.figures.attention import TO, small_maps
from encoder.figures.style import GREY, LEFT, Drawn, Figure, escape, labels, map_axes, picture, rgba, sides
from encoder.lesson import SNAPSHOTS, best_head
from encoder.maps import by_pca
from encoder.trace import Array

HEIGHT = 330
MOST_TOKENS = 40  # of a sentence that is seen again at every snapshot
NAMED = 24  # tokens whose rows all have their names
ROOM = 0.1  # of the map's width, more on either side: a phone has little for the names of the outermost tokens
MOST_BYTES = 3_000_000  # of all its heads' maps in one message
# Okabe and Ito's other colours: blue and vermilion mean left and right.
COLOURS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9", GREY)
Points = tuple[Sequence[float], Sequence[float]]  # steps, values


def accuracy(curves: Mapping[str, Points], chance: Mapping[str, float], unigram: Mapping[str, float]) -> Figure:
    """Accuracy by structure; dotted, what guessing the most frequent word that could stand there gets."""
    traces = []
    for (name, (steps, values)), colour in zip(curves.items(), cycle(COLOURS), strict=False):
        hover = f"{escape(name)}<br>step %{{x:,}}: %{{y:.0%}}<extra></extra>"
        traces.append(_line(steps, values, escape(name), colour, hover, width=2.5))
        if steps and name in unigram:
            guess = f"{escape(name)}: {unigram[name]:.0%} by the most frequent word, {chance[name]:.0%} by pure chance"
            ends, level = [steps[0], steps[-1]], [unigram[name]] * 2
            dots = _line(ends, level, "", colour, f"{guess}<extra></extra>", width=1, dash="dot")
            traces.append({**dots, "showlegend": False})
    return _curves(traces, {"title": {"text": "right answers"}, "tickformat": ".0%", "range": [0, 1.03]})


def compare(curves: Mapping[str, Points], share: bool) -> Figure:
    """The losses of several trainings, by name, or their shares of right answers; the last one in colour."""
    traces = []
    for number, (name, (steps, values)) in enumerate(curves.items()):
        last = number == len(curves) - 1
        colour = LEFT if last else rgba(GREY, 0.35 + 0.5 * (number + 1) / len(curves))
        number_format = ".0%" if share else ".3f"
        hover = f"{escape(name)}<br>step %{{x:,}}: %{{y:{number_format}}}<extra></extra>"
        dash = ("solid", "dash", "dot", "dashdot")[(len(curves) - 1 - number) % 4]
        traces.append(_line(steps, values, escape(name), colour, hover, width=2.5 if last else 1.5, dash=dash))
    axis = {"tickformat": ".0%", "range": [0, 1.03]} if share else {"rangemode": "tozero"}
    title = "right answers" if share else "loss (nats per hidden token)"
    return _curves(traces, {"title": {"text": title}, **axis})


def head_weights(
    steps: Sequence[int], curves: Mapping[str, Sequence[float]], right: Points | None, chosen: str | None
) -> Figure:
    """Each head's weight on the token that it should look at, by the head's name.

    right: accuracy by step, to see which comes first. chosen: the head that has a colour; None: the best one so far.
    """
    shown = chosen or best_head(curves)
    traces = []
    for name in sorted(curves, key=lambda name: name == shown):  # that one on top
        hover = f"head {name}<br>step %{{x:,}}: %{{y:.2f}}<extra></extra>"
        colour, width = (LEFT, 3.0) if name == shown else (rgba(GREY, 0.45), 1.0)
        line = _line(steps, curves[name], f"head {name}", colour, hover, width)
        traces.append({**line, "showlegend": name == shown})
    if right is not None:
        hover = "right answers<br>step %{x:,}: %{y:.0%}<extra></extra>"
        traces.append(_line(*right, "right answers", COLOURS[0], hover, 1.5, "dash"))
    return _curves(
        traces,
        {"title": {"text": "attention weight; right answers" if right else "attention weight"}, "range": [0, 1.03]},
    )


def most_tokens(heads: int) -> int:
    """How long a sentence may be for the maps of so many heads at every snapshot: 4 bytes a weight."""
    return min(MOST_TOKENS, isqrt(MOST_BYTES // (4 * SNAPSHOTS * heads)))


def heads_again(attention: Array, steps: Sequence[int], tokens: Sequence[str]) -> Figure:
    """All heads of all layers at every snapshot, [moment, layer, head, query, key]; one row per layer, and a slider.

    Layer 1 is at the bottom.
    """
    moments, layers, heads, count, _ = attention.shape
    titles = [f"{layer}-{head + 1}" for layer in range(layers, 0, -1) for head in range(heads)]
    names = [f"head {title}" for title in titles]
    flat = attention[:, ::-1].reshape(moments, layers * heads, count, count)
    every_row = 1 if count <= NAMED else None
    figure = small_maps(flat[-1], names, titles if heads > 4 else names, tokens, LEFT, heads, every_row)
    frames = [[{"type": "heatmap", "z": one} for one in moment] for moment in flat]
    titled = {_axis("y", row * heads): f"<b>layer {layers - row}</b><br>from (query)" for row in range(layers)}
    titled[_axis("x", layers * heads - heads // 2 - 1)] = TO  # once, below the middle of the lowest row
    figure.update_layout({name: {"title": {"text": title}} for name, title in titled.items()})
    return _through_time(figure, frames, steps, height=186 + layers * (34 + 13 * min(max(count, 6), NAMED)))


def _axis(kind: str, number: int) -> str:
    """The name of a map's axis in Plotly's layout."""
    return f"{kind}axis{number + 1}" if number else f"{kind}axis"


def map_again(states: Sequence[Array], steps: Sequence[int], tokens: Sequence[str]) -> Figure:
    """Where the tokens lie at every snapshot, each [token, model], on axes that all snapshots share, and a slider."""
    places, names = by_pca(states, 2), labels(tokens)
    x, y = map_axes(places.at, places.axes)
    low, high = x["range"]
    x["range"] = [low - ROOM * (high - low), high + ROOM * (high - low)]
    dots = {"type": "scatter", "mode": "markers+text", "text": names, "cliponaxis": False,
            "hoverinfo": "text", "marker": {"size": 8, "color": LEFT}}  # fmt: skip
    frames = [[{**dots, "x": each[:, 0], "y": each[:, 1], "textposition": sides(each, (x, y))}] for each in places.at]
    return _through_time(picture(frames[-1], 460, xaxis=x, yaxis=y), frames, steps, height=520)


def _through_time(figure: Figure, frames: Sequence[Sequence[Drawn]], steps: Sequence[int], height: int) -> Figure:
    """A figure that a slider takes through its frames, in the browser alone; it begins with the last one."""
    at_once = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    played = {"fromcurrent": True, "frame": {"duration": 250, "redraw": True}, "transition": {"duration": 0}}
    slider = {
        "active": len(steps) - 1, "currentvalue": {"prefix": "after step "}, "x": 0, "len": 1,
        "y": 1, "yanchor": "bottom", "pad": {"l": 64, "b": 44},
        "steps": [{"method": "animate", "label": f"{step:,}", "args": [[str(step)], at_once]} for step in steps],
    }  # fmt: skip
    play = {
        "type": "buttons", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom", "pad": {"b": 62},
        "showactive": False,
        "buttons": [{"label": "▶", "method": "animate", "args": [[str(step) for step in steps], played]}],
    }  # fmt: skip
    figure.update_layout(sliders=[slider], updatemenus=[play], height=height, margin={"t": 100})
    figure.frames = [{"name": str(step), "data": list(data)} for step, data in zip(steps, frames, strict=True)]
    return figure


def _line(
    steps: Sequence[float], values: Sequence[float], name: str, colour: str, hover: str, width: float,
    dash: str = "solid",
) -> Drawn:  # fmt: skip
    return {
        "type": "scatter", "mode": "lines", "x": list(steps), "y": list(values), "name": name, "hovertemplate": hover,
        "line": {"color": colour, "width": width, "dash": dash},
    }  # fmt: skip


def _curves(traces: Sequence[Drawn], axis: Drawn) -> Figure:
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    steps = {"title": {"text": "steps done"}, "rangemode": "tozero", "tickformat": ",d"}
    return picture(traces, HEIGHT, showlegend=True, legend=legend, xaxis=steps, yaxis=axis)
