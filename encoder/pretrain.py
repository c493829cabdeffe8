"""Pretraining from scratch: the same few lines on two cores of a laptop, on a GPU, or on many machines.

Whatever happens in a step follows from the seed and the step's number alone: its sequences, what is hidden of them, its
learning rate. So a run that was killed goes on from its last checkpoint as if nothing had happened, and processes that
share a batch need not talk about it.
"""

import csv
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from accelerate import Accelerator, PartialState
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from encoder.masked import Masked, MaskedLanguageModel, Pieces, Score, hide, repeat, score
from encoder.muon import Muon
from encoder.texts import Batches, Sequences
from encoder.trace import Array

AT_ONCE = 1 << 24  # tokens that are counted at once
PREDICTABLE = 10_000  # pieces: a head for all 30,522 would take most of the time
HELD_OUT_SEED = 15  # what is hidden of held-out text is the same in every evaluation of every run
BOUNDS = {  # the least and the most that a setting can be
    "steps": (0, math.inf), "batch": (1, math.inf), "length": (2, math.inf), "learning_rate": (0, math.inf),
    "warm_up": (0, 1), "weight_decay": (0, math.inf), "clip": (0, math.inf), "mask_rate": (0, 1),
    "last_mask_rate": (0, 1), "repeat_rate": (0, 1), "last_repeat_rate": (0, 1), "predictable": (1, math.inf),
    "seed": (0, math.inf),
}  # fmt: skip
NEVER_ZERO = ("learning_rate", "mask_rate", "clip")  # or nothing would be learned, without a word


