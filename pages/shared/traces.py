"""Models and traces, loaded and computed once for everybody in the room."""

import threading
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import streamlit as st

from encoder import heads, maps, packing, starts, steps
from encoder.catalogue import Entry, Version
from encoder.changes import Ablation, Changes, Choices
from encoder.clearest import Clear
from encoder.edits import Edit, Pairs, edited
from encoder.maps import Places, Space
from encoder.packing import Overview, Packed
from encoder.quantities import Quantity
from encoder.replay import Replay, replay
from encoder.starts import Start
from encoder.trace import Guess, Trace
from encoder.views import whole_words, without_special
from encoder.workshop import Run
from pages.shared import choices, garbage, lessons, state
from pages.shared.state import Side
from pages.shared.store import Store

if TYPE_CHECKING:
    from encoder.models import Model

Kind = TypeVar("Kind", Trace, Start, Places, Packed, Overview, Replay, Ablation, Clear, np.ndarray)

CACHE_BYTES = 640 * 2**20  # one trace of BERT base at 512 tokens takes about 450 MB, of MiniLM at 16 tokens 2 MB
READINGS = 240  # enough for what thirty learners look at; a short one that was let go is made again in milliseconds
MODEL_BYTES = 3 * 2**30  # of all models in memory; BERT base takes 440 MB, a learner's own one or two
NO_EDIT = Edit()
LONGEST_TEXT = 100_000  # characters: cutting a megabyte into tokens takes seconds that others wait for
READING = threading.BoundedSemaphore(2)  # readings at once: thirty long ones would take 13 GB and be no faster


class Models(Store["Model"]):
    """Models, by the version of their files and the device."""

    def let_go_of_others(self, version: Version) -> None:
        """Forget the other versions of a model."""
        with self._lock:
            for key in list(self._kept):
                if isinstance(key, tuple) and key[0][0] == version[0] and key[0] != version:
                    self.used -= self._size(self._kept.pop(key))


@st.cache_resource(show_spinner=False)
def _models() -> Models:
    return Models(MODEL_BYTES, lambda model: 4 * model.card.parameters)


