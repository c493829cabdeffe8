"""`python -m tests.bench [engine] [turns] [explorer] …`: measure, print, keep build/bench.json."""

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator

from tests.bench import (
    checkpoint,
    crowd,
    engine,
    explorer,
    first_visit,
    inside,
    learning,
    lesson,
    memory,
    pretrain,
    turns,
)
from tests.bench.report import FILE, Row, summary, table, write
from tests.server import ROOT

GROUPS: dict[str, Callable[[], Iterator[Row]]] = {
    "engine": engine.rows,
    "inside": inside.rows,
    "turns": turns.rows,
    "explorer": explorer.rows,
    "crowd": crowd.rows,
    "first-visit": first_visit.rows,
    "memory": memory.rows,
    "pretrain": pretrain.rows,
    "learning": learning.rows,
    "checkpoint": checkpoint.rows,
    "lesson": lesson.rows,
}


def main() -> int:
    """Run the chosen groups; 1 if one broke down, 0 otherwise: a missed target is a finding, not a failure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("group", nargs="*", help=f"any of {', '.join(GROUPS)}; all if none is named")
    chosen = parser.parse_args().group or list(GROUPS)
    if unknown := set(chosen) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing measured here waits for the internet
    os.environ["STREAMLIT_CLIENT_SHOW_ERROR_DETAILS"] = "full"  # errors end up in the table
    rows: list[Row] = []
    start, load, broken = time.perf_counter(), os.getloadavg()[0], 0
    for name in chosen:
        try:
            for row in GROUPS[name]():
                rows.append(row)
                print(f"… {row.group}: {row.name}", file=sys.stderr, flush=True)
        except Exception:  # the other groups still have something to say
            broken = 1
            traceback.print_exc()
            rows.append(Row(name, "broke down", None, note="see above"))
    seconds = time.perf_counter() - start
    write(rows, seconds, load)
    print(table(rows))
    print(f"\n{summary(rows)}")
    print(f"{seconds / 60:.1f} minutes on {os.cpu_count()} cores, load {load:.1f} before.")
    print(f"Kept in {FILE.relative_to(ROOT)}.")
    return broken


if __name__ == "__main__":
    sys.exit(main())