@dataclass(frozen=True)
class PretrainConfig:
    """How to train. Every default is what the shipped checkpoint's first step was made with."""

    steps: int = 14_000
    batch: int = 16  # sequences a step, of all processes together
    length: int = 128  # tokens of a sequence
    learning_rate: float = 1.5e-3  # the highest; 3e-3 no longer leaves the plateau of guessing by frequency
    warm_up: float = 0.03  # share of the steps over which the learning rate rises; then it falls as a cosine
    optimizer: Literal["adamw", "muon"] = "adamw"  # as BERT's; Muon learns more from as many tokens
    weight_decay: float = 0.01  # of matrices; not of norms and biases
    clip: float = 1.0  # the longest gradient
    mask_rate: float = 0.6  # at the beginning: many guesses a step lead off the plateau (Wettig et al. 2022)
    last_mask_rate: float = 0.2  # at the end
    repeat_rate: float = 0.0  # at the beginning, of stretches that a sequence repeats
    last_repeat_rate: float = 0.0  # at the end
    whole_words: bool = False
    predictable: int | None = None  # the commonest pieces; None: those of the models to start from, or PREDICTABLE
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError for a setting that no run can have."""
        for name, (least, most) in BOUNDS.items():
            if (value := getattr(self, name)) is None:
                continue
            above = name in NEVER_ZERO
            if not least <= value <= most or not math.isfinite(value) or (above and not value):
                limits = f"{'more than' if above else 'at least'} {least}"
                limits += "" if most == math.inf else f" and at most {most}"
                raise ValueError(f"The {name.replace('_', ' ')} has to be {limits}, and is {value}.")

    def learning_rate_at(self, step: int) -> float:
        """Of a step, counted from 0."""
        warm = max(1, round(self.warm_up * self.steps))
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm)))

    def mask_rate_at(self, step: int) -> float:
        return self._between(self.mask_rate, self.last_mask_rate, step)

    def repeat_rate_at(self, step: int) -> float:
        return self._between(self.repeat_rate, self.last_repeat_rate, step)

    def _between(self, first: float, last: float, step: int) -> float:
        return first + (last - first) * step / max(1, self.steps - 1)


def processes() -> PartialState:
    """Those that share a run, and which of them this is: with CUDA where it is, otherwise on the CPU."""
    return PartialState(cpu=not torch.cuda.is_available())


def commonest(row: Array, pieces: Pieces, count: int | None = None) -> Tensor:
    """[choice] ids of the pieces that a row of tokens holds most often, by id, special ones aside.

    count: how many; by default PREDICTABLE.
    """
    often = np.zeros(len(pieces.special), dtype=np.int64)
    for start in range(0, len(row), AT_ONCE):  # a row may be longer than the memory
        often += np.bincount(row[start : start + AT_ONCE], minlength=len(often))
    often[pieces.special.numpy()] = 0
    order = np.argsort(-often, kind="stable")[: count or PREDICTABLE]
    return torch.from_numpy(np.sort(order[often[order] > 0]))


class Pretraining:
    """A run: a model, its optimizer, and how far it has come. `advance` does one step."""

    def __init__(
        self, model: MaskedLanguageModel, config: PretrainConfig, pieces: Pieces, texts: Batches,
        precision: str = "no", compiled: bool = False, origin: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """precision: "no", or "bf16" for large products in half the bits (weights and their changes stay float32).

        origin: what else has to be the same, by name, for a run to go on from another's checkpoint.
        """
        self.config, self.pieces = config, pieces
        self._origin = {"precision": precision, **(origin or {})}
        self.step = 0  # how many are done
        self._untold: list[dict[str, float]] = []  # figures of steps that no curve holds yet
        self._texts = texts
        processes()
        self.accelerator = Accelerator(mixed_precision=precision)
        if config.batch % self.accelerator.num_processes:
            raise ValueError(
                f"{self.accelerator.num_processes} processes cannot share {config.batch} sequences evenly."
            )
        self.model = model
        if compiled:
            model.encoder.compile()  # type: ignore[no-untyped-call]  # the head reads another number of places each step
        self._trained, *self._optimizers = self.accelerator.prepare(_Loss(model), *_optimizers(model, config))

    def advance(self) -> dict[str, float]:
        """One step: hide, guess, and change every weight a little. Returns what it was like.

        Raises ValueError, and changes nothing, where the loss or its gradient is no number any more.
        """
        config, accelerator = self.config, self.accelerator
        self.model.train()
        torch.manual_seed(_seed(config.seed, self.step))  # dropout
        batch = self.batch(self.step)
        share = batch.share(accelerator.process_index, accelerator.num_processes)
        with accelerator.autocast():
            loss, guesses = self._trained(share.to(accelerator.device))
        both = accelerator.reduce(torch.stack([loss.detach(), guesses]), "sum")
        # Gradients are averaged over processes: times their number, each guess of the whole batch counts the same.
        accelerator.backward(loss * accelerator.num_processes / both[1].clamp(min=1))
        length = accelerator.clip_grad_norm_(self.model.parameters(), config.clip)
        done = {
            "loss": float(both[0] / both[1].clamp(min=1)), "gradient": float(length),
            "learning_rate": config.learning_rate_at(self.step), "mask_rate": config.mask_rate_at(self.step),
        }  # fmt: skip
        if not all(map(math.isfinite, done.values())):
            raise ValueError(
                f"After {self.step} steps the loss is no number any more: the learning rate is too high for this "
                "encoder, or a norm is missing."
            )
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = done["learning_rate"]
            optimizer.step()
            optimizer.zero_grad()
        self.step += 1
        self._untold.append(done)
        return done

    def take_mean(self) -> dict[str, float]:
        """What the steps since the last time were like, in the mean, with those before a checkpoint that it resumed."""
        mean = {name: float(np.mean([each[name] for each in self._untold])) for name in self._untold[0]}
        self._untold.clear()
        return mean

    def batch(self, step: int) -> Masked:
        """What is read and asked in a step, of all processes."""
        chance = torch.Generator().manual_seed(_seed(self.config.seed, step))
        ids = torch.from_numpy(self._texts.batch(step, self.config.batch)).long()
        if rate := self.config.repeat_rate_at(step):
            ids = repeat(ids, rate, chance)
        return hide(ids, self.pieces, self.config.mask_rate_at(step), chance, self.config.whole_words)

    def held_out(self, row: Array, rate: float = 0.15, most: int | None = None) -> Score:
        """How well the model guesses in a text that it has not learned from; `most` sequences of it, or all."""
        self.model.eval()
        return score(self.model, questions(row, self.pieces, self.config.length, rate, most))

    # ---- checkpoints

    def save(self, folder: Path) -> None:
        """Keep everything that going on needs; at no moment is there less than one whole checkpoint.

        Raises OSError, in a sentence, where the folder cannot be written to.
        """
        whole = folder / f"step-{self.step:08d}"
        if whole.exists() or not self.accelerator.is_main_process:
            return
        coming = folder / f".coming-{self.step}"
        shutil.rmtree(coming, ignore_errors=True)
        try:
            self._write(coming)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(coming, ignore_errors=True)
            raise OSError(f"Step {self.step} cannot be kept in {folder}: {error}") from error
        os.replace(coming, whole)
        for older in checkpoints(folder)[:-1]:
            shutil.rmtree(older)

    def resume(self, folder: Path) -> bool:
        """Go on from the last checkpoint in a folder; False where there is none.

        Raises ValueError where that is of another run, or where some processes find it and others do not.
        """
        if found := checkpoints(folder):
            self._read(found[-1])
        steps = self.accelerator.gather(torch.tensor([self.step], device=self.accelerator.device))
        if bool((steps != self.step).any()):
            raise ValueError(f"Some processes do not see the checkpoints of the others: {folder} has to be shared.")
        return bool(found)

    def _write(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        save_file(_own(self.model.state_dict()), folder / "model.safetensors")
        for number, optimizer in enumerate(self._optimizers):
            states = optimizer.state_dict()["state"]
            save_file({f"{i}.{name}": value for i, state in states.items() for name, value in state.items()},
                      folder / f"optimizer-{number}.safetensors")  # fmt: skip
        (folder / "run.json").write_text(
            json.dumps(self._facts() | {"untold": self._untold}, indent=1), encoding="utf-8"
        )
        for file in folder.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())

    def _read(self, folder: Path) -> None:
        facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        if others := list(_differences(facts, self._facts())):
            raise ValueError(f"{folder.parent} holds a run with other settings: {', '.join(others)}.")
        try:
            self.model.load_state_dict(load_file(folder / "model.safetensors"))
            for number, optimizer in enumerate(self._optimizers):
                state = optimizer.state_dict()
                for name, value in load_file(folder / f"optimizer-{number}.safetensors").items():
                    i, _, what = name.partition(".")
                    state["state"].setdefault(int(i), {})[what] = value
                optimizer.load_state_dict(state)
        except SafetensorError as error:
            raise ValueError(f"The checkpoint {folder} is damaged: {error}.") from error
        self.step, self._untold = facts["step"], facts.get("untold", [])

    def _facts(self) -> dict[str, Any]:
        model, training = asdict(self.model.encoder.config), asdict(self.config)
        return {"step": self.step, "encoder": model, "training": training, **self._origin}


class _Loss(nn.Module):
    """The forward that several processes share: parallel training follows modules, not methods."""

    def __init__(self, model: MaskedLanguageModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Masked) -> tuple[Tensor, Tensor]:
        return self.model.loss(batch)


def questions(row: Array, pieces: Pieces, length: int, rate: float, most: int | None = None) -> Iterator[Masked]:
    """Held-out text in batches with hidden tokens, the same for every model and run."""
    chance = torch.Generator().manual_seed(HELD_OUT_SEED)
    sequences = Sequences(row, length, pieces.classify)
    left = len(sequences) if most is None else most
    for ids in sequences.in_order(32):
        if left <= 0:
            return
        yield hide(torch.from_numpy(ids[:left]).long(), pieces, rate, chance)
        left -= len(ids)


def _differences(theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> Iterator[str]:
    """What a kept run and one that would go on from it do not share; of settings, what each has."""
    for name, value in mine.items():
        other = theirs.get(name)
        if isinstance(value, dict) and isinstance(other, dict):
            for each in {**other, **value}:
                there, here = other.get(each), value.get(each)
                if there != here:
                    yield f"{each.replace('_', ' ')} (there {there}, here {here})"
        elif name != "step" and other != value:
            yield name


def checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints of a run, the newest last."""
    return sorted(folder.glob("step-*"))


