"""Numbers that sum a trace up: pure functions on NumPy arrays.

Functions of attention take [..., head, query, key] with rows that sum to 1 and return one value a
head; any leading axes (a layer's, say) are kept. Definitions and sources stand with each.
"""

from collections.abc import Sequence

import numpy as np

from encoder.trace import Array


def offset_share(attention: Array, offset: int) -> Array:
    """[..., head] mean weight on the token `offset` places away: −1 previous, 0 self, 1 next (Clark et al. 2019, §3.1).

    The mean is over the rows that have such a token; 0 where none has.
    """
    diagonal = np.diagonal(attention, offset, -2, -1)
    return diagonal.mean(-1) if diagonal.shape[-1] else np.zeros(attention.shape[:-2], attention.dtype)


def share_on(attention: Array, keys: Array) -> Array:
    """[..., head] mean over rows of the weight on some keys, a [key] mask: special tokens, say (Clark et al. 2019)."""
    return attention[..., keys].sum(-1).mean(-1)


def same_token_share(attention: Array, tokens: Sequence[str]) -> Array:
    """[..., head] mean over rows of the weight on other occurrences of the same token; 0 where no token repeats."""
    names = np.asarray(tokens, dtype=object)
    same = (names[:, None] == names[None, :]) & ~np.eye(len(names), dtype=bool)
    return (attention * same).sum(-1).mean(-1)


def entropy(attention: Array, normalized: bool = False) -> Array:
    """[..., head] mean over rows of −Σ a ln a in nats: 0 for one key, ln T for T keys alike; normalized: ÷ ln T."""
    safe = np.where(attention > 0, attention, 1)  # a ln a goes to 0 with a
    mean = -(safe * np.log(safe)).sum(-1).mean(-1)
    tokens = attention.shape[-1]
    return mean / np.log(tokens) if normalized and tokens > 1 else mean


def distance(attention: Array) -> Array:
    """[..., head] mean over rows of Σ a · |i − j|, in tokens: how far a head looks."""
    place = np.arange(attention.shape[-1])
    return (attention * abs(place[:, None] - place[None, :])).sum(-1).mean(-1)


def merge_words(attention: Array, word: Array) -> Array:
    """[..., query word, key word] from pieces to words: columns are summed, rows averaged (Clark et al. 2019, §2).

    word: [token] the row that each token goes to, 0, 1, 2, … without gaps. Rows still sum to 1.
    """
    member = np.eye(word.max() + 1, dtype=attention.dtype)[word]  # [token, word]
    return (member / member.sum(0)).T @ attention @ member


def cosine(vectors: Array) -> Array:
    """[token, token] cosine of every two rows of [token, model]; 0 beside a zero vector."""
    size = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit = vectors / np.where(size > 0, size, 1)
    return np.clip(unit @ unit.T, -1, 1)


def mean_cosine(hidden: Array) -> float:
    """Mean cosine between different tokens of [token, model] (Ethayarajh 2019, anisotropy); 1 for a single token."""
    tokens = len(hidden)
    return float((cosine(hidden).sum() - tokens) / (tokens * (tokens - 1))) if tokens > 1 else 1.0


def turn(before: Array, after: Array) -> Array:
    """[token] 1 − cosine of two [token, model] arrays row by row: 0 same direction, 1 at right angles, 2 opposite."""
    size = np.linalg.norm(before, axis=-1) * np.linalg.norm(after, axis=-1)
    return 1 - np.clip((before * after).sum(-1) / np.where(size > 0, size, 1), -1, 1)


def silent(neurons: Array) -> Array:
    """[..., ffn] True where a neuron says (almost) nothing: at most 0 after ReLU, |activation| < 0.05 after GELU.

    GELU is told from ReLU by its negative values.
    """
    return abs(neurons) < 0.05 if (neurons < 0).any() else neurons <= 0


def sparsity(neurons: Array) -> float:
    """Share of silent neurons over all tokens and neurons of [token, ffn] (compare Li et al. 2023)."""
    return float(silent(neurons).mean())


def strongest(values: Array, count: int) -> Array:
    """Indices of the `count` values largest in size, the largest first."""
    return np.argsort(-abs(values), kind="stable")[:count]


def most_active(neurons: Array, count: int) -> Array:
    """Indices of the `count` neurons of [token, ffn] with the largest activation on any token, the largest first."""
    return np.argsort(-neurons.max(0), kind="stable")[:count]
