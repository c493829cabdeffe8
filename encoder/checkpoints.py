"""A trained encoder as two files: `model.safetensors` with its weights, `config.json` with everything else."""

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as as_bytes
from tokenizers import Tokenizer
from tokenizers.models import WordLevel, WordPiece
from torch import Tensor

from encoder.corpus import SPECIAL, dress
from encoder.errors import ModelError, explained
from encoder.folders import LARGEST_HEADER, check_header, is_too_long, read_json
from encoder.masked import MaskedLanguageModel
from encoder.model import Encoder, EncoderConfig

KINDS = get_type_hints(EncoderConfig)
LARGEST, LONGEST = 2**20, 2**40  # of a size in a config, and of what is counted before anything is built
REAL, WHOLE = ("F16", "BF16", "F32"), ("I32", "I64")  # how safetensors calls numbers that a model's weights may be
FAMILY = "encoder-lens"  # what config.json calls the model's type, where transformers' own stand too
# The most that a file may bring: BERT large's sizes.
BROUGHT = {"vocabulary": 30_522, "width": 1_024, "layers": 24, "heads": 16, "ffn_width": 4_096, "positions": 512}
PLACES = 3  # that two empty sentences take: [CLS], [SEP], [SEP]
THIS = "this file"  # what somebody who brings one knows it by
TRIED = 64  # tokens that a brought model reads before it is kept


