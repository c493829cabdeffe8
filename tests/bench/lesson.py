"""A training live in class: how soon it has learned, and what it costs those who look at other pages meanwhile."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from encoder.lesson import LessonConfig, milestone
from encoder.workshop import Run, Workshop
from tests.bench import texts
from tests.bench.clock import percentile
from tests.bench.report import Row
from tests.bench.visitor import visit
from tests.server import APP, Server, serve

LEARNED = 0.95  # share of right answers
STRUCTURES = ("agreement", "brackets")
ROUNDS, TURNS = 6, 12  # of turns beside a training at work, and as many beside one that sleeps
REST = 0.15  # seconds between two turns
PATHS = {"": "Side by side", "attention-heads": "Attention"}


def rows() -> Iterator[Row]:
    """The default training alone on the machine; then turns of two pages with a training beside them and without."""
    with tempfile.TemporaryDirectory() as home:
        shop = Workshop(Path(home), lambda owner: True)
        yield from _default(shop)
        with serve(APP, cores=2) as server:
            yield from _beside(server, shop)


def _default(shop: Workshop) -> Iterator[Row]:
    """The seconds count from the click, with the process's start."""
    began = time.monotonic()
    run = shop.start("bench", LessonConfig())
    arrived: list[float] = []  # of each exam's marks
    while not run.over:
        time.sleep(0.05)
        arrived += [time.monotonic() - began] * (len(run.marks) - len(arrived))
    if run.state != "done":
        raise RuntimeError(run.why)
    for structure in run.chance:
        _, values = run.accuracy(structure)
        reached = milestone(arrived, values, LEARNED)
        note = (
            f"{values[-1]:.0%} at the end, {arrived[-1]:.0f} s; by chance {run.chance[structure]:.0%}, "
            f"by the most frequent word {run.unigram[structure]:.0%}"
        )
        yield Row(
            "lesson", f"default training: {structure} right at {LEARNED:.0%} and more from", reached, unit="s",
            target=90 if structure in STRUCTURES else None, note=note,
        )  # fmt: skip


def _beside(server: Server, shop: Workshop) -> Iterator[Row]:
    run = shop.start("bench", LessonConfig(steps=200_000))
    try:
        while run.state != "running":
            time.sleep(0.1)
        _keep_to_the_cores_of(server, run)
        for path, title in PATHS.items():
            took = asyncio.run(_turns(server, run, path))
            with_one, without = (percentile(took[work], 0.95) * 1e3 for work in (True, False))
            medians = f"medians {percentile(took[True], 0.5) * 1e3:.0f} and {percentile(took[False], 0.5) * 1e3:.0f} ms"
            name = f"{title}: p95 of a turn beside a training ÷ without one"
            yield Row("lesson", name, with_one, without, target=2, note=medians)
    finally:
        shop.stop(run)
        while not run.over:
            time.sleep(0.1)


def _keep_to_the_cores_of(server: Server, run: Run) -> None:
    """As on a machine that has no other cores."""
    assert run._process is not None
    if hasattr(server.process, "cpu_affinity"):
        psutil.Process(run._process.pid).cpu_affinity(server.process.cpu_affinity())


async def _turns(server: Server, run: Run, path: str) -> dict[bool, list[float]]:
    """Seconds of turns, in blocks while the training works and while its process sleeps."""
    assert run._process is not None
    process = psutil.Process(run._process.pid)
    took: dict[bool, list[float]] = {True: [], False: []}
    fresh = texts.never_seen(seed=7 + len(path))
    async with visit(server.port, path) as visitor:
        await visitor.type(next(fresh))
        for number in range(2 * ROUNDS):
            works = number % 2 == 0
            (process.resume if works else process.suspend)()
            for _ in range(TURNS):
                await asyncio.sleep(REST)
                took[works].append((await visitor.type(next(fresh))).seconds)
        process.resume()
    return took
