"""A pretraining run from the command line: texts in; a folder with checkpoints, curves and the finished model out."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from encoder import checkpoints
from encoder.catalogue import minilm_folder
from encoder.masked import MaskedLanguageModel, Pieces, Score
from encoder.model import Encoder, EncoderConfig
from encoder.pretrain import Figures, PretrainConfig, Pretraining, commonest, processes
from encoder.texts import Sequences, Spelled, paragraphs, stamp, token_row, token_rows
from encoder.tokens import read_own
from encoder.trace import Array

SMOOTH = 50  # steps whose mean is a point of the curves
GLANCE = 200  # sequences of a held-out text that are asked along the way; at the end all

# The shipped checkpoint's sizes: with its prediction head in half precision it takes 23 MB. Pre-norm trains without
# care; no dropout, as no text is read often enough to be learned by heart.
SMALL = EncoderConfig(
    width=256, layers=4, heads=8, ffn_width=1024, positions=128, norm="pre", final_norm=True, norm_eps=1e-5,
    dropout=0.0, attention_dropout=0.0,
)  # fmt: skip


@dataclass(frozen=True)
class Orders:
    """What a run is asked for."""

    sources: tuple[str, ...]  # files, folders or data sets of the Hub
    held_out: tuple[str, ...]
    out: Path
    sizes: Mapping[str, Any]  # of the encoder, by name; the others are those of SMALL, or of the model to start from
    training: PretrainConfig
    evaluate_every: int = 500  # steps
    save_every: int = 250
    precision: str = "no"
    compiled: bool = False
    start: tuple[Path, ...] = ()  # finished models, the mean of whose weights to begin with, instead of random ones

    def __post_init__(self) -> None:
        """Raises ValueError for what cannot be asked for."""
        if self.evaluate_every < 1 or self.save_every < 1:
            raise ValueError("--evaluate-every and --save-every are numbers of steps, at least 1.")

    @property
    def encoder(self) -> EncoderConfig:
        """Of a run that begins with random weights. Raises ValueError for sizes that no encoder can have."""
        return replace(SMALL, **{"positions": self.training.length, **self.sizes})

    @property
    def begun(self) -> str | None:
        """What the weights were before the first step, for who reads of it later."""
        return " ".join(map(str, self.start)) or None


class Journal:
    """What is told along the way: a bar in the terminal, CSV files, TensorBoard. Of many processes only one has it."""

    def __init__(self, folder: Path, step: int, steps: int, tokens: int) -> None:
        """tokens: of one step."""
        self._curve = Figures(folder / "curve.csv", step)
        self._scores = Figures(folder / "held_out.csv", step)
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step)
        self._bar = tqdm(
            total=steps * tokens, initial=step * tokens, unit=" tokens", unit_scale=True, smoothing=0.05, mininterval=1
        )
        self._tokens = tokens

    def stepped(self) -> None:
        self._bar.update(self._tokens)

    def smoothed(self, step: int, figures: Mapping[str, float]) -> None:
        """figures: the means of the last SMOOTH steps."""
        self._curve.write(step, {name: round(value, 6) for name, value in figures.items()})
        self._bar.set_postfix(loss=f"{figures['loss']:.3f}")
        for name, value in figures.items():
            self._board.add_scalar(name, value, step)

    def scored(self, step: int, text: str, score: Score) -> None:
        self._scores.write(step, {"text": text, **score._asdict()})
        for name in ("accuracy", "loss", "perplexity"):
            self._board.add_scalar(f"{name}/{text}", getattr(score, name), step)
        self._bar.write(f"step {step}, {text}: accuracy {score.accuracy:.3f}, perplexity {score.perplexity:.1f}")

    def close(self) -> None:
        self._bar.close()
        self._board.close()


def run(orders: Orders) -> None:
    """Train, or go on training, until all steps are done. Raises OSError and ValueError, each in a plain sentence."""
    row = tokens(orders)
    model = _model(orders, row)
    if learn(model, orders, row).accelerator.is_main_process:
        texts = [Path(source).name for source in orders.sources]
        about = {"training": asdict(orders.training), "texts": texts, "precision": orders.precision}
        start = {"start": orders.begun} if orders.begun else {}
        checkpoints.save(model, orders.out / "model", about | start)


def tokens(orders: Orders) -> Array:
    """[token] ids of all texts to learn from: cut once, kept in the run's folder for when it goes on."""
    orders.out.mkdir(parents=True, exist_ok=True)
    texts = _digest(json.dumps([stamp(source) for source in orders.sources]).encode())
    file, coming = orders.out / f"tokens-{texts}.int32", orders.out / ".coming-tokens"
    with processes().main_process_first():
        if not file.exists():
            for others in orders.out.glob("tokens-*"):
                others.unlink()
            _cut(orders.sources, coming)
            os.replace(coming, file)
        return np.memmap(file, np.int32, "r") if file.stat().st_size else np.zeros(0, np.int32)


