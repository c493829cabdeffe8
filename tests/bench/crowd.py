"""A class at work: thirty people typing into one server on two cores."""

import asyncio
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.bench import texts
from tests.bench.clock import percentile
from tests.bench.report import Row
from tests.bench.turns import pages, said
from tests.bench.visitor import Turn, visit
from tests.server import APP, ECHO, Server, serve

PEOPLE = 30
PAUSE = 5.0  # seconds between a person's texts, on average
SECONDS = float(os.environ.get("BENCH_CROWD_SECONDS", "120"))  # shorter for trying out
REFERENCE = SECONDS / 4  # seconds of the same crowd at the echo app: what the machine itself makes them wait
JOINING = min(5.0, SECONDS / 8)  # seconds within which all have opened their page
DEFAULT_SHARE = 0.6  # of the people stay on the default page


@dataclass
class Heard:
    """What the crowd saw, by page."""

    opened: list[float] = field(default_factory=list)  # seconds
    turns: dict[str, list[float]] = field(default_factory=dict)  # title → seconds
    errors: list[str] = field(default_factory=list)
    resident: dict[str, float] = field(default_factory=dict)  # moment → MB

    def add(self, turn: Turn) -> float:
        self.errors += turn.errors
        return turn.seconds


def rows() -> Iterator[Row]:
    """Response times in the crowd, what went wrong, and whether the server's memory stays flat."""
    with serve(APP, cores=2) as server:
        titles = pages(server.port)  # this visit also loads the models
        heard = asyncio.run(_class(server, titles, SECONDS))
    with serve(ECHO, cores=2) as server:
        echo = asyncio.run(_class(server, {"": "Echo"}, REFERENCE)).turns["Echo"]
    every = [seconds * 1e3 for some in heard.turns.values() for seconds in some]
    if not every:
        raise RuntimeError(f"nobody got an answer: {'; '.join(heard.errors[:1])}")
    what = f"{PEOPLE} people, a text every {PAUSE:g} s, {SECONDS:g} s"
    yield Row("crowd", f"{what}: median turn", percentile(every, 0.5), note=f"{len(every)} turns")
    yield Row("crowd", f"{what}: p95", percentile(every, 0.95), target=500)
    if echo:
        yield Row(
            "crowd", f"  the echo app, {REFERENCE:g} s: p95", percentile(echo, 0.95) * 1e3, note=f"{len(echo)} turns"
        )
    for title, some in heard.turns.items():
        if not some:
            continue  # a short trial leaves pages without a text
        on_page = [seconds * 1e3 for seconds in some]
        note = f"median {percentile(on_page, 0.5):.0f} ms, {len(on_page)} turns"
        yield Row("crowd", f"  {title}: p95", percentile(on_page, 0.95), note=note)
    yield Row("crowd", "opening a page: p95", percentile(heard.opened, 0.95) * 1e3, note=f"within {JOINING:g} s")
    yield Row("crowd", "errors", len(heard.errors), unit="", target=0, note=said(heard.errors))
    half, end = heard.resident["half"], heard.resident["end"]
    yield Row("crowd", "server's memory at the end ÷ at half time", end, half, unit="MB", target=1.1)


async def _class(server: Server, titles: dict[str, str], seconds: float) -> Heard:
    heard = Heard(turns={title: [] for title in titles.values()})
    until = asyncio.get_running_loop().time() + seconds
    paths = _seats(list(titles))
    people = [_person(server, number, path, titles[path], until, heard) for number, path in enumerate(paths)]
    await asyncio.gather(_watch(server, seconds, heard), *people)
    return heard


def _seats(paths: list[str]) -> list[str]:
    """Which page each person is on: most on the first, the others spread evenly."""
    default, *others = paths
    first = round(PEOPLE * DEFAULT_SHARE) if others else PEOPLE
    return [default] * first + [others[number % len(others)] for number in range(PEOPLE - first)]


async def _person(server: Server, number: int, path: str, title: str, until: float, heard: Heard) -> None:
    draw, fresh = random.Random(number), texts.never_seen(seed=1000 + number)
    clock = asyncio.get_running_loop().time
    await asyncio.sleep(draw.uniform(0, JOINING))
    try:
        async with visit(server.port, path) as visitor:
            heard.opened.append(heard.add(visitor.first))
            while True:
                pause = draw.expovariate(1 / PAUSE)
                if clock() + pause > until:
                    return
                await asyncio.sleep(pause)
                heard.turns[title].append(heard.add(await visitor.type(next(fresh))))
    except Exception as error:  # one who is thrown out is a finding, not the end of the lesson
        heard.errors.append(f"{type(error).__name__}: {error}")


async def _watch(server: Server, seconds: float, heard: Heard) -> None:
    for moment in ("half", "end"):
        await asyncio.sleep(seconds / 2 - 0.1)
        heard.resident[moment] = server.resident()
