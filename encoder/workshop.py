"""Lessons of a whole class: each in a process of its own, one at a time, the others in a queue."""

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import fmean
from typing import Any, Literal
from uuid import uuid4

from encoder.errors import KnownError
from encoder.lesson import MODEL, LessonConfig, moment_folder, write_orders

State = Literal["waiting", "starting", "running", "paused", "done", "stopped", "failed"]
AT_WORK: tuple[State, ...] = ("starting", "running")
OVER: tuple[State, ...] = ("done", "stopped", "failed")
AWAY = 12.0  # seconds without its page until a lesson ends: a phone that changes its network comes back sooner
LOOK = 2.0  # seconds between two looks at who is there
KEEP = 3_600.0  # seconds that what was learned is kept for a page that is gone
PATIENCE = 10.0  # seconds that a lesson told to stop has for keeping what it has learned; then it is killed
MOST, MOST_BROUGHT = 12, 3  # lessons, and models as files, kept for one learner
ROOT = Path(__file__).parent.parent

BRINGING = threading.Lock()  # a file may have 100 MB: one at a time

log = logging.getLogger(__name__)


class Run:
    """A lesson as seen from outside. The workshop writes it under its lock; anybody may read it."""

    def __init__(self, owner: str, number: int, config: LessonConfig, folder: Path) -> None:
        self.owner, self.number, self.config, self.folder = owner, number, config, folder
        self.name = folder.name
        self.state: State = "waiting"
        self.why = ""  # it failed or stopped, in a sentence
        self.step = 0
        self.losses: list[tuple[int, float]] = []  # (step, mean since the one before)
        self.marks: list[dict[str, Any]] = []  # step, accuracy by structure, weight by what to look at
        self.chance: dict[str, float] = {}
        self.unigram: dict[str, float] = {}
        self.unknown = 0.0  # share of [UNK] in what is learned from
        self.parameters = 0
        self.seconds = 0.0  # at work
        self.wish = ""  # what its process was last asked for: "pause" or "stop"
        self._since = 0.0
        self._process: subprocess.Popen[str] | None = None

    @property
    def over(self) -> bool:
        return self.state in OVER

    @property
    def under_way(self) -> bool:
        """Whether it is at work or waits for its turn."""
        return self.state in ("waiting", *AT_WORK)

    @property
    def worked(self) -> float:
        """Seconds at work, up to now."""
        return self.seconds + (time.monotonic() - self._since if self.state in AT_WORK else 0.0)

    @property
    def moments(self) -> list[tuple[int, Path]]:
        """(step, model folder) of every snapshot that there is."""
        steps = [each["step"] for each in list(self.marks) if each["moment"]]
        return [(step, moment_folder(self.folder, step)) for step in steps]

    @property
    def model(self) -> Path | None:
        """The folder of the trained model, once there is one."""
        return self.folder / MODEL if self.over and (self.folder / MODEL).is_dir() else None

    @property
    def loss(self) -> tuple[list[int], list[float]]:
        """Steps, and the mean loss since the one before."""
        losses = list(self.losses)
        return [step for step, _ in losses], [loss for _, loss in losses]

    def accuracy(self, structure: str) -> tuple[list[int], list[float]]:
        """Steps, and the share of right answers; of "all" structures their mean."""
        if structure == "all":
            marks = list(self.marks)
            return [each["step"] for each in marks], [fmean(each["accuracy"].values()) for each in marks]
        return self._of("accuracy", structure)

    def weights(self, target: str) -> tuple[list[int], list[list[list[float]]]]:
        """Steps, and each head's mean weight on the token that decides, [layer][head]."""
        return self._of("weight", target)

    def _of(self, kind: str, name: str) -> tuple[list[int], list[Any]]:
        marks = [each for each in list(self.marks) if name in each[kind]]
        return [each["step"] for each in marks], [each[kind][name] for each in marks]

    def _hear(self, said: dict[str, Any]) -> None:
        event = said.pop("event")
        if event == "ready":
            self.parameters, self.chance, self.unigram = said["parameters"], said["chance"], said["unigram"]
            self.unknown = said["unknown"]
            self.state = "running"
        elif event == "marks":
            self.marks.append(said)
            self.step = said["step"]
        elif event == "progress":
            self.losses.append((said["step"], said["loss"]))
            self.step = said["step"]
        elif event == "over":
            self._rest(said["how"])
        elif event == "failed":
            self._rest("failed", said["why"])

    def _rest(self, state: State, why: str = "") -> None:
        """The work ends, for now or for good."""
        if self.state in AT_WORK:
            self.seconds = self.worked
        self.why = why or self.why
        self.state = "stopped" if state == "paused" and self.wish == "stop" else state
        self.wish = ""

    def _break_off(self, why: str) -> None:
        """The work ended without a word: it was killed because it did not stop, or by whatever `why` says."""
        if self.over:  # it had said how it ended
            return
        if self.wish == "stop":
            self._rest("stopped")
        else:
            self._rest("failed", why)

    def _say(self, wish: str) -> None:
        """Tell the process at work, if there is one; one that has just ended needs no telling."""
        process = self._process
        if process is not None and process.stdin is not None:
            try:
                process.stdin.write(wish + "\n")
                process.stdin.flush()
            except (OSError, ValueError):
                with suppress(OSError):  # what could not be told would be told, and fail, once more at the end
                    process.stdin.close()
            if wish == "stop":
                patience = threading.Timer(PATIENCE, process.kill)
                patience.daemon = True
                patience.start()


