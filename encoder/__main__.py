"""The command line: `python -m encoder trace "The cat sat." --model minilm --out trace.npz`."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from encoder.errors import ModelError
from encoder.trace import Trace


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    from encoder.models import load  # after parsing: a wrong option should not wait for torch

    try:
        trace = load(options.model, options.device).trace(options.text, options.pair, options.limit)
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        save(trace, options.out)
    except OSError as error:
        print(f"The trace cannot be written to {options.out}: {error.strerror}.", file=sys.stderr)
        return 1
    size = f"{len(trace.tokens)} tokens, {len(trace.layers)} layers"
    print(f"{size}, {trace.seconds * 1000:.1f} ms on {trace.device} → {options.out}")
    if trace.tokens.left_out:
        print(f"{trace.tokens.left_out} more tokens did not fit.", file=sys.stderr)
    return 0


def save(trace: Trace, path: Path) -> None:
    """Write every array of a trace to an .npz; `axes` names their axes and `model` is the card, both as JSON."""
    arrays: dict[str, Any] = {name: array for name, array, _ in trace.arrays()}
    axes = {name: axes for name, _, axes in trace.arrays()}
    arrays |= {f"tokens.{name}": np.asarray(value) for name, value in vars(trace.tokens).items()}
    with path.open("wb") as file:  # given a name, NumPy would add .npz to it
        np.savez(file, axes=json.dumps(axes), model=json.dumps(asdict(trace.model)), **arrays)


def _tokens(value: str) -> int:
    if not value.isdecimal() or int(value) < 2:  # [CLS] and [SEP]
        raise argparse.ArgumentTypeError(f"a number of tokens, at least 2, is needed: {value}")
    return int(value)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m encoder", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    trace = commands.add_parser("trace", help="write everything a model computes on one text to an .npz file")
    trace.add_argument("text")
    trace.add_argument("--pair", help="a second sentence")
    trace.add_argument("--model", default="minilm", help="a catalogue name, a folder, or a Hub id (default: minilm)")
    trace.add_argument("--device", default="cpu", choices=("cpu", "cuda", "mps"))
    trace.add_argument("--limit", type=_tokens, default=128, help="tokens to read at most (default: 128)")
    trace.add_argument("--out", type=Path, default=Path("trace.npz"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
