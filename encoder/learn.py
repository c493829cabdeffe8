"""A lesson: a small encoder learns a toy language, or somebody's own text, while others watch.

It runs in a process of its own, `python -m encoder lesson FOLDER`: whoever looks at the other pages keeps a quick
server, and a lesson that fails takes nothing down with it. Its orders lie in the folder; snapshots, checkpoints and the
finished model go there. What happens it tells in lines of JSON; on its standard input it hears "pause" and "stop".
"""

import json
import logging
import os
import sys
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.trainers import WordPieceTrainer
from torch import Tensor

from encoder import checkpoints, corpus
from encoder.corpus import Question, Sentence
from encoder.errors import KnownError
from encoder.lesson import EXAMS, LENGTH, MODEL, NEIGHBOURS, SENTENCES, TEXT, encoder_config, moment_folder, read_orders
from encoder.masked import MaskedLanguageModel, Pieces
from encoder.measures import offset_share
from encoder.model import Encoder
from encoder.pretrain import PretrainConfig, Pretraining, commonest, questions
from encoder.texts import Batches, Sentences, Sequences, Spelled, paragraphs, token_row
from encoder.trace import Array

TOY_SENTENCES, TOY_SEED, EXAM_SEED = 12_000, 1, 2
# How the toy language's sentences take turns: a noun's gender shows in its pronoun only, so that is seen more often.
TURNS = ("agreement", "pronouns", "copying", "brackets", "pronouns", "copying")
ASKED = 64  # sentences of each structure in an exam
PIECES = 3_000  # of the vocabulary made for somebody's own text
FEWEST = 800  # tokens that can be learned from
HELD_OUT = 0.05  # of somebody's own text, its end, is asked about and never learned from
NEWS = 25  # steps whose mean loss is a point of the curve: sentences of one length are more or less surprising
VOCABULARY = "vocabulary.json"  # in a lesson's folder, for when it goes on after a pause

log = logging.getLogger(__name__)


class Marks(NamedTuple):
    """What an exam found. The weights tell how much each head gives the token that it should look at."""

    accuracy: dict[str, float]  # by structure
    weight: dict[str, list[list[float]]]  # by what to look at: [layer][head]


class Exam(Protocol):
    """What is asked along the way, always the same."""

    chance: dict[str, float]  # right by pure chance, by structure
    unigram: dict[str, float]  # right by always guessing the most frequent word that could stand there

    def marks(self, model: MaskedLanguageModel) -> Marks: ...


class ToyExam:
    """One word hidden in each of many sentences; of the words that could stand there, is the likeliest one right?"""

    def __init__(self, tokenizer: Tokenizer, pieces: Pieces, row: Array, sentences: Sequence[Sentence]) -> None:
        """row: [token] of what is learned from, for its frequencies."""
        frequency = np.bincount(row, minlength=len(pieces.special))
        chance = np.random.default_rng(EXAM_SEED)
        asked = [(each, each.questions[chance.integers(len(each.questions))]) for each in sentences]
        self._tokenizer, self._mask = tokenizer, pieces.mask
        self._groups = [(*self._hidden(group), group) for group in _by_length(asked)]
        self.chance, self.unigram = {}, {}
        for structure in corpus.STRUCTURES:
            mine = [question for sentence, question in asked if sentence.structure == structure]
            self.chance[structure] = float(np.mean([len(q.right) / len(q.right | q.wrong) for q in mine]))
            best = [max(sorted(q.right | q.wrong), key=lambda word: frequency[self._id(word)]) for q in mine]
            self.unigram[structure] = float(np.mean([word in q.right for word, q in zip(best, mine, strict=True)]))

    @torch.inference_mode()
    def marks(self, model: MaskedLanguageModel) -> Marks:
        right: dict[str, list[float]] = defaultdict(list)
        weights: dict[str, list[Array]] = defaultdict(list)
        for ids, asked, group in self._groups:
            attention, logits = _read(model, ids, asked)
            for number, (sentence, question) in enumerate(group):
                right[sentence.structure].append(self._is_right(model, logits[number], question))
                seen = attention[number, :, :, question.place + 1, question.decided_by + 1]  # [layer, head]
                weights[sentence.structure].append(seen)
            for name, offset in NEIGHBOURS.items():
                weights[name] += list(offset_share(attention, offset))
        return _marks(right, weights)

    def _hidden(self, group: Sequence[tuple[Sentence, Question]]) -> tuple[Tensor, Tensor]:
        """[sentence, token] ids with the word hidden that is asked for, and [sentence] its place."""
        ids = torch.tensor([self._tokenizer.encode(sentence.text).ids for sentence, _ in group])
        asked = torch.tensor([question.place + 1 for _, question in group])  # after [CLS]
        ids[torch.arange(len(group)), asked] = self._mask
        return ids, asked

    def _is_right(self, model: MaskedLanguageModel, logits: Tensor, question: Question) -> float:
        right, wrong = (
            max(float(logits[model.head.place[self._id(word)]]) for word in words)
            for words in (question.right, question.wrong)
        )
        return float(right > wrong)

    def _id(self, word: str) -> int:
        number = self._tokenizer.token_to_id(word)
        assert number is not None
        return int(number)


