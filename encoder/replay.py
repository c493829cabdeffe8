"""A lesson seen again: every snapshot of it reads the same sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from encoder.maps import hidden_states
from encoder.trace import Array, Trace


@dataclass(frozen=True)
class Replay:
    """What an encoder made of a sentence at each of so many steps of its training."""

    steps: tuple[int, ...]
    traces: tuple[Trace, ...]

    @property
    def attention(self) -> tuple[Array, tuple[int, ...], tuple[str, ...]]:
        """[moment, layer, head, query, key], with the steps and the tokens."""
        every = np.stack([[layer.attention for layer in trace.layers] for trace in self.traces])
        return every, self.steps, self.traces[-1].tokens.text

    def hidden(self, level: Literal["first", "last"]) -> tuple[list[Array], tuple[int, ...], tuple[str, ...]]:
        """[token, model] of each moment: the embedding, or the last hidden state; with the steps and the tokens."""
        states = [hidden_states(trace)[0 if level == "first" else -1] for trace in self.traces]
        return states, self.steps, self.traces[-1].tokens.text

    @property
    def left_out(self) -> int:
        """Tokens that were too many."""
        return self.traces[-1].tokens.left_out

    @property
    def nbytes(self) -> int:
        return sum(trace.nbytes for trace in self.traces)


def replay(moments: Sequence[tuple[int, Path]], text: str, limit: int) -> Replay:
    """Let the model of every snapshot, given as (step, folder), read a text. Raises ModelError."""
    from encoder.models import load  # torch takes seconds to import

    steps, folders = zip(*moments, strict=True)
    return Replay(steps, tuple(load(str(folder)).trace(text, limit=limit) for folder in folders))
