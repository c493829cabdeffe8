"""Texts to learn from: a file, a folder or a data set of the Hugging Face Hub becomes one long row of token ids, and
that, or a list of sentences, batches of sequences."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from tokenizers import Tokenizer

from encoder.trace import Array

AT_ONCE = 4_096  # paragraphs the tokenizer gets at once: enough for all cores


def paragraphs(source: str) -> Iterator[str]:
    """The lines that are not blank of a text file, of every `.txt` in a folder, or of a data set of the Hub by name.

    Of a data set, which is streamed, the column "text" of the split "train" is read; "name:split" names another split,
    "name:part:split" one of the parts (Hugging Face calls them configs) of a data set that has several.
    Raises FileNotFoundError where none of these is there, ValueError for a data set without that column.
    """
    if files := _files(source):
        for file in files:
            yield from _lines(file)
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


def _lines(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8", errors="replace") as lines:
        yield from filter(None, map(str.strip, lines))


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


def decoded(data: bytes) -> str:
    """The text of a file, whatever program wrote it. Raises ValueError for what is no text."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", errors="replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = _damaged_utf8(data) or data.decode("cp1252", errors="replace")  # Windows programs' western languages
    strange = sum(text.count(sign) for sign in "\x00\ufffd")
    if strange > len(text) / 200:
        raise ValueError("This file is no text, or in an encoding that is not known here; UTF-8 is.")
    return text


def _damaged_utf8(data: bytes) -> str | None:
    """UTF-8 with few bytes astray, without a last character that is cut; None for what is in another encoding."""
    text = data.decode("utf-8-sig", errors="replace").removesuffix("\ufffd")
    astray = text.count("\ufffd")
    well = len(text) - len(text.encode("ascii", errors="ignore")) - astray
    return text if well > 10 * astray else None  # by chance hardly a letter of another encoding is UTF-8


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