class TextExam:
    """Hidden pieces of the end of somebody's own text, at 15 % as BERT was asked."""

    NAME = "hidden pieces"

    def __init__(self, pieces: Pieces, row: Array, held_out: Array) -> None:
        self._batches = list(questions(held_out, pieces, LENGTH, 0.15, ASKED))
        truth = torch.cat([batch.truth[batch.asked] for batch in self._batches]).numpy()
        usual = int(commonest(row, pieces, 1)[0])
        self.chance = {self.NAME: 1 / len(commonest(row, pieces, len(pieces.special)))}
        self.unigram = {self.NAME: float((truth == usual).mean()) if len(truth) else 0.0}

    @torch.inference_mode()
    def marks(self, model: MaskedLanguageModel) -> Marks:
        right: dict[str, list[float]] = defaultdict(list)
        weights: dict[str, list[Array]] = defaultdict(list)
        for batch in self._batches:
            here = batch.to(model.head.bias.device)
            few = here.ids[:8]
            attention, _ = _read(model, few, torch.zeros(len(few), dtype=torch.long), here.segment[:8])
            for name, offset in NEIGHBOURS.items():
                weights[name] += list(offset_share(attention, offset))
            guessed = model(here.ids, here.segment, here.asked).argmax(-1)
            right[self.NAME] += (guessed == model.head.place[here.truth[here.asked]]).float().tolist()
        return _marks(right, weights)


