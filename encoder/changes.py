"""What can be otherwise in a model, and what that changes; `encoder/what_if.py` computes it."""

from dataclasses import dataclass

import numpy as np

from encoder.edits import Pairs
from encoder.measures import cosine, turn
from encoder.trace import Array, Trace

Choices = tuple[tuple[str, str | bool], ...]  # of EncoderConfig, by name: ("norm", "none")


@dataclass(frozen=True)
class Changes:
    """What is otherwise, each from 0. A whole layer's attention is off when all its heads are."""

    heads_off: frozenset[tuple[int, int]] = frozenset()  # (layer, head)
    neurons: tuple[tuple[int, int, float], ...] = ()  # (layer, neuron, factor): 0 switches it off
    choices: Choices = ()

    def __bool__(self) -> bool:
        return bool(self.heads_off or self.neurons or self.choices)


@dataclass(frozen=True)
class Ablation:
    """How much each head's absence changes a reading."""

    change: Array  # [layer, head] 1 − cosine of the last hidden states, mean over tokens
    divergence: Array | None  # [layer, head] KL in nats of the guesses at the first [MASK], None where there is none

    @property
    def nbytes(self) -> int:
        return self.change.nbytes * (1 if self.divergence is None else 2)


def turns(before: Trace, after: Trace, pairs: Pairs | None = None) -> Array:
    """[layer, token] how far a change turns every hidden state: 1 − cosine of the two readings'.

    pairs: which token of `after` is which of `before`, all in their order by default. A token that has none is NaN.
    """
    here, there = pairs or everything(before)
    found = np.full((len(before.layers), len(before.tokens)), np.nan, dtype=np.float32)
    for number, (one, other) in enumerate(zip(before.layers, after.layers, strict=True)):
        found[number, here] = turn(one.hidden[here], other.hidden[there])
    return found


def difference(before: Array, after: Array, pairs: Pairs) -> Array:
    """[query, key] of `before`: one head's attention after less before, NaN where a token has no partner."""
    here, there = pairs
    found = np.full(before.shape, np.nan, dtype=np.float32)
    found[np.ix_(here, here)] = after[np.ix_(there, there)] - before[np.ix_(here, here)]
    return found


def mean_turn(turned: Array) -> float:
    """How far the last hidden states turn, mean over the tokens of [layer, token] that have a partner."""
    return float(np.nanmean(turned[-1])) if not np.isnan(turned[-1]).all() else 0.0


def everything(read: Trace) -> Pairs:
    """Each token with itself."""
    places = np.arange(len(read.tokens))
    return Pairs(places, places)


def sentence_similarity(before: Trace, after: Trace) -> float:
    """The cosine of two sentences, each the mean of what the model hands on (Reimers & Gurevych 2019, mean pooling)."""
    means = np.stack([before.output.mean(0), after.output.mean(0)])
    return float(cosine(means)[0, 1])


def apart(before: Trace, after: Trace) -> float:
    """The largest difference between what two readings hand on."""
    return float(abs(before.output - after.output).max())


def strongest(change: Array, count: int) -> list[tuple[int, int]]:
    """(layer, head) of [layer, head], those whose absence changes most first."""
    order = np.argsort(-change, axis=None, kind="stable")[:count]
    return [(int(layer), int(head)) for layer, head in zip(*np.unravel_index(order, change.shape), strict=True)]
