"""Pretrained BERT-family models: load one, walk it box by box for a full trace, carry its weights into our Encoder.

The library's own modules do the computing; we only call them in the order its forward does and
keep what they return. Nothing is hooked and nothing is stored on the model, so any number of
threads may walk one model at once.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from encoder.errors import ModelError, explained
from encoder.folders import check_sizes, read_config, shapes
from encoder.model import (
    EmbeddingStates,
    Encoder,
    EncoderConfig,
    LayerStates,
    gram_of,
    join_heads,
    position_rows,
    size_by,
    split_heads,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# model_type in config.json → its class with a prediction head. All are post-norm and use absolute positions.
FAMILIES = {
    "bert": "BertForMaskedLM",
    "roberta": "RobertaForMaskedLM",
    "xlm-roberta": "XLMRobertaForMaskedLM",
    "camembert": "CamembertForMaskedLM",
    "distilbert": "DistilBertForMaskedLM",
    "electra": "ElectraForMaskedLM",
}


@dataclass(frozen=True)
class EmbeddingParts:
    """The embedding of a library model, by our names."""

    token: nn.Embedding
    position: nn.Embedding
    segment: nn.Embedding | None
    norm: nn.LayerNorm
    padding: int | None  # the id of the token that takes no position, in the RoBERTa family

    @property
    def first_row(self) -> int:
        """Of the position table: RoBERTa's begins with the row of its padding, at the number of its id."""
        return self.padding or 0


@dataclass(frozen=True)
class LayerParts:
    """One layer of a library model, by our names."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    output: nn.Linear
    attention_norm: nn.LayerNorm
    expand: nn.Linear
    activation: Callable[[Tensor], Tensor]
    contract: nn.Linear
    ffn_norm: nn.LayerNorm


@dataclass(frozen=True)
class Parts:
    """A library model taken apart into the boxes of the paper's figure."""

    embedding: EmbeddingParts
    layers: tuple[LayerParts, ...]
    heads: int
    activation: str

    @cached_property
    def grams(self) -> tuple[Tensor, ...]:
        """For the lengths of projected values: of a model that only reads they stay what they are."""
        return tuple(gram_of(layer.output, self.heads) for layer in self.layers)

    @property
    def scale(self) -> float:
        """What query · key is multiplied by: 1 / √head_dim in every family."""
        return (self.embedding.token.embedding_dim // self.heads) ** -0.5

    @property
    def positions(self) -> int:
        """The longest text it can read, in tokens."""
        unused = 0 if self.embedding.padding is None else self.embedding.padding + 1
        return self.embedding.position.num_embeddings - unused


def load_bert(folder: Path, label: str | None = None) -> "PreTrainedModel":
    """Load a BERT-family encoder from a folder: safetensors only, no code from the folder, float32, evaluation mode.

    Where the folder has a prediction head for hidden tokens, the model has it too.
    Raises ModelError for a folder that is missing, broken, or of another family, under the label, or the folder's name.
    """
    label = label or folder.name
    config = read_config(folder, label)
    name = _family(config)
    found = shapes(folder, label)
    import transformers

    transformers.utils.logging.set_verbosity_error()  # its report of unused heads is no learner's concern
    transformers.utils.logging.disable_progress_bar()
    network = getattr(transformers, name)
    try:
        settings = network.config_class.from_dict(config)
    except Exception as error:  # the library's own, of several kinds
        raise explained(f"The model “{label}” cannot be read: its config.json describes none.") from error
    check_sizes(settings, found, label)
    _check_padding(settings, network, label)
    try:
        model, report = network.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32,
            attn_implementation="eager", output_loading_info=True,
        )  # fmt: skip
    except Exception as error:  # each layer below raises its own kind; to a learner they are all one
        reason = "its weights are damaged, or do not fit its config.json"
        raise explained(f"The model “{label}” cannot be read: {reason}.") from error
    # What is missing the library fills with random numbers: a trace of them would not be true, nor would a prediction.
    body = f"{model.base_model_prefix}."
    if missing := [key for key in report["missing_keys"] if key.startswith(body)]:
        raise ModelError(f"The model “{label}” is incomplete: {len(missing)} of its weights are missing.")
    return (model.base_model if report["missing_keys"] else model).eval()


def prediction_head(model: "PreTrainedModel") -> Callable[[Tensor], Tensor] | None:
    """What turns hidden states [place, model] into logits [place, piece], or None where the model has no such head."""
    kind: Any = model
    if hasattr(kind, "vocab_projector"):  # DistilBERT
        return lambda hidden: kind.vocab_projector(kind.vocab_layer_norm(kind.activation(kind.vocab_transform(hidden))))
    if hasattr(kind, "generator_lm_head"):  # ELECTRA
        return lambda hidden: kind.generator_lm_head(kind.generator_predictions(hidden))
    return getattr(kind, "cls", None) or getattr(kind, "lm_head", None)


