"""What if: a model with heads switched off or neurons turned up and down, computed by our Encoder with its weights.

A head that is off adds nothing: its part of the output projection is zero, as if what it found were zero (Michel et al.
2019). So a change is another set of weights, and whatever reads an encoder reads a changed one too.
"""

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from encoder.changes import Changes
from encoder.model import Encoder, Layer, join_heads, split_heads

MOST_TOKENS = 8_192  # of all rows of a batch at once: some 50 MB of neurons in a layer of MiniLM


def changed(encoder: Encoder, changes: Changes) -> Encoder:
    """The encoder with those changes. It shares all other weights with the first, which stays as it is.

    Raises IndexError for a layer, head or neuron that is not there.
    """
    state = encoder.state_dict()
    size = encoder.config.head_dim
    for layer, head in changes.heads_off:
        _check(layer, encoder.config.layers, head, encoder.config.heads)
        name = f"layers.{layer}.attention.output.weight"
        state[name] = _own(state[name], encoder, name)
        state[name][:, head * size : (head + 1) * size] = 0
    for layer, neuron, factor in changes.neurons:
        _check(layer, encoder.config.layers, neuron, encoder.config.ffn_width)
        name = f"layers.{layer}.feed_forward.contract.weight"
        state[name] = _own(state[name], encoder, name)
        state[name][:, neuron] *= factor
    with torch.device("meta"):  # without drawing weights that others take the place of
        other = Encoder(encoder.config)
    other.load_state_dict(state, assign=True)
    return other.eval()


@torch.inference_mode()
def each_head_off(encoder: Encoder, ids: Tensor, segment: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Last hidden states as they are, [token, model], and with each head off in turn, [layer, head, token, model].

    ids, segment: [1, token]. One pass: until the layer whose head is off all rows are alike, so each begins there.
    """
    heads = encoder.config.heads
    rows = encoder.embeddings(ids, segment)  # [row, token, model]: the first is the one in which nothing is off
    for layer in encoder.layers:
        attended, found = _attend(layer, rows)
        rows = torch.cat([rows, rows[:1].expand(heads, -1, -1)])
        rows = _rest(layer, rows, torch.cat([attended, attended[:1] - found]))
    rows = encoder.final_norm(rows)
    return rows[0], rows[1:].unflatten(0, (encoder.config.layers, heads))


def _attend(layer: Layer, rows: Tensor) -> tuple[Tensor, Tensor]:
    """What attention adds to each row, [row, token, model], and each head to the first one, [head, token, model]."""
    attention = layer.attention
    weight = split_heads(attention.output.weight, attention.heads)  # [head, model, head_dim], each W_O transposed
    added: list[Tensor] = []
    for some in _portions(rows):
        query, key, value = attention.project(layer.attention_norm(some) if layer.pre_norm else some)
        context = scaled_dot_product_attention(query, key, value, scale=attention.scale)
        if not added:
            found = context[0] @ weight.mT
        added.append(attention.output(join_heads(context)))
    return torch.cat(added), found


def _rest(layer: Layer, rows: Tensor, attended: Tensor) -> Tensor:
    """The layer after its attention: residual, feed-forward, residual, each with its norm."""
    done = []
    for hidden, added in zip(_portions(rows), _portions(attended), strict=True):
        after = hidden + added if layer.pre_norm else layer.attention_norm(hidden + added)
        fed = layer.feed_forward(layer.ffn_norm(after) if layer.pre_norm else after)
        done.append(after + fed if layer.pre_norm else layer.ffn_norm(after + fed))
    return torch.cat(done)


def _portions(rows: Tensor) -> tuple[Tensor, ...]:
    return rows.split(max(1, MOST_TOKENS // rows.shape[1]))


def _check(layer: int, layers: int, what: int, many: int) -> None:
    if not (0 <= layer < layers and 0 <= what < many):
        raise IndexError(f"layer {layer + 1}, {what + 1}")


def _own(weight: Tensor, encoder: Encoder, name: str) -> Tensor:
    """A copy of a weight, unless it is one already."""
    return weight.clone() if weight.data_ptr() == encoder.state_dict()[name].data_ptr() else weight
