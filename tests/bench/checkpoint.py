"""The shipped checkpoint on text that it has not learned from, beside what guesses without it.

Its peer of the same sizes, transformers' BERT, takes hours to train and is not trained here: `tests/bench/learning.py`
says how. Where its run lies in build/peer, it stands in the table beside the shipped checkpoint's first step, which
learned from the same tokens.
"""

import csv
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from tests.bench.learning import DATA
from tests.bench.report import Row
from tests.server import ROOT

if TYPE_CHECKING:
    from encoder.masked import Masked, Score
    from encoder.trace import Array

CLEARLY = 0.75  # what is guessed wrong ÷ what a guess without a model, or an untrained one, has wrong
TARGETS = {"books_valid": 0.50, "wikitext2_valid": 0.37}  # accuracy at 15 % masks
CURVE = ROOT / "assets" / "scratch" / "curve.csv"  # accuracy on the way, in 200 sequences of each text
PEER = ROOT / "build" / "peer" / "held_out.csv"


def rows() -> Iterator[Row]:
    """Wrong guesses at hidden tokens ÷ those of a guess by frequency and of an untrained encoder; those of the peer."""
    if not DATA.is_dir():
        yield Row("checkpoint", "wrong guesses", None, note="needs the texts in ../shared/data")
        return
    from encoder import checkpoints
    from encoder.catalogue import catalogue
    from encoder.masked import MaskedLanguageModel, Pieces, score
    from encoder.model import Encoder
    from encoder.pretrain import questions
    from encoder.runs import wordpiece
    from encoder.texts import paragraphs, token_row

    tokenizer, folder = wordpiece(), catalogue()["scratch"].folder
    assert folder is not None
    model = checkpoints.read(folder)
    untrained = MaskedLanguageModel(Encoder(model.encoder.config), model.head.ids).eval()
    pieces, length = Pieces.of(tokenizer), model.encoder.config.positions
    seen = token_row(islice(paragraphs(str(DATA / "books_train.txt")), 50_000), tokenizer)  # enough to count words with
    for text, target in TARGETS.items():
        batches = list(questions(token_row(paragraphs(str(DATA / f"{text}.txt")), tokenizer), pieces, length, 0.15))
        found = score(model, batches)
        guesses = {
            "the commonest word's": _by_frequency(seen, batches, model.head.ids.numpy()),
            "an untrained encoder's": score(untrained, batches),
        }
        for name, other in guesses.items():
            note = f"{_said(found)}; {_said(other)}"
            yield Row("checkpoint", f"{text}: wrong guesses ÷ {name}", 100 * (1 - found.accuracy),
                      100 * (1 - other.accuracy), unit="%", target=CLEARLY, note=note)  # fmt: skip
        if both := _beside_peer(text):
            step, ours, theirs = both
            note = f"accuracy {ours:.3f}; {theirs:.3f}; in 200 sequences, after {step:,} steps of 2,048 tokens"
            yield Row("checkpoint", f"{text}: wrong guesses of the first step ÷ BertForMaskedLM's", 100 * (1 - ours),
                      100 * (1 - theirs), unit="%", target=1.0, note=note)  # fmt: skip
        note = (
            f"that is an accuracy of at least {target:.2f}; {found.asked:,} guesses, {found.predictable:.1%} possible"
        )
        yield Row("checkpoint", f"{text}: wrong guesses", 100 * (1 - found.accuracy), unit="%",
                  target=100 * (1 - target), note=note)  # fmt: skip


def _by_frequency(seen: "Array", batches: "Iterable[Masked]", choices: "Array") -> "Score":
    """Always the commonest piece; for its perplexity each choice as often as it comes, and once more."""
    import numpy as np

    from encoder.masked import Score

    often = np.bincount(seen, minlength=30_522)
    shares = np.zeros(len(often))
    shares[choices] = often[choices] + 1
    shares /= shares.sum()
    truth = np.concatenate([batch.truth[batch.asked].numpy() for batch in batches])
    possible = shares[truth] > 0
    loss = float(-np.log(shares[truth[possible]]).mean())
    accuracy = float((truth == shares.argmax()).mean())
    return Score(accuracy, loss, float(np.exp(loss)), len(truth), float(possible.mean()))


def _beside_peer(text: str) -> "tuple[int, float, float] | None":
    """The last step after which both were asked the same, and the shares right: ours, the peer's. None without it."""
    if not PEER.exists():
        return None
    ours, theirs = (
        {int(row["step"]): row for row in csv.DictReader(file.read_text().splitlines()) if row["text"] == text}
        for file in (CURVE, PEER)
    )
    fewest = min((int(row["asked"]) for row in theirs.values()), default=0)  # at the end it is asked the whole text
    both = [step for step, row in theirs.items() if step in ours and int(row["asked"]) == fewest]
    if not both:
        return None
    step = max(both)
    return step, float(ours[step]["accuracy"]), float(theirs[step]["accuracy"])


def _said(score: "Score") -> str:
    return f"accuracy {score.accuracy:.3f}, perplexity {score.perplexity:,.1f}"
