"""What a model does over the example corpus: every sentence is read once, in the background, and kept on disk.

What is kept are sums and samples, not traces: those of BERT base would take 20 GB.
"""

import hashlib
import logging
import os
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, reduce
from itertools import accumulate
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import numpy as np

from encoder import hub
from encoder.catalogue import WEIGHTS, Entry, Version, minilm_folder, model_files
from encoder.edits import Span, covered, words
from encoder.errors import ModelError
from encoder.heads import MEASURES, ROLES, measured, repeats, roles
from encoder.jobs import Job
from encoder.maps import hidden_states
from encoder.measures import silent
from encoder.sentences import Sentence, corpus
from encoder.trace import Array, Trace, read_only

PORTION = 54  # sentences in a file: what is lost when the server stops
EVERY = 4  # of so many words one is kept with all its neurons
TOP = 10  # places that are kept for each neuron
UNHURRIED = 6  # seconds of rest after one of work, while nobody waits
KEPT_BYTES = 700e6  # of surveys in memory: 77 MB for MiniLM, 296 MB for BERT base
FOLDERS = 8  # of surveys on disk; the oldest goes
ROLE_NAMES = ("", *ROLES)
WIDEST = float(np.finfo(np.float16).max)
CODE = Path(__file__).parent

log = logging.getLogger(__name__)


class Reads(Protocol):
    """Whatever has a `trace`: a model."""

    def trace(self, text: str) -> Trace:
        """Read a text."""


@dataclass(frozen=True)
class Survey:
    """What was found. Words are those of `edits.words`, the same for every model, in the order of the corpus."""

    name: str  # the fingerprint of what it depends on
    sentences: int
    measures: Array  # [measure, layer, head] of heads.MEASURES, mean over the sentences that can tell
    roles: Array  # [sentence, layer, head] numbers of ROLE_NAMES
    silent: Array  # [layer] share of silent neurons
    read: Array  # [word] whether the model read it: it may have been beyond the tokens that fit
    hidden: Array  # [level, word, model] mean over a word's tokens; level 0 is the embedding; mostly half precision
    neurons: Array  # [layer, word, ffn] of every fourth word, likewise
    top: Array  # [layer, ffn, rank] the largest activations of each neuron
    where: Array  # [layer, ffn, rank, 3] the sentence each was found in, and from which to which character

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(part.nbytes for part in vars(self).values() if isinstance(part, np.ndarray))

    def usual_roles(self) -> tuple[Array, Array]:
        """[layer, head] the name of what each head does most often, and in which share of the sentences."""
        counts = np.stack([(self.roles == number).sum(0) for number in range(len(ROLE_NAMES))])
        return np.array(ROLE_NAMES)[counts.argmax(0)], counts.max(0) / self.sentences


class Surveying(Job):
    """One survey, under way or over. At the end `survey` is set, or else `error`."""

    def __init__(self, version: Version | None = None) -> None:
        super().__init__()
        self.version = version  # of the model
        self.read = 0  # sentences
        self.total = 0  # while unknown
        self.survey: Survey | None = None
        self.hurry = False  # somebody waits for it

    def run(self, entry: Entry, load: Callable[[], Reads], home: Path) -> None:
        """Do it; whatever goes wrong is told in `error`."""
        try:
            self.total = len(corpus())
            with _reading:  # one after the other: together they would take the whole machine, and be no faster
                folder = home / fingerprint(entry)
                entry.check_unchanged()  # or the name would be that of other files than the model was read from
                self.survey = _surveyed(folder, load, self._tell, self._rest)
                _tidy(home)
        except ModelError as error:
            self.error = str(error)
        except Exception:  # whatever it is, somebody in front of a progress bar is waiting to be told
            log.exception("survey of %s failed", entry.name)
            self.error = "The example sentences could not be read or kept; the server’s log says more."
        finally:
            self.end()

    def _tell(self, read: int) -> None:
        self.read = read

    def _rest(self, seconds: float) -> None:
        """After so many seconds of work: half of the time, or most of it, belongs to those who are in class."""
        time.sleep(seconds if self.hurry else UNHURRIED * seconds)


_surveys: OrderedDict[str, Surveying] = OrderedDict()
_lock, _reading = threading.Lock(), threading.Lock()


