"""One turn, from a new text to the script's end, beside the same turn of an app that only echoes."""

import asyncio
from collections.abc import Iterator

from tests.bench import texts
from tests.bench.clock import milliseconds, spread
from tests.bench.report import Row
from tests.bench.visitor import Turn, visit
from tests.server import APP, ECHO, Server, serve

TURNS = 25  # a page
REST = 0.1  # seconds after a turn, for the server to tidy up as it would while a person reads


def rows() -> Iterator[Row]:
    """For each page of the app: a turn ÷ the echo app's turn, and the bytes that it sends."""
    with serve(APP) as ours, serve(ECHO) as echo:
        for path, title in pages(ours.port).items():
            yield from asyncio.run(_page(ours, echo, path, title))


def pages(port: int) -> dict[str, str]:
    """The app's own list of its pages, url path → title, the default page first and under the empty path."""

    async def ask() -> dict[str, str]:
        async with visit(port) as visitor:
            return visitor.pages

    found = asyncio.run(ask())
    default, *others = found.items()
    return {"": default[1], **dict(others)}


def said(errors: list[str]) -> str:
    """What a page showed instead of its picture, short enough for a table."""
    return f"{len(errors)} errors, the first: {errors[0]}".partition("\n")[0][:160] if errors else ""


async def _page(ours: Server, echo: Server, path: str, title: str) -> list[Row]:
    fresh = texts.never_seen(seed=sum(path.encode()) + 1)
    turns: dict[str, list[Turn]] = {"ours": [], "echo": []}
    async with visit(ours.port, path) as here, visit(echo.port) as there:
        for _ in range(TURNS):
            for name, visitor in (("ours", here), ("echo", there)):
                turns[name].append(await visitor.type(next(fresh)))
                await asyncio.sleep(REST)
    errors = [error for turn in (here.first, *turns["ours"]) for error in turn.errors]
    took = {name: [turn.seconds for turn in some] for name, some in turns.items()}
    sent = {name: sorted(turn.received for turn in some)[TURNS // 2] / 1e3 for name, some in turns.items()}
    mine = None if errors else milliseconds(took["ours"])  # a page that fails fast has not been fast
    note = said(errors) or spread(took["ours"], took["echo"])
    return [
        Row("turns", f"{title}: new text → finished ÷ echo", mine, milliseconds(took["echo"]), target=3, note=note),
        Row("turns", f"{title}: sent", sent["ours"], unit="kB", note=f"echo {sent['echo']:.1f} kB"),
    ]
