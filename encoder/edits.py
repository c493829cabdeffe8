"""What if the text were another: words hidden, replaced or shuffled, and which token is which afterwards."""

import random
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from encoder.tokens import HAN, MASKS
from encoder.trace import Array, Tokens

HIDDEN = MASKS[0]
# Chinese is written without spaces: a character is a word, as BERT takes it.
CHUNK = re.compile(rf"{'|'.join(map(re.escape, MASKS))}|[{HAN}]|[^\s{HAN}\[<]+|[\[<]")

Span = tuple[int, int]  # from the first character to the one after the last


class Pairs(NamedTuple):
    """Which token of one reading is which of another: two arrays of places, [pair] each."""

    before: Array
    after: Array


@dataclass(frozen=True)
class Edit:
    """What is done to a text, whose words are counted from 0 in the order of `words`."""

    changed: frozenset[int] = frozenset()
    put_in: str = HIDDEN  # in the place of each word that is changed
    shuffled: bool = False

    def __bool__(self) -> bool:
        return bool(self.changed) or self.shuffled


@dataclass(frozen=True)
class Edited:
    """A text after an edit."""

    text: str
    moved: tuple[tuple[Span, Span], ...]  # where a piece was, and where it or what was put in its place is now


def words(text: str) -> list[Span]:
    """Where the words are, without the punctuation around them."""
    found = (_bare(text, *match.span()) for match in CHUNK.finditer(text))
    return [(start, end) for start, end in found if start < end]


def find(text: str, word: str) -> Span | None:
    """Where a word, or several in a row, first stand in a text, whatever their case and the marks around them."""
    wanted, here = words(word), words(text)
    if not wanted:
        return None
    runs = ((first[0], last[1]) for first, last in zip(here, here[len(wanted) - 1 :], strict=False))
    typed = _alike(word, (wanted[0][0], wanted[-1][1]))
    return next((run for run in runs if _alike(text, run) == typed), None)


def covered(tokens: Tokens, spans: Sequence[Span]) -> Array:
    """[span, token] whether each span of the first sentence holds a token, or a part of it."""
    starts, ends = tokens.span.T
    own = ~tokens.special & (tokens.segment == 0)
    found = [own & (starts < end) & (ends > start) for start, end in spans]
    return np.array(found, dtype=bool).reshape(len(spans), len(tokens))


@lru_cache(16)  # both columns ask in every turn
def edited(text: str, edit: Edit) -> Edited:
    """The text with some words changed, or all in another order; what stands between them stays where it is.

    The order is the same every time: everybody in the room sees the same sentence.
    """
    spans = words(text)
    order = list(range(len(spans)))
    if edit.shuffled:
        random.Random(len(order)).shuffle(order)
    pieces: list[tuple[Span, str]] = []
    last = 0
    for (start, end), source in zip(spans, order, strict=True):
        pieces.append(((last, start), text[last:start]))
        pieces.append((spans[source], edit.put_in if source in edit.changed else text[slice(*spans[source])]))
        last = end
    pieces.append(((last, len(text)), text[last:]))
    moved, place = [], 0
    for span, piece in pieces:
        moved.append((span, (place, place + len(piece))))
        place += len(piece)
    return Edited("".join(piece for _, piece in pieces), tuple(moved))


def real(text: str, edit: Edit) -> Edit:
    """Of an edit what makes the text another one: no word in its own place, and no order that is the same."""
    spans = words(text)
    changed = {place for place in edit.changed if place < len(spans) and text[slice(*spans[place])] != edit.put_in}
    shuffled = edit.shuffled and edited(text, Edit(shuffled=True)).text != text
    return Edit(frozenset(changed), edit.put_in, shuffled)


def pairs(before: Tokens, after: Tokens, moved: tuple[tuple[Span, Span], ...]) -> Pairs:
    """Which token is which, where a word of the first sentence has as many tokens as before.

    Special tokens and those of the second sentence are paired in their order, where as many were read.
    """
    found: list[tuple[Array, Array]] = [
        (np.flatnonzero(before.special), np.flatnonzero(after.special)),
        (_of_sentence(before, 1), _of_sentence(after, 1)),
    ]
    here, there = _of_sentence(before, 0), _of_sentence(after, 0)
    for old, new in moved:
        found.append((_inside(before, here, old), _inside(after, there, new)))
    found = [(one, other) for one, other in found if len(one) == len(other)]
    one, other = (np.concatenate(each) for each in zip(*found, strict=True))
    order = np.argsort(one, kind="stable")
    return Pairs(one[order], other[order])


def _of_sentence(tokens: Tokens, segment: int) -> Array:
    return np.flatnonzero(~tokens.special & (tokens.segment == segment))


def _inside(tokens: Tokens, places: Array, span: Span) -> Array:
    """Those of some tokens that end in a span: some tokens hold the space before their word."""
    ends = tokens.span[places, 1] - 1
    return places[(ends >= span[0]) & (ends < span[1])]


def _alike(text: str, span: Span) -> str:
    """What stands in a span, the same in capitals and with wider spaces."""
    return " ".join(text[slice(*span)].casefold().split())


def _bare(text: str, start: int, end: int) -> Span:
    if text[start:end] in MASKS:
        return start, end
    while start < end and _is_mark(text[start]):
        start += 1
    while start < end and _is_mark(text[end - 1]):
        end -= 1
    return start, end


def _is_mark(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "PS"
