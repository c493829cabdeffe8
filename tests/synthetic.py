"""Traces made up on the spot, without a model: 2 layers, 3 heads, width 12, 20 neurons, so that a swapped axis fails.

The numbers agree with each other as a real reading's do: attention is the softmax of the scores, context its product
with the values, an embedding the sum of its parts.
"""

import math
from itertools import count

import numpy as np

from encoder.formulas import Affine, LayerWeights, Norm
from encoder.trace import Array, EmbeddingTrace, LayerTrace, ModelCard, Tokens, Trace, read_only

LAYERS, HEADS, WIDTH, FFN = 2, 3, 12, 20
HEAD_DIM = WIDTH // HEADS
PIECES = ("un", "##believ", "cats")  # with [CLS] and [SEP] 5 tokens
HOSTILE = ("<b>x</b>", "</script>", "&amp;", "\x00\n", "\u202eabc", "%{x}", "2020-01-01", "7", "7", "w" * 5_000)


def attention(*lead: int, tokens: int = 5, seed: int = 0) -> Array:
    """[*lead, query, key] random weights; every row sums to 1."""
    scores = np.random.default_rng(seed).normal(size=(*lead, tokens, tokens))
    return softmax(scores).astype(np.float32)


def softmax(scores: Array) -> Array:
    power = np.exp(scores - scores.max(-1, keepdims=True))
    return power / power.sum(-1, keepdims=True)


def gelu(x: Array) -> Array:
    return x * np.vectorize(lambda value: 0.5 * (1 + math.erf(value / math.sqrt(2))))(x)


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def reading(*pieces: str, pair: tuple[str, ...] = (), activation=gelu, seed: int = 0) -> Trace:
    """A reading of [CLS] pieces [SEP], or [CLS] pieces [SEP] pair [SEP]; a piece that begins with ## joins its word."""
    tokens = tokens_of(pieces or PIECES, pair)
    random, size = np.random.default_rng(seed), len(tokens)

    def array(*shape: int) -> Array:
        return random.normal(size=shape).astype(np.float32)

    def layer() -> LayerTrace:
        query, key, value = (array(HEADS, size, HEAD_DIM) for _ in range(3))
        weights = softmax(query @ key.swapaxes(-1, -2) * np.float32(HEAD_DIM**-0.5))
        before = array(size, FFN)
        return LayerTrace(
            query=query, key=key, value=value, value_size=abs(array(HEADS, size)),
            context=weights @ value, attention=weights,
            attention_output=array(size, WIDTH), after_attention=array(size, WIDTH),
            preactivation=before, neurons=activation(before).astype(np.float32),
            ffn_output=array(size, WIDTH), hidden=array(size, WIDTH), scale=HEAD_DIM**-0.5,
        )  # fmt: skip

    parts = array(size, WIDTH), 0.1 * array(size, WIDTH), 0.01 * array(size, WIDTH)
    trace = Trace(
        model=ModelCard("tiny", "test", LAYERS, HEADS, WIDTH, FFN, 100, 1_000, "WordPiece"),
        tokens=tokens,
        embedding=EmbeddingTrace(*parts, output=sum(parts)),
        layers=tuple(layer() for _ in range(LAYERS)),
        output=read_only(array(size, WIDTH)),
        seconds=0.001,
        device="cpu",
    )
    for part in (trace.tokens, trace.embedding, *trace.layers):
        for value in vars(part).values():
            if isinstance(value, np.ndarray):
                read_only(value)
    return trace


def layer_weights(number: int) -> LayerWeights:
    """Random matrices of a layer of BERT's kind."""
    random = np.random.default_rng(100 + number)

    def affine(*shape: int) -> Affine:
        return Affine(random.normal(size=shape).astype(np.float32), random.normal(size=(*shape[:-2], shape[-1])))

    def norm() -> Norm:
        return Norm(random.normal(1, 0.2, WIDTH), random.normal(size=WIDTH), 1e-12)

    return LayerWeights(
        query=affine(HEADS, WIDTH, HEAD_DIM), key=affine(HEADS, WIDTH, HEAD_DIM), value=affine(HEADS, WIDTH, HEAD_DIM),
        output=affine(WIDTH, WIDTH), expand=affine(WIDTH, FFN), contract=affine(FFN, WIDTH), attention_norm=norm(),
        ffn_norm=norm(), residuals=True, pre_norm=False, activation="gelu", embedding_norm=norm(), final_norm=None,
    )  # fmt: skip


def tokens_of(pieces: tuple[str, ...], pair: tuple[str, ...] = ()) -> Tokens:
    """The record that BERT's tokenizer would make of these pieces, each word one space after the last."""
    sentences = (pieces, pair) if pair else (pieces,)
    text, word, segment, span = ["[CLS]"], [-1], [0], [(0, 0)]
    words = count()
    for number, sentence in enumerate(sentences):
        end = -1
        for piece in sentence:
            joins = piece.startswith("##")
            start = end if joins else end + 1
            end = start + len(piece.removeprefix("##"))
            text.append(piece)
            word.append(word[-1] if joins else next(words))
            segment.append(number)
            span.append((start, end))
        text.append("[SEP]")
        word.append(-1)
        segment.append(number)
        span.append((0, 0))
    words_of = np.array(word)
    return Tokens(tuple(text), words_of, np.array(segment), words_of < 0, np.array(span), left_out=4)
