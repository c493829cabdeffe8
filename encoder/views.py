"""Other ways to look at one reading: by whole words, or without special tokens. A trace in, a trace out."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from encoder.measures import merge_words
from encoder.trace import EMBEDDING_AXES, LAYER_AXES, OUTPUT_AXES, Array, Axes, Tokens, Trace, read_only


def whole_words(trace: Trace) -> Trace:
    """Word pieces joined to words: columns of attention are summed, rows and vectors averaged (Clark et al. 2019, §2).

    Lengths of values are averaged too. Special tokens stay by themselves. Rows of attention still sum to 1; they are
    not the softmax of the scores that follow from averaged queries and keys.
    """
    tokens = trace.tokens
    group = _groups(tokens)
    member = np.eye(group.max() + 1, dtype=np.float32)[group]  # [token, word]
    mean = (member / member.sum(0)).T  # [word, token]

    def merge(array: Array, axes: Axes) -> Array:
        if axes[-1] == "key":
            return merge_words(array, group)
        return array @ mean.T if axes[-1] == "token" else mean @ array

    first = np.array([np.flatnonzero(group == word)[0] for word in range(group.max() + 1)])
    joined = Tokens(
        text=tuple(_join([tokens.text[i] for i in np.flatnonzero(group == word)]) for word in range(len(first))),
        word=read_only(tokens.word[first]),
        segment=read_only(tokens.segment[first]),
        special=read_only(tokens.special[first]),
        span=read_only(np.array([_span(tokens, np.flatnonzero(group == word)) for word in range(len(first))])),
        left_out=tokens.left_out,
    )
    return _rebuild(trace, joined, merge)


def without_special(trace: Trace) -> Trace:
    """The same reading with [CLS], [SEP] and their like left out of the picture.

    The model read them all the same: what rows of attention lack to 1 went to them.
    """
    tokens, kept = trace.tokens, np.flatnonzero(~trace.tokens.special)

    def keep(array: Array, axes: Axes) -> Array:
        for axis, name in enumerate(axes):
            if name in ("token", "query", "key"):
                array = array.take(kept, axis)
        return array

    rest = Tokens(
        text=tuple(tokens.text[i] for i in kept),
        word=read_only(tokens.word[kept]),
        segment=read_only(tokens.segment[kept]),
        special=read_only(tokens.special[kept]),
        span=read_only(tokens.span[kept]),
        left_out=tokens.left_out,
    )
    return _rebuild(trace, rest, keep)


def origins(tokens: Tokens, words: bool, hide: bool) -> Array:
    """[token shown] the first of the tokens read that it stands for, with words joined or special tokens hidden."""
    starts = np.flatnonzero(np.diff(_groups(tokens), prepend=-1)) if words else np.arange(len(tokens))
    return starts[~tokens.special[starts]] if hide else starts


def _rebuild(trace: Trace, tokens: Tokens, change: Callable[[Array, Axes], Array]) -> Trace:
    def changed(part: object, axes: dict[str, Axes]) -> dict[str, Any]:
        stored = ((name, vars(part).get(name)) for name in axes)  # derived arrays follow from the stored ones
        return {name: read_only(change(array, axes[name])) for name, array in stored if array is not None}

    return replace(
        trace,
        tokens=tokens,
        embedding=replace(trace.embedding, **changed(trace.embedding, EMBEDDING_AXES)),
        layers=tuple(replace(layer, **changed(layer, LAYER_AXES)) for layer in trace.layers),
        **changed(trace, OUTPUT_AXES),
    )


def _groups(tokens: Tokens) -> Array:
    """[token] 0, 1, 2, …: a new number for every word and for every special token."""
    starts = np.ones(len(tokens), dtype=bool)
    starts[1:] = (tokens.word[1:] != tokens.word[:-1]) | tokens.special[1:]
    return np.cumsum(starts) - 1


def _join(pieces: list[str]) -> str:
    first, *rest = pieces  # a word may begin inside of another, as a Chinese character does
    return (first.removeprefix("##") or first) + "".join(piece.removeprefix("##") for piece in rest)


def _span(tokens: Tokens, members: Array) -> tuple[int, int]:
    return int(tokens.span[members, 0].min()), int(tokens.span[members, 1].max())
