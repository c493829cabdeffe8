"""The record of one reading: everything a model computed on the way from text to hidden states.

Both models, from scratch and pretrained, answer `trace(text, pair)` with a `Trace`, and every
picture is drawn from one: no picture knows which model made it. Arrays are read-only float32
NumPy arrays without a batch axis; nothing here refers back to a model.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

Array = np.ndarray

# The axes of every array of a trace, by name. `token`, `query` and `key` all count tokens:
# attention goes from the query token (row) to the key token (column).
Axes = tuple[str, ...]
EMBEDDING_AXES: dict[str, Axes] = dict.fromkeys(("token", "position", "segment", "output"), ("token", "model"))
LAYER_AXES: dict[str, Axes] = {
    **dict.fromkeys(("query", "key", "value", "context"), ("head", "token", "head_dim")),
    "value_size": ("head", "token"),
    **dict.fromkeys(("scores", "attention"), ("head", "query", "key")),
    **dict.fromkeys(("attention_output", "after_attention"), ("token", "model")),
    **dict.fromkeys(("preactivation", "neurons"), ("token", "ffn")),
    **dict.fromkeys(("ffn_output", "hidden"), ("token", "model")),
}
OUTPUT_AXES: dict[str, Axes] = {"output": ("token", "model")}


@dataclass(frozen=True)
class ModelCard:
    """Who made a trace: the sizes of a model, where it comes from, and the kind of its tokenizer."""

    name: str
    source: str
    layers: int
    heads: int
    width: int
    ffn_width: int
    vocabulary: int
    parameters: int
    tokenizer: str


@dataclass(frozen=True)
class Tokens:
    """What the tokenizer made of the typed text, one entry a token."""

    text: tuple[str, ...]
    word: Array  # [token] index of the word a token belongs to, -1 for special tokens
    segment: Array  # [token] 0 in the first sentence, 1 in the second
    special: Array  # [token] True for [CLS], [SEP] and their like, typed ones too
    span: Array  # [token, 2] character span in the typed sentence of its segment, (0, 0) for what was not typed
    left_out: int = 0  # tokens that did not fit and were not read

    def __len__(self) -> int:
        return len(self.text)


@dataclass(frozen=True)
class Guess:
    """What a model takes for likeliest at a hidden token."""

    place: int  # of the hidden token in the trace
    tokens: tuple[str, ...]  # the likeliest first
    shares: tuple[float, ...]  # their probabilities


@dataclass(frozen=True)
class EmbeddingTrace:
    """The sum that a model starts from: token + position + segment, then a norm if there is one."""

    token: Array  # [token, model]
    position: Array  # [token, model]
    segment: Array  # [token, model], zeros in a model without segments
    output: Array  # [token, model], after the norm


@dataclass(frozen=True)
class LayerTrace:
    """One layer from its input (the `hidden` of the layer below) to its output."""

    query: Array  # [head, token, head_dim]
    key: Array  # [head, token, head_dim]
    value: Array  # [head, token, head_dim]
    context: Array  # [head, token, head_dim], attention @ value
    value_size: Array  # [head, token], ‖value · W_O‖: its length after the head's output projection
    attention: Array  # [head, query, key], each row sums to 1
    attention_output: Array  # [token, model], before residual and norm
    after_attention: Array  # [token, model], after residual and norm
    preactivation: Array  # [token, ffn], before the activation function
    neurons: Array  # [token, ffn], after the activation function
    ffn_output: Array  # [token, model], before residual and norm
    hidden: Array  # [token, model], after residual and norm
    scale: float  # what query @ key is multiplied by

    @property
    def scores(self) -> Array:
        """[head, query, key] scaled scores before the softmax, derived: storing them would double the trace.

        Of a reading by whole words they are those of averaged queries and keys, not what its attention was made of.
        """
        return (self.query @ self.key.swapaxes(-1, -2)) * np.float32(self.scale)


@dataclass(frozen=True)
class Trace:
    """One text read by one model."""

    model: ModelCard
    tokens: Tokens
    embedding: EmbeddingTrace
    layers: tuple[LayerTrace, ...]
    output: Array  # [token, model] what the model hands on: the last `hidden`, after a norm on top where there is one
    seconds: float
    device: str

    def arrays(self) -> Iterator[tuple[str, Array, Axes]]:
        """Yield (name, array, axes) for every array of activations, derived ones too: `layers.0.attention`, …"""
        for name, axes in EMBEDDING_AXES.items():
            yield f"embedding.{name}", getattr(self.embedding, name), axes
        for number, layer in enumerate(self.layers):
            for name, axes in LAYER_AXES.items():
                yield f"layers.{number}.{name}", getattr(layer, name), axes
        yield "output", self.output, OUTPUT_AXES["output"]

    @property
    def nbytes(self) -> int:
        """Bytes that the stored arrays take, for a cache that is bounded in bytes."""
        parts = (self.tokens, self.embedding, *self.layers)
        values = (self.output, *(value for part in parts for value in vars(part).values()))
        return sum(value.nbytes for value in values if isinstance(value, np.ndarray))


def read_only(array: Array) -> Array:
    """The same array, closed for writing, as everything in a trace is."""
    array.flags.writeable = False
    return array
