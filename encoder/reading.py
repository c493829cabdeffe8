"""What reads a text: a network with its tokenizer, and perhaps a prediction head, on the devices that it lies on."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from encoder.changes import Ablation, Changes, Choices
from encoder.checks import are_doubtful, check, not_finite, signs_of, sum_of
from encoder.devices import free_memory, is_out_of_memory, synchronize, threads
from encoder.edits import Pairs
from encoder.errors import ModelError
from encoder.formulas import LayerWeights
from encoder.model import EmbeddingStates, Encoder, LayerStates
from encoder.tokens import Tokenizer
from encoder.trace import EmbeddingTrace, Guess, LayerTrace, ModelCard, Tokens, Trace, read_only
from encoder.weights import weights_of
from encoder.what_if import changed, differences, each_head_off

DEFAULT_LIMIT = 128  # tokens; enough for a paragraph, and attention for a whole class stays small
# Bytes. An array that torch made keeps its tensor, and the garbage collector, which Streamlit calls after every turn,
# visits each one: the 240 readings of a class are 16,000 and take it 10 ms. Copies of the small ones take none.
SMALL = 2**18
UNUSED, RESERVED = re.compile(r"\[unused\d+\]"), 1_000  # what BERT's vocabulary keeps free, and how many of them
ITSELF = 1 - 1e-6  # a cosine beyond it is with the same vector

Walk = Callable[[Tensor, Tensor], tuple[EmbeddingStates, Iterable[LayerStates]]]  # (ids, segment), each [batch, token]

NO_NORM = nn.Identity()


@dataclass(frozen=True)
class Reader:
    """A network on a device."""

    device: str
    walk: Walk
    last_norm: nn.Module = NO_NORM  # on top of the last layer

    @classmethod
    def of(cls, encoder: Encoder, device: str) -> "Reader":
        """Our encoder, which lies on that device."""
        return cls(device, encoder.trace, encoder.final_norm)


class Head(NamedTuple):
    """A prediction head on the CPU."""

    logits: Callable[[Tensor], Tensor]  # hidden states of a layer [place, model] → [place, choice]
    choices: Tensor | None = None  # [choice] token ids; None where every token of the vocabulary is one


class Model:
    """A network with its tokenizer. Shared by all threads: nothing about a call is kept on it."""

    def __init__(
        self, card: ModelCard, tokenizer: Tokenizer, positions: int, scale: float, readers: tuple[Reader, ...],
        head: Head | None = None, encoder: Callable[[], Encoder] | None = None,
    ) -> None:  # fmt: skip
        self.card = card
        self.positions = positions  # the longest text it can read, in tokens
        self._tokenizer = tokenizer
        self._scale = scale  # of the scores
        self._head = head
        self._encoder = encoder
        self._readers = readers  # in order of preference; the last one is the CPU's

    def trace(self, text: str, pair: str | None = None, limit: int = DEFAULT_LIMIT) -> Trace:
        """Read a text, or a pair of texts, and return everything computed on the way.

        At most `limit` tokens are read (special ones always), and never more than the model has positions;
        how many were left out is in `trace.tokens.left_out`. Where an accelerator runs out of memory the CPU does the
        work instead; `trace.device` is where it was really done. Raises ModelError where a layer's numbers are not
        finite, or mean nothing: nobody could tell a picture of them from a true one.
        """
        ids, tokens = self._tokenizer.encode(text, pair, min(limit, self.positions))
        *accelerated, cpu = self._readers
        for reader in accelerated:
            try:
                return self._read(reader, ids, tokens)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            free_memory(reader.device)  # only here has the error let go of the arrays it was raised among
        return self._read(cpu, ids, tokens)

    def weights(self, layer: int) -> LayerWeights:
        """The matrices of a layer, from 0. Raises ModelError where our Encoder does not compute as the model does."""
        return weights_of(self._ours(), layer)

    def differences(self, choices: Choices) -> Choices:
        """Those of some choices in which the model is not so already. Raises ModelError as `weights` does."""
        return differences(self._ours().config, choices)

    def what_if(self, changes: Changes) -> "Model":
        """The model with those changes, computed by our Encoder on the CPU. Raises ModelError as `weights` does."""
        encoder = changed(self._ours(), changes)
        return Model(
            self.card, self._tokenizer, self.positions, encoder.config.scale, (Reader.of(encoder, "cpu"),),
            self._head, lambda: encoder,
        )  # fmt: skip

    @torch.inference_mode()
    def ablation(self, text: str, pair: str | None = None, limit: int = DEFAULT_LIMIT) -> Ablation:
        """What each head's absence would change in the reading of a text. Raises ModelError as `weights` does."""
        encoder = self._ours()
        ids, tokens = self._tokenizer.encode(text, pair, min(limit, self.positions))
        as_it_is, off = each_head_off(encoder, torch.tensor([ids]), torch.tensor(tokens.segment[None]))
        if not bool(off.isfinite().all()):
            raise not_finite(f"{self.card.name} without one of its heads")
        change = (1 - torch.cosine_similarity(as_it_is, off, -1).mean(-1)).clamp(min=0)  # [layer, head]
        places = self.hidden_places(tokens)
        if self._head is None or not places:
            return Ablation(_closed(change), None)
        before = self._logits(as_it_is[places[:1]])  # [1, choice]
        after = self._logits(off[:, :, places[0]].flatten(0, 1))  # [layer · head, choice]
        return Ablation(_closed(change), _closed(_divergence(before, after).view_as(change)))

    @torch.inference_mode()
    def moved(self, before: Trace, after: Trace, pairs: Pairs) -> float | None:
        """How far the guess behind a [MASK] has moved from one reading to another, KL in nats.

        The first [MASK] that both have, by which token is which; None where there is none, or no prediction head.
        """
        hidden = set(self.hidden_places(before.tokens)), set(self.hidden_places(after.tokens))
        both = [(one, other) for one, other in zip(*pairs, strict=True) if one in hidden[0] and other in hidden[1]]
        if self._head is None or not both:
            return None
        states = (
            torch.from_numpy(read.layers[-1].hidden[[place]])
            for read, place in zip((before, after), both[0], strict=True)
        )
        return float(_divergence(*map(self._logits, states)))

    def _logits(self, hidden: Tensor) -> Tensor:
        """[place, choice] what the prediction head makes of [place, model]. Raises ModelError where that is no number.

        −∞ is one: a choice that is never made.
        """
        assert self._head is not None
        logits = self._head.logits(hidden)
        if not bool(logits.amax().isfinite()):  # NaN is larger than all numbers
            raise not_finite(f"The prediction head of {self.card.name}")
        return logits

    def _ours(self) -> Encoder:
        if self._encoder is None:
            raise ModelError(f"{self.card.name} cannot be followed step by step, nor changed.")
        return self._encoder()

    @torch.inference_mode()
    def neighbours(self, trace: Trace, place: int, count: int = 10) -> tuple[tuple[str, float], ...]:
        """The vocabulary's tokens whose own vectors are nearest to that of a token read, and their cosines with it.

        Itself not among them, nor pieces that stand for nothing. Raises ModelError as `weights` does.
        """
        table = self._ours().embeddings.token.weight  # [vocabulary, model]
        vector = torch.from_numpy(trace.embedding.token[[place]])[0]
        size = torch.linalg.vector_norm(table, dim=1) * torch.linalg.vector_norm(vector)
        cosines = (table @ vector) / size.clamp(min=torch.finfo(size.dtype).tiny)
        if not bool(cosines.isfinite().all()):
            raise not_finite(f"The embedding table of {self.card.name}")
        cosines[cosines > ITSELF] = -1
        cosines[~self._named(len(table))] = -1
        order = cosines.topk(min(len(table), count + RESERVED)).indices.tolist()
        named = ((self._tokenizer.shown(each), float(cosines[each])) for each in order)
        meant = [(name, cosine) for name, cosine in named if name and cosine > -1 and not UNUSED.fullmatch(name)]
        return tuple(meant[:count])

    def _named(self, count: int) -> Tensor:
        """[id] whether each of so many ids has a token."""
        return torch.from_numpy(self._tokenizer.named(count))

    def hidden_places(self, tokens: Tokens) -> list[int]:
        """Where a reading's tokens are [MASK], or what this model calls it."""
        return [place for place, token in enumerate(tokens.text) if token == self._tokenizer.mask]

    @torch.inference_mode()
    def guesses(self, trace: Trace, count: int = 5, after: int | None = None) -> tuple[Guess, ...]:
        """What stands behind each [MASK] of a reading, in this model's view; nothing without a prediction head.

        after: so many layers, as if the others were not there (nostalgebraist 2020, "the logit lens"); all by default.
        """
        places = self.hidden_places(trace.tokens)
        if self._head is None or not places:
            return ()
        after = after or len(trace.layers)
        hidden = torch.from_numpy(trace.layers[after - 1].hidden[places])  # [place, model]
        every = self._logits(hidden).softmax(-1)  # [place, choice]
        choices = torch.arange(every.shape[-1]) if self._head.choices is None else self._head.choices
        named = self._named(self.card.vocabulary)[choices].nonzero()[:, 0]  # [choice]: others are of no token
        shares, found = every[:, named].topk(min(count, len(named)))
        ids = choices[named[found]]
        return tuple(
            Guess(place, tuple(map(self._tokenizer.shown, each.tolist())), tuple(some.tolist()))
            for place, each, some in zip(places, ids, shares, strict=True)
        )

    def _read(self, reader: Reader, ids: list[int], tokens: Tokens) -> Trace:
        start = perf_counter()
        with torch.inference_mode(), threads(len(tokens) * self.card.width * self.card.ffn_width):
            segment = torch.tensor(tokens.segment[None], device=reader.device)
            embedding, layers = reader.walk(torch.tensor([ids], device=reader.device), segment)
            signs = [sum_of(embedding.output)]
            layer_traces = tuple(self._layer_trace(states, signs) for states in layers)
            output = reader.last_norm(torch.tensor(layer_traces[-1].hidden[None], device=reader.device))
            signs.append(sum_of(output))
            synchronize(reader.device)
            seconds = perf_counter() - start
            embedding_trace = EmbeddingTrace(*map(_array, embedding))
            doubtful = are_doubtful(signs)
        read = Trace(self.card, tokens, embedding_trace, layer_traces, _array(output), seconds, reader.device)
        if doubtful:
            check(read)
        return read

    def _layer_trace(self, states: LayerStates, signs: list[Tensor]) -> LayerTrace:
        """A layer as it is kept; `signs` gets what tells whether its numbers mean anything."""
        signs.extend(signs_of(states, self._scale))
        arrays = {name: _array(tensor) for name, tensor in states._asdict().items() if name != "scores"}
        return LayerTrace(**arrays, scale=self._scale)


def _divergence(before: Tensor, after: Tensor) -> Tensor:
    """[place] KL in nats of what is guessed after from what was before, both [place, choice] logits."""
    one, other = before.log_softmax(-1), after.log_softmax(-1)
    never = one.isneginf()  # 0 · log 0 is 0
    # Rounding may leave 0 a little below 0.
    return (one.exp() * (one - other)).masked_fill(never, 0).sum(-1).clamp(min=0)


def _closed(tensor: Tensor) -> np.ndarray:
    return read_only(tensor.numpy())


def _array(tensor: Tensor) -> np.ndarray:
    """[batch = 1, …] tensor on any device → read-only float32 array without the batch axis."""
    array = tensor[0].float().cpu().numpy()
    return read_only(array.copy() if array.nbytes < SMALL else array)
