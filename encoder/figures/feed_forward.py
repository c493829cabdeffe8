"""Feed-forward: which neurons speak for which tokens, and how many stay silent."""

from collections.abc import Iterable, Sequence

import plotly.graph_objects as go

from encoder import measures
from encoder.figures.style import GREY, colour_bar, finish, labels, reach_of, signed_heat
from encoder.trace import Array, LayerTrace

MANY, FEW = 20, 8  # neurons in the map, and bars in a ranking


def neuron_map(layer: LayerTrace, tokens: Sequence[str], before: bool) -> go.Figure:
    """The most active neurons × all tokens, before or after the activation function; signed, zero in the middle.

    Both pictures show the same neurons in the same order: those with the largest activation on any token.
    """
    neurons = measures.most_active(layer.neurons, MANY)
    values = (layer.preactivation if before else layer.neurons)[:, neurons].T
    hover = "%{y} at %{x}<br>%{z:.3f}<extra></extra>"
    bar = colour_bar("preactivation" if before else "activation")
    names = neuron_names(neurons)
    figure = go.Figure(signed_heat(values, names, labels(tokens), reach_of(values), colorbar=bar, hovertemplate=hover))
    figure.update_xaxes(type="category", tickangle=-60)
    figure.update_yaxes(autorange="reversed")
    return finish(figure, height=120 + 15 * len(neurons))


def strongest_neurons(neurons: Array, token: int, colour: str) -> go.Figure:
    """The neurons of [token, ffn] that say most about one token."""
    chosen = measures.strongest(neurons[token], FEW)
    return _ranking(neurons[token, chosen], neuron_names(chosen), colour)


def strongest_tokens(neurons: Array, neuron: int, tokens: Sequence[str], colour: str) -> go.Figure:
    """The tokens that one neuron of [token, ffn] says most about."""
    chosen = measures.strongest(neurons[:, neuron], FEW)
    names = labels(tokens)
    return _ranking(neurons[chosen, neuron], [names[token] for token in chosen], colour)


def neuron_names(neurons: Iterable[int]) -> list[str]:
    return [f"neuron {neuron + 1}" for neuron in neurons]


def silent_bars(shares: Sequence[float], colour: str, chosen: int) -> go.Figure:
    """The share of silent neurons in each layer; the chosen one (from 0) in full colour, the others in grey."""
    layers = [f"layer {number + 1}" for number in range(len(shares))]
    colours = [colour if number == chosen else GREY for number in range(len(shares))]
    bars = go.Bar(
        x=layers,
        y=list(shares),
        marker_color=colours,
        texttemplate="%{y:.0%}",
        hovertemplate="%{x}: %{y:.1%}<extra></extra>",
    )
    figure = go.Figure(bars)
    figure.update_yaxes(range=[0, 1], tickformat=".0%")
    return finish(figure, height=220)


def _ranking(values: Array, names: Sequence[str], colour: str) -> go.Figure:
    hover = "%{y}<br>%{x:.3f}<extra></extra>"
    bars = go.Bar(
        x=list(values),
        y=list(names),
        orientation="h",
        marker_color=colour,
        texttemplate="%{x:.2f}",
        hovertemplate=hover,
    )
    figure = go.Figure(bars)
    figure.update_xaxes(title_text="activation")
    figure.update_yaxes(type="category", autorange="reversed")
    return finish(figure, height=80 + 22 * len(names))
