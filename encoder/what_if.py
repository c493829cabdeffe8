"""What if: a model with heads switched off, neurons turned up and down, or other choices in its making.

Our Encoder computes it with the model's weights. A head that is off adds nothing: its part of the output projection is
zero, as if what it found were zero (Michel et al. 2019). So a change is another set of weights, and whatever reads an
encoder reads a changed one too.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from encoder.changes import Changes, Choices
from encoder.model import Encoder, EncoderConfig, Layer, attend, join_heads, split_heads

MOST_TOKENS = 2_048  # of all rows of a batch at once: their neurons, 13 MB in a layer of MiniLM, stay in the cache


def changed(encoder: Encoder, changes: Changes) -> Encoder:
    """The encoder with those changes. It shares all other weights with the first, which stays as it is.

    Raises IndexError for a layer, head or neuron that is not there.
    """
    config = replace(encoder.config, **dict[str, Any](changes.choices))
    state = _adapted(encoder.state_dict(), encoder.config, config)
    size = config.head_dim
    for layer, head in changes.heads_off:
        _check(layer, encoder.config.layers, head, encoder.config.heads)
        name = f"layers.{layer}.attention.output.weight"
        state[name] = state[name].clone()
        state[name][:, head * size : (head + 1) * size] = 0
    for layer, neuron, factor in changes.neurons:
        _check(layer, encoder.config.layers, neuron, encoder.config.ffn_width)
        name = f"layers.{layer}.feed_forward.contract.weight"
        state[name] = state[name].clone()
        state[name][:, neuron] *= factor
    with torch.device("meta"):  # without drawing weights that others take the place of
        other = Encoder(config)
    other.load_state_dict(state, assign=True)
    return other.eval()


def differences(config: EncoderConfig, choices: Choices) -> Choices:
    """Those of some choices that make another encoder of one with this configuration: not what it is already."""
    return tuple(
        (name, value)
        for name, value in choices
        if _is_other(config, replace(config, **dict[str, Any]([(name, value)])), name)
    )


def _is_other(config: EncoderConfig, other: EncoderConfig, name: str) -> bool:
    if name == "score_scale":  # of a single head the width is its own
        return config.scale != other.scale
    return getattr(config, name) != getattr(other, name) and not (name == "shared_projections" and config.heads == 1)


def _adapted(state: Mapping[str, Tensor], old: EncoderConfig, new: EncoderConfig) -> dict[str, Tensor]:
    """The weights for an encoder made otherwise: as they are where they fit, and as little else as can be.

    Norms that were not there start as all norms do, with γ 1 and β 0. One matrix for all heads is the mean of what each
    head's own does with its own slice; a matrix for each head that was shared is the shared one on its own slice.
    """
    kept = {name: weight for name, weight in state.items() if new.norm != "none" or not _is_norm(name)}
    if old.norm == "none" != new.norm:
        for layer in range(new.layers):
            for norm in ("attention_norm", "ffn_norm"):
                kept[f"layers.{layer}.{norm}.weight"] = torch.ones(new.width)
                kept[f"layers.{layer}.{norm}.bias"] = torch.zeros(new.width)
    if new.position == "none":
        kept["embeddings.position.weight"] = torch.zeros_like(kept["embeddings.position.weight"])
    if new.shared_projections != old.shared_projections:
        reshape = _shared if new.shared_projections else _unshared
        projections = [name for name in kept if re.fullmatch(r"layers\.\d+\.attention\.(query|key|value)\.\w+", name)]
        kept |= {name: reshape(kept[name], new.heads) for name in projections}
    return kept


def _is_norm(name: str) -> bool:
    return re.fullmatch(r"layers\.\d+\.(attention|ffn)_norm\.(weight|bias)", name) is not None


def _shared(whole: Tensor, heads: int) -> Tensor:
    """[model, model] or [model] → [head_dim, head_dim] or [head_dim]: the mean over heads of their own part."""
    if whole.ndim == 1:
        return whole.unflatten(0, (heads, -1)).mean(0)
    size = len(whole) // heads
    blocks = whole.unflatten(1, (heads, size)).unflatten(0, (heads, size))  # [head, head_dim, head, head_dim]
    return blocks.diagonal(dim1=0, dim2=2).mean(-1)


def _unshared(part: Tensor, heads: int) -> Tensor:
    """The other way: every head's own part is the shared one, and nothing else is read."""
    return part.repeat(heads) if part.ndim == 1 else torch.block_diag(*[part] * heads)


@torch.inference_mode()
def each_head_off(encoder: Encoder, ids: Tensor, segment: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The last layer's hidden states as they are, [token, model], and with each head off, [layer, head, token, model].

    ids, segment: [1, token]. One pass: until the layer whose head is off all rows are alike, so each begins there.
    """
    heads = encoder.config.heads
    rows = encoder.embeddings(ids, segment)  # [row, token, model]: the first is the one in which nothing is off
    for layer in encoder.layers:
        attended, found = _attend(layer, rows)
        rows = torch.cat([rows, rows[:1].expand(heads, -1, -1)])
        rows = _rest(layer, rows, torch.cat([attended, attended[:1] - found]))
    return rows[0], rows[1:].unflatten(0, (encoder.config.layers, heads))


def _attend(layer: Layer, rows: Tensor) -> tuple[Tensor, Tensor]:
    """What attention adds to each row, [row, token, model], and each head to the first one, [head, token, model]."""
    attention = layer.attention
    weight = split_heads(attention.output.weight, attention.heads)  # [head, model, head_dim], each W_O transposed
    added: list[Tensor] = []
    for some in _portions(rows):
        query, key, value = attention.project(layer.attention_norm(some) if layer.pre_norm else some)
        context = attend(query, key, value, attention.scale)
        if not added:
            found = context[0] @ weight.mT
        added.append(attention.output(join_heads(context)))
    return torch.cat(added), found


def _rest(layer: Layer, rows: Tensor, attended: Tensor) -> Tensor:
    """The layer after its attention: residual, feed-forward, residual, each with its norm."""
    done = []
    for hidden, added in zip(_portions(rows), _portions(attended), strict=True):
        after = layer.past(hidden) + added
        after = after if layer.pre_norm else layer.attention_norm(after)
        fed = layer.feed_forward(layer.ffn_norm(after) if layer.pre_norm else after)
        out = layer.past(after) + fed
        done.append(out if layer.pre_norm else layer.ffn_norm(out))
    return torch.cat(done)


def _portions(rows: Tensor) -> tuple[Tensor, ...]:
    return rows.split(max(1, MOST_TOKENS // rows.shape[1]))


def _check(layer: int, layers: int, what: int, many: int) -> None:
    if not (0 <= layer < layers and 0 <= what < many):
        raise IndexError(f"layer {layer + 1}, {what + 1}")
