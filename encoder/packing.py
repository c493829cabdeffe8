"""All attention of a reading in few bytes, for a browser that explores it without asking again.

A weight becomes a code: tenths of a thousandth below 0.01, thousandths above, so that what is shown is the true number,
rounded; between two hundredths a number has a code for either side, as two digits are shown too. Where most of a row
goes elsewhere, to [SEP] for one, shares of the rest would be made of little but rounding: there a weight below 0.1 has
a finer code, its first three digits and how small it is. Codes below 255 take a byte, the few large ones two. All of it
is then deflated. `assets/explorer/payload.js` reads it.
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import Any, Literal

import numpy as np

from encoder import heads, measures
from encoder.labels import visible
from encoder.starts import Start
from encoder.trace import Array, Tokens, Trace
from encoder.views import origins

FINE, SMALL = 101, 255  # codes: below FINE tenths of a thousandth; below SMALL one byte
FINER, STEPS = 1_191, 900  # codes from FINER on: 900 steps from 0.01 to 0.1, as many from 0.001 to 0.01, and so on
TENTHS = 44  # of such tenths, down to the smallest number that float32 holds
BORDERS = range(15, 1_000, 10)  # thousandths between two hundredths
OFF = 0.01  # how far off a share of a row may be
MOST = 350_000  # weights of one model that go to the browser at once, in some 250 kB
MOST_OF_A_LAYER = 200_000  # of longer texts it gets a layer when that is looked at, of still longer ones a head
THUMBNAIL = 24  # rows and columns of a head's small map, where the whole does not go


@dataclass(frozen=True)
class Packed:
    """One model's part of the message: what JSON can say, and the deflated arrays."""

    header: dict[str, Any]
    body: bytes

    @property
    def nbytes(self) -> int:
        return len(self.body) + 40 * len(self.header["tokens"])


@dataclass(frozen=True)
class Overview:
    """What is said of all heads: measures in thousandths and roles, layer by layer, and of a long text small maps."""

    measures: dict[str, list[int]]
    roles: tuple[str, ...]
    maps: Array | None  # [layer, head, query, key], at most THUMBNAIL a side; None where the whole goes

    @property
    def nbytes(self) -> int:
        return self.maps.nbytes if self.maps is not None else 0


def codes(attention: Array, tokens: Tokens | None = None) -> Array:
    """[…] uint16 codes of weights from 0 to 1: 0.0037 → 37, 0.037 → 130.

    Given the `tokens` of [..., query, key], finer ones where shares made of a row would be off.
    """
    tenths, thousandths = attention * np.float32(10_000), attention * np.float32(1_000)
    fine = np.rint(tenths).astype(np.uint16) + (tenths >= 50)
    coarse = np.rint(thousandths).astype(np.uint16) + ((thousandths + 5) / 10).astype(np.uint16)
    code = np.where(fine < FINE, fine, coarse + np.uint16(FINE - 11))
    return code if tokens is None else _refined(code, attention, tokens)


def weights(code: Array) -> Array:
    """[…] float32 weights that codes stand for."""
    return _VALUES[code]


def _values() -> Array:
    """[code] float32 the weight that each code stands for."""
    tenths = [*range(50), 49.8, 50.2, *range(51, 100)]
    thousandths = sorted(
        {*range(10, 1_001)} - {*BORDERS} | {side for each in BORDERS for side in (each - 0.2, each + 0.2)}
    )
    smaller = [(np.arange(100, 1_000) + 0.5) / 10.0**digits for digits in range(4, 4 + TENTHS)]
    return np.concatenate([np.divide(tenths, 10_000), np.divide(thousandths, 1_000), *smaller]).astype(np.float32)


_VALUES = _values()


