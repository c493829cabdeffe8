"""Where a page opens until somebody chooses: a noun, and the head in which one word reads another most clearly."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from encoder.edits import words
from encoder.trace import Array, Tokens, Trace

# English words that say little by themselves. What follows one of the first kind is mostly a noun.
AFTER_THESE = "a an the this that these those my your his her its our their some any each every no two three"
PRONOUN = "he she it they him them who"  # what one of these reads is worth a look
OTHER = """i we you me us is am are was were be been being do does did has have had will would can could shall should
may might must not and or but so if then than as of in on at by to from with for into over under because while when
where what which how why there here very too also just only even still again more most one all own other same up out
off down back about through around between before after without until against among during since within along across
near though although s t d ll re ve m"""
DETERMINERS, PRONOUNS, OTHERS = (frozenset(words.split()) for words in (AFTER_THESE, PRONOUN, OTHER))

Place = TypeVar("Place", int, None)


@dataclass(frozen=True)
class Start:
    """A place in one reading worth opening on; all numbers from 0."""

    token: int  # a noun, where there is one
    layer: int
    head: int  # in this head one word reads another, which is not beside it, with the largest weight of all heads
    query: int
    key: int

    nbytes = 0  # a cache bounded in bytes need not count it


def start(trace: Trace) -> Start:
    """Where to open the pictures of one reading."""
    tokens = trace.tokens
    nouns, readers = _content(tokens), _content(tokens, also=PRONOUNS)
    token = _noun(_words(tokens), np.flatnonzero(nouns).tolist(), int(np.argmin(tokens.special)))
    allowed = _apart(tokens, readers, nouns)
    if not allowed.any():
        return Start(token, 0, 0, token, token)
    largest = [(layer.attention * allowed).max((-1, -2)) for layer in trace.layers]  # [layer][head]
    layer, head = divmod(int(np.argmax(largest)), trace.model.heads)
    query, key = divmod(int((trace.layers[layer].attention[head] * allowed).argmax()), len(tokens))
    return Start(token, layer, head, query, key)


def noun(text: str) -> int | None:
    """The word of a text that is most likely a noun, counted as `edits.words` counts; None where no word says much."""
    spoken = [text[start:end].casefold() for start, end in words(text)]
    places = [place for place, word in enumerate(spoken) if says_something(word)]
    return _noun(spoken, places, None)


def says_something(word: str) -> bool:
    """Whether a word says something by itself: no sign, no article, no pronoun and the like."""
    return any(map(str.isalpha, word)) and word.casefold() not in DETERMINERS | PRONOUNS | OTHERS


def _words(tokens: Tokens) -> list[str]:
    return [text.strip(" ▁Ġ").casefold() for text in tokens.text]


def _content(tokens: Tokens, also: frozenset[str] = frozenset()) -> Array:
    """[token] True for the first piece of each word that says something by itself, and of those `also` named."""
    little = (DETERMINERS | PRONOUNS | OTHERS) - also
    words = _words(tokens)
    first = np.diff(tokens.word, prepend=-1) != 0
    says = np.array([any(map(str.isalpha, word)) and word not in little for word in words], dtype=bool)
    return first & says & ~tokens.special


def _noun(spoken: Sequence[str], places: Sequence[int], otherwise: Place) -> int | Place:
    """Of some places the first that follows a determiner, or the first."""
    after = (place for place in places if place and spoken[place - 1] in DETERMINERS)
    return next(after, next(iter(places), otherwise))


def _apart(tokens: Tokens, readers: Array, read: Array) -> Array:
    """[query, key] True where one word reads another: not itself, and not its neighbour where there are others."""
    far = abs(np.subtract.outer(tokens.word, tokens.word))
    pairs = np.outer(readers, read) & (far > 0)
    return pairs & (far > 1) if (pairs & (far > 1)).any() else pairs