class Figures:
    """A run's figures as a CSV file. A run that goes on leaves out what it had written after its last checkpoint."""

    def __init__(self, file: Path, step: int) -> None:
        self._file = file
        kept = _rows(file, step) if step and file.exists() else []
        with file.open("w", newline="", encoding="utf-8") as fresh:
            csv.writer(fresh).writerows(kept)

    def write(self, step: int, figures: Mapping[str, float | str]) -> None:
        with self._file.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if not file.tell():
                writer.writerow(["step", *figures])
            writer.writerow([step, *figures.values()])


def _rows(file: Path, step: int) -> list[list[str]]:
    """The head line and the rows up to a step."""
    with file.open(newline="", encoding="utf-8") as before:
        return [row for row in csv.reader(before) if not row[0].isdecimal() or int(row[0]) <= step]


def _optimizers(model: nn.Module, config: PretrainConfig) -> list[torch.optim.Optimizer]:
    """AdamW for every weight; or Muon for the matrices of linear layers, and AdamW for what is left."""
    muon = config.optimizer == "muon"
    linear = [module.weight for module in model.modules() if muon and isinstance(module, nn.Linear)]
    taken = set(map(id, linear))
    weights = [weight for weight in model.parameters() if weight.requires_grad and id(weight) not in taken]
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [weight for weight in weights if weight.ndim < 2], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), fused=True)
    if not muon:
        return [adamw]
    return [adamw, Muon(linear, 0.0, config.weight_decay)]


def _seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)


def _own(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights as a file can hold them: each by itself, in order."""
    return {name: value.contiguous().cpu() for name, value in state.items()}
