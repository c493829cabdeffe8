"""How long a training will take on this machine: measured in a few steps of the very encoder that was chosen."""

from dataclasses import replace
from functools import cache
from threading import Lock
from time import thread_time

import torch

from encoder.devices import threads
from encoder.lesson import EXAMS, LENGTH, SENTENCES, SNAPSHOTS, LessonConfig, encoder_config
from encoder.masked import Masked, MaskedLanguageModel
from encoder.model import Encoder

START = 3.0  # seconds in which a training's process imports torch and makes its sentences
AN_EXAM = 5  # steps that take as long as an exam or a snapshot
TOKENS, VOCABULARY = (11, LENGTH), (68, 3_000)  # of a sentence in the mean, and pieces: toy language, own text
HIDDEN = 0.2  # share of the tokens
WARM, FEWEST, MOST, ENOUGH = 1, 2, 20, 0.3  # steps; seconds after which no more are measured

_one_at_a_time = Lock()


def seconds(config: LessonConfig, step: float | None = None) -> float:
    """From the start of a training to its end, on a machine that does nothing else.

    step: seconds that a step takes, where that is known; None: it is measured, once for each encoder.
    """
    if step is None:
        with _one_at_a_time:  # thirty learners open the page at once
            usual = LessonConfig()
            step = _measured(replace(config, steps=usual.steps, learning_rate=usual.learning_rate, seed=usual.seed))
    return START + step * _work(config)


def of_a_step(config: LessonConfig, worked: float) -> float:
    """Seconds that a step took in a training that worked for so many, from its start to its end."""
    return max(0.0, worked - START) / _work(config)


def _work(config: LessonConfig) -> int:
    """Everything that a training does, counted in steps."""
    return config.steps + (EXAMS + SNAPSHOTS) * AN_EXAM


@cache
def _measured(config: LessonConfig) -> float:
    """Seconds of a step: the processor's own, so that others who are busy here just now do not count; the quickest."""
    tokens, vocabulary = TOKENS[config.own_text], VOCABULARY[config.own_text]
    model = MaskedLanguageModel(Encoder(encoder_config(config, vocabulary)), torch.arange(vocabulary))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    chance = torch.Generator().manual_seed(0)
    ids = torch.randint(vocabulary, (SENTENCES, tokens), generator=chance)
    asked = torch.rand(ids.shape, generator=chance) < HIDDEN
    batch = Masked(ids, torch.zeros_like(ids), asked, ids)
    taken: list[float] = []
    with threads(0):  # a training has one thread too
        while len(taken) < WARM + FEWEST or (len(taken) < MOST and sum(taken) < ENOUGH):
            start = thread_time()
            loss, count = model.loss(batch)
            (loss / count).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            taken.append(thread_time() - start)
    return min(taken[WARM:])
