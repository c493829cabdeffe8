"""Models by name, each with one method that matters: `trace`.

from encoder.models import load, catalogue
trace = load("minilm").trace("The cat sat on the mat.")
trace.layers[3].attention[5]  # [query, key]
"""

import copy
import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from encoder import checkpoints
from encoder.bert import clothe, load_bert, prediction_head, take_apart, walk
from encoder.catalogue import Entry, catalogue, minilm_folder
from encoder.changes import Ablation, Changes
from encoder.devices import accelerator, free_memory, is_out_of_memory, synchronize, threads
from encoder.edits import Pairs
from encoder.errors import ModelError
from encoder.formulas import LayerWeights
from encoder.model import PRESETS, EmbeddingStates, Encoder, LayerStates
from encoder.tokens import Tokenizer, read_tokenizer
from encoder.trace import EmbeddingTrace, Guess, LayerTrace, ModelCard, Tokens, Trace, read_only
from encoder.weights import weights_of
from encoder.what_if import changed, each_head_off

__all__ = ["DEFAULT_LIMIT", "Model", "catalogue", "load"]

DEFAULT_LIMIT = 128  # tokens; enough for a paragraph, and attention for a whole class stays small
# While transformers loads a model it replaces what ties weights, for the whole process: of two that load at once one
# may put back the other's replacement, and no model after them would have its prediction head.
BUILDING = threading.Lock()
# Bytes. An array that torch made keeps its tensor, and the garbage collector, which Streamlit calls after every turn,
# visits each one: the 240 readings of a class are 16,000 and take it 10 ms. Copies of the small ones take none.
SMALL = 2**18
UNUSED, RESERVED = re.compile(r"\[unused\d+\]"), 1_000  # what BERT's vocabulary keeps free, and how many of them
ITSELF = 1 - 1e-6  # a cosine beyond it is with the same vector
SEED = 2017  # of the untrained encoders, so that everybody in the room sees the same numbers

Walk = Callable[[Tensor, Tensor], tuple[EmbeddingStates, Iterable[LayerStates]]]  # (ids, segment), each [batch, token]

NO_NORM = nn.Identity()


@dataclass(frozen=True)
class Reader:
    """A network on a device."""

    device: str
    walk: Walk
    last_norm: nn.Module = NO_NORM  # on top of the last layer


class Head(NamedTuple):
    """A prediction head on the CPU."""

    logits: Callable[[Tensor], Tensor]  # hidden states of a layer [place, model] → [place, choice]
    choices: Tensor | None = None  # [choice] token ids; None where every token of the vocabulary is one