class Lesson:
    """A lesson at work in its folder: it teaches until it is over or told to end."""

    def __init__(self, folder: Path) -> None:
        """Raises ValueError where the text cannot be learned from."""
        self._folder = folder
        self._config = config = read_orders(folder)
        self._moments = set(config.moments)
        tokenizer, row, exam, texts = _toy() if not config.own_text else _own(folder)
        pieces = Pieces.of(tokenizer)
        encoder = Encoder(encoder_config(config, len(pieces.special)), config.seed)
        settings = PretrainConfig(
            steps=config.steps, batch=SENTENCES, length=LENGTH, learning_rate=config.learning_rate,
            mask_rate=0.3, last_mask_rate=0.15, seed=config.seed,
        )  # fmt: skip
        model = MaskedLanguageModel(encoder, commonest(row, pieces, len(pieces.special)))
        self._training = Pretraining(model, settings, pieces, texts)
        self._training.resume(folder / "checkpoints")
        self._tokenizer, self._exam, self._unknown = tokenizer, exam, Spelled.of(row, tokenizer).share

    def teach(self, wish: "Wish") -> str:
        """Go on until all steps are done ("done") or somebody wishes otherwise ("paused", "stopped")."""
        training, config, exam = self._training, self._config, self._exam
        encoder = training.model.encoder  # as the other pages count: without the prediction head
        parameters = sum(weight.numel() for weight in encoder.parameters())
        _tell("ready", parameters=parameters, unknown=self._unknown, chance=exam.chance, unigram=exam.unigram)
        every = max(1, config.steps // EXAMS)
        if training.step == 0 and not self._moment().exists():
            self._look()
        while training.step < config.steps and not wish.heard:
            training.advance()
            if training.step in self._moments or training.step % every == 0:
                self._look()
            if training.step % NEWS == 0:
                _tell("progress", step=training.step, loss=round(training.take_mean()["loss"], 4))
        if training.step < config.steps and not self._moment().exists():
            self._look(last=True)
        self._keep(self._folder / MODEL)
        if training.step == config.steps:  # whatever was wished in the last of them
            return "done"
        if wish.heard == "pause":
            training.save(self._folder / "checkpoints")
        return {"pause": "paused", "stop": "stopped"}[wish.heard]

    def _look(self, last: bool = False) -> None:
        """An exam, and a snapshot where one is due, as it is at the last moment."""
        training = self._training
        training.model.eval()
        marks = self._exam.marks(training.model)
        kept = last or training.step in self._moments
        if kept:
            self._keep(self._moment())
        _tell("marks", step=training.step, moment=kept, **marks._asdict())

    def _moment(self) -> Path:
        """Where the snapshot of this step lies, or would."""
        return moment_folder(self._folder, self._training.step)

    def _keep(self, folder: Path) -> None:
        about = {"lesson": asdict(self._config), "step": self._training.step}
        checkpoints.save(self._training.model, folder, about, self._tokenizer)


class Wish:
    """What the other side asks for; where it is gone, the lesson stops."""

    def __init__(self) -> None:
        self.heard = ""

    def listen(self) -> None:
        for line in sys.stdin:
            self.heard = line.strip()
        self.heard = "stop"


def run(folder: Path) -> int:
    """The whole life of a lesson's process."""
    torch.set_num_threads(1)  # its matrices are small, and other cores are for whoever looks at the other pages
    if hasattr(os, "nice"):
        os.nice(10)  # they come first on this one too
    wish = Wish()
    threading.Thread(target=wish.listen, daemon=True).start()
    try:
        _tell("over", how=Lesson(folder).teach(wish))
    except (ValueError, OSError, MemoryError, RuntimeError) as error:
        if not isinstance(error, KnownError):
            log.exception("a lesson failed")  # on the standard error, which the workshop keeps
        _tell("failed", why=str(error) or type(error).__name__)
        return 1
    return 0


def _toy() -> tuple[Tokenizer, Array, Exam, Batches]:
    tokenizer = corpus.tokenizer()
    asked = corpus.sentences(ASKED * len(corpus.STRUCTURES), EXAM_SEED)
    known = {sentence.text for sentence in asked}  # a small language says the same thing twice: never in an exam
    learned = [each.text for each in corpus.sentences(TOY_SENTENCES, TOY_SEED, TURNS) if each.text not in known]
    ids = [encoding.ids for encoding in tokenizer.encode_batch_fast(learned)]
    row = np.concatenate(ids)
    return tokenizer, row, ToyExam(tokenizer, Pieces.of(tokenizer), row, asked), Sentences(ids)


def _own(folder: Path) -> tuple[Tokenizer, Array, Exam, Batches]:
    tokenizer = _vocabulary(folder)
    pieces = Pieces.of(tokenizer)
    row = token_row(paragraphs(str(folder / TEXT)), tokenizer)
    Spelled.of(row, tokenizer).checked("Your text")
    most = max(2 * LENGTH, round(len(row) * HELD_OUT))
    row, held_out = row[:-most], row[-most:]
    known = int((~pieces.special[row]).sum())
    if known < FEWEST:
        raise KnownError(
            f"This text is too short: without its end, which is only asked about, {known} tokens are left to learn "
            f"from, and it takes at least {FEWEST}."
        )
    return tokenizer, row, TextExam(pieces, row, held_out), Sequences(row, LENGTH, pieces.classify)


def _vocabulary(folder: Path) -> Tokenizer:
    """Word pieces of somebody's own text. They are made once: another time the trainer would number them otherwise."""
    kept = folder / VOCABULARY
    if kept.exists():
        return Tokenizer.from_file(str(kept))
    tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))
    corpus.dress(tokenizer)  # how it cuts text, for the training; again afterwards, when ids are known
    trainer = WordPieceTrainer(
        vocab_size=PIECES, special_tokens=list(corpus.SPECIAL), show_progress=False,
        limit_alphabet=(PIECES - len(corpus.SPECIAL)) // 2,  # each can be two pieces, of which one goes on with a word
    )  # fmt: skip
    tokenizer.train_from_iterator(paragraphs(str(folder / TEXT)), trainer)
    corpus.dress(tokenizer)
    tokenizer.save(str(kept))
    return tokenizer


def _by_length(asked: Iterable[tuple[Sentence, Question]]) -> list[list[tuple[Sentence, Question]]]:
    """Equally long sentences can be read at once, without padding."""
    groups = defaultdict(list)
    for sentence, question in asked:
        groups[len(sentence.words)].append((sentence, question))
    return list(groups.values())


def _read(
    model: MaskedLanguageModel, ids: Tensor, asked: Tensor, segment: Tensor | None = None
) -> tuple[Array, Tensor]:
    """Attention [sentence, layer, head, query, key], and logits [sentence, choice] at one place of each sentence."""
    ids = ids.to(model.head.bias.device)
    _, layers = model.encoder.trace(ids, segment)
    attention = torch.stack([layer.attention for layer in layers], dim=1)
    hidden = layers[-1].hidden[torch.arange(len(ids)), asked]
    return attention.cpu().numpy(), model.logits(model.encoder.final_norm(hidden)).cpu()


def _marks(right: dict[str, list[float]], weights: dict[str, list[Array]]) -> Marks:
    return Marks(
        {name: float(np.mean(each)) for name, each in right.items()},
        {name: np.mean(each, axis=0, dtype=float).round(4).tolist() for name, each in weights.items()},
    )


def _tell(event: str, **facts: Any) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)  # noqa: T201  # to whoever started this process