def save(model: MaskedLanguageModel, folder: Path, about: dict[str, Any], tokenizer: Tokenizer | None = None) -> None:
    """Write the model, its weights in half precision, with what is known `about` how it was made.

    tokenizer: its own; without one it reads BERT's word pieces. No file of the folder is ever half written.
    """
    coming = folder.with_name(f".coming-{folder.name}")
    shutil.rmtree(coming, ignore_errors=True)
    coming.mkdir(parents=True)
    state = {name: _small(weight) for name, weight in model.state_dict().items()}
    (coming / "model.safetensors").write_bytes(as_bytes(state))  # its own `save_file` hides files from other users
    config = {"model_type": FAMILY, "encoder": asdict(model.encoder.config), "about": about}
    (coming / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    if tokenizer is not None:
        tokenizer.save(str(coming / "tokenizer.json"))
    folder.mkdir(exist_ok=True)
    for file in coming.iterdir():
        os.replace(file, folder / file.name)
    coming.rmdir()


def pack(folder: Path) -> bytes:
    """A saved model as one safetensors file that has its config and its tokenizer in its header."""
    header = {"config": (folder / "config.json").read_text(encoding="utf-8")}
    if (folder / "tokenizer.json").is_file():
        header["tokenizer"] = (folder / "tokenizer.json").read_text(encoding="utf-8")
    return as_bytes(load_file(folder / "model.safetensors"), header)


def unpack(data: bytes, folder: Path) -> None:
    """Put what `pack` made, or what claims to be that, into a folder, and check it. Raises ModelError with the reason.

    Of its tokenizer only the vocabulary is taken over: rules for cutting text are programs of their own.
    """
    if is_too_long(data[: 8 + LARGEST_HEADER], len(data)):
        raise ModelError("The header of this file is longer than that of any model that can be brought.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(data)
    try:
        with safe_open(folder / "model.safetensors", framework="pt") as file:
            header = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise explained("This is no safetensors file, or it is damaged.") from error
    if "config" not in header:
        raise ModelError("This safetensors file was not downloaded here: its header holds no config.")
    (folder / "config.json").write_text(header["config"], encoding="utf-8")
    if not is_ours(folder):
        raise ModelError("The config in this file is not that of a model that was trained here.")
    _check_sizes(_encoder_config(folder, THIS))
    if "tokenizer" not in header:
        raise ModelError("This safetensors file was not downloaded here: its header holds no tokenizer.")
    tokenizer = _rebuilt(header["tokenizer"])
    tokenizer.save(str(folder / "tokenizer.json"))
    try:
        _try_out(read(folder, THIS), tokenizer)
    except (RuntimeError, MemoryError) as error:
        sentence = "The model in this file cannot be computed: it may need more memory than is left."
        raise explained(sentence) from error


def _check_sizes(config: EncoderConfig) -> None:
    for name, most in BROUGHT.items():
        if (size := getattr(config, name)) > most:
            asked = f"{name.replace('_', ' ')}: {size:,}, at most {most:,}"
            raise ModelError(f"The model in this file is too large to be brought ({asked}).")


def _try_out(model: MaskedLanguageModel, tokenizer: Tokenizer) -> None:
    config = model.encoder.config
    if tokenizer.get_vocab_size() != config.vocabulary:
        raise ModelError(f"The tokenizer knows {tokenizer.get_vocab_size()} tokens, the model {config.vocabulary}.")
    ids = torch.arange(min(TRIED, config.positions, config.vocabulary))[None]
    with torch.inference_mode():
        if not bool(model.logits(model.encoder(ids)[0]).isfinite().all()):
            raise ModelError("With these weights the model computes what are no numbers.")


def _rebuilt(tokenizer: str) -> Tokenizer:
    try:
        model = json.loads(tokenizer)["model"]
        kinds: dict[str, Any] = {"WordLevel": WordLevel, "WordPiece": WordPiece}
        kind = kinds[model["type"]]
        backend = Tokenizer(kind(model["vocab"], unk_token="[UNK]"))
        missing = [name for name in SPECIAL if backend.token_to_id(name) is None]
        if missing or sorted(model["vocab"].values()) != list(range(len(model["vocab"]))):
            raise ValueError(missing)
        dress(backend)
    except Exception as error:  # the tokenizers library raises bare Exceptions
        raise explained("The tokenizer in this file cannot be read.") from error
    return backend


def is_ours(folder: Path) -> bool:
    """Whether a folder holds a model of this kind, as its config.json says."""
    try:
        return bool(_config(folder)["model_type"] == FAMILY)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def read(folder: Path, called: str = "") -> MaskedLanguageModel:
    """The model of a folder, float32, in evaluation mode. Raises ModelError, in one sentence that says what is wrong.

    called: what the sentence calls the folder, where its reader does not know it by its name. Shapes are compared
    before anything is built: a file that lies about its sizes costs no memory.
    """
    called = called or f"“{folder.name}”"
    config = _encoder_config(folder, called)
    weights = folder / "model.safetensors"
    check_header(weights, folder.name)
    try:
        with safe_open(weights, framework="pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            kinds = {name: file.get_slice(name).get_dtype() for name in shapes}
            choices = file.get_tensor("head.ids").long() if kinds.get("head.ids") in WHOLE else None
    except (OSError, SafetensorError) as error:
        raise explained(f"The weights in {called} are missing or damaged.") from error
    if strange := [name for name, kind in kinds.items() if kind not in REAL and name != "head.ids"]:
        raise ModelError(f"In {called}, {strange[0]} holds other numbers than weights do here ({', '.join(REAL)}).")
    if choices is None or choices.ndim != 1 or not _fit(choices, config.vocabulary):
        raise ModelError(f"The model in {called} does not say which pieces it can predict.")
    layers = {name.split(".")[2] for name in shapes if name.startswith("encoder.layers.")}
    if len(layers) != config.layers:
        raise ModelError(f"The model in {called} has {len(layers)} layers, and {config.layers} by its config.")
    with torch.device("meta"):  # without memory, and without drawing weights that others take the place of
        model = MaskedLanguageModel(Encoder(config), choices.to("meta"))
    wanted = model.state_dict()
    for name, weight in wanted.items():
        if shapes.get(name) != tuple(weight.shape):
            found = " × ".join(map(str, shapes.get(name, ()))) or "missing"
            sizes = " × ".join(map(str, weight.shape))
            raise ModelError(f"In {called}, {name} should be {sizes} by its config, and is {found}.")
    with safe_open(weights, framework="pt") as file:
        loaded = {name: file.get_tensor(name) for name in wanted}
    model.load_state_dict({name: _large(weight) for name, weight in loaded.items()}, assign=True)
    model.head.number(config.vocabulary)
    if not all(bool(weight.isfinite().all()) for weight in model.parameters()):
        raise ModelError(f"The model in {called} has weights that are no numbers.")
    return model.eval()


def _encoder_config(folder: Path, called: str) -> EncoderConfig:
    try:
        given = _config(folder)["encoder"]
        settings = {name: given[name] for name in KINDS if name in given}
        if not all(_may_be(KINDS[name], value) and _is_bounded(name, value) for name, value in settings.items()):
            raise ValueError
        config = EncoderConfig(**settings)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise explained(f"The config of {called} is missing, or describes no encoder.") from error
    if config.positions < PLACES or config.segments == 1:
        raise ModelError(f"The encoder in {called} is too small for two sentences.")
    return config


def _may_be(kind: Any, value: Any) -> bool:
    """Whether a value is one of a Literal's, or of a type: a whole number is a float too, and a bool is no number."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    return type(value) in (kind, *get_args(kind)) or (kind is float and type(value) is int)


def _is_bounded(name: str, value: Any) -> bool:
    """Whether a number can be what its name says; other settings are compared elsewhere."""
    if value is None or isinstance(value, str | bool):
        return True
    if name.endswith("dropout"):
        return bool(0 <= value < 1)
    most = LONGEST if name in ("layers", "vocabulary", "positions", "ffn_width") else LARGEST
    return bool(0 < value <= most) or (name in ("segments", "padding") and value == 0)


def _config(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(folder / "config.json", folder.name)
    return found


def _small(weight: Tensor) -> Tensor:
    """As a file holds it: half precision is a thousandth of a weight, and half the download."""
    return weight.detach().cpu().contiguous().to(torch.float16 if weight.is_floating_point() else torch.int32)


def _large(weight: Tensor) -> Tensor:
    return weight.float() if weight.is_floating_point() else weight.long()


def _fit(ids: Tensor, vocabulary: int) -> bool:
    return 0 < len(ids) == len(ids.unique()) and int(ids.min()) >= 0 and int(ids.max()) < vocabulary