def _cut(sources: Sequence[str], file: Path) -> None:
    """Write the tokens of all texts as they come, so that they need not fit into memory; each text is cut once.

    What cannot be read or spelled of each is told. Raises ValueError where that is too much.
    """
    places: dict[str, tuple[int, int]] = {}  # of a text that was cut: where its bytes begin and end
    told: list[str] = []
    pieces = wordpiece()
    bar = tqdm(desc="cutting texts", unit=" tokens", unit_scale=True, delay=3, mininterval=1)  # small texts are quicker
    with bar, file.open("wb") as row:
        for source in sources:
            begin, known, spelled = row.tell(), source in places, Spelled()
            cut = _again(file, *places[source]) if known else token_rows(paragraphs(source, told.append), pieces)
            for part in cut:
                row.write(part.tobytes())
                row.flush()
                bar.update(len(part))
                spelled += Spelled.of(part, pieces)
            if not known:
                told.append(spelled.checked(source))
            places[source] = begin, row.tell()
    for sentence in told:  # not before: the bar would come even where cutting is quick
        tqdm.write(sentence)


def _again(file: Path, begin: int, end: int) -> Iterator[Array]:
    """Tokens that were written before, from one byte of the file to another."""
    with file.open("rb") as written:
        written.seek(begin)
        while left := end - written.tell():
            yield np.frombuffer(written.read(min(left, 1 << 24)), np.int32)


def learn(model: MaskedLanguageModel, orders: Orders, row: Array) -> Pretraining:
    """All steps that are still to do, with their figures and checkpoints in the run's folder."""
    pieces = Pieces.of(wordpiece())
    held_out = _held_out(orders)
    texts = Sequences(row, orders.training.length, pieces.classify, orders.training.seed)
    origin = {"texts": _digest(row.data), "start": orders.begun}
    training = Pretraining(model, orders.training, pieces, texts, orders.precision, orders.compiled, origin)
    training.resume(orders.out)
    _go(training, orders, held_out)
    return training


def _model(orders: Orders, row: Array) -> MaskedLanguageModel:
    before = [_before(folder) for folder in orders.start]
    if before and orders.training.predictable is None:  # others would spoil their guesses at first
        predictable = torch.cat([each.head.ids for each in before]).unique()
    else:
        predictable = commonest(row, Pieces.of(wordpiece()), orders.training.predictable)
    if len(row) and not len(predictable):
        raise ValueError("These texts hold no piece that could be predicted.")
    if not before:
        return MaskedLanguageModel(Encoder(orders.encoder, seed=orders.training.seed), predictable)
    model = MaskedLanguageModel(Encoder(_sizes(orders, [each.encoder.config for each in before])), predictable)
    model.begin_as(*before)
    return model


def _before(folder: Path) -> MaskedLanguageModel:
    before = checkpoints.read(folder)
    own = (folder / "tokenizer.json").is_file()
    if own or before.encoder.config.vocabulary != wordpiece().get_vocab_size():
        raise ValueError(f"The model in {folder} has another vocabulary than BERT's, which texts are cut with.")
    return before


def _sizes(orders: Orders, all_before: list[EncoderConfig]) -> EncoderConfig:
    """Of a model that begins as others: the last one's, but for the number of layers, and more positions if need be."""
    before = all_before[-1]
    if any(replace(other, layers=before.layers, positions=before.positions) != before for other in all_before):
        raise ValueError("The models to start from have other sizes or settings than one another.")
    positions = max(before.positions, orders.training.length)
    config = replace(before, layers=orders.sizes.get("layers", before.layers), positions=positions)
    for name, size in orders.sizes.items():
        if (its := getattr(config, name)) != size:
            raise ValueError(f"The {name.replace('_', ' ')} of the model to start from is {its}, not {size}.")
    return config


def _held_out(orders: Orders) -> dict[str, Array]:
    """[token] of each text to ask about, by its file's name, or by its path where two have one name.

    Raises ValueError where one is too short or cannot be spelled: at once, not when it is asked about.
    """
    tell = tqdm.write if processes().is_main_process else None
    names, pieces = [Path(source).stem for source in orders.held_out], wordpiece()
    rows = {}
    for name, source in zip(names, orders.held_out, strict=True):
        row = token_row(paragraphs(source, tell), pieces)
        said = Spelled.of(row, pieces).checked(source)
        if tell:
            tell(said)
        if len(row) < orders.training.length - 1:  # beside [CLS]
            raise ValueError(f"{source}: {len(row)} tokens are too few for one sequence of {orders.training.length}.")
        rows[source if names.count(name) > 1 else name] = row
    return rows


def _go(training: Pretraining, orders: Orders, held_out: Mapping[str, Array]) -> None:
    steps = orders.training.steps
    tokens = orders.training.batch * orders.training.length
    journal = Journal(orders.out, training.step, steps, tokens) if training.accelerator.is_main_process else None
    with closing(journal) if journal else nullcontext():
        if journal and not steps:  # a mean of models is asked as it is
            _ask(training, held_out, journal)
        while training.step < steps:
            training.advance()
            last = training.step == steps
            figures = training.take_mean() if training.step % SMOOTH == 0 else None
            if journal:
                journal.stepped()
                if figures:
                    journal.smoothed(training.step, figures)
                if last or training.step % orders.evaluate_every == 0:
                    _ask(training, held_out, journal, None if last else GLANCE)
            if last or training.step % orders.save_every == 0:
                training.save(orders.out)


def _ask(training: Pretraining, held_out: Mapping[str, Array], journal: Journal, most: int | None = None) -> None:
    for text, row in held_out.items():
        journal.scored(training.step, text, training.held_out(row, most=most))


def _digest(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def wordpiece() -> Tokenizer:
    """BERT's own WordPiece, which MiniLM brings along."""
    return read_own(minilm_folder()).backend
