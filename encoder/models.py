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
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from encoder import checkpoints
from encoder.bert import Parts, clothe, load_bert, prediction_head, take_apart, walk
from encoder.catalogue import Entry, catalogue, minilm_folder
from encoder.devices import accelerator, free_memory, is_out_of_memory
from encoder.errors import ModelError, explained
from encoder.model import PRESETS, Encoder
from encoder.reading import DEFAULT_LIMIT, Head, Model, Reader
from encoder.tokens import Tokenizer, read_own, read_tokenizer
from encoder.trace import ModelCard

__all__ = ["DEFAULT_LIMIT", "Model", "catalogue", "load"]

# While transformers loads a model it replaces what ties weights, for the whole process: of two that load at once one
# may put back the other's replacement, and no model after them would have its prediction head.
BUILDING = threading.Lock()
SEED = 2017  # of the untrained encoders, so that everybody in the room sees the same numbers


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
    tokenizer = read_own(entry.folder if own and entry.folder else minilm_folder(), entry.label)
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
    readers = _readers(encoder, Reader.of, device)
    return Model(card, tokenizer, config.positions, config.scale, readers, head, lambda: encoder)


def _pretrained(entry: Entry, folder: Path, device: str) -> Model:
    network = load_bert(folder, entry.label)
    rows = network.config.vocab_size
    tokenizer = read_tokenizer(folder, entry.label, rows)
    parts = take_apart(network, tokenizer.segments)
    _check_fit(tokenizer, parts, entry.label)
    card = ModelCard(
        name=entry.label,
        source=entry.repo or "pretrained",
        layers=len(parts.layers),
        heads=parts.heads,
        width=parts.embedding.token.embedding_dim,
        ffn_width=parts.layers[0].expand.out_features,
        vocabulary=rows,
        parameters=sum(weight.numel() for weight in network.base_model.parameters()),
        tokenizer=tokenizer.name,
    )
    readers = _readers(network.base_model, partial(_bert_reader, tokenizer.segments), device)
    logits = prediction_head(network)
    head = Head(logits) if logits else None
    encoder = cache(partial(clothe, network, tokenizer.segments))
    return Model(card, tokenizer, parts.positions, parts.scale, readers, head, encoder)


def _check_fit(tokenizer: Tokenizer, parts: Parts, label: str) -> None:
    """Raises ModelError where a tokenizer and a network are not made for each other.

    Tokens that were only added to a tokenizer may have no embedding: the texts that they are in are refused.
    """
    if tokenizer.own_vocabulary > parts.embedding.token.num_embeddings:
        raise ModelError(f"The tokenizer of “{label}” knows more pieces than its model has embeddings.")
    if (added := tokenizer.backend.num_special_tokens_to_add(True)) > parts.positions:
        raise ModelError(f"The model “{label}” has {parts.positions} positions, too few for {added} special tokens.")


def _bert_reader(segments: bool, network: Any, device: str) -> Reader:
    return Reader(device, partial(walk, take_apart(network, segments)))


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
        sentence = f"The weights of {entry.label} are missing; install the app and its requirements again."
        raise explained(sentence) from error
    if found != entry.sha256:
        raise ModelError(f"The weights of {entry.label} are not the published ones: their SHA-256 differs.")