class Model:
    """A network with its tokenizer. Shared by all threads: nothing about a call is kept on it."""

    def __init__(
        self, card: ModelCard, tokenizer: Tokenizer, positions: int, scale: float, readers: tuple[Reader, ...],
        head: Head | None = None, encoder: Callable[[], Encoder] | None = None,
    ) -> None:  # fmt: skip
        self.card = card
        self.positions = positions  # the longest text it can read, in tokens
        self._tokenizer = tokenizer
        self._scale = scale  # of the scores
        self._head = head
        self._encoder = encoder
        self._readers = readers  # in order of preference; the last one is the CPU's

    def trace(self, text: str, pair: str | None = None, limit: int = DEFAULT_LIMIT) -> Trace:
        """Read a text, or a pair of texts, and return everything computed on the way.

        At most `limit` tokens are read (special ones always), and never more than the model has positions;
        how many were left out is in `trace.tokens.left_out`. Where an accelerator runs out of memory the CPU does the
        work instead; `trace.device` is where it was really done.
        """
        ids, tokens = self._tokenizer.encode(text, pair, min(limit, self.positions))
        *accelerated, cpu = self._readers
        for reader in accelerated:
            try:
                return self._read(reader, ids, tokens)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            free_memory(reader.device)  # only here has the error let go of the arrays it was raised among
        return self._read(cpu, ids, tokens)

    def weights(self, layer: int) -> LayerWeights:
        """The matrices of a layer, from 0. Raises ModelError where our Encoder does not compute as the model does."""
        return weights_of(self._ours(), layer)

    def what_if(self, changes: Changes) -> "Model":
        """The model with those changes, computed by our Encoder on the CPU. Raises ModelError as `weights` does."""
        encoder = changed(self._ours(), changes)
        return Model(
            self.card, self._tokenizer, self.positions, encoder.config.scale, (_our_reader(encoder, "cpu"),),
            self._head, lambda: encoder,
        )  # fmt: skip

    @torch.inference_mode()
    def ablation(self, text: str, pair: str | None = None, limit: int = DEFAULT_LIMIT) -> Ablation:
        """What each head's absence would change in the reading of a text. Raises ModelError as `weights` does."""
        encoder = self._ours()
        ids, tokens = self._tokenizer.encode(text, pair, min(limit, self.positions))
        as_it_is, off = each_head_off(encoder, torch.tensor([ids]), torch.tensor(tokens.segment[None]))
        change = 1 - torch.cosine_similarity(as_it_is, off, -1).mean(-1)  # [layer, head]
        places = self.hidden_places(tokens)
        if self._head is None or not places:
            return Ablation(_closed(change), None)
        before = self._head.logits(as_it_is[places[:1]])  # [1, choice]
        after = self._head.logits(off[:, :, places[0]].flatten(0, 1))  # [layer · head, choice]
        return Ablation(_closed(change), _closed(_divergence(before, after).view_as(change)))

    @torch.inference_mode()
    def moved(self, before: Trace, after: Trace, pairs: Pairs) -> float | None:
        """How far the guess behind a [MASK] has moved from one reading to another, KL in nats.

        The first [MASK] that both have, by which token is which; None where there is none, or no prediction head.
        """
        hidden = set(self.hidden_places(before.tokens)), set(self.hidden_places(after.tokens))
        both = [(one, other) for one, other in zip(*pairs, strict=True) if one in hidden[0] and other in hidden[1]]
        if self._head is None or not both:
            return None
        states = (
            torch.from_numpy(read.layers[-1].hidden[[place]])
            for read, place in zip((before, after), both[0], strict=True)
        )
        return float(_divergence(*map(self._head.logits, states)))

    def _ours(self) -> Encoder:
        if self._encoder is None:
            raise ModelError(f"{self.card.name} cannot be followed step by step, nor changed.")
        return self._encoder()

    @torch.inference_mode()
    def neighbours(self, trace: Trace, place: int, count: int = 10) -> tuple[tuple[str, float], ...]:
        """The vocabulary's tokens whose own vectors are nearest to that of a token read, and their cosines with it.

        Itself not among them, nor pieces that stand for nothing. Raises ModelError as `weights` does.
        """
        table = self._ours().embeddings.token.weight  # [vocabulary, model]
        vector = torch.from_numpy(trace.embedding.token[[place]])[0]
        size = torch.linalg.vector_norm(table, dim=1) * torch.linalg.vector_norm(vector)
        cosines = (table @ vector) / size.clamp(min=torch.finfo(size.dtype).tiny)
        cosines[cosines > ITSELF] = -1
        order = cosines.topk(min(len(table), count + RESERVED)).indices.tolist()
        named = ((self._tokenizer.shown(each), float(cosines[each])) for each in order)
        meant = [(name, cosine) for name, cosine in named if name and cosine > -1 and not UNUSED.fullmatch(name)]
        return tuple(meant[:count])

    def hidden_places(self, tokens: Tokens) -> list[int]:
        """Where a reading's tokens are [MASK], or what this model calls it."""
        return [place for place, token in enumerate(tokens.text) if token == self._tokenizer.mask]

    @torch.inference_mode()
    def guesses(self, trace: Trace, count: int = 5, after: int | None = None) -> tuple[Guess, ...]:
        """What stands behind each [MASK] of a reading, in this model's view; nothing without a prediction head.

        after: so many layers, as if the others were not there (nostalgebraist 2020, "the logit lens"); all by default.
        """
        places = self.hidden_places(trace.tokens)
        if self._head is None or not places:
            return ()
        after = after or len(trace.layers)
        hidden = torch.from_numpy(trace.layers[after - 1].hidden[places])  # [place, model]
        every = self._head.logits(hidden).softmax(-1)  # [place, choice]
        shares, found = every.topk(min(count, every.shape[-1]))
        ids = found if self._head.choices is None else self._head.choices[found]
        return tuple(
            Guess(place, tuple(map(self._tokenizer.shown, each.tolist())), tuple(some.tolist()))
            for place, each, some in zip(places, ids, shares, strict=True)
        )

    def _read(self, reader: Reader, ids: list[int], tokens: Tokens) -> Trace:
        start = perf_counter()
        with torch.inference_mode(), threads(len(tokens) * self.card.width * self.card.ffn_width):
            segment = torch.tensor(tokens.segment[None], device=reader.device)
            embedding, layers = reader.walk(torch.tensor([ids], device=reader.device), segment)
            layer_traces = tuple(map(self._layer_trace, layers))
            output = reader.last_norm(torch.tensor(layer_traces[-1].hidden[None], device=reader.device))
            synchronize(reader.device)
            seconds = perf_counter() - start
            embedding_trace = EmbeddingTrace(*map(_array, embedding))
        return Trace(self.card, tokens, embedding_trace, layer_traces, _array(output), seconds, reader.device)

    def _layer_trace(self, states: LayerStates) -> LayerTrace:
        arrays = {name: _array(tensor) for name, tensor in states._asdict().items() if name != "scores"}
        return LayerTrace(**arrays, scale=self._scale)


