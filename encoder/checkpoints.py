"""A trained encoder as two files: `model.safetensors` with its weights, `config.json` with everything else."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from encoder.errors import ModelError
from encoder.masked import MaskedLanguageModel
from encoder.model import Encoder, EncoderConfig

KINDS = get_type_hints(EncoderConfig)
FAMILY = "encoder-lens"  # what config.json calls the model's type, where transformers' own stand too


def save(model: MaskedLanguageModel, folder: Path, about: dict[str, Any]) -> None:
    """Write the model, its weights in half precision, with what is known `about` how it was made."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: _small(weight) for name, weight in model.state_dict().items()}
    save_file(state, folder / "model.safetensors")
    config = {"model_type": FAMILY, "encoder": asdict(model.encoder.config), "about": about}
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


def is_ours(folder: Path) -> bool:
    """Whether a folder holds a model of this kind, as its config.json says."""
    try:
        return bool(_config(folder)["model_type"] == FAMILY)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def read(folder: Path) -> MaskedLanguageModel:
    """The model of a folder, float32, in evaluation mode. Raises ModelError, in one sentence that says what is wrong.

    Shapes are compared before anything is built: a file that lies about its sizes costs no memory.
    """
    config = _encoder_config(folder)
    weights = folder / "model.safetensors"
    try:
        with safe_open(weights, framework="pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            choices = file.get_tensor("head.ids").long() if "head.ids" in shapes else None
    except (OSError, SafetensorError) as error:
        raise ModelError(f"The weights in “{folder.name}” are missing or damaged.") from error
    if choices is None or choices.ndim != 1 or not _fit(choices, config.vocabulary):
        raise ModelError(f"The model in “{folder.name}” does not say which pieces it can predict.")
    layers = {name.split(".")[2] for name in shapes if name.startswith("encoder.layers.")}
    if len(layers) != config.layers:
        raise ModelError(f"“{folder.name}” has {len(layers)} layers, and {config.layers} by its config.json.")
    with torch.device("meta"):
        wanted = MaskedLanguageModel(Encoder(config), choices.to("meta")).state_dict()
    for name, weight in wanted.items():
        if shapes.get(name) != tuple(weight.shape):
            found = " × ".join(map(str, shapes.get(name, ()))) or "missing"
            sizes = " × ".join(map(str, weight.shape))
            raise ModelError(f"In “{folder.name}”, {name} should be {sizes} by its config.json, and is {found}.")
    model = MaskedLanguageModel(Encoder(config), choices)
    model.load_state_dict({name: weight.float() for name, weight in load_file(weights).items() if name in wanted})
    if not all(bool(weight.isfinite().all()) for weight in model.parameters()):
        raise ModelError(f"The model in “{folder.name}” has weights that are no numbers.")
    return model.eval()


def _encoder_config(folder: Path) -> EncoderConfig:
    try:
        given = _config(folder)["encoder"]
        settings = {name: given[name] for name in KINDS if name in given}
        if not all(_may_be(KINDS[name], value) for name, value in settings.items()):
            raise ValueError
        return EncoderConfig(**settings)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"The config.json in “{folder.name}” is missing, or describes no encoder.") from error


def _may_be(kind: Any, value: Any) -> bool:
    """Whether a value is one of a Literal's, or of a type: a whole number is a float too, and a bool is no number."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    return type(value) is kind or (kind is float and type(value) is int)


def _config(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return found


def _small(weight: Tensor) -> Tensor:
    """As a file holds it: half precision is a thousandth of a weight, and half the download."""
    return weight.detach().cpu().contiguous().to(torch.float16 if weight.is_floating_point() else torch.int32)


def _fit(ids: Tensor, vocabulary: int) -> bool:
    return len(ids) > 0 and int(ids.min()) >= 0 and int(ids.max()) < vocabulary
