"""Whether the numbers of a reading mean anything: pictures are drawn of nothing else."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from encoder.errors import ModelError
from encoder.model import LayerStates
from encoder.numerals import power_of_ten
from encoder.trace import EMBEDDING_AXES, LAYER_AXES, Array, Trace

# How far off a score may be, as a share of its row's largest: float32 keeps 24 bits, and sums lose up to four of them
# (measured against float64: 1e-6). From 1 / ROUNDING on that is 1 or more, which makes a weight e times as large.
ROUNDING = 2.0**-20


def signs_of(states: LayerStates, scale: float) -> tuple[Tensor, ...]:
    """Of a layer a few numbers by which it may be seen to be doubtful, for a hundredth of the time of its reading.

    A sum is finite only if all its numbers are. What is not finite in other arrays reaches `hidden`; but ReLU makes 0
    of −∞, and a key whose scores are −∞ is not read. |query · key| is at most the product of their lengths
    (Cauchy–Schwarz), here of all of them together.
    """
    longest = torch.linalg.vector_norm(states.query) * torch.linalg.vector_norm(states.key)
    overflows = longest * (scale * ROUNDING * torch.finfo(torch.float32).max)  # where a score may reach 1 / ROUNDING
    return sum_of(states.hidden), sum_of(states.preactivation), sum_of(states.value_size), overflows


def sum_of(array: Tensor) -> Tensor:
    """The sum, which is finite only if all numbers are."""
    return array.sum(dtype=torch.float32)


def are_doubtful(signs: Sequence[Tensor]) -> bool:
    """Whether a reading has to be looked at closely."""
    return not bool(torch.stack(tuple(signs)).isfinite().all())


def check(trace: Trace) -> None:
    """Raise ModelError, in a sentence, where numbers are not finite, or where rounding alone decides the attention."""
    with np.errstate(over="ignore", invalid="ignore"):
        _check(trace)


def not_finite(where: str) -> ModelError:
    """What to raise where numbers are not finite."""
    return ModelError(f"{where} holds numbers that are not finite (infinity or NaN): nothing can be drawn from them.")


def _check(trace: Trace) -> None:
    name = trace.model.name
    if not _are_finite(getattr(trace.embedding, part) for part in EMBEDDING_AXES):
        raise not_finite(f"The embedding of {name}")
    for number, layer in enumerate(trace.layers, 1):
        if not _are_finite(getattr(layer, part) for part in LAYER_AXES):
            raise not_finite(f"Layer {number} of {name}")
        if _is_noise(layer.scores):
            largest = power_of_ten(float(abs(layer.scores).max()))
            raise ModelError(
                f"The scores in layer {number} of {name} are so large ({largest}) that rounding decides "
                "which is the largest: its attention would be noise, so nothing is drawn from it."
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
