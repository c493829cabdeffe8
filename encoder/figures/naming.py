"""Names beside points, none over another: of points that lie close together some are named on hover only."""

from collections.abc import Sequence

import numpy as np

from encoder.figures.style import Drawn
from encoder.trace import Array

WIDTH, HEIGHT = 270, 270  # pixels of a map on the narrowest screen
LETTER, LINE, DOT = 7.5, 15.0, 6.0  # pixels: of a letter, of a line of text, from a point's middle to its name
SIDES = {"middle right": (1, 0), "middle left": (-1, 0), "top center": (0, 1), "bottom center": (0, -1)}


def placed(at: Array, axes: Sequence[Drawn], names: Sequence[str]) -> list[str]:
    """On which side each of [point, 2] has its name, "" for on none: no name covers another, or a point.

    The names of the first points are placed first.
    """
    low, high = np.array([axis["range"] for axis in axes], dtype=np.float64).T
    pixels = (WIDTH, HEIGHT) / (high - low)
    points = (np.asarray(at) - low) * pixels
    boxes = np.concatenate([points - DOT / 2, points + DOT / 2], 1)  # [point or name, left bottom right top]
    found = [""] * len(points)
    for number, (point, name) in enumerate(zip(points, names, strict=True)):
        size = np.array([LETTER * len(name), LINE])
        for side, direction in SIDES.items():
            middle = point + direction * (size / 2 + DOT)
            left, bottom = middle - size / 2
            right, top = middle + size / 2
            inside = left >= 0 and bottom >= 0 and right <= WIDTH and top <= HEIGHT
            free = (boxes[:, 0] >= right) | (boxes[:, 2] <= left) | (boxes[:, 1] >= top) | (boxes[:, 3] <= bottom)
            free[number] = True  # its own point
            if inside and free.all():
                found[number] = side
                boxes = np.concatenate([boxes, [[left, bottom, right, top]]])
                break
    return found
