"""What can be otherwise in a model, and what that changes; `encoder/what_if.py` computes it."""

from dataclasses import dataclass

import numpy as np

from encoder.measures import turn
from encoder.trace import Array, Trace


@dataclass(frozen=True)
class Changes:
    """What is otherwise, each from 0. A whole layer's attention is off when all its heads are."""

    heads_off: frozenset[tuple[int, int]] = frozenset()  # (layer, head)
    neurons: tuple[tuple[int, int, float], ...] = ()  # (layer, neuron, factor): 0 switches it off

    def __bool__(self) -> bool:
        return bool(self.heads_off or self.neurons)


@dataclass(frozen=True)
class Ablation:
    """How much each head's absence changes a reading."""

    change: Array  # [layer, head] 1 − cosine of the last hidden states, mean over tokens
    divergence: Array | None  # [layer, head] KL in nats of the guesses at the first [MASK], None where there is none

    @property
    def nbytes(self) -> int:
        return self.change.nbytes * (1 if self.divergence is None else 2)


def turns(before: Trace, after: Trace) -> Array:
    """[layer, token] how far a change turns every hidden state: 1 − cosine of the two readings'."""
    pairs = zip(before.layers, after.layers, strict=True)
    return np.stack([turn(one.hidden, other.hidden) for one, other in pairs])


def apart(before: Trace, after: Trace) -> float:
    """The largest difference between the last hidden states of two readings."""
    return float(abs(before.layers[-1].hidden - after.layers[-1].hidden).max())


def strongest(change: Array, count: int) -> list[tuple[int, int]]:
    """(layer, head) of [layer, head], those whose absence changes most first."""
    order = np.argsort(-change, axis=None, kind="stable")[:count]
    return [(int(layer), int(head)) for layer, head in zip(*np.unravel_index(order, change.shape), strict=True)]
