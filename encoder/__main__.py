"""The command line: `python -m encoder trace "The cat sat."`, and `python -m encoder pretrain books.txt --out run`."""

import argparse
import json
import logging
import sys
import traceback
from dataclasses import asdict, fields
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from encoder.errors import ModelError
from encoder.trace import Trace

if TYPE_CHECKING:
    from encoder.runs import Orders

log = logging.getLogger(__name__)

# Of a pretraining run: the options of these names are settings of the encoder, or of the training.
SIZES = {
    "width": "numbers that stand for a token",
    "layers": "one upon the other",
    "heads": "of each layer",
    "ffn_width": "neurons of each layer",
    "positions": "tokens that it can read at most (default: --length)",
}
WHOLE_NUMBERS = {
    "steps": "batches to learn from; 0: none, the model as it begins",
    "batch": "sequences of a step, of all processes together",
    "length": "tokens of a sequence",
    "predictable": "how many pieces, the commonest, it learns to predict (default with --start: those of the models)",
    "seed": "what all chance follows from",
}
NUMBERS = {
    "learning_rate": "the highest; it rises first, then falls as a cosine",
    "mask_rate": "share of the tokens that is hidden, at the beginning",
    "last_mask_rate": "and at the end",
    "repeat_rate": "how likely each of four stretches of a sequence is repeated in it, at the beginning",
    "last_repeat_rate": "and at the end",
    "warm_up": "share of the steps over which the learning rate rises",
    "weight_decay": "of matrices",
    "clip": "the longest gradient",
}


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    return {"trace": _trace, "pretrain": _pretrain, "lesson": _lesson}[options.command](options)


def _trace(options: argparse.Namespace) -> int:
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
    print(f"{size}, {trace.seconds * 1000:.1f} ms on {trace.device}, written to {options.out}")
    if trace.tokens.left_out:
        print(f"{trace.tokens.left_out} more tokens did not fit.", file=sys.stderr)
    return 0


def _pretrain(options: argparse.Namespace) -> int:
    try:
        from encoder.runs import run  # seconds, in which it may be stopped

        run(orders(options))
    except (ModelError, OSError, ValueError, MemoryError, RuntimeError) as error:  # CUDA's memory is a RuntimeError
        if not _is_ours(error):
            log.error("The training ended with an error.", exc_info=error)
        print(" ".join(str(error).split()) or type(error).__name__, file=sys.stderr)  # libraries' take many lines
        return 1
    except KeyboardInterrupt:
        print("Stopped; the same command goes on from the last checkpoint, if there is one.", file=sys.stderr)
        return 130
    return 0


def _is_ours(error: BaseException) -> bool:
    """Whether an error's sentence says all; of what a library raised, the traceback is needed too."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    raised_here = str(frame.f_globals.get("__name__")).startswith("encoder.")
    return isinstance(error, OSError) or (isinstance(error, ValueError) and raised_here)


def orders(options: argparse.Namespace) -> "Orders":
    """What the options of `pretrain` ask for. Raises ValueError for what no run can have."""
    from encoder.pretrain import PretrainConfig
    from encoder.runs import Orders

    given = {name: value for name, value in vars(options).items() if value is not None}
    sizes = {name: given[name] for name in SIZES if name in given}
    training = PretrainConfig(**{each.name: given[each.name] for each in fields(PretrainConfig) if each.name in given})
    return Orders(
        tuple(options.texts), tuple(options.held_out), options.out, sizes, training,
        options.evaluate_every, options.save_every, options.precision, options.compile, tuple(options.start),
    )  # fmt: skip


def _lesson(options: argparse.Namespace) -> int:
    from encoder.learn import run

    return run(options.folder)


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


def parser() -> argparse.ArgumentParser:
    """Of all commands."""
    every = argparse.ArgumentParser(prog="python -m encoder", description=__doc__)
    commands = every.add_subparsers(dest="command", required=True)
    trace = commands.add_parser("trace", help="write everything a model computes on one text to an .npz file")
    trace.add_argument("text")
    trace.add_argument("--pair", help="a second sentence")
    trace.add_argument("--model", default="minilm", help="a catalogue name, a folder, or a Hub id (default: minilm)")
    trace.add_argument("--device", default="cpu", choices=("cpu", "cuda", "mps"))
    trace.add_argument("--limit", type=_tokens, default=128, help="tokens to read at most (default: 128)")
    trace.add_argument("--out", type=Path, default=Path("trace.npz"))
    _pretrain_options(commands.add_parser("pretrain", help="train an encoder from scratch to guess hidden tokens"))
    lesson = commands.add_parser("lesson", help="train a small encoder as the Train page does; it starts this itself")
    lesson.add_argument("folder", type=Path, help="holds lesson.json, and gets everything that comes of it")
    return every


def _pretrain_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "What is not given stays as it is in PretrainConfig (encoder/pretrain.py) and SMALL (encoder/runs.py), with "
        "the reasons beside it, or as it is in the model of --start."
    )
    parser.add_argument(
        "texts",
        nargs="+",
        help="text files, folders of them, or data sets of the Hugging Face Hub with a column “text”: owner/name, "
        "owner/name:split or owner/name:part:split",
    )
    parser.add_argument("--held-out", nargs="*", default=[], help="texts to evaluate with")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; one that is there goes on")
    parser.add_argument(
        "--start",
        type=Path,
        action="append",
        default=[],
        help="a finished model to begin with, or the mean of several; --layers may differ, and --length be more",
    )
    for kind, options in ((int, SIZES | WHOLE_NUMBERS), (float, NUMBERS)):
        for name, meaning in options.items():
            parser.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N", help=meaning)
    parser.add_argument("--optimizer", choices=("adamw", "muon"), help="muon: for the matrices of linear layers")
    parser.add_argument("--whole-words", action="store_true", default=None, help="hide all pieces of a word or none")
    parser.add_argument("--evaluate-every", type=int, default=500, help="steps (default: 500)")
    parser.add_argument("--save-every", type=int, default=250, help="steps (default: 250)")
    parser.add_argument(
        "--precision", choices=("no", "bf16"), default="no", help="bf16: large products in half the bits"
    )
    parser.add_argument("--compile", action="store_true", help="torch.compile: needs a C++ compiler")


def _print_in_any_encoding() -> None:
    """A sign that the terminal or the file lacks becomes "?": what was computed must not be lost for it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    _print_in_any_encoding()
    logging.getLogger("encoder.errors").setLevel(logging.ERROR)  # here the sentence itself is printed
    sys.exit(main())