def take_apart(model: "PreTrainedModel", segments: bool = True) -> Parts:
    """The named boxes of a loaded BERT-family model, with or without a head. Raises ModelError for another family.

    segments: False where its tokenizer does not tell it which sentence is which, so that all tokens are of the first.
    """
    body: Any = model.base_model
    config = body.config.to_dict()
    if _family(config) == FAMILIES["distilbert"]:
        layers = tuple(_distilbert_layer(layer) for layer in body.transformer.layer)
        return Parts(_embedding(body, segments), layers, config["n_heads"], config["activation"])
    layers = tuple(_bert_layer(layer) for layer in body.encoder.layer)
    return Parts(_embedding(body, segments), layers, config["num_attention_heads"], config["hidden_act"])


def walk(parts: Parts, ids: Tensor, segment: Tensor) -> tuple[EmbeddingStates, Iterator[LayerStates]]:
    """Every intermediate of one reading, by value. ids, segment: [batch, token], without padding.

    Layers are computed as they are asked for, so that a caller who drops the scores of one makes room for the next.
    """
    boxes = parts.embedding
    token = boxes.token(ids)  # [batch, token, model]
    position = boxes.position(position_rows(ids, boxes.padding) + boxes.first_row).expand_as(token)
    which = _segment_vectors(boxes, segment, token)
    # Summed in the library's own order, so that not even rounding differs.
    hidden = boxes.norm(token + which + position)
    return EmbeddingStates(token, position, which, hidden), _walk_layers(parts, hidden)


def _walk_layers(parts: Parts, hidden: Tensor) -> Iterator[LayerStates]:
    for layer, gram in zip(parts.layers, parts.grams, strict=True):
        states = _walk_layer(layer, gram, parts, hidden)
        hidden = states.hidden
        yield states
        del states  # or this frame would keep its scores alive while the next layer computes


def _walk_layer(layer: LayerParts, gram: Tensor, parts: Parts, hidden: Tensor) -> LayerStates:
    heads = parts.heads
    query = split_heads(layer.query(hidden), heads)  # [batch, head, token, head_dim]
    key = split_heads(layer.key(hidden), heads)
    value = split_heads(layer.value(hidden), heads)
    scores = query @ key.mT * parts.scale  # [batch, head, query, key]
    attention = scores.softmax(-1)
    context = attention @ value  # [batch, head, token, head_dim]
    attention_output = layer.output(join_heads(context))  # [batch, token, model]
    after_attention = layer.attention_norm(attention_output + hidden)
    preactivation = layer.expand(after_attention)  # [batch, token, ffn]
    neurons = layer.activation(preactivation)
    ffn_output = layer.contract(neurons)  # [batch, token, model]
    return LayerStates(
        query, key, value, size_by(value, gram), scores, attention, context,
        attention_output, after_attention, preactivation, neurons, ffn_output,
        layer.ffn_norm(ffn_output + after_attention),
    )  # fmt: skip


def carry(model: "PreTrainedModel") -> Encoder:
    """Our Encoder with a copy of the model's weights: the same hidden states to 1e-5, from our own code.

    Raises ModelError for other families, and for activation functions other than ReLU and GELU.
    """
    return copy.deepcopy(clothe(model)).to("cpu", torch.float32)


def clothe(model: "PreTrainedModel", segments: bool = True) -> Encoder:
    """The same with the model's very own weights instead of copies: it takes no memory, and must not be trained.

    segments: as in `take_apart`.
    """
    parts = take_apart(model, segments)
    boxes = parts.embedding
    with torch.device("meta"):  # without drawing weights that others take the place of
        encoder = Encoder(_config_of(parts))
    _share(boxes.token, encoder.embeddings.token)
    _give(encoder.embeddings.position, boxes.position.weight[boxes.first_row :])
    if boxes.segment is not None and encoder.embeddings.segment is not None:
        # One row for both sentences becomes two equal ones.
        rows = encoder.embeddings.segment.num_embeddings
        _give(encoder.embeddings.segment, boxes.segment.weight.expand(rows, -1))
    _share(boxes.norm, encoder.embeddings.norm)
    for ours, theirs in zip(encoder.layers, parts.layers, strict=True):
        _share(theirs.query, ours.attention.query)
        _share(theirs.key, ours.attention.key)
        _share(theirs.value, ours.attention.value)
        _share(theirs.output, ours.attention.output)
        _share(theirs.attention_norm, ours.attention_norm)
        _share(theirs.expand, ours.feed_forward.expand)
        _share(theirs.contract, ours.feed_forward.contract)
        _share(theirs.ffn_norm, ours.ffn_norm)
    return encoder.eval()


