"""The matrices of one layer of our Encoder as the paper writes them: arrays that a vector is multiplied by."""

import numpy as np
from torch import Tensor, nn

from encoder.formulas import Affine, LayerWeights, Norm
from encoder.model import Encoder
from encoder.trace import Array, read_only


def weights_of(encoder: Encoder, layer: int) -> LayerWeights:
    """Of one layer, from 0. The arrays are the encoder's own memory, closed for writing."""
    parts, heads = encoder.layers[layer], encoder.config.heads
    attention, feed_forward = parts.attention, parts.feed_forward
    return LayerWeights(
        query=_by_head(attention.query, heads, attention.shared),
        key=_by_head(attention.key, heads, attention.shared),
        value=_by_head(attention.value, heads, attention.shared),
        output=_affine(attention.output),
        expand=_affine(feed_forward.expand),
        contract=_affine(feed_forward.contract),
        attention_norm=_norm(parts.attention_norm),
        ffn_norm=_norm(parts.ffn_norm),
        residuals=parts.residuals,
        pre_norm=parts.pre_norm,
        activation=encoder.config.activation,
        embedding_norm=_norm(encoder.embeddings.norm),
        final_norm=_norm(encoder.final_norm),
    )


def _by_head(linear: nn.Linear, heads: int, shared: bool) -> Affine:
    """[head, model, head_dim]: a head's columns of the matrix; shared, its own slice of the vector goes through one."""
    whole = _affine(linear)
    if not shared:
        width = whole.weight.shape[0]
        weight = whole.weight.reshape(width, heads, -1).swapaxes(0, 1)
        return Affine(weight, whole.bias.reshape(heads, -1))
    size = whole.weight.shape[0]
    weight = np.zeros((heads, heads * size, size), dtype=np.float32)
    for head in range(heads):
        weight[head, head * size : (head + 1) * size] = whole.weight
    return Affine(read_only(weight), np.broadcast_to(whole.bias, (heads, size)))


def _affine(linear: nn.Linear) -> Affine:
    weight = _array(linear.weight).T
    bias = np.zeros(weight.shape[-1], dtype=np.float32) if linear.bias is None else _array(linear.bias)
    return Affine(weight, bias)


def _norm(module: nn.Module) -> Norm | None:
    return Norm(_array(module.weight), _array(module.bias), module.eps) if isinstance(module, nn.LayerNorm) else None


def _array(tensor: Tensor) -> Array:
    return read_only(tensor.detach().numpy().view())
