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
    picture,
    reach_of,
    signed_heat,
)
from encoder.trace import Array, LayerTrace

MANY, FEW = 20, 8  # neurons in the map, and bars in a ranking
ROW = 17  # pixels of a neuron's row: each has its name beside it
BEFORE, AFTER = "preactivation", "activation"  # what an axis says: before and after the activation function


def neuron_map(layer: LayerTrace, tokens: Sequence[str], before: bool) -> Figure:
    """The most active neurons × all tokens, before or after the activation function; signed, zero in the middle.

    Both pictures show the same neurons in the same order: those with the largest activation on any token.
    """
    neurons = measures.most_active(layer.neurons, MANY)
    values = (layer.preactivation if before else layer.neurons)[:, neurons].T
    hover = "%{y} at %{x}<br>%{z:.3f}<extra></extra>"
    bar = colour_bar(BEFORE if before else AFTER)
    names = neuron_names(neurons)
    # At [CLS] a neuron or two may be ten times as active as all others anywhere.
    drawn = signed_heat(values, names, labels(tokens), reach_of(values, 0.97), colorbar=bar, hovertemplate=hover)
    rows = down(dtick=1, title={"text": "neuron"})
    return picture([drawn], height=130 + ROW * len(neurons), xaxis=across(title={"text": "token"}), yaxis=rows)


def strongest_neurons(values: Array, token: int, colour: str, unit: str = AFTER) -> Figure:
    """The neurons of [token, ffn] with the values largest in size at one token."""
    chosen = measures.strongest(values[token], FEW)
    return _ranking(values[token, chosen], neuron_names(chosen), colour, unit, "neuron")


def strongest_tokens(values: Array, neuron: int, tokens: Sequence[str], colour: str, unit: str = AFTER) -> Figure:
    """The tokens at which one neuron of [token, ffn] has the values largest in size."""
    chosen = measures.strongest(values[:, neuron], FEW)
    names = labels(tokens)
    return _ranking(values[chosen, neuron], [names[token] for token in chosen], colour, unit, "token")


def neuron_names(neurons: Iterable[int]) -> list[str]:
    """Neurons by their numbers from 1; the axis says that they are neurons."""
    return [f"{neuron + 1}" for neuron in neurons]


def share_bars(shares: Sequence[float], colour: str, chosen: int, share: str) -> Figure:
    """A share of each layer, and what it is a share of; the chosen one (from 0) in full colour, the others in grey."""
    colours = [colour if number == chosen else GREY for number in range(len(shares))]
    bars = {
        "type": "bar", "x": layer_numbers(len(shares)), "y": list(shares), "marker": {"color": colours},
        "texttemplate": "%{y:.0%}", "hovertemplate": "layer %{x}: %{y:.1%}<extra></extra>",
    }  # fmt: skip
    axis = {"range": [0, 1], "tickformat": ".0%", "title": {"text": share}}
    return picture([bars], height=230, yaxis=axis, xaxis={"type": "category", "title": {"text": "layer"}})


def layer_numbers(count: int) -> list[str]:
    return [str(number) for number in range(1, count + 1)]


def _ranking(values: Array, names: Sequence[str], colour: str, unit: str, what: str) -> Figure:
    """Bars to the right, and of negative values to the left, with room at both ends for their numbers."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    room = 0.3 * (high - low or 1.0)
    bars = {
        "type": "bar", "orientation": "h", "x": values, "y": names, "marker": {"color": colour},
        "texttemplate": "%{x:.2f}", "textposition": "outside", "cliponaxis": False,
        "hovertemplate": f"{what} %{{y}}<br>%{{x:.3f}}<extra></extra>",
    }  # fmt: skip
    reach = [low - room * (low < 0), high + room * (high > 0)]
    rows = down(dtick=1, title={"text": what})
    return picture([bars], height=80 + 22 * len(names), xaxis={"title": {"text": unit}, "range": reach}, yaxis=rows)
