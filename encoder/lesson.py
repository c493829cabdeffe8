"""What a learner chooses for a short training, and what comes of it: light enough for every page to know."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from encoder.model import EncoderConfig

from encoder.errors import KnownError

SNAPSHOTS = 28  # moments of a lesson that are kept
EXAMS = 80  # in a whole lesson
SENTENCES, LENGTH = 32, 32  # of a step; tokens of a sequence of the learner's own text
POSITIONS = 64  # the longest text that the trained encoder can read, in tokens
OWN_TEXT_BYTES = 5_000_000  # the longest text that can be learned from
STRUCTURES = ("agreement", "pronouns", "brackets", "copying")  # of the toy language, in encoder/corpus.py
COMPARED = ("loss", "all", *STRUCTURES)  # of several lessons; all: the mean of whatever each was asked
NEIGHBOURS = {"previous": -1, "next": 1}  # tokens that heads may learn to look at in any text
# What a learner can choose from; every pair of a width and a number of heads fits. With any of these steps and rates
# the usual encoder learns some of the toy language; in 1,000 steps, or at 0.03, it did hardly better than guessing.
OFFERED: dict[str, tuple[Any, ...]] = {
    "width": (16, 32, 64, 128),
    "layers": (1, 2, 3, 4),
    "heads": (1, 2, 4, 8),
    "steps": (2_000, 3_000, 4_500, 9_000),
    "norm": ("pre", "post", "none"),
    "activation": ("gelu", "relu"),
    "score_scale": ("sqrt_head_dim", "sqrt_width", "none"),
    "learning_rate": (0.0003, 0.001, 0.003, 0.01),
}
Moment = TypeVar("Moment", int, float)  # a step, or seconds
ORDERS, TEXT, MODEL = "lesson.json", "text.txt", "model"  # in a lesson's folder


@dataclass(frozen=True)
class LessonConfig:
    """The defaults learn agreement and brackets within a minute on two cores."""

    own_text: bool = False  # the learner's own text, instead of the toy language
    width: int = 64
    layers: int = 2  # helps copying: the first can tell each word what came before it
    heads: int = 4
    norm: Literal["pre", "post", "none"] = "pre"  # trains without care
    activation: Literal["gelu", "relu"] = "gelu"
    score_scale: Literal["sqrt_head_dim", "sqrt_width", "none"] = "sqrt_head_dim"
    learning_rate: float = 3e-3  # the highest; it rises first and then falls as a cosine
    steps: int = 4_500
    seed: int = 0

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise KnownError(f"The width ({self.width}) must be a multiple of the number of heads ({self.heads}).")

    @property
    def moments(self) -> list[int]:
        """The steps after which a snapshot is kept, 0 and the last one too; close together at the beginning."""
        return sorted({round(self.steps * (number / (SNAPSHOTS - 1)) ** 2.5) for number in range(SNAPSHOTS)})

    def differences(self) -> dict[str, Any]:
        """What is not as usual."""
        usual = LessonConfig()
        mine = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in mine.items() if value != getattr(usual, name)}


def encoder_config(config: LessonConfig, vocabulary: int) -> "EncoderConfig":
    """The encoder that a lesson is about."""
    from encoder.model import EncoderConfig  # torch takes a second to import, and pages need the rest of this file only

    return EncoderConfig(
        vocabulary=vocabulary, width=config.width, layers=config.layers, heads=config.heads,
        ffn_width=4 * config.width, positions=POSITIONS, norm=config.norm, final_norm=config.norm != "post",
        activation=config.activation, score_scale=config.score_scale, norm_eps=1e-5, dropout=0.0, attention_dropout=0.0,
    )  # fmt: skip


def write_orders(folder: Path, config: LessonConfig, text: str) -> None:
    """Put into a folder everything that `python -m encoder lesson` needs."""
    folder.mkdir(parents=True, exist_ok=True)
    if config.own_text:
        (folder / TEXT).write_text(text, encoding="utf-8")
    (folder / ORDERS).write_text(json.dumps(asdict(config)), encoding="utf-8")


def read_orders(folder: Path) -> LessonConfig:
    given: Mapping[str, Any] = json.loads((folder / ORDERS).read_text(encoding="utf-8"))
    return LessonConfig(**given)


def moment_folder(folder: Path, step: int) -> Path:
    """Where in a lesson's folder the snapshot of a step lies, or would."""
    return folder / "moments" / f"{step:08d}"


def milestone(steps: Sequence[Moment], values: Sequence[float], level: float) -> Moment | None:
    """The first step from which a curve stays at a level or above it; None where it does not."""
    reached = None
    for step, value in zip(steps, values, strict=True):
        reached = (reached if reached is not None else step) if value >= level else None
    return reached


def by_head(weights: Sequence[Sequence[Sequence[float]]]) -> dict[str, list[float]]:
    """The curve of each head, by its name, of [moment][layer][head]."""
    places = [(layer, head) for layer, row in enumerate(weights[-1]) for head in range(len(row))]
    return {f"{layer + 1}-{head + 1}": [moment[layer][head] for moment in weights] for layer, head in places}


def best_head(curves: Mapping[str, Sequence[float]]) -> str:
    """The name of the head that gives most at the end."""
    return max(curves, key=lambda name: curves[name][-1])
