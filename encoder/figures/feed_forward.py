"""Feed-forward: which neurons speak for which tokens, and how many stay silent."""

from collections.abc import Iterable, Sequence

from encoder import measures
from encoder.figures.style import (
    GREY,
    Figure,
    across,
    colour_bar,
    down,
    labels,
    layer_names,
    picture,
    reach_of,
    signed_heat,
)
from encoder.trace import Array, LayerTrace

MANY, FEW = 20, 8  # neurons in the map, and bars in a ranking


def neuron_map(layer: LayerTrace, tokens: Sequence[str], before: bool) -> Figure:
    """The most active neurons × all tokens, before or after the activation function; signed, zero in the middle.

    Both pictures show the same neurons in the same order: those with the largest activation on any token.
    """
    neurons = measures.most_active(layer.neurons, MANY)
    values = (layer.preactivation if before else layer.neurons)[:, neurons].T
    hover = "%{y} at %{x}<br>%{z:.3f}<extra></extra>"
    bar = colour_bar("preactivation" if before else "activation")
    names = neuron_names(neurons)
    drawn = signed_heat(values, names, labels(tokens), reach_of(values), colorbar=bar, hovertemplate=hover)
    return picture([drawn], height=100 + 13 * len(neurons), xaxis=across(), yaxis=down())


def strongest_neurons(neurons: Array, token: int, colour: str) -> Figure:
    """The neurons of [token, ffn] that say most about one token."""
    chosen = measures.strongest(neurons[token], FEW)
    return _ranking(neurons[token, chosen], neuron_names(chosen), colour)


def strongest_tokens(neurons: Array, neuron: int, tokens: Sequence[str], colour: str) -> Figure:
    """The tokens that one neuron of [token, ffn] says most about."""
    chosen = measures.strongest(neurons[:, neuron], FEW)
    names = labels(tokens)
    return _ranking(neurons[chosen, neuron], [names[token] for token in chosen], colour)


def neuron_names(neurons: Iterable[int]) -> list[str]:
    return [f"neuron {neuron + 1}" for neuron in neurons]


def silent_bars(shares: Sequence[float], colour: str, chosen: int) -> Figure:
    """The share of silent neurons in each layer; the chosen one (from 0) in full colour, the others in grey."""
    colours = [colour if number == chosen else GREY for number in range(len(shares))]
    bars = {
        "type": "bar", "x": layer_names(len(shares)), "y": list(shares), "marker": {"color": colours},
        "texttemplate": "%{y:.0%}", "hovertemplate": "%{x}: %{y:.1%}<extra></extra>",
    }  # fmt: skip
    return picture([bars], height=220, yaxis={"range": [0, 1], "tickformat": ".0%"})


def _ranking(values: Array, names: Sequence[str], colour: str) -> Figure:
    bars = {
        "type": "bar", "orientation": "h", "x": values, "y": names, "marker": {"color": colour},
        "texttemplate": "%{x:.2f}", "hovertemplate": "%{y}<br>%{x:.3f}<extra></extra>",
    }  # fmt: skip
    return picture([bars], height=80 + 22 * len(names), xaxis={"title": {"text": "activation"}}, yaxis=down())
