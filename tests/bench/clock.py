"""Timing two or more things fairly on a machine that others use too."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping


def interleave(
    jobs: Mapping[str, Callable[[], object]], seconds: float = 6.0, fewest: int = 3, most: int = 60
) -> dict[str, list[float]]:
    """Seconds that each job took each time, all run in turn within about `seconds`.

    Taking turns (A B, B A, …) gives every job the same share of whatever else the machine does. The
    garbage collector rests meanwhile, as in `timeit`: its walks would hit whichever job runs then.
    """
    for job in jobs.values():
        job()  # first calls pay for memory and kernels
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    order = list(jobs)
    gc.collect()
    gc.disable()
    try:
        until = time.perf_counter() + seconds
        for count in range(most):
            if count >= fewest and time.perf_counter() > until:
                break
            for name in order:
                start = time.perf_counter()
                jobs[name]()
                taken[name].append(time.perf_counter() - start)
            order.reverse()
    finally:
        gc.enable()
    return taken


def milliseconds(seconds: list[float]) -> float:
    """The median of durations in seconds, in milliseconds."""
    return statistics.median(seconds) * 1e3


def spread(ours: list[float], peer: list[float]) -> str:
    """How much the ratio wavered from round to round, for judging how much to believe its median."""
    ratios = [mine / theirs for mine, theirs in zip(ours, peer, strict=True)]
    return f"ratio {percentile(ratios, 0.25):.2f}–{percentile(ratios, 0.75):.2f} in half of {len(ratios)} rounds"


def percentile(values: list[float], share: float) -> float:
    """The value that `share` (0–1) of all values do not exceed, nearest rank."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
