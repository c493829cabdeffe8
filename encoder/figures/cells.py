"""Large maps in few bytes: no more cells than a screen shows, two bytes each, with true numbers on hover."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from encoder import measures
from encoder.trace import Array

# Plotly writes no number divided by another. But it groups thousands: with a point as the sign between groups, 340
# thousandths, filled with zeros, are written 0.340. So a whole number of two bytes does what a fraction of four would.
SEPARATORS = ".."
WRITTEN = "%{z:+05,d}"  # the number of a cell, in a hover text


def thousandths(values: Array) -> Array:
    """[…] whole thousandths in two bytes, or four where one of them is too large."""
    whole = np.rint(values * 1_000)
    return whole.astype(np.int16 if abs(whole).max(initial=0) <= 32_767 else np.int32)


def pooled(values: Array, most: int, axis: int) -> Array:
    """The same with at most so many cells along an axis: each is the number of its block that is largest in size."""
    count = values.shape[axis]
    if count <= most:
        return values
    starts = measures.blocks(count, most)
    high, low = (pick.reduceat(values, starts, axis) for pick in (np.fmax, np.fmin))  # which pass over NaN
    return np.where(high >= -low, high, low)


def pooled_square(values: Array, most: int) -> Array:
    """[..., token, token] pooled along both axes."""
    return pooled(pooled(values, most, -1), most, -2)


def pooled_names(names: Sequence[str], most: int) -> list[str]:
    """What each of those cells stands for: one name, or the first and the last of its block."""
    if len(names) <= most:
        return list(names)
    edges = [*measures.blocks(len(names), most).tolist(), len(names)]
    return [names[a] + (f" – {names[b - 1]}" if b - a > 1 else "") for a, b in pairwise(edges)]
