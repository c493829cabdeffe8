"""Rows of a benchmark, the table they are printed as and the file they are kept in."""

import json
import os
import platform
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

FILE = Path(__file__).parents[2] / "build" / "bench.json"
PACKAGES = ("streamlit", "torch", "transformers", "plotly", "numpy")
HEADINGS = ("", "ours", "peer", "ratio", "target", "met", "")


@dataclass(frozen=True)
class Row:
    """One measurement. With a peer the target bounds ours ÷ peer, without one it bounds ours itself."""

    group: str
    name: str
    ours: float | None
    peer: float | None = None
    unit: str = "ms"
    target: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours ÷ peer, None where there is nothing to divide."""
        return self.ours / self.peer if self.ours is not None and self.peer else None

    @property
    def met(self) -> bool | None:
        """Whether the target is met, None where there is none; what could not be measured has not met its target."""
        judged = self.ratio if self.peer is not None else self.ours
        return None if self.target is None else judged is not None and judged <= self.target


def table(rows: Iterable[Row]) -> str:
    """The rows as aligned text, one heading a group."""
    lines, group = [], None
    cells = [(row.group, _cells(row)) for row in rows]
    widths = [max(len(line[column]) for line in [HEADINGS, *(line for _, line in cells)]) for column in range(6)]
    for name, line in cells:
        if name != group:
            group = name
            lines += ["", _aligned((f"[{name}]", *HEADINGS[1:]), widths)]
        lines.append(_aligned(line, widths))
    return "\n".join(lines)


def summary(rows: Iterable[Row]) -> str:
    """How many targets are met, in one sentence, and which are not."""
    judged = [row for row in rows if row.met is not None]
    missed = [f"{row.group}: {row.name}" for row in judged if not row.met]
    met = f"{len(judged) - len(missed)} of {len(judged)} targets met."
    return "\n  missed  ".join([met, *missed])


def write(rows: Iterable[Row], seconds: float, load: float) -> None:
    """Keep the rows in build/bench.json together with the machine and the versions they were measured on.

    load: processes that wanted a core (load average of a minute) before the first measurement.
    """
    record = {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(seconds),
        "machine": {
            "cores": os.cpu_count(),
            "load_before": round(load, 1),
            "system": platform.system(),
            "processor": platform.machine(),
        },
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "rows": [{**asdict(row), "ratio": row.ratio, "met": row.met} for row in rows],
    }
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(record, indent=1) + "\n")


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    bound = "" if row.target is None else f"≤ {row.target:g}" + (f" {row.unit}" if row.peer is None else "")
    met = {True: "yes", False: "NO", None: ""}[row.met]
    return (row.name, _value(row.ours, row.unit), _value(row.peer, row.unit), ratio, bound.rstrip(), met, row.note)


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def _aligned(line: tuple[str, ...], widths: list[int]) -> str:
    name, *numbers, note = line
    columns = [text.rjust(width) for text, width in zip(numbers, widths[1:], strict=True)]
    return "  ".join([name.ljust(widths[0]), *columns, note]).rstrip()