def running(entry: Entry) -> Surveying | None:
    """The survey of a model, under way or over; None if nobody asked for one, or it was let go since."""
    known = _surveys.get(entry.name)
    return known if known and known.version == entry.version else None


def start(
    entry: Entry, load: Callable[[], Reads], home: Path | None = None, again: bool = False, hurry: bool = True
) -> Surveying:
    """The survey of a model, begun in the background if nobody did.

    again: what went wrong is tried once more; hurry: somebody waits for it.
    """
    with _lock:
        known = running(entry)
        if known and hurry:
            known.hurry = True
        if known and not (again and known.error):
            _surveys.move_to_end(entry.name)
            return known
        begun = _surveys[entry.name] = Surveying(entry.version)
        begun.hurry = hurry
        _let_go()
    given = entry, load, home or cache_home()
    threading.Thread(target=begun.run, args=given, name=f"survey {entry.name}", daemon=True).start()
    return begun


def _let_go() -> None:
    """Drop the surveys not used for longest from memory, while they are too many; never those under way."""
    done = [(name, job.survey) for name, job in _surveys.items() if job.survey]
    taken = sum(found.nbytes for _, found in done)
    for name, found in done[:-1]:
        if taken > KEPT_BYTES:
            taken -= found.nbytes
            del _surveys[name]


def cache_home() -> Path:
    """Where surveys are kept: the user's own cache, or a folder of the server's choice."""
    return Path(os.environ.get("ENCODER_LENS_CACHE") or Path.home() / ".cache" / "encoder-lens") / "surveys"


def fingerprint(entry: Entry) -> str:
    """What a survey depends on, as a name: model, tokenizer and sentences, what is measured, and the code that does it.

    Any other version of that code reads anew: nobody has to remember which of its lines change a number.
    """
    from encoder.model import PRESETS  # torch takes seconds to import, and whoever asks has loaded a model

    decides = corpus(), PRESETS.get(entry.preset or ""), tuple(MEASURES), ROLE_NAMES, PORTION, EVERY, TOP
    digest = hashlib.sha256(repr(decides).encode())
    digest.update(_code())
    folder = None if entry.preset else entry.folder or hub.cached(entry.repo or "")
    for path in (*(model_files(folder) if folder else ()), minilm_folder() / "tokenizer.json"):
        if entry.sha256 and path.name == WEIGHTS:  # sealed: the one in memory is of this seal, whatever lies there now
            digest.update(bytes.fromhex(entry.sha256))
            continue
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


@cache
def _code() -> bytes:
    """A digest of the code that computes, as it was when first asked: all of this package but its pictures."""
    digest = hashlib.sha256()
    for path in sorted(CODE.rglob("*.py")):
        if "figures" not in path.parts:
            digest.update(path.read_bytes())
    return digest.digest()


def _surveyed(
    folder: Path, load: Callable[[], Reads], tell: Callable[[int], None], rest: Callable[[float], None]
) -> Survey:
    """The survey in a folder, with what is missing there read now."""
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)  # used now: others go first
    sentences = corpus()
    spans = [words(sentence.text) for sentence in sentences]
    first_words = [0, *accumulate(map(len, spans))]
    parts = []
    for first in range(0, len(sentences), PORTION):
        path = folder / f"{first:04d}.npz"
        if (part := _kept(path)) is None:
            numbers = range(first, min(first + PORTION, len(sentences)))
            part = _portion(load(), sentences, spans, first_words, numbers, tell, rest)
            _write(path, part)
        tell(first + len(part["roles"]))
        parts.append(part)
    return _joined(folder.name, parts)


def _portion(
    model: Reads, sentences: Sequence[Sentence], spans: list[list[Span]], first_words: list[int], numbers: range,
    tell: Callable[[int], None], rest: Callable[[float], None],
) -> dict[str, Array]:  # fmt: skip
    """What some of the sentences come to."""
    found: list[dict[str, Array]] = []
    top: tuple[Array, Array] | None = None
    for number in numbers:
        begin = time.perf_counter()
        trace = model.trace(sentences[number].text)
        found.append(_sentence(trace, spans[number], first_words[number]))
        top = _best(top, _places(trace, number))
        tell(number + 1)
        rest(time.perf_counter() - begin)
    assert top is not None
    joined = {name: np.concatenate([each[name] for each in found], _axis(name)) for name in found[0]}
    return joined | dict(zip(("top", "where"), top, strict=True))