def load(name: str | Entry, device: str = "cpu", download: bool = True) -> Model:
    """The model of that name in the catalogue, or from a local folder, or of that id on the Hugging Face Hub.

    An entry that is in no catalogue can be given itself.

    device: "cpu", "cuda" or "mps"; a model too large for the accelerator's memory stays on the CPU.
    download=False never asks the network. Raises ModelError, in one plain sentence.
    """
    if device not in ("cpu", accelerator()):
        raise ModelError(f"There is no “{device}” device on this machine.")
    entry = name if isinstance(name, Entry) else catalogue().get(name) or _unlisted(name)
    folder = None if entry.preset else entry.folder or _hub_folder(entry, download)
    if folder and entry.sha256:
        _check_sha256(entry, folder / "model.safetensors")
    with BUILDING:
        if folder and not checkpoints.is_ours(folder):
            return _pretrained(entry, folder, device)
        if folder:
            trained = checkpoints.read(folder)
            head = Head(lambda hidden: trained.logits(trained.encoder.final_norm(hidden)), trained.head.ids)
            return _from_scratch(entry, trained.encoder, device, head)
        return _from_scratch(entry, Encoder(PRESETS[entry.preset or ""], seed=SEED).eval(), device)


def _from_scratch(entry: Entry, encoder: Encoder, device: str, head: Head | None = None) -> Model:
    config = encoder.config
    # BERT's own WordPiece, so that tokens line up with BERT's; a folder may bring another one.
    own = entry.folder is not None and (entry.folder / "tokenizer.json").is_file()
    tokenizer = read_tokenizer(entry.folder if own and entry.folder else minilm_folder())
    if tokenizer.vocabulary > config.vocabulary:
        raise ModelError(f"The tokenizer of “{entry.label}” knows more pieces than its model has embeddings.")
    card = ModelCard(
        name=entry.label,
        source="from scratch",
        layers=config.layers,
        heads=config.heads,
        width=config.width,
        ffn_width=config.ffn_width,
        vocabulary=config.vocabulary,
        parameters=sum(weight.numel() for weight in encoder.parameters() if weight.requires_grad),  # not fixed sines
        tokenizer=tokenizer.name,
    )
    readers = _readers(encoder, _our_reader, device)
    return Model(card, tokenizer, config.positions, config.scale, readers, head, lambda: encoder)


