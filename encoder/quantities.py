"""What can be followed through all layers: one number for every token, or for every head, in every layer."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from encoder import heads, measures
from encoder.formulas import LayerWeights
from encoder.maps import hidden_states
from encoder.trace import Array, Trace
from encoder.views import origins

TURN = "0: the same direction; 1: at right angles; 2: opposite."


@dataclass(frozen=True)
class Quantity:
    """`of(trace)` is [layer, token] or [layer, head]; the first row is the embedding where `from_embedding` says so.

    What happens `inside` a layer needs its weights too, and the tokens as they were read: `of(trace, model.weights)`.
    What is `counted` at the tokens as they were read is told how they are shown: `of(read, words, hide)`.
    """

    label: str
    meaning: str
    across: Literal["token", "head"]
    unit: str
    of: Callable[..., Array]
    from_embedding: bool = False
    top: float | None = None  # the largest possible value, where there is one
    inside: bool = False
    counted: bool = False


def _size(trace: Trace) -> Array:
    return np.stack([np.linalg.norm(state, axis=-1) for state in hidden_states(trace)])


def _change(trace: Trace) -> Array:
    states = hidden_states(trace)
    return np.stack([measures.turn(before, after) for before, after in pairwise(states)])


def _departure(trace: Trace) -> Array:
    start = trace.embedding.output
    return np.stack([measures.turn(start, layer.hidden) for layer in trace.layers])


def _alike(trace: Trace) -> Array:
    cosines = np.stack([measures.cosine(state) for state in hidden_states(trace)])  # [layer, token, token]
    others = cosines.shape[-1] - 1
    return (cosines.sum(-1) - 1) / others if others else cosines[..., 0]  # a token alone is like itself


def silent(read: Trace, words: bool = False, hide: bool = False) -> Array:
    """[layer, token shown] the share of neurons that say nothing about each token as it was read.

    Words have the mean of their pieces: a mean of activations may be silent where none of them is.
    """
    shares = np.stack([measures.silent(layer.neurons).mean(-1) for layer in read.layers])
    starts = origins(read.tokens, words, hide=False)
    shown = np.add.reduceat(shares, starts, -1) / np.diff(starts, append=len(read.tokens))
    return shown[:, ~read.tokens.special[starts]] if hide else shown


def _mix(trace: Trace, weights: Callable[[int], LayerWeights]) -> Array:
    return np.stack([_mix_of(trace, number, weights(number)) for number in range(len(trace.layers))])


def _mix_of(trace: Trace, number: int, weights: LayerWeights) -> Array:
    layer, heads = trace.layers[number], trace.model.heads
    output = weights.output.weight.reshape(heads, -1, trace.model.width)
    norm = None if weights.pre_norm else weights.attention_norm
    past = hidden_states(trace)[number] * np.float32(weights.residuals)
    return measures.residual_mix(layer.attention, layer.value, output, past, norm.gamma if norm else None)


QUANTITIES: dict[str, Quantity] = {
    "size": Quantity(
        "Size of hidden states", "The length of each token’s vector: the root of the sum of its squared numbers.",
        "token", "length", _size, from_embedding=True,
    ),
    "change": Quantity(
        "Change in each layer", f"How far a layer turns each token’s vector: 1 − cosine with the one below. {TURN}",
        "token", "1 − cosine", _change,
    ),
    "departure": Quantity(
        "Turn from the start", f"How far each token has turned from its embedding: 1 − their cosine. {TURN}",
        "token", "1 − cosine", _departure,
    ),
    "alike": Quantity(
        "Likeness to the others",
        "The mean cosine of each token’s vector with those of the other tokens: 1 for the same direction, 0 at right "
        "angles.",
        "token", "cosine", _alike, from_embedding=True,
    ),
    "silent": Quantity(
        "Silent neurons",
        "The share of neurons that say (almost) nothing about a token, counted as it was read: of a word, the mean of "
        "its pieces.", "token", "share", silent, top=1.0, counted=True,
    ),
    "mix": Quantity(
        "Mixing by attention",
        "How much of what attention and its residual hand on comes from other tokens, by length: 0 none, 1 all.",
        "token", "share", _mix, top=1.0, inside=True,
    ),
    "entropy": Quantity(
        "Spread of attention",
        "The entropy of each head’s attention ÷ ln T (T tokens): 0 for one token only, 1 for all tokens alike.",
        "head", "entropy ÷ ln T", heads.MEASURES["entropy"].of, top=1.0,
    ),
    "distance": Quantity(
        "Reach of attention", "How far away the tokens are that each head reads, on average.",
        "head", "tokens away", heads.MEASURES["distance"].of,
    ),
    "previous": Quantity(
        "Attention to the previous token", "The mean weight of each head on the token just before.",
        "head", "share", heads.MEASURES["previous"].of, top=1.0,
    ),
    "special": Quantity(
        "Attention to special tokens", "The mean weight of each head on [CLS], [SEP] and their like.",
        "head", "share", heads.MEASURES["special"].of, top=1.0,
    ),
}  # fmt: skip
