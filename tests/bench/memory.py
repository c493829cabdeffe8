"""Whether a server that reads text after text holds on to more than its cache may."""

import asyncio
import random
from collections.abc import Iterator

from tests.bench import texts
from tests.bench.report import Row
from tests.bench.turns import pages, said
from tests.bench.visitor import visit
from tests.server import APP, Server, serve

TEXTS = 200
STAY = 5  # texts that one visitor reads on one page
WORDS = (6, 60)  # uneven lengths leave the most gaps in memory


def rows() -> Iterator[Row]:
    """Growth of the server's memory over 200 different texts ÷ what the cache of traces may hold."""
    from pages.shared.traces import CACHE_BYTES

    with serve(APP) as server:
        grown, errors = asyncio.run(_read(server, list(pages(server.port))))
    name = f"growth over {TEXTS} texts ÷ the trace cache's bound"
    # A page that fails keeps nothing, which is no merit.
    yield Row("memory", name, None if errors else grown, CACHE_BYTES / 1e6, unit="MB", target=1, note=said(errors))


async def _read(server: Server, paths: list[str]) -> tuple[float, list[str]]:
    draw = random.Random(5)
    errors: list[str] = []
    lengths = {words: texts.never_seen(seed=words, words=words) for words in range(WORDS[0], WORDS[1] + 1)}

    async def read(path: str, count: int) -> None:
        async with visit(server.port, path) as visitor:
            turns = [visitor.first]
            for _ in range(count):
                turns.append(await visitor.type(next(lengths[draw.randint(*WORDS)])))
        errors.extend(error for turn in turns for error in turn.errors)

    for path in paths:  # models, lazy imports and thread pools are no growth
        await read(path, 1)
    before = server.resident()
    for visitor in range(TEXTS // STAY):
        await read(paths[visitor % len(paths)], STAY)
    return server.resident() - before, errors
