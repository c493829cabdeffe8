"""Whether the numbers of a reading mean anything: pictures are drawn of nothing else."""

from collections.abc import Iterable, Iterator

import numpy as np

from encoder.errors import ModelError
from encoder.trace import EMBEDDING_AXES, LAYER_AXES, Array, LayerTrace, Trace

# How far off a score may be, as a share of its row's largest: float32 keeps 24 bits, and sums lose up to four of them
# (measured against float64: 1e-6). From 1 / ROUNDING on that is 1 or more, which makes a weight e times as large.
ROUNDING = 2.0**-20


def check(trace: Trace) -> None:
    """Raise ModelError, in one sentence, where numbers are not finite, or where rounding alone decides the attention.

    Sums come first, as they take a hundredth of the reading's time: a sum is finite only if all its numbers are. Every
    number is looked at only where a sum is not, or where a score may be large.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if not (np.isfinite(list(_sums(trace))).all() and all(map(_has_small_scores, trace.layers))):
            _look_closely(trace)


def not_finite(where: str) -> ModelError:
    """What to raise where numbers are not finite."""
    return ModelError(f"{where} holds numbers that are not finite (infinity or NaN): nothing can be drawn from them.")


def _sums(trace: Trace) -> Iterator[np.float32]:
    """The sums of a few arrays. What is not finite in others reaches `hidden`, but for the scores of a key."""
    yield trace.embedding.output.sum()
    yield trace.output.sum()
    for layer in trace.layers:
        yield layer.hidden.sum()
        yield layer.preactivation.sum()  # ReLU makes 0 of −∞
        yield layer.value_size.sum()


def _has_small_scores(layer: LayerTrace) -> bool:
    """Whether no score is large, as |query · key| is at most the product of their lengths (Cauchy–Schwarz)."""
    return bool(layer.scale * np.sqrt(_squares(layer.query)) * np.sqrt(_squares(layer.key)) < 1 / ROUNDING)


def _squares(array: Array) -> np.float32:
    flat = array.ravel(order="K")  # as it lies in memory, without a copy
    return np.float32(flat @ flat)


def _look_closely(trace: Trace) -> None:
    name = trace.model.name
    if not _are_finite(getattr(trace.embedding, part) for part in EMBEDDING_AXES):
        raise not_finite(f"The embedding of {name}")
    for number, layer in enumerate(trace.layers, 1):
        if not _are_finite(getattr(layer, part) for part in LAYER_AXES):
            raise not_finite(f"Layer {number} of {name}")
        if _is_noise(layer.scores):
            raise ModelError(
                f"The scores in layer {number} of {name} are so large ({abs(layer.scores).max():.0e}) that rounding "
                "decides which is the largest: its attention would be noise, so nothing is drawn from it."
            )
    if not _are_finite([trace.output]):
        raise not_finite(f"The norm on top of {name}")


def _are_finite(arrays: Iterable[Array]) -> bool:
    return all(np.isfinite(array).all() for array in arrays)


def _is_noise(scores: Array) -> bool:
    """Whether in any row of [head, query, key] the two largest scores lie closer than their rounding, and that is 1.

    Large scores that lie far apart are no noise: all weight goes to the largest.
    """
    if scores.shape[-1] < 2:
        return False
    off = abs(scores).max(-1) * np.float32(ROUNDING)  # [head, query]
    second, first = np.moveaxis(np.partition(scores, -2)[..., -2:], -1, 0)
    return bool(((off >= 1) & (first - second <= off)).any())