@st.cache_resource(show_spinner=False)
def _readings() -> "Store[Trace | Start | Places | Packed | Overview | Replay | Ablation | Clear | np.ndarray]":
    # The allocator needs some of the bound for itself: memory between arrays of many sizes cannot all be used again.
    capacity = CACHE_BYTES * 7 // 8
    return Store(capacity, lambda reading: max(reading.nbytes, capacity // READINGS))


def entry(side: Side, entries: dict[str, Entry] | None = None) -> Entry:
    """The catalogue's line for the model chosen on a side. A folder that has gone leaves the default."""
    entries = entries or lessons.entries()
    return entries.get(state.get(side)) or entries[choices.CHOICES[side].default]


def device() -> str:
    """Where the learner wants the models to run; the CPU where this machine has nothing else."""
    if not state.get("gpu"):
        return "cpu"
    from encoder.devices import accelerator

    return accelerator() or "cpu"


def is_loaded(side: Side) -> bool:
    return _models().peek((entry(side).version, device())) is not None


def model(side: Side) -> "Model":
    """The model chosen on a side, loaded by whoever asks first. Raises ModelError."""
    return load(entry(side), device())


def load(entry: Entry, where: str) -> "Model":
    """A model on a device, as its files were when the entry first looked at them. Raises ModelError."""
    models = _models()

    def read() -> "Model":
        found = _load(entry, where)
        entry.check_unchanged()
        models.let_go_of_others(entry.version)
        return found

    return models.get((entry.version, where), read)


def text(name: str = "text") -> str:
    """What the models read of a text that was typed: all of it, or of what only a program would send its beginning."""
    typed: str = state.get(name)
    return typed[:LONGEST_TEXT]


def trace(side: Side) -> Trace:
    """What the side's model made of the text, with every token that it read. Raises ModelError."""
    question, chosen = _question(side), entry(side)
    return once(Trace, question, lambda: _read(chosen, *question[1:]))


def of(side: Side, text: str) -> Trace:
    """What the side's model makes of another text. Raises ModelError."""
    chosen, asked = entry(side), (device(), text, None, state.get("limit"))
    return once(Trace, (chosen.version, *asked), lambda: _read(chosen, *asked))


def shown(side: Side) -> Trace:
    """The reading of `trace` as the learner wants to see it: by whole words, without special tokens, or as it is."""
    read, (words, hide) = trace(side), _wishes()
    if not (words or hide):
        return read
    return once(Trace, (*_question(side), words, hide), lambda: _view(read, words, hide))


def start(side: Side) -> Start:
    """Where a side's pictures open until the learner chooses. Raises ModelError."""
    read = trace(side)
    return once(Start, (*_question(side), "start"), lambda: starts.start(read))


def places(side: Side, space: Space) -> Places:
    """The map of the tokens shown, at every level. Raises KnownError where there are too few of them."""
    seen = shown(side)
    return once(Places, (*_question(side), *_wishes(), space), lambda: maps.places(seen, space))


def packed(side: Side) -> Packed:
    """All attention of the reading, for the browser; of a long text only what is chosen. Raises ModelError."""
    read, question, opening = trace(side), (side, *_question(side)), start(side)
    if packing.is_whole(read):
        return once(Packed, (*question, "packed"), lambda: in_turn(packing.pack, side, read, opening))
    place = {
        name: min(state.get_or(state.sided(name, side), first + 1), many) - 1
        for name, first, many in (
            ("layer", opening.layer, read.model.layers),
            ("head", opening.head, read.model.heads),
        )
    }
    wanted = packing.part(read, packing.Wish(**place, weights=state.get("weights"), over=state.get("over")))
    seen = once(Overview, (*question, "overview"), lambda: in_turn(packing.overview, read))
    return once(Packed, (*question, wanted), lambda: in_turn(packing.pack, side, read, opening, wanted, seen))


def what_if(side: Side, changes: Changes, edit: Edit = NO_EDIT) -> Trace:
    """The reading with those changes in the model and that edit of the text; with none, our Encoder's own.

    Raises ModelError for changes of a model that our Encoder does not compute.
    """
    question, reader = _question(side), model(side)
    _, _, typed, pair, limit = question

    def read() -> Trace:
        other = reader if edit and not changes else reader.what_if(changes)
        return other.trace(edited(typed, edit).text, pair, limit)

    return once(Trace, (*question, changes, edit), lambda: in_turn(read))


def differences(side: Side, choices: Choices) -> Choices:
    """Those of some choices in which the side's model is not so already. Raises ModelError."""
    return model(side).differences(choices) if choices else ()


def ablation(side: Side) -> Ablation:
    """What each head's absence would change. Raises ModelError."""
    question, reader = _question(side), model(side)
    _, _, *asked = question
    return once(Ablation, (*question, "ablation"), lambda: in_turn(reader.ablation, *asked))


def guesses(side: Side, read: Trace | None = None) -> tuple[Guess, ...] | None:
    """What the side's model guesses behind each [MASK] of its reading, or of another one by it.

    None where the text has none, () where the model has no head.
    """
    read, reader = read or trace(side), model(side)
    return reader.guesses(read) if reader.hidden_places(read.tokens) else None


def measured(side: Side) -> dict[str, np.ndarray]:
    """Every measure of every head in the reading, [layer, head] each. Raises ModelError."""
    read = trace(side)
    found = once(
        np.ndarray, (*_question(side), "measured"), lambda: in_turn(lambda: np.stack([*heads.measured(read).values()]))
    )
    return dict(zip(heads.MEASURES, found, strict=True))


def moved(side: Side, after: Trace, pairs: Pairs) -> float | None:
    """How far the guess behind [MASK] has moved in another reading by the side's model, in nats."""
    return model(side).moved(trace(side), after, pairs)


def guesses_by_layer(side: Side) -> list[tuple[Guess, ...]]:
    """What `guesses` finds after every layer, as if it were the last; nothing where there is nothing to guess."""
    read, reader = trace(side), model(side)
    if not guesses(side):
        return []
    return [reader.guesses(read, after=number) for number in range(1, len(read.layers) + 1)]


def quantity(side: Side, wanted: Quantity, shown: Trace) -> np.ndarray:
    """A quantity of what is shown, or, where it needs the model's weights, of what was read. Raises ModelError."""
    if not wanted.inside:
        return wanted.of(shown)
    read, reader = trace(side), model(side)
    return once(np.ndarray, (*_question(side), wanted.label), lambda: in_turn(wanted.of, read, reader.weights))


def neighbours(side: Side, place: int) -> tuple[tuple[str, float], ...]:
    """The vocabulary's tokens nearest to a token read, as they start. Raises ModelError."""
    return model(side).neighbours(trace(side), place)


def walk(side: Side, place: steps.Place, changes: Changes) -> tuple[steps.Step, ...]:
    """One layer step by step, with or without changes. Raises ModelError where the side's model cannot be followed."""
    if not changes:
        return steps.walk(trace(side), model(side).weights(place.layer), place)
    return steps.walk(what_if(side, changes), model(side).what_if(changes).weights(place.layer), place)


def again(run: Run, text: str, limit: int) -> Replay:
    """What every snapshot of a lesson makes of a text. Raises ModelError."""
    moments = run.moments
    key = run.name, len(moments), text, limit
    return once(Replay, key, lambda: in_turn(replay, moments, text, limit))


def ready(side: Side) -> Trace | None:
    """The trace if it has been computed already."""
    found = _readings().peek(_question(side))
    return found if isinstance(found, Trace) else None


def once(kind: type[Kind], key: Hashable, make: Callable[[], Kind]) -> Kind:
    """What was made for a key, or is made now, for everybody who asks."""
    # Everything a learner chose is in the key already: others may wait for this `make`, so it asks no session.
    value = _readings().get(key, make)
    assert isinstance(value, kind)
    return value


def _question(side: Side) -> tuple[Version, str, str, str | None, int]:
    """Everything that a trace depends on: model, device, text, second sentence, most tokens."""
    pair = text("pair")
    return entry(side).version, device(), text(), pair if pair.strip() else None, state.get("limit")


def _wishes() -> tuple[bool, bool]:
    return state.get("words"), state.get("hide")


def _read(entry: Entry, where: str, text: str, pair: str | None, limit: int) -> Trace:
    return in_turn(load(entry, where).trace, text, pair, limit)


def in_turn(make: Callable[..., Kind], *given: Any) -> Kind:
    """Make what takes much memory for a long text, while only one other is made."""
    with READING:
        return make(*given)


def _view(read: Trace, words: bool, hide: bool) -> Trace:
    read = whole_words(read) if words else read
    return without_special(read) if hide else read


def _load(entry: Entry, where: str) -> "Model":
    with garbage.resting():
        from encoder.models import load  # torch and transformers take seconds: the page's frame must not wait for them

        return load(entry, where, download=False)
