"""The formulas of the paper on NumPy arrays, and the matrices of a layer that they need."""

import math
from dataclasses import dataclass

import numpy as np

from encoder.trace import Array


@dataclass(frozen=True)
class Norm:
    """x → (x − mean) / √(variance + ε) · γ + β."""

    gamma: Array  # [model]
    beta: Array  # [model]
    eps: float


@dataclass(frozen=True)
class Affine:
    """x → x W + b."""

    weight: Array  # [..., in, out]
    bias: Array  # [..., out], zeros where the model has none


@dataclass(frozen=True)
class LayerWeights:
    """What a layer multiplies by. A norm that the model does not have is None."""

    query: Affine  # [head, model, head_dim]
    key: Affine
    value: Affine
    output: Affine  # [model, model]
    expand: Affine  # [model, ffn]
    contract: Affine  # [ffn, model]
    attention_norm: Norm | None
    ffn_norm: Norm | None
    residuals: bool  # whether what comes in is added to what comes out
    pre_norm: bool  # whether the norms stand before attention and feed-forward instead of after the sums
    activation: str  # "gelu" or "relu"
    embedding_norm: Norm | None
    final_norm: Norm | None  # of the whole encoder


def normed(x: Array, norm: Norm | None) -> Array:
    """[..., model] after a norm: unchanged where there is none."""
    if norm is None:
        return x
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    out: Array = (x - mean) / np.sqrt(variance + norm.eps) * norm.gamma + norm.beta
    return out


def applied(x: Array, affine: Affine) -> Array:
    """x W + b, for [..., in] and a matrix, or for one matrix a head."""
    out: Array = x @ affine.weight + affine.bias
    return out


def activated(x: Array, activation: str) -> Array:
    """GELU(x) = x Φ(x), or ReLU(x) = max(0, x)."""
    if activation == "relu":
        return np.maximum(x, 0)
    bell = np.array([math.erf(each / math.sqrt(2)) for each in x.ravel().tolist()], dtype=x.dtype).reshape(x.shape)
    out: Array = x * (1 + bell) / 2
    return out
