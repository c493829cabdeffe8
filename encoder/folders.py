"""A model folder, looked at before a library opens it: what is missing, too large or not what its name says.

No more is read of a file than its size and its beginning until both are known to be those of a model.
"""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from encoder.catalogue import WEIGHTS
from encoder.errors import ModelError, explained

LARGEST_CONFIG = 2**23  # bytes; ImageNet's 21,000 labels in a config take one million
LARGEST_TOKENIZER = 2**26  # bytes of one file; that of 250,000 pieces takes 17 million
LARGEST_HEADER = 2**23  # bytes; BERT large's takes 50,000, and with the tokenizer of a model trained here a million
MOST_TENSORS = 10_000  # BERT large has 400
POINTER = b"version https://git-lfs"
INDEX = f"{WEIGHTS}.index.json"
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack")  # weights that are not read here

Shapes = dict[str, tuple[int, ...]]  # of each tensor, by name


def check_size(path: Path, label: str, most: int) -> None:
    """Raises ModelError for a file that is larger than any model's, or a pointer left by Git. A missing one is fine."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            is_pointer = file.read(len(POINTER)) == POINTER
    except OSError:  # what needs the file says so
        return
    if is_pointer:
        raise ModelError(
            f"In “{label}”, {path.name} is only a pointer of Git LFS: run “git lfs pull” there, or download the file."
        )
    if size > most:
        raise ModelError(f"In “{label}”, {path.name} is larger than that of any model ({size:,} bytes).")


def read_json(path: Path, label: str, most: int = LARGEST_CONFIG) -> Any:
    """What a JSON file holds. Raises ModelError as `check_size` does, OSError, ValueError and RecursionError."""
    check_size(path, label, most)
    return json.loads(path.read_text(encoding="utf-8"))


def read_config(folder: Path, label: str) -> dict[str, Any]:
    """The config.json of a pretrained model, with a model_type. Raises ModelError."""
    if not folder.is_dir():
        raise ModelError(f"There is no model folder “{folder.name}”.")
    try:
        config = read_json(folder / "config.json", label)
    except FileNotFoundError as error:
        raise explained(f"The folder “{label}” holds no model: its config.json is missing.") from error
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, ModelError):
            raise
        raise explained(f"The folder “{label}” holds no model: its config.json cannot be read.") from error
    if not isinstance(config, dict):
        raise ModelError(f"The folder “{label}” holds no model: its config.json describes none.")
    if "model_type" not in config:
        raise ModelError(
            f"The config.json of “{label}” does not say which family its model is of: "
            'it needs a “model_type”, such as "bert" or "roberta".'
        )
    return {**config, "model_type": str(config["model_type"])}


def weight_files(folder: Path, label: str) -> list[Path]:
    """The safetensors files of a folder. Raises ModelError that says what is there instead."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        try:
            names = set(read_json(folder / INDEX, label)["weight_map"].values())
            return [folder / Path(name).name for name in sorted(names)]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if isinstance(error, ModelError):
                raise
            raise explained(f"The model “{label}” cannot be read: its {INDEX} is damaged.") from error
    others = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLED and path.stem != "training_args")
    if others:
        raise ModelError(
            f"“{label}” has its weights only as {' and '.join(others)}, which is not opened here, as it could run "
            f"code: load it with transformers and save it again as {WEIGHTS}."
        )
    raise ModelError(f"The model “{label}” cannot be read: its weights are missing ({WEIGHTS}).")


def shapes(folder: Path, label: str) -> Shapes:
    """The shape of every weight in a folder, from the headers of its safetensors files. Raises ModelError."""
    found: Shapes = {}
    for path in weight_files(folder, label):
        check_header(path, label)
        try:
            with safe_open(path, framework="np") as file:
                found |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            missing = "missing" if isinstance(error, FileNotFoundError) else "damaged"
            raise explained(f"The model “{label}” cannot be read: {path.name} is {missing}.") from error
    return found


def check_header(path: Path, label: str) -> None:
    """Raises ModelError where the header of a safetensors file is longer than any model's, before it is taken apart."""
    check_size(path, label, 2**63)
    try:
        with path.open("rb") as file:
            beginning = file.read(8)
            beginning += file.read(min(int.from_bytes(beginning, "little"), LARGEST_HEADER))
        size = path.stat().st_size
    except OSError:  # what needs the file says so
        return
    if is_too_long(beginning, size):
        raise ModelError(f"In “{label}”, the header of {path.name} is longer than that of any model.")


def is_too_long(beginning: bytes, size: int) -> bool:
    """Whether the header of a safetensors file of so many bytes is longer, or names more tensors, than any model's.

    To take apart one of a million tensors that hold nothing would keep every thread of the server waiting for seconds.
    beginning: of the file, as much as the longest header.
    """
    length = int.from_bytes(beginning[:8], "little")
    if length > size:  # no header at all, which is found before anything is taken apart
        return False
    tensors = beginning.count(b'"data_offsets"', 8, 8 + length)  # in the header's own texts each quote has a backslash
    return length > LARGEST_HEADER or tensors > MOST_TENSORS


def check_sizes(config: Any, found: Shapes, label: str) -> None:
    """Raises ModelError where a config's sizes are none, or are not those of the weights, before anything is built.

    config: transformers' own, which names the sizes of all families alike. found: what `shapes` returns.
    """
    names = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings")
    sizes = {name: getattr(config, name) for name in names}
    if wrong := [f"{name}: {size}" for name, size in sizes.items() if type(size) is not int or size < 1]:
        raise ModelError(f"The model “{label}” cannot be read: its config.json says {wrong[0]}.")
    if sizes["hidden_size"] % sizes["num_attention_heads"]:
        ratio = f"{sizes['hidden_size']} numbers for {sizes['num_attention_heads']} heads"
        raise ModelError(f"The model “{label}” cannot be read: its config.json says {ratio}, which cannot share them.")
    if sizes["num_hidden_layers"] > len(found):
        layers = f"{sizes['num_hidden_layers']:,} layers by its config.json, and {len(found):,} weights"
        raise ModelError(f"The model “{label}” is incomplete: it has {layers}.")
    tables = {"word": sizes["vocab_size"], "position": sizes["max_position_embeddings"]}
    for kind, rows in tables.items():
        ends = f"embeddings.{kind}_embeddings.weight"
        shape = next((shape for name, shape in found.items() if name.endswith(ends)), None)
        if shape is None:
            raise ModelError(f"The model “{label}” is incomplete: its {kind} embeddings are missing.")
        if shape != (rows, sizes["hidden_size"]):
            said, is_so = f"{rows:,} × {sizes['hidden_size']:,}", " × ".join(f"{size:,}" for size in shape)
            raise ModelError(
                f"The model “{label}” cannot be read: its {kind} embeddings are {is_so}, and {said} by its config.json."
            )