def _share(source: nn.Module, target: nn.Module) -> None:
    for name, weight in source.named_parameters():
        _give(target, weight, name)


def _give(target: nn.Module, weight: Tensor, name: str = "weight") -> None:
    """A parameter of its own on the same memory: what becomes of it is no concern of the other's."""
    setattr(target, name, nn.Parameter(weight.detach()))


def _config_of(parts: Parts) -> EncoderConfig:
    activations: dict[str, Literal["gelu", "relu"]] = {"gelu": "gelu", "relu": "relu"}
    if parts.activation not in activations:
        raise ModelError(f"The encoder from scratch knows ReLU and GELU, not “{parts.activation}”.")
    boxes = parts.embedding
    return EncoderConfig(
        vocabulary=boxes.token.num_embeddings,
        width=boxes.token.embedding_dim,
        layers=len(parts.layers),
        heads=parts.heads,
        ffn_width=parts.layers[0].expand.out_features,
        positions=parts.positions,
        padding=boxes.padding,
        segments=max(2, boxes.segment.num_embeddings) if boxes.segment is not None else 0,
        activation=activations[parts.activation],
        norm_eps=boxes.norm.eps,
    )


def _check_padding(settings: Any, network: Any, label: str) -> None:
    """Raises ModelError where the RoBERTa family, which counts positions from its padding's id on, has none left."""
    padding, rows = settings.pad_token_id, settings.max_position_embeddings
    if network.base_model_prefix == "roberta" and (padding is None or not 0 <= padding < rows - 1):
        raise ModelError(
            f"The model “{label}” cannot be read: its config.json says pad_token_id: {padding}, "
            f"and its {rows:,} positions are counted from there on."
        )


def _family(config: dict[str, Any]) -> str:
    """The class for a configuration. Raises ModelError for anything that we could not show truly."""
    kind, supported = config["model_type"], ", ".join(FAMILIES)
    if kind not in FAMILIES:
        raise ModelError(f"Models of the family “{kind}” cannot be shown; supported are {supported}.")
    if config.get("is_decoder"):
        raise ModelError("This model is a decoder; Encoder Lens shows encoders.")
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise ModelError("This model uses relative positions; Encoder Lens shows models with absolute ones.")
    if config.get("embedding_size", config.get("hidden_size")) != config.get("hidden_size"):
        raise ModelError("This ELECTRA's embeddings are narrower than its layers; they must be of one width.")
    return FAMILIES[kind]


def _embedding(model: Any, segments: bool) -> EmbeddingParts:
    boxes = model.embeddings
    segment = getattr(boxes, "token_type_embeddings", None)
    if segment is not None and not segments:
        segment = nn.Embedding.from_pretrained(segment.weight.detach()[:1])
    counts_without_padding = hasattr(boxes, "create_position_ids_from_input_ids")  # the RoBERTa family
    return EmbeddingParts(
        token=boxes.word_embeddings,
        position=boxes.position_embeddings,
        segment=segment,
        norm=boxes.LayerNorm,
        padding=boxes.padding_idx if counts_without_padding else None,
    )


def _segment_vectors(boxes: EmbeddingParts, segment: Tensor, token: Tensor) -> Tensor:
    if boxes.segment is None:
        return torch.zeros_like(token)
    # RoBERTa's table has one row only, as has that of a model that is not told: both sentences share it.
    return boxes.segment(segment.clamp(max=boxes.segment.num_embeddings - 1))


def _bert_layer(layer: Any) -> LayerParts:
    """BERT, RoBERTa, ELECTRA and their copies name their boxes alike."""
    attention = layer.attention
    return LayerParts(
        query=attention.self.query,
        key=attention.self.key,
        value=attention.self.value,
        output=attention.output.dense,
        attention_norm=attention.output.LayerNorm,
        expand=layer.intermediate.dense,
        activation=layer.intermediate.intermediate_act_fn,
        contract=layer.output.dense,
        ffn_norm=layer.output.LayerNorm,
    )


def _distilbert_layer(layer: Any) -> LayerParts:
    return LayerParts(
        query=layer.attention.q_lin,
        key=layer.attention.k_lin,
        value=layer.attention.v_lin,
        output=layer.attention.out_lin,
        attention_norm=layer.sa_layer_norm,
        expand=layer.ffn.lin1,
        activation=layer.ffn.activation,
        contract=layer.ffn.lin2,
        ffn_norm=layer.output_layer_norm,
    )
