"""Numbers that sum a trace up: pure functions on NumPy arrays.

Functions of attention take [..., head, query, key] with rows that sum to 1 and return one value a
head; any leading axes (a layer's, say) are kept. Definitions and sources stand with each.
"""

from collections.abc import Sequence
from itertools import accumulate

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
    """[..., head] mean weight on other occurrences of the same token.

    The mean is over the rows of tokens that repeat; 0 where none does.
    """
    names = np.asarray(tokens, dtype=object)
    same = (names[:, None] == names[None, :]) & ~np.eye(len(names), dtype=bool)
    return (attention * same).sum((-1, -2)) / max(1, int(same.any(-1).sum()))


def entropy(attention: Array, normalized: bool = False) -> Array:
    """[..., head] mean over rows of −Σ a ln a in nats: 0 for one key, ln T for T keys alike; normalized: ÷ ln T."""
    safe = np.where(attention > 0, attention, 1)  # a ln a goes to 0 with a
    mean = -(safe * np.log(safe)).sum(-1).mean(-1)
    tokens = attention.shape[-1]
    return mean / np.log(tokens) if normalized and tokens > 1 else mean


def distance(attention: Array) -> Array:
    """[..., head] mean over rows of Σ a · |i − j|, in tokens: how far a head looks."""
    place = np.arange(attention.shape[-1], dtype=attention.dtype)
    return (attention * abs(place[:, None] - place[None, :])).sum(-1).mean(-1)


def merge_words(attention: Array, word: Array) -> Array:
    """[..., query word, key word] from pieces to words: columns are summed, rows averaged (Clark et al. 2019, §2).

    word: [token] the row that each token goes to, 0, 1, 2, … without gaps. Rows still sum to 1.
    """
    member = np.eye(word.max() + 1, dtype=attention.dtype)[word]  # [token, word]
    return (member / member.sum(0)).T @ attention @ member


def norm_weighted(attention: Array, value_size: Array) -> Array:
    """[..., head, query, key] length of what each key adds to a query, ‖a · value · W_O‖ (Kobayashi et al. 2020, §3).

    value_size: [..., head, key] the length of each key's value after the output projection. Rows do not sum to 1.
    """
    return attention * value_size[..., None, :]


def rollout(attentions: Array) -> Array:
    """[layer, query, key] how much of each token of the start is in each token after each layer (Abnar & Zuidema 2020).

    attentions: [layer, head, query, key]. In each layer a token is taken to be half itself, half what the heads read on
    average: Ā = rows of (mean over heads + I) made to sum to 1, and R_l = Ā_l R_{l−1}.
    """
    mixed = attentions.mean(1) + np.eye(attentions.shape[-1], dtype=attentions.dtype)
    mixed /= mixed.sum(-1, keepdims=True)
    return np.stack(list(accumulate(mixed, lambda below, layer: layer @ below)))


def coarse(attention: Array, most: int) -> Array:
    """[..., query, key] with at most so many rows and columns: each cell is the largest weight of a block."""
    tokens = attention.shape[-1]
    if tokens <= most:
        return attention
    starts = blocks(tokens, most)
    return np.maximum.reduceat(np.maximum.reduceat(attention, starts, -1), starts, -2)


def blocks(count: int, most: int) -> Array:
    """[block] where each of `most` blocks of `count` places begins, as even as can be."""
    return np.arange(most) * count // most


def cosine(vectors: Array) -> Array:
    """[token, token] cosine of every two rows of [token, model]; 0 beside a zero vector."""
    size = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit = vectors / np.where(size > 0, size, 1)
    return np.clip(unit @ unit.T, -1, 1)


def mean_cosine(hidden: Array) -> float:
    """Mean cosine between different rows of [token, model]; 1 for a single one.

    Of many tokens it is the anisotropy of a layer, of one word in several sentences its self-similarity (Ethayarajh
    2019, §3.3).
    """
    tokens = len(hidden)
    if tokens < 2:
        return 1.0
    wide = hidden.astype(np.float64)
    size = np.linalg.norm(wide, axis=-1, keepdims=True)
    unit = wide / np.where(size > 0, size, 1)
    # ‖Σu‖² is the sum of all cosines: thousands of tokens need no matrix of all their pairs.
    return float(((unit.sum(0) ** 2).sum() - (unit**2).sum()) / (tokens * (tokens - 1)))


