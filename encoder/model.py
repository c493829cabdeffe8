"""A Transformer encoder from scratch, written to be read from top to bottom.

Text becomes token ids, ids become embeddings, and every layer lets each token look at the others
(attention) and then think for itself (feed-forward). Vaswani et al. 2017, "Attention is all you
need"; Devlin et al. 2019, "BERT".

Two ways to run it: `forward` is fast and returns the last hidden states; `trace` returns every
intermediate by value. Both compute the same. Axes in brackets: batch, token, model (the width of
a hidden state), head, head_dim, query and key (tokens again: who reads, who is read), ffn.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


@dataclass(frozen=True)
class EncoderConfig:
    """The sizes of an encoder and the choices that tell the published variants apart."""

    vocabulary: int = 30_522  # BERT's WordPiece, so that tokens line up one to one with BERT's
    width: int = 128  # the smallest of the published BERT miniatures
    layers: int = 4
    heads: int = 4
    ffn_width: int = 512  # 4 × width, as in the paper
    positions: int = 512  # the longest text, in tokens
    segments: int = 2  # first and second sentence; 0 for no segment embedding
    position: Literal["learned", "sinusoidal", "none"] = "learned"
    padding: int | None = None  # the id of a token that takes no position, as RoBERTa's <pad>; None where all take one
    embedding_norm: bool = True
    norm: Literal["post", "pre", "none"] = "post"  # after the sum as in BERT, before the block, or nowhere
    final_norm: bool = False  # one more norm on top, as pre-norm encoders have
    residuals: bool = True  # False: nothing goes past attention and feed-forward, to see what residuals are for
    activation: Literal["gelu", "relu"] = "gelu"
    score_scale: Literal["sqrt_head_dim", "sqrt_width", "none"] = "sqrt_head_dim"  # what scores are divided by
    shared_projections: bool = False  # True: one head_dim × head_dim matrix for all heads instead of one per head
    projection_bias: bool = True  # on query, key and value
    output_bias: bool = True  # on attention's output projection
    ffn_bias: bool = True
    norm_eps: float = 1e-12  # BERT's
    embedding_std: float = 0.02  # BERT's
    dropout: float = 0.1  # on the embeddings and both residual branches
    attention_dropout: float = 0.1  # on the attention weights
    ffn_dropout: float = 0.0  # between the activation function and the second matrix

    def __post_init__(self) -> None:
        if min(self.vocabulary, self.width, self.layers, self.heads, self.ffn_width, self.positions) < 1:
            raise ValueError("Every size of an encoder must be at least 1.")
        if self.width % self.heads:
            raise ValueError(f"The width ({self.width}) must be a multiple of the number of heads ({self.heads}).")

    @property
    def head_dim(self) -> int:
        return self.width // self.heads

    @property
    def scale(self) -> float:
        """What query · key is multiplied by before the softmax."""
        return {"sqrt_head_dim": self.head_dim**-0.5, "sqrt_width": self.width**-0.5, "none": 1.0}[self.score_scale]


PRESETS: dict[str, EncoderConfig] = {
    "bert-shaped": EncoderConfig(),
    # The first article prints attention only: heads share their projections, without bias, and scores are divided by
    # √width, against its own formula. All else is ours: positions, norms after the sums, ReLU, dropout.
    "first-article": EncoderConfig(
        score_scale="sqrt_width", shared_projections=True, projection_bias=False,
        segments=0, embedding_norm=False, activation="relu", norm_eps=1e-5, embedding_std=1.0, attention_dropout=0.0,
    ),
    # The second: residual sums without any norm inside a layer, ReLU, dropout on the attention weights, on both
    # branches and inside the feed-forward. Ours are the positions, of which it says nothing.
    "second-article": EncoderConfig(
        norm="none", activation="relu", attention_dropout=0.1, dropout=0.1, ffn_dropout=0.1,
        position="sinusoidal", segments=0, embedding_norm=False, norm_eps=1e-5, embedding_std=1.0,
    ),
}  # fmt: skip


class EmbeddingStates(NamedTuple):
    """What the embedding computed, each [batch, token, model]; `output` is their sum after the norm."""

    token: Tensor
    position: Tensor
    segment: Tensor
    output: Tensor


class LayerStates(NamedTuple):
    """What one layer computed; names and axes are those of `encoder.trace.LayerTrace`, with a batch axis in front."""

    query: Tensor
    key: Tensor
    value: Tensor
    value_size: Tensor
    scores: Tensor
    attention: Tensor
    context: Tensor
    attention_output: Tensor
    after_attention: Tensor
    preactivation: Tensor
    neurons: Tensor
    ffn_output: Tensor
    hidden: Tensor


class Embeddings(nn.Module):
    """token + position + segment, then the norm (Devlin et al. 2019, figure 2)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.padding, self.positions = config.padding, config.positions
        rows = config.positions + (config.padding is not None)
        self.token = nn.Embedding(config.vocabulary, config.width)
        self.position = nn.Embedding(rows, config.width)
        self.segment = nn.Embedding(config.segments, config.width) if config.segments else None
        self.norm = nn.LayerNorm(config.width, config.norm_eps) if config.embedding_norm else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        if config.position != "learned":
            fixed = sinusoids(rows, config.width)
            fixed = fixed if config.position == "sinusoidal" else torch.zeros_like(fixed)
            self.position.weight = nn.Parameter(fixed, requires_grad=False)

    def look_up(self, ids: Tensor, segment: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """The three vectors of every token, each broadcastable to [batch, token, model]."""
        if (tokens := ids.shape[-1]) > self.positions:
            raise ValueError(f"{tokens} tokens are more than this encoder's {self.positions} positions.")
        token = self.token(ids)  # [batch, token, model]
        position = self.position(position_rows(ids, self.padding))  # [token, model] or [batch, token, model]
        if self.segment is None:
            return token, position, token.new_zeros(1)
        if segment is None:
            return token, position, self.segment.weight[0]  # [model]
        return token, position, self.segment(segment)  # [batch, token, model]

    def forward(self, ids: Tensor, segment: Tensor | None = None) -> Tensor:
        token, position, which = self.look_up(ids, segment)
        return self.dropout(self.norm(token + (position + which)))

    def trace(self, ids: Tensor, segment: Tensor | None = None) -> EmbeddingStates:
        token, position, which = self.look_up(ids, segment)
        output = self.norm(token + (position + which))
        # Cloned: a trace must keep its numbers when training moves the tables on.
        return EmbeddingStates(token, position.expand_as(token).clone(), which.expand_as(token).clone(), output)


class Attention(nn.Module):
    """softmax(QKᵀ / scale) V in every head, joined and projected (Vaswani et al. 2017, §3.2)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.heads, self.scale, self.shared = config.heads, config.scale, config.shared_projections
        size = config.head_dim if config.shared_projections else config.width
        self.query = nn.Linear(size, size, bias=config.projection_bias)
        self.key = nn.Linear(size, size, bias=config.projection_bias)
        self.value = nn.Linear(size, size, bias=config.projection_bias)
        self.output = nn.Linear(config.width, config.width, bias=config.output_bias)
        self.dropout = config.attention_dropout

    def project(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value of every token in every head, each [batch, head, token, head_dim]."""
        if self.shared:  # every head sends its own slice of the hidden state through the same small matrix
            slices = split_heads(hidden, self.heads)
            return self.query(slices), self.key(slices), self.value(slices)
        query, key, value = self.query(hidden), self.key(hidden), self.value(hidden)
        return split_heads(query, self.heads), split_heads(key, self.heads), split_heads(value, self.heads)

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        query, key, value = self.project(hidden)
        dropout = self.dropout if self.training else 0.0
        context = attend(query, key, value, self.scale, mask, dropout)
        return self.output(join_heads(context))

    def trace(self, hidden: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        query, key, value = self.project(hidden)  # [batch, head, token, head_dim]
        scores = (query * self.scale) @ key.mT  # [batch, head, query, key]
        attention = masked_softmax(scores, mask)  # rows sum to 1
        context = attention @ value  # [batch, head, token, head_dim]
        return {
            "query": query, "key": key, "value": value, "value_size": projected_size(value, self.output),
            "scores": scores, "attention": attention,
            "context": context, "attention_output": self.output(join_heads(context)),
        }  # fmt: skip


class FeedForward(nn.Module):
    """max(0, xW₁ + b₁)W₂ + b₂, or the same with GELU: each token by itself (Vaswani et al. 2017, §3.3)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.expand = nn.Linear(config.width, config.ffn_width, bias=config.ffn_bias)
        self.activation = nn.GELU() if config.activation == "gelu" else nn.ReLU()
        self.dropout = nn.Dropout(config.ffn_dropout)
        self.contract = nn.Linear(config.ffn_width, config.width, bias=config.ffn_bias)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.contract(self.dropout(self.activation(self.expand(hidden))))

    def trace(self, hidden: Tensor) -> dict[str, Tensor]:
        preactivation = self.expand(hidden)  # [batch, token, ffn]
        neurons = self.activation(preactivation)  # [batch, token, ffn]
        return {"preactivation": preactivation, "neurons": neurons, "ffn_output": self.contract(neurons)}


class Layer(nn.Module):
    """Attention, then feed-forward, each added to what came in (Vaswani et al. 2017, figure 1, left)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.feed_forward = FeedForward(config)
        self.attention_norm = self._norm(config)
        self.ffn_norm = self._norm(config)
        self.dropout = nn.Dropout(config.dropout)
        self.pre_norm = config.norm == "pre"
        self.residuals = config.residuals

    @staticmethod
    def _norm(config: EncoderConfig) -> nn.Module:
        return nn.Identity() if config.norm == "none" else nn.LayerNorm(config.width, config.norm_eps)

    def past(self, hidden: Tensor) -> Tensor:
        """What goes past a block, to be added to what comes out of it: the hidden state as it came in."""
        return hidden if self.residuals else torch.zeros_like(hidden)

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        if self.pre_norm:
            hidden = self.past(hidden) + self.dropout(self.attention(self.attention_norm(hidden), mask))
            return self.past(hidden) + self.dropout(self.feed_forward(self.ffn_norm(hidden)))
        hidden = self.attention_norm(self.past(hidden) + self.dropout(self.attention(hidden, mask)))
        return self.ffn_norm(self.past(hidden) + self.dropout(self.feed_forward(hidden)))

    def trace(self, hidden: Tensor, mask: Tensor | None = None) -> LayerStates:
        """The same without dropout: a trace shows how the encoder reads, not how it trains."""
        if self.pre_norm:
            attended = self.attention.trace(self.attention_norm(hidden), mask)
            after_attention = self.past(hidden) + attended["attention_output"]
            fed = self.feed_forward.trace(self.ffn_norm(after_attention))
            output = self.past(after_attention) + fed["ffn_output"]
        else:
            attended = self.attention.trace(hidden, mask)
            after_attention = self.attention_norm(self.past(hidden) + attended["attention_output"])
            fed = self.feed_forward.trace(after_attention)
            output = self.ffn_norm(self.past(after_attention) + fed["ffn_output"])
        return LayerStates(**attended, after_attention=after_attention, **fed, hidden=output)


class Encoder(nn.Module):
    """Embeddings, then a stack of layers."""

    def __init__(self, config: EncoderConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.layers: Any = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.final_norm = nn.LayerNorm(config.width, config.norm_eps) if config.final_norm else nn.Identity()
        self._initialise(seed)

    def _initialise(self, seed: int) -> None:
        """The same seed gives the same weights, whatever other threads draw meanwhile."""
        generator = torch.Generator().manual_seed(seed)
        for module in self.modules():
            if isinstance(module, nn.Embedding) and module.weight.requires_grad:
                nn.init.normal_(module.weight, std=self.config.embedding_std, generator=generator)
            elif isinstance(module, nn.Linear):
                # Glorot keeps scores near unit variance, so that heads differ from the first step on.
                nn.init.xavier_uniform_(module.weight, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, ids: Tensor, segment: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Last hidden states [batch, token, model].

        ids, segment: [batch, token]. mask: True where a token may be read, [batch, token] for padding
        or [batch, query, key]; a token that may read nothing gets a context of zeros.
        Raises ValueError for more tokens than positions.
        """
        mask = over_heads(mask)
        hidden = self.embeddings(ids, segment)
        for layer in self.layers:
            hidden = layer(hidden, mask)
        return self.final_norm(hidden)

    def trace(
        self, ids: Tensor, segment: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[EmbeddingStates, list[LayerStates]]:
        """Everything computed on the way, for the arguments of `forward`, which returns `final_norm(hidden)` of it."""
        mask = over_heads(mask)
        embedding = self.embeddings.trace(ids, segment)
        hidden, layers = embedding.output, []
        for layer in self.layers:
            states: LayerStates = layer.trace(hidden, mask)
            layers.append(states)
            hidden = states.hidden
        return embedding, layers


def position_rows(ids: Tensor, padding: int | None) -> Tensor:
    """Each token's row in the position table, for ids [batch, token]: 0, 1, 2, … as [token], the same in every text.

    With the id of a padding token, as [batch, token]: padding has row 0 wherever it stands, the others count from 1
    without it (RoBERTa's rule, from fairseq's `make_positions`).
    """
    if padding is None:
        return torch.arange(ids.shape[-1], device=ids.device)
    counted = ids != padding
    return counted.cumsum(-1) * counted


def split_heads(hidden: Tensor, heads: int) -> Tensor:
    """[batch, token, model] → [batch, head, token, head_dim]."""
    return hidden.unflatten(-1, (heads, -1)).transpose(-3, -2)


def join_heads(context: Tensor) -> Tensor:
    """[batch, head, token, head_dim] → [batch, token, model]."""
    return context.transpose(-3, -2).flatten(-2)


def attend(
    query: Tensor, key: Tensor, value: Tensor, scale: float, mask: Tensor | None = None, dropout: float = 0.0
) -> Tensor:
    """Context [batch, head, token, head_dim]: softmax(QKᵀ · scale) V.

    In bfloat16 its backward takes two and a half times as long as in float32 on a CPU, so there it stays float32.
    """
    if query.dtype == torch.bfloat16 and query.device.type == "cpu":
        with torch.autocast("cpu", enabled=False):
            full = attend(query.float(), key.float(), value.float(), scale, mask, dropout)
        return full.to(query.dtype)
    return scaled_dot_product_attention(query, key, value, mask, dropout, scale=scale)


def projected_size(value: Tensor, output: nn.Linear) -> Tensor:
    """[batch, head, token] lengths ‖value · W_O‖, W_O being the head's part of the output (Kobayashi et al. 2020, §3).

    value: [batch, head, token, head_dim].
    """
    return size_by(value, gram_of(output, value.shape[-3]))


def gram_of(output: nn.Linear, heads: int) -> Tensor:
    """W_O W_Oᵀ of each head, [head, head_dim, head_dim]. For a short text it takes a tenth of the whole reading."""
    weight = split_heads(output.weight, heads)  # [head, model, head_dim], each head's W_O transposed
    return weight.mT @ weight


def size_by(value: Tensor, gram: Tensor) -> Tensor:
    """[batch, head, token] the same lengths from `gram_of`: the vectors themselves would take [head, token, model]."""
    return (value @ gram * value).sum(-1).clamp(min=0).sqrt()  # rounding may leave 0 a little below 0


def over_heads(mask: Tensor | None) -> Tensor | None:
    """A mask for all heads: [batch, token] → [batch, 1, 1, key]; [batch, query, key] → [batch, 1, query, key]."""
    if mask is None:
        return None
    mask = mask.bool()
    return mask[:, None, None, :] if mask.ndim == 2 else mask[:, None]


def masked_softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax over keys, zero where the mask is False, a row of zeros where it is False everywhere.

    Hidden scores become the type's lowest finite number rather than −inf, which would turn an
    entirely masked row into NaN, in half precision too.
    """
    if mask is None:
        return scores.softmax(-1)
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1) * mask


def sinusoids(positions: int, width: int) -> Tensor:
    """[token, model] sines at even, cosines at odd channels, wavelengths 2π to 10000·2π (Vaswani et al. 2017, §3.5)."""
    place = torch.arange(positions, dtype=torch.float64)[:, None]
    channel = torch.arange(width)[None, :]
    # In float64 throughout, rounded once at the end: a divisor in float32 is 2e-5 off at position 500.
    angle = place / 10_000 ** (2 * (channel // 2).double() / width)
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos()).float()
