"""Texts to learn from: a file, a folder or a data set of the Hugging Face Hub becomes one long row of token ids, and
that, or a list of sentences, batches of sequences."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from tokenizers import Tokenizer

from encoder.decoding import lines
from encoder.errors import KnownError
from encoder.trace import Array

AT_ONCE = 4_096  # paragraphs the tokenizer gets at once: enough for all cores
# Share of [UNK] among a text's tokens. English novels have none; WikiText, which holds [UNK] for rare words, 6 %;
# Chinese and Thai in BERT's English pieces 64 % and 100 %: hardly anything is left there to learn from.
MOST_UNKNOWN = 0.2


def paragraphs(source: str, tell: Callable[[str], object] | None = None) -> Iterator[str]:
    """The lines that are not blank of a text file, of every `.txt` in a folder, or of a data set of the Hub by name.

    Of a data set, which is streamed, the column "text" of the split "train" is read; "name:split" names another split,
    "name:part:split" one of the parts (Hugging Face calls them configs) of a data set that has several.
    tell: gets a sentence for each file that is not in UTF-8, or of which some characters cannot be read.
    Raises FileNotFoundError where none of these is there, ValueError for a data set without that column, and for a file
    that is no plain text.
    """
    if files := _files(source):
        for file in files:
            texts, encoding = lines(file)
            if tell and encoding.remark:
                tell(f"{file}: {encoding.remark}.")
            yield from texts
    else:
        yield from _streamed(source)


def stamp(source: str) -> list[str | int]:
    """What tells one state of a text's files from another without reading them; as `paragraphs`, raises."""
    marks: list[str | int] = [source]
    for file in _files(source):
        found = file.stat()
        marks += [str(file), found.st_size, found.st_mtime_ns]
    return marks


def _files(source: str) -> list[Path]:
    """None for a data set of the Hub."""
    path = Path(source)
    if path.is_dir():
        if files := sorted(path.rglob("*.txt")):
            return files
        raise FileNotFoundError(f"The folder {source} holds no .txt file.")
    if path.is_file():
        return [path]
    if "/" in source and path.suffix not in (".txt", ".csv"):
        return []
    raise FileNotFoundError(f"There is no file or folder {source}.")


def _streamed(source: str) -> Iterator[str]:
    from datasets import load_dataset  # slow to import, and few need it

    name, *part, split = source.split(":") if ":" in source else (source, "train")
    if len(part) > 1:
        raise ValueError(f"A data set is named owner/name, owner/name:split or owner/name:part:split, not {source}.")
    for row in load_dataset(name, *part, split=split or "train", streaming=True):
        if "text" not in row:
            raise ValueError(f"The data set {name} has no column “text” but {', '.join(row)}.")
        yield from filter(None, map(str.strip, row["text"].splitlines()))


def token_row(texts: Iterable[str], tokenizer: Tokenizer) -> Array:
    """[token] int32 ids of all texts, one after the other, each followed by [SEP]: nothing is padded, nothing cut."""
    return np.concatenate([np.zeros(0, dtype=np.int32), *token_rows(texts, tokenizer)])


def token_rows(texts: Iterable[str], tokenizer: Tokenizer) -> Iterator[Array]:
    """The same in pieces, [token] each, as the texts come: those of the Hub may not fit into memory."""
    end = [tokenizer.token_to_id("[SEP]")]
    coming = iter(texts)
    while some := list(islice(coming, AT_ONCE)):
        encodings = tokenizer.encode_batch_fast(some, add_special_tokens=False)
        yield np.array([number for encoding in encodings for number in encoding.ids + end], dtype=np.int32)