def cka(one: Array, other: Array) -> float:
    """Linear centred kernel alignment of two [token, model]: 1 alike up to rotation and scale (Kornblith et al. 2019).

    The same tokens in both, many more of them than channels. 0 where one of them never changes.
    """
    return float(cka_table([one], [other])[0, 0])


def cka_table(ones: Sequence[Array], others: Sequence[Array] | None = None) -> Array:
    """[one, other] the same of every two of several [token, model]; of `ones` among themselves by default."""
    x = [_centred(each) for each in ones]
    y = x if others is None else [_centred(each) for each in others]
    length_x = [np.linalg.norm(each.T @ each) for each in x]
    length_y = length_x if others is None else [np.linalg.norm(each.T @ each) for each in y]
    table = np.zeros((len(x), len(y)))
    for row in range(len(x)):
        for column in range(len(y)):
            if others is None and column < row:
                table[row, column] = table[column, row]
            elif (size := length_x[row] * length_y[column]) > 0:
                table[row, column] = min(1.0, float(np.linalg.norm(y[column].T @ x[row]) ** 2 / size))
    return table


def residual_mix(
    attention: Array, value: Array, output: Array, hidden: Array, gamma: Array | None = None
) -> Array:  # fmt: skip
    """[token] share of the attention block's output that comes from other tokens, by length (Kobayashi et al. 2021).

    attention: [head, query, key]; value: [head, key, head_dim]; output: [head, head_dim, model], W_O; hidden: [token,
    model] what goes past the block; gamma: [model] of a norm after the sum, whose division cancels out. The output's
    bias and β belong to no token. 0 where attention is the identity.
    """
    given = value @ output  # [head, key, model], what each token would give
    own = (np.diagonal(attention, 0, -2, -1)[..., None] * given).sum(0)
    others = (attention @ given).sum(0) - own
    kept = hidden + own
    if gamma is not None:
        others, kept = ((each - each.mean(-1, keepdims=True)) * gamma for each in (others, kept))
    mixed, past = np.linalg.norm(others, axis=-1), np.linalg.norm(kept, axis=-1)
    return mixed / np.where(mixed + past > 0, mixed + past, 1)


def correlations(values: Array, others: Array) -> Array:
    """[neuron] Pearson's r of [word] with each column of [word, neuron]; 0 where one of them never changes."""
    x, y = _centred(values), _centred(others)
    size = np.linalg.norm(x) * np.linalg.norm(y, axis=0)
    return np.clip((x @ y) / np.where(size > 0, size, 1), -1, 1)


def _centred(values: Array) -> Array:
    """[token, …] less its mean; a column that never changes is exactly 0, though rounding would leave something."""
    wide = values.astype(np.float32)
    centred = wide - wide.mean(0)
    return np.where(abs(centred).max(0) > 1e-6 * abs(wide).max(0), centred, 0)


def turn(before: Array, after: Array) -> Array:
    """[token] 1 − cosine of two [token, model] arrays row by row: 0 same direction, 1 at right angles, 2 opposite."""
    size = np.linalg.norm(before, axis=-1) * np.linalg.norm(after, axis=-1)
    return 1 - np.clip((before * after).sum(-1) / np.where(size > 0, size, 1), -1, 1)


def silent(neurons: Array) -> Array:
    """[..., ffn] True where a neuron says (almost) nothing: at most 0 after ReLU, |activation| < 0.05 after GELU.

    GELU is told from ReLU by its negative values.
    """
    return abs(neurons) < 0.05 if (neurons < 0).any() else neurons <= 0


def below_zero(preactivation: Array) -> float:
    """Share of the values below zero, of which the activation function leaves nothing or little."""
    return float((preactivation < 0).mean())


def sparsity(neurons: Array) -> float:
    """Share of silent neurons over all tokens and neurons of [token, ffn] (compare Li et al. 2023)."""
    return float(silent(neurons).mean())


def strongest(values: Array, count: int) -> Array:
    """Indices of the `count` values largest in size, the largest first."""
    return np.argsort(-abs(values), kind="stable")[:count]


def most_active(neurons: Array, count: int) -> Array:
    """Indices of the `count` neurons of [token, ffn] with the largest activation on any token, the largest first."""
    return np.argsort(-neurons.max(0), kind="stable")[:count]