def _refined(code: Array, attention: Array, tokens: Tokens) -> Array:
    """[..., query, key] the codes, finer where the shares of a row's tokens or words would be off by more than OFF."""
    rounding = weights(code) - attention
    starts = origins(tokens, words=True, hide=False)
    words = np.add.reduceat(abs(rounding), starts, -1)  # [..., query, word]
    for part in _parts(tokens):
        total = attention @ part  # [..., query]
        off = (words * part[starts]).max(-1) + abs(rounding @ part)
        rows = off > OFF * total
        bearable = OFF / 2 * total[rows] / part.sum()  # of each; the finer codes may be off by the other half
        spoilt = (abs(rounding[rows]) > bearable[:, None]) & (part > 0)
        code[rows] = np.where(spoilt, finer(attention[rows], code[rows]), code[rows])
    return code


def _parts(tokens: Tokens) -> list[Array]:
    """[token] float32 1 for the columns of which shares are made: each sentence with and without its special tokens.

    Shares of both sentences are made of these: what is off by little in each is so in both.
    """
    sentences = [tokens.segment == number for number in (0, 1)]
    parts = [part for sentence in sentences for part in (sentence, sentence & ~tokens.special)]
    return [part.astype(np.float32) for part in parts if part.any()]


def finer(attention: Array, code: Array) -> Array:
    """[…] uint16 codes of the first three digits of weights between 0 and 0.1; of others the code that they have."""
    small = (attention > 0) & (attention < 0.1)
    exact = np.where(small, attention, 0.01).astype(np.float64)
    tenth = np.ceil(-np.log10(exact)) - 2  # 0 from 0.01 to 0.1, 1 from 0.001 to 0.01, and so on
    digits = np.clip(np.floor(exact * 10 ** (tenth + 4)), 100, 999)
    return np.where(small, FINER + STEPS * tenth + digits - 100, code).astype(np.uint16)


@dataclass(frozen=True)
class Wish:
    """What a browser shows: of a long text it gets no more."""

    layer: int = 0
    head: int = 0
    weights: Literal["raw", "norm", "rollout"] = "raw"
    over: Literal["one", "mean", "max"] = "one"


@dataclass(frozen=True)
class Part:
    """What of a reading goes to the browser: whole heads, and one map made of more heads than those."""

    heads: tuple[tuple[int, int], ...] = ()  # layer and head of each
    made: Wish | None = None  # of all heads of a layer, or of all layers


def is_whole(trace: Trace) -> bool:
    """Whether all weights go to the browser at once."""
    card = trace.model
    return card.layers * card.heads * len(trace.tokens) ** 2 <= MOST


def part(trace: Trace, wish: Wish) -> Part:
    """What of a long text goes to the browser for a wish."""
    of_a_layer = trace.model.heads * len(trace.tokens) ** 2 <= MOST_OF_A_LAYER
    made = replace(wish, head=0)
    if wish.weights == "rollout":
        return Part(made=replace(made, over="one"))
    if of_a_layer:
        return Part(tuple((wish.layer, head) for head in range(trace.model.heads)))
    return Part(((wish.layer, wish.head),)) if wish.over == "one" else Part(made=made)


def overview(trace: Trace) -> Overview:
    """Measures and roles of all heads, and their small maps where they are needed."""
    found = heads.measured(trace)
    told = {name: np.rint(values * 1_000).astype(int).ravel().tolist() for name, values in found.items()}
    maps = None if is_whole(trace) else np.stack([measures.coarse(each.attention, THUMBNAIL) for each in trace.layers])
    return Overview(told, reduce(tuple.__add__, heads.roles(trace, found)), maps)