def _pretrained(entry: Entry, folder: Path, device: str) -> Model:
    network = load_bert(folder, entry.label)
    tokenizer = read_tokenizer(folder)
    parts = take_apart(network)
    token = parts.embedding.token
    if tokenizer.vocabulary > token.num_embeddings:
        raise ModelError(f"The tokenizer of “{entry.label}” knows more pieces than its model has embeddings.")
    card = ModelCard(
        name=entry.label,
        source=entry.repo or "pretrained",
        layers=len(parts.layers),
        heads=parts.heads,
        width=token.embedding_dim,
        ffn_width=parts.layers[0].expand.out_features,
        vocabulary=token.num_embeddings,
        parameters=sum(weight.numel() for weight in network.base_model.parameters()),
        tokenizer=tokenizer.name,
    )
    readers = _readers(network.base_model, _bert_reader, device)
    logits = prediction_head(network)
    head = Head(logits) if logits else None
    return Model(card, tokenizer, parts.positions, parts.scale, readers, head, cache(partial(clothe, network)))


def _our_reader(encoder: Encoder, device: str) -> Reader:
    return Reader(device, encoder.trace, encoder.final_norm)


def _bert_reader(network: Any, device: str) -> Reader:
    return Reader(device, partial(walk, take_apart(network)))


def _readers(network: Any, reader_of: Callable[[Any, str], Reader], device: str) -> tuple[Reader, ...]:
    """The network on the CPU, and before it on the accelerator where one is asked for and has room."""
    cpu = _warm(reader_of(network, "cpu"))
    if device == "cpu":
        return (cpu,)
    try:
        return _warm(reader_of(copy.deepcopy(network).to(device), device)), cpu
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    free_memory(device)
    return (cpu,)


def _warm(reader: Reader) -> Reader:
    # The first reading on a device sets up its libraries; nobody's milliseconds should show that.
    with torch.inference_mode():
        one = torch.zeros((1, 1), dtype=torch.long, device=reader.device)
        _, layers = reader.walk(one, one)
        list(layers)
    return reader


def _unlisted(name: str) -> Entry:
    """A folder or a Hub id given by a programmer; the app looks names up in the catalogue only."""
    if os.path.isdir(name):  # unlike Path.is_dir it answers for names too long for a file system too
        return Entry(Path(name).name, Path(name).name, "", folder=Path(name))
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        return Entry(name, name, "", repo=name)
    raise ModelError(f"There is no model “{name}”; there are {', '.join(catalogue())}, Hub ids and folders.")


def _hub_folder(entry: Entry, download: bool) -> Path:
    from encoder import hub  # huggingface_hub is needed by few and slow to import

    assert entry.repo is not None
    if folder := hub.cached(entry.repo):
        return folder
    if not download:
        raise ModelError(f"{entry.label} is not on this machine yet: it has to be downloaded once, with internet.")
    job = hub.start_download(entry.repo)
    job.join()
    if job.folder is None:
        raise ModelError(job.error or f"{entry.label} could not be downloaded.")
    return job.folder


def _check_sha256(entry: Entry, weights: Path) -> None:
    try:
        with weights.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            f"The weights of {entry.label} are missing; install the app and its requirements again."
        ) from error
    if found != entry.sha256:
        raise ModelError(f"The weights of {entry.label} are not the published ones: their SHA-256 differs.")


def _divergence(before: Tensor, after: Tensor) -> Tensor:
    """[place] KL in nats of what is guessed after from what was before, both [place, choice] logits."""
    one, other = before.log_softmax(-1), after.log_softmax(-1)
    return (one.exp() * (one - other)).sum(-1).clamp(min=0)  # rounding may leave 0 a little below 0


def _closed(tensor: Tensor) -> np.ndarray:
    return read_only(tensor.numpy())


def _array(tensor: Tensor) -> np.ndarray:
    """[batch = 1, …] tensor on any device → read-only float32 array without the batch axis."""
    array = tensor[0].float().cpu().numpy()
    return read_only(array.copy() if array.nbytes < SMALL else array)