@dataclass(frozen=True)
class Brought:
    """A model that a learner brought as a file."""

    owner: str
    label: str
    folder: Path


class Workshop:
    """All lessons of a server, and the models that learners brought. Safe for threads."""

    def __init__(self, home: Path, is_here: Callable[[str], bool]) -> None:
        """home: a folder for everything. is_here: whether an owner's page is still open."""
        self._home, self._is_here = home, is_here
        self._runs: list[Run] = []
        self._queue: list[Run] = []
        self._brought: list[Brought] = []
        # Never held while files are written or deleted, or a process is started or told: others would wait for a disk.
        self._change = threading.Condition()
        self._threads: dict[str, threading.Thread] = {}  # at work; each ends when there is nothing for it to do
        self._closed = False
        self._numbers = count(1)

    def start(self, owner: str, config: LessonConfig, text: str = "") -> Run:
        """Put a new lesson in the queue. Raises KnownError where the same learner has one under way already."""
        self._refuse(owner)
        folder = self._home / f"lesson-{next(self._numbers)}-{uuid4().hex[:8]}"
        try:
            write_orders(folder, config, text)
            with self._change:
                self._refuse(owner)  # once more: another page of theirs may have been quicker
                mine = self.of(owner)
                run = Run(owner, max((run.number for run in mine), default=0) + 1, config, folder)
                old = mine[: max(0, len(mine) + 1 - MOST)]  # all are over or paused
                self._drop(old)
                self._runs.append(run)
                self._queue.append(run)
                self._begin()
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        _delete(old)
        return run

    def of(self, owner: str) -> list[Run]:
        """A learner's lessons, the oldest first."""
        return [run for run in self._runs if run.owner == owner]

    def done(self) -> list[Run]:
        """Every learner's lessons that came to their end, the oldest first."""
        return [run for run in self._runs if run.state == "done"]

    def ahead(self, run: Run) -> int:
        """How many lessons go before this one in the queue, with the one at work."""
        with self._change:
            return self._queue.index(run) + 1 if run in self._queue else 0

    def pause(self, run: Run) -> None:
        """The lesson keeps where it is and makes room for whoever waits."""
        self._end(run, "pause", "paused")

    def stop(self, run: Run, why: str = "") -> None:
        """The lesson ends here; what has been learned so far can be used. A waiting one leaves the queue."""
        self._end(run, "stop", "stopped", why)

    def resume(self, run: Run) -> None:
        """A paused lesson goes on, after those that wait already. Raises KnownError as `start` does."""
        with self._change:
            if run.state == "paused" and run in self._runs:
                self._refuse(run.owner)
                run.state = "waiting"
                self._queue.append(run)
                self._begin()

    def bring(self, owner: str, label: str, data: bytes) -> Brought:
        """Check a model that was downloaded here and keep it for its owner. Raises ModelError with the reason."""
        from encoder import checkpoints  # torch takes seconds to import

        folder = self._home / f"brought-{next(self._numbers)}-{uuid4().hex[:8]}"
        try:
            with BRINGING:
                checkpoints.unpack(data, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        brought = Brought(owner, label, folder)
        with self._change:
            self._brought.append(brought)
            old = self.brought_by(owner)[:-MOST_BROUGHT]
            self._drop(old)
            self._begin()
        _delete(old)
        return brought

    def brought_by(self, owner: str) -> list[Brought]:
        """A learner's models, the oldest first."""
        return [each for each in self._brought if each.owner == owner]

    def hindrance(self, owner: str) -> str | None:
        """Why a learner cannot start or resume a lesson now, in a sentence; None where they can."""
        return "One training of yours is under way already." if any(run.under_way for run in self.of(owner)) else None

    def _refuse(self, owner: str) -> None:
        """Raises KnownError where a learner can have no lesson now."""
        if why_not := "The server is stopping." if self._closed else self.hindrance(owner):
            raise KnownError(why_not)

    def _end(self, run: Run, wish: str, state: State, why: str = "") -> None:
        with self._change:
            if run.over or run.wish == "stop":  # a pause that comes after a stop is too late
                return
            run.why = why
            at_work = run.state in AT_WORK
            if at_work:
                run.wish = wish
            else:
                run.state = state
                if run in self._queue:
                    self._queue.remove(run)
        if at_work:
            run._say(wish)

    def _begin(self) -> None:
        """See to it that somebody does what there is to do now. The lock is held."""
        for work in (self._teach, self._watch) if not self._closed else ():
            if work.__name__ not in self._threads:
                thread = threading.Thread(target=work, name=f"workshop{work.__name__}", daemon=True)
                self._threads[work.__name__] = thread
                thread.start()

    def _teach(self) -> None:
        """One lesson after the other, until none waits."""
        while True:
            with self._change:
                if not self._queue:
                    del self._threads["_teach"]
                    return
                run = self._queue.pop(0)
                run.state, run._since = "starting", time.monotonic()
            try:
                self._conduct(run)
            except Exception as trouble:  # whatever it is, the next in the queue must have their turn
                log.exception("%s could not be run", run.name)
                with self._change:
                    run._break_off(f"The training could not be run: {trouble}")
            run._process = None

    def _conduct(self, run: Run) -> None:
        """A lesson's process from its start to its end."""
        trouble = run.folder / "trouble.log"
        with trouble.open("w+", encoding="utf-8") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "encoder", "lesson", str(run.folder)], cwd=ROOT, text=True, encoding="utf-8",
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                env={**os.environ, "OMP_WAIT_POLICY": "passive", "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip
            with process:
                run._process = process
                if wish := run.wish:  # it was said while the process began
                    run._say(wish)
                if self._closed:
                    process.kill()
                assert process.stdout is not None
                for line in process.stdout:
                    with self._change:
                        run._hear(json.loads(line))
            if process.returncode:
                errors.seek(0)
                log.warning("%s ended with code %s: %s", run.name, process.returncode, errors.read()[-2_000:])
            with self._change:
                if run.state in AT_WORK:  # it did not say how it ended
                    run._break_off(f"The training’s process ended unexpectedly (code {process.returncode}).")

    def _watch(self) -> None:
        """Lessons of pages that were closed end, and an hour later what was learned goes too, until nothing is left."""
        gone: dict[str, float] = {}
        while True:
            with self._change:
                self._change.wait_for(lambda: self._closed, LOOK)
                if self._closed or not (self._runs or self._brought):
                    del self._threads["_watch"]
                    return
            try:
                self._look_round(gone)
            except Exception:  # whatever it is, closed pages must go on being noticed
                log.exception("the workshop could not look who is there")

    def _look_round(self, gone: dict[str, float]) -> None:
        """gone: since when each owner who is not there has been away."""
        everything: list[Run | Brought] = [*self._runs, *self._brought]
        for owner in {each.owner for each in everything}:
            if self._is_here(owner):
                gone.pop(owner, None)
                continue
            away = time.monotonic() - gone.setdefault(owner, time.monotonic())
            for run in self.of(owner) if away > AWAY else ():
                if not run.over and run.wish != "stop":
                    self.stop(run, "Its page was closed.")
            if away > KEEP:
                self._forget(*self.of(owner), *self.brought_by(owner))
                gone.pop(owner)

    def _forget(self, *old: Run | Brought) -> None:
        with self._change:
            self._drop(old)
        _delete(old)

    def _drop(self, old: Sequence[Run | Brought]) -> None:
        """Know no more of some lessons and models. The lock is held; their files go once it is not."""
        self._runs = [run for run in self._runs if run not in old]
        self._brought = [each for each in self._brought if each not in old]

    def close(self) -> None:
        """The server ends: so do its lessons and its threads, and nothing of them stays behind."""
        with self._change:
            self._closed = True
            threads = list(self._threads.values())
            self._change.notify_all()
        for run in list(self._runs):
            self.stop(run)
            if process := run._process:
                process.kill()
        for thread in threads:
            thread.join(PATIENCE)
        shutil.rmtree(self._home, ignore_errors=True)


def _delete(old: Sequence[Run | Brought]) -> None:
    for each in old:
        shutil.rmtree(each.folder, ignore_errors=True)