def _sentence(trace: Trace, spans: list[Span], first_word: int) -> dict[str, Array]:
    """What one sentence comes to."""
    tokens, measures = trace.tokens, measured(trace)
    if not repeats(tokens):
        measures["same"] = np.full_like(measures["same"], np.nan)  # there was nothing to attend to
    member = covered(tokens, spans).astype(np.float32)  # [word, token]
    mean = member / np.maximum(member.sum(1, keepdims=True), 1)
    neurons = np.stack([layer.neurons for layer in trace.layers])  # [layer, token, ffn]
    sampled = mean[[place for place in range(len(spans)) if (first_word + place) % EVERY == 0]]
    names = [[ROLE_NAMES.index(name) for name in layer] for layer in roles(trace, measures)]
    return {
        "measures": np.stack([measures[name] for name in MEASURES])[None].astype(np.float32),
        "roles": np.array(names, dtype=np.int8)[None],
        "read": member.any(1),
        "silent": silent(neurons).mean((1, 2))[None],
        "hidden": _half(mean @ np.stack(hidden_states(trace))),
        "neurons": _half(sampled @ neurons),
    }


def _axis(name: str) -> int:
    """Along which axis sentences or words stand."""
    return 1 if name in ("hidden", "neurons") else 0


def _places(trace: Trace, number: int) -> tuple[Array, Array]:
    """[layer, ffn, token] all neurons at a sentence's own tokens, and [layer, ffn, token, 3] where these stand."""
    own = ~trace.tokens.special
    values = np.stack([layer.neurons[own].T for layer in trace.layers])
    at = np.column_stack([np.full(own.sum(), number), trace.tokens.span[own]]).astype(np.int32)
    return values, np.broadcast_to(at, (*values.shape, 3))


def _best(one: tuple[Array, Array] | None, other: tuple[Array, Array]) -> tuple[Array, Array]:
    """The largest of both: values [layer, ffn, rank] and where they stand [layer, ffn, rank, 3]."""
    values, where = other
    if one:
        values, where = np.concatenate([one[0], values], -1), np.concatenate([one[1], where], 2)
    order = np.argsort(-values, -1, kind="stable")[..., :TOP]
    return np.take_along_axis(values, order, -1), np.take_along_axis(where, order[..., None], 2)


def _joined(name: str, parts: Sequence[dict[str, Array]]) -> Survey:
    whole = {each: np.concatenate([part[each] for part in parts], _axis(each)) for each in parts[0]
             if each not in ("top", "where")}  # fmt: skip
    top, where = reduce(_best, ((part["top"], part["where"]) for part in parts))
    measures, known = whole["measures"], ~np.isnan(whole["measures"])
    return Survey(
        name=name,
        sentences=len(whole["roles"]),
        measures=read_only(np.where(known, measures, 0).sum(0) / np.maximum(known.sum(0), 1)),
        roles=read_only(whole["roles"]),
        silent=read_only(whole["silent"].mean(0)),
        read=read_only(whole["read"]),
        hidden=read_only(whole["hidden"]),
        neurons=read_only(whole["neurons"]),
        top=read_only(top),
        where=read_only(where),
    )


def _half(values: Array) -> Array:
    """In half precision, which keeps three digits, where every number fits into it."""
    return values.astype(np.float16 if abs(values).max(initial=0) <= WIDEST else np.float32)


def _kept(path: Path) -> dict[str, Array] | None:
    try:
        with np.load(path) as file:
            return dict(file)
    except Exception:  # not there, or cut off: it is read anew
        return None


def _write(path: Path, part: dict[str, Array]) -> None:
    """Whole or not at all."""
    growing = path.with_name(f"{path.name}.{uuid4().hex}")
    with growing.open("wb") as file:
        np.savez(file, **part)  # type: ignore[arg-type]
    growing.replace(path)


def _tidy(home: Path) -> None:
    """Let the folders go that were not used for longest."""
    with suppress(OSError):  # another server may tidy too
        folders = sorted((path for path in home.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
        for folder in folders[:-FOLDERS]:
            shutil.rmtree(folder, ignore_errors=True)