@dataclass(frozen=True)
class Spelled:
    """How many tokens a text has, [SEP] aside, and how many of them are [UNK]: words that no piece can spell."""

    tokens: int = 0
    unknown: int = 0

    def __add__(self, other: "Spelled") -> "Spelled":
        return Spelled(self.tokens + other.tokens, self.unknown + other.unknown)

    @classmethod
    def of(cls, row: Array, tokenizer: Tokenizer) -> "Spelled":
        """row: [token] ids."""
        unknown, end = (row == tokenizer.token_to_id(name) for name in ("[UNK]", "[SEP]"))
        return cls(len(row) - int(end.sum()), int(unknown.sum()))

    @property
    def share(self) -> float:
        """Of [UNK]."""
        return self.unknown / max(1, self.tokens)

    def checked(self, text: str) -> str:
        """What there is to say of the text with this name, in a sentence. Raises KnownError for too much [UNK]."""
        found = f"{text}: {self.tokens:,} tokens, {self.share:.2%} of them [UNK]"
        if self.share > MOST_UNKNOWN:
            raise KnownError(
                f"{found}, and {MOST_UNKNOWN:.0%} may be. The vocabulary cannot spell this text, which may be in "
                "another script or language, or have too many different signs."
            )
        return f"{found}."


class Batches(Protocol):
    """What can be learned from, a step at a time."""

    def batch(self, step: int, size: int) -> Array:
        """[sequence, token] ids of a step, counted from 0: they follow from its number alone."""
        ...


class Sequences:
    """A row of tokens cut into sequences that each begin with [CLS], in an order that a seed decides.

    Every token is in exactly one sequence of a pass; the few at the end that do not fill one are left out.
    """

    def __init__(self, row: Array, length: int, first: int, seed: int = 0) -> None:
        """row: [token] ids. length: of a sequence, [CLS] included. first: the id of [CLS].

        Raises ValueError where there are not tokens enough for one sequence.
        """
        count = len(row) // (length - 1)
        if not count:
            raise ValueError(f"{len(row)} tokens of text are too few for one sequence of {length}.")
        self._content = row[: count * (length - 1)].reshape(count, length - 1)
        self._first, self._seed = first, seed

    def __len__(self) -> int:
        return len(self._content)

    def batch(self, step: int, size: int) -> Array:
        """[sequence, token] ids of a step, counted from 0: each pass over the texts has another order."""
        places = np.arange(step * size, (step + 1) * size)
        rows = [self._order(number)[place] for number, place in zip(*np.divmod(places, len(self)), strict=True)]
        return self._opened(self._content[rows])

    def in_order(self, size: int) -> Iterator[Array]:
        """All sequences, [sequence, token] ids, so many at once, as they stand."""
        for start in range(0, len(self), size):
            yield self._opened(self._content[start : start + size])

    def _order(self, number: int) -> Array:
        """The order of the pass with this number."""
        if getattr(self, "_pass", None) != number:
            self._pass, self._places = number, np.random.default_rng([self._seed, number]).permutation(len(self))
        return self._places

    def _opened(self, content: Array) -> Array:
        opening = np.full((len(content), 1), self._first, dtype=content.dtype)
        return np.concatenate([opening, content], axis=1)


class Sentences:
    """Sentences, each a sequence of its own. All of a batch are equally long, so that nothing is padded."""

    def __init__(self, sentences: Iterable[Sequence[int]], seed: int = 0) -> None:
        """sentences: the token ids of each, [CLS] and [SEP] included."""
        by_length: dict[int, list[Sequence[int]]] = {}
        for ids in sentences:
            by_length.setdefault(len(ids), []).append(ids)
        self._groups = [np.array(group, dtype=np.int32) for _, group in sorted(by_length.items())]
        counts = np.array([len(group) for group in self._groups])
        self._shares = counts / counts.sum()
        self._seed = seed

    def batch(self, step: int, size: int) -> Array:
        """[sentence, token] ids of a step: a length is drawn as often as it comes, then sentences of that length."""
        chance = np.random.default_rng([self._seed, step])
        group = self._groups[chance.choice(len(self._groups), p=self._shares)]
        return group[chance.integers(len(group), size=size)]
