"""All attention of a reading in few bytes, for a browser that explores it without asking again.

A weight becomes a code: tenths of a thousandth below 0.01, thousandths above, so that what is shown is the true number,
rounded. Codes below 255 take a byte; the few large ones (above 0.16) stand in a list of their own. Everything is then
deflated. `assets/explorer/payload.js` reads it.
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

import numpy as np

from encoder import heads, measures
from encoder.labels import visible
from encoder.trace import Array, Trace

FINE, SMALL = 100, 255  # codes: below FINE tenths of a thousandth; below SMALL one byte
MOST = 4_000_000  # weights of one model that go to the browser at once; of longer texts it gets a layer at a time
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


def codes(attention: Array) -> Array:
    """[…] uint16 codes of weights from 0 to 1: 0.0037 → 37, 0.037 → 127."""
    fine = np.rint(attention * np.float32(10_000)).astype(np.uint16)
    coarse = np.rint(attention * np.float32(1_000)).astype(np.uint16)
    coarse += FINE - 10
    return np.where(fine < FINE, fine, coarse)


def weights(code: Array) -> Array:
    """[…] float32 weights that codes stand for."""
    return np.where(code < FINE, code / 10_000, (code - np.float32(FINE - 10)) / 1_000).astype(np.float32)


def is_whole(trace: Trace) -> bool:
    """Whether all weights go to the browser at once."""
    card = trace.model
    return card.layers * card.heads * len(trace.tokens) ** 2 <= MOST


def overview(trace: Trace) -> Overview:
    """Measures and roles of all heads, and their small maps where they are needed."""
    found = heads.measured(trace)
    told = {name: np.rint(values * 1_000).astype(int).ravel().tolist() for name, values in found.items()}
    maps = None if is_whole(trace) else np.stack([measures.coarse(each.attention, THUMBNAIL) for each in trace.layers])
    return Overview(told, reduce(tuple.__add__, heads.roles(trace, found)), maps)


def pack(side: Literal["a", "b"], trace: Trace, layer: int, seen: Overview | None = None) -> Packed:
    """One model's attention; of a long text small maps of all heads and, whole, those of one layer (from 0).

    `seen` saves the time of making the overview again.
    """
    seen = seen or overview(trace)
    card, tokens = trace.model, trace.tokens
    attention = [each.attention for each in trace.layers]
    parts = [np.stack(attention)] if seen.maps is None else [seen.maps, attention[layer]]
    planes = [codes(part).reshape(-1, *part.shape[-2:]) for part in parts]  # [head, query, key] each
    large = [plane[plane >= SMALL] for plane in planes]
    small = [np.minimum(plane, SMALL).astype(np.uint8) for plane in planes]
    sizes = np.stack([each.value_size for each in trace.layers])  # [layer, head, token]
    # As shares of the head's longest: only how they compare within a head is asked of them.
    sizes = np.rint(sizes / np.maximum(sizes.max(-1, keepdims=True), 1e-30) * 65_535).astype("<u2")
    body = [sizes, *(part.astype("<u2") for part in large), *small]
    header = {
        "side": side,
        "name": " ".join(visible(word, 60) for word in card.name.split(" ")),
        "layers": card.layers,
        "heads": card.heads,
        "layer": None if seen.maps is None else layer,
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