def pack(
    side: Literal["a", "b"],
    trace: Trace,
    start: Start | None = None,
    wanted: Part | None = None,
    seen: Overview | None = None,
) -> Packed:
    """One model's attention; of a long text small maps of all heads and, whole, what is `wanted`.

    `start` is where to look first, if anywhere. `seen` saves the time of making the overview again.
    """
    seen = seen or overview(trace)
    card, tokens = trace.model, trace.tokens
    every = tuple((layer, head) for layer in range(card.layers) for head in range(card.heads))
    wanted = (wanted or part(trace, Wish())) if seen.maps is not None else None
    shown = every if wanted is None else wanted.heads
    maps = [] if seen.maps is None else [codes(seen.maps)]
    maps += [codes(_heads(trace, shown), tokens)] if shown else []
    maps += [codes(_made(trace, wanted.made)[None], tokens)] if wanted and wanted.made else []
    planes = [each.reshape(-1, *each.shape[-2:]) for each in maps]  # [head, query, key] each
    large = [plane[plane >= SMALL] for plane in planes]
    small = [np.minimum(plane, SMALL).astype(np.uint8) for plane in planes]
    sizes = np.array([trace.layers[layer].value_size[head] for layer, head in shown]).reshape(-1, len(tokens))
    # As shares of the head's longest: only how they compare within a head is asked of them.
    sizes = np.rint(sizes / np.maximum(sizes.max(-1, keepdims=True, initial=0), 1e-30) * 65_535).astype("<u2")
    body = [sizes, *(part.astype("<u2") for part in large), *small]
    header = {
        "side": side,
        "name": " ".join(visible(word, 60) for word in card.name.split(" ")),
        "layers": card.layers,
        "heads": card.heads,
        "shown": None if wanted is None else wanted.heads,
        "made": asdict(wanted.made) if wanted and wanted.made else None,
        "start": _said(trace, start),
        "tokens": [visible(token) for token in tokens.text],
        "word": tokens.word.tolist(),
        "segment": tokens.segment.tolist(),
        "special": tokens.special.astype(int).tolist(),
        "span": tokens.span.ravel().tolist(),
        "measures": seen.measures,
        "roles": seen.roles,
        "blocks": [
            {"count": len(plane), "side": plane.shape[-1], "larges": len(far)}
            for plane, far in zip(planes, large, strict=True)
        ],
    }
    return Packed(header, _deflate(b"".join(part.tobytes() for part in body)))


def _heads(trace: Trace, shown: Sequence[tuple[int, int]]) -> Array:
    """[head, query, key] of some heads of any layers."""
    if len(shown) == len(trace.layers) * trace.model.heads:
        return np.concatenate([layer.attention for layer in trace.layers])
    return np.stack([trace.layers[layer].attention[head] for layer, head in shown])


def _made(trace: Trace, wish: Wish) -> Array:
    """[query, key] a rollout, or the mean or maximum over a layer's heads, which the browser cannot make of one."""
    layers = trace.layers[: wish.layer + 1]
    if wish.weights == "rollout":
        return measures.rollout(np.stack([layer.attention for layer in layers]))[-1]
    attention = layers[-1].attention
    if wish.weights == "norm":
        brought = measures.norm_weighted(attention, layers[-1].value_size)
        attention = brought / np.maximum(brought.sum(-1, keepdims=True), 1e-30)
    return attention.mean(0) if wish.over == "mean" else attention.max(0)


def _said(trace: Trace, start: Start | None) -> dict[str, Any] | None:
    """The place to look at first, for a sentence: whose largest weight it is, and how large; None without a pair."""
    if start is None or start.query == start.key:
        return None
    row = trace.layers[start.layer].attention[start.head, start.query]
    place = {"layer": start.layer, "head": start.head, "query": start.query, "key": start.key}
    return {**place, "weight": round(float(row[start.key]), 4), "most": bool(row.argmax() == start.key)}


def _deflate(body: bytes) -> bytes:
    """Short codes for frequent bytes only: nothing repeats in weights, and looking for it takes most of the time."""
    squeezing = zlib.compressobj(1, strategy=zlib.Z_HUFFMAN_ONLY)
    return squeezing.compress(body) + squeezing.flush()


def message(models: Sequence[Packed], choice: dict[str, Any]) -> bytes:
    """What the browser gets: length of the header (4 bytes, little end first), header, bodies."""
    header = {
        "models": [{**model.header, "bytes": len(model.body)} for model in models],
        "measures": [{"key": name, "label": measure.label} for name, measure in heads.MEASURES.items()],
        "roles": heads.ROLES,
        "choice": choice,
    }
    said = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    return b"".join([len(said).to_bytes(4, "little"), said, *(model.body for model in models)])
