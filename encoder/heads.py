"""What each head of each layer mostly does with one text: read the token before, rest on [SEP], look at all alike, …"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from encoder import measures
from encoder.trace import Array, Tokens, Trace

# A head that does less than this has no role. Both scales go to 1; even attention has 0 of a share, 1 of entropy.
MOSTLY = 0.4
BROAD = 0.9
FEWEST_TOKENS = 4  # with fewer, the previous token, the next and the special ones are all there is


@dataclass(frozen=True)
class HeadMeasure:
    """One number for every head: `formula(attention, tokens)` is [layer, head] from [layer, head, query, key]."""

    label: str
    meaning: str
    formula: Callable[[Array, Tokens], Array]

    def of(self, trace: Trace) -> Array:
        """[layer, head] of one reading."""
        return self.formula(_attention(trace), trace.tokens)


def measured(trace: Trace) -> dict[str, Array]:
    """Every measure of every head: [layer, head] each."""
    attention = _attention(trace)
    return {name: measure.formula(attention, trace.tokens) for name, measure in MEASURES.items()}


def roles(trace: Trace, found: dict[str, Array] | None = None) -> tuple[tuple[str, ...], ...]:
    """[layer][head] what a head mostly does: a name in SHARES, "broad" for nearly even attention, or "" for neither.

    `found` are the measures of this trace, where they are known already.

    Even attention too lies on special tokens, the more of it the shorter the text. So a share is put on a scale from
    even attention (0) to all weight (1). Of those that are MOSTLY there the role is the one with the most weight over
    all rows: what a head does with the two rows of a repeated word is not yet what it mostly does.
    """
    tokens, count = trace.tokens, len(trace.tokens)
    if count < FEWEST_TOKENS:
        return (("",) * trace.model.heads,) * len(trace.layers)
    found = found or measured(trace)
    even = np.full((count, count), 1 / count)
    share = np.stack([found[name] for name in SHARES], -1)  # [layer, head, share]
    chance = np.stack([MEASURES[name].formula(even, tokens) for name in SHARES])  # [share]
    gain = (share - chance) / np.maximum(1 - chance, 1 / count)  # where every token counts, nothing is gained
    weight = np.where(gain >= MOSTLY, share * _rows(tokens), 0)
    broad = found["entropy"] >= BROAD
    names = np.where(weight.any(-1), np.array(SHARES)[weight.argmax(-1)], np.where(broad, "broad", ""))
    return tuple(map(tuple, names.tolist()))


def repeats(tokens: Tokens) -> bool:
    """Whether any word comes twice."""
    names = _names(tokens)
    return len(set(names)) < len(names)


def _attention(trace: Trace) -> Array:
    """[layer, head, query, key] of all layers."""
    return np.stack([layer.attention for layer in trace.layers])


def _rows(tokens: Tokens) -> Array:
    """[share] of all rows, those that the mean of each share is over."""
    but_one = 1 - 1 / len(tokens)
    names = _names(tokens)
    repeated = np.mean([names.count(name) > 1 for name in names])
    part = {"previous": but_one, "next": but_one, "same": repeated}
    return np.array([part.get(name, 1.0) for name in SHARES])


def _names(tokens: Tokens) -> list[str]:
    """What makes two tokens the same word: their letters, whatever their case and the space that a token may hold.

    Special tokens are never the same: how much goes from [SEP] to [SEP] is told by their own share.
    """
    words = [text.strip(" ▁").casefold() for text in tokens.text]
    return [f"{word} {place}" if tokens.special[place] else word for place, word in enumerate(words)]


def _punctuation(tokens: Tokens) -> Array:
    """[token] True where every character of a token is a punctuation mark, by Unicode's categories."""
    marks = [text.strip(" ▁") for text in tokens.text]
    only = [bool(text) and all(unicodedata.category(letter).startswith("P") for letter in text) for text in marks]
    return np.array(only, dtype=bool) & ~tokens.special


def _opens(tokens: Tokens) -> Array:
    """[token] True for the first token only."""
    return np.arange(len(tokens)) == 0


MEASURES: dict[str, HeadMeasure] = {
    "previous": HeadMeasure(
        "Previous token", "The mean weight on the token just before.",
        lambda attention, tokens: measures.offset_share(attention, -1),
    ),
    "next": HeadMeasure(
        "Next token", "The mean weight on the token just after.",
        lambda attention, tokens: measures.offset_share(attention, 1),
    ),
    "self": HeadMeasure(
        "The token itself", "The mean weight of each token on itself.",
        lambda attention, tokens: measures.offset_share(attention, 0),
    ),
    "special": HeadMeasure(
        "Special tokens", "The mean weight on [CLS], [SEP] and their like.",
        lambda attention, tokens: measures.share_on(attention, tokens.special),
    ),
    "opening": HeadMeasure(
        "Opening token", "The mean weight on the special token that opens the text, [CLS] in BERT.",
        lambda attention, tokens: measures.share_on(attention, tokens.special & _opens(tokens)),
    ),
    "separators": HeadMeasure(
        "Separators", "The mean weight on the special tokens that end or part sentences, [SEP] in BERT.",
        lambda attention, tokens: measures.share_on(attention, tokens.special & ~_opens(tokens)),
    ),
    "punctuation": HeadMeasure(
        "Punctuation", "The mean weight on commas, full stops and other punctuation marks.",
        lambda attention, tokens: measures.share_on(attention, _punctuation(tokens)),
    ),
    "same": HeadMeasure(
        "Same word", "The mean weight of each repeated word on its other places in the text.",
        lambda attention, tokens: measures.same_token_share(attention, _names(tokens)),
    ),
    "entropy": HeadMeasure(
        "Spread", "How evenly the weight is spread: 0 for one token only, 1 for all tokens alike.",
        lambda attention, tokens: measures.entropy(attention, normalized=True),
    ),
    "distance": HeadMeasure(
        "Reach", "How far away the tokens are that a head reads, on average, counted in tokens.",
        lambda attention, tokens: measures.distance(attention),
    ),
}  # fmt: skip
# Those that are a part of all weight and make a role.
SHARES = ("previous", "next", "self", "special", "punctuation", "same")

# A role in words, for whoever looks at one head.
ROLES: dict[str, str] = {
    "previous": "mostly the previous token",
    "next": "mostly the next token",
    "self": "mostly the token itself",
    "special": "mostly special tokens",
    "punctuation": "mostly punctuation",
    "same": "mostly the same word elsewhere",
    "broad": "all tokens about alike",
}
