"""Masked-language modelling: hide some tokens, let the encoder guess them (Devlin et al. 2019, §3.1)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import cross_entropy, embedding, linear

from encoder.model import Encoder

STRETCHES = 4  # that a sequence can repeat
SHORTEST = 4  # tokens of one; the longest is a quarter of the sequence, and short ones are as likely as long ones
LOGITS = 1 << 21  # at once: 8 MB, which a processor keeps close by; a GPU has 256 MB, and fewer starts


@dataclass(frozen=True)
class Pieces:
    """What masking has to know of a vocabulary."""

    classify: int  # [CLS]
    separate: int  # [SEP]
    mask: int  # [MASK]
    special: Tensor  # [piece] True for [CLS], [UNK] and their like: never asked for
    continues: Tensor  # [piece] True where a word goes on

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "Pieces":
        """Of BERT's WordPiece, or another vocabulary that names its special tokens alike and numbers without gaps."""
        vocabulary: dict[str, int] = tokenizer.get_vocab()
        names = sorted(vocabulary, key=vocabulary.__getitem__)
        special = torch.tensor([name.startswith("[") and name.endswith("]") and len(name) > 2 for name in names])
        continues = torch.tensor([name.startswith("##") for name in names])
        return cls(vocabulary["[CLS]"], vocabulary["[SEP]"], vocabulary["[MASK]"], special, continues)


class Masked(NamedTuple):
    """A batch with hidden tokens: what the encoder reads, and what was there. All [batch, token]."""

    ids: Tensor
    segment: Tensor
    asked: Tensor  # True where the encoder has to guess
    truth: Tensor  # the ids before anything was hidden

    def to(self, device: torch.device) -> "Masked":
        return Masked(*(part.to(device) for part in self))

    def share(self, number: int, count: int) -> "Masked":
        """The sequences of one of so many processes, counted from 0."""
        return Masked(*(part[number::count] for part in self))


def hide(ids: Tensor, pieces: Pieces, rate: float, chance: torch.Generator, whole_words: bool = False) -> Masked:
    """Ask for a share of the tokens: 80 % of them become [MASK], 10 % any piece, 10 % stay as they are.

    ids: [batch, token] on the CPU, where `chance` draws; the same state of it gives the same batch. Special tokens and
    [UNK] are never asked for. whole_words: all pieces of a word or none.
    """
    draws, kinds = torch.rand(ids.shape, generator=chance), torch.rand(ids.shape, generator=chance)
    others = torch.randint(len(pieces.special), ids.shape, generator=chance)
    if whole_words:  # all pieces of a word have one draw
        word = (~pieces.continues[ids]).cumsum(-1) - 1  # [batch, token]
        draws = draws.gather(-1, word.clamp(min=0))
    asked = (draws < rate) & ~pieces.special[ids]
    read = torch.where(asked & (kinds < 0.8), pieces.mask, ids)
    read = torch.where(asked & (kinds >= 0.9), others, read)
    return Masked(read, segments(ids, pieces), asked, ids)


def repeat(ids: Tensor, rate: float, chance: torch.Generator) -> Tensor:
    """Write stretches of each sequence over other places of it: what is hidden in one can be looked up in the other.

    Plain text repeats itself too seldom for a small encoder to learn how to look anything up.

    ids: [batch, token] on the CPU; each sequence begins with [CLS], which stays. rate: how likely each of STRETCHES is.
    """
    ids, tokens = ids.clone(), ids.shape[-1] - 1
    for row in ids[:, 1:]:
        for happens, long, source, target in torch.rand(STRETCHES, 4, generator=chance).tolist():
            if happens < rate:
                length = min(tokens, int(SHORTEST * max(1.0, tokens / 4 / SHORTEST) ** long))
                source, target = (int(place * (tokens - length + 1)) for place in (source, target))
                row[target : target + length] = row[source : source + length].clone()
    return ids


def segments(ids: Tensor, pieces: Pieces) -> Tensor:
    """[batch, token] 0 up to the first [SEP], then 1, and so on in turns: the second embedding is learned too."""
    ends = (ids == pieces.separate).long()
    return (ends.cumsum(-1) - ends) % 2


class _CrossEntropy(torch.autograd.Function):
    """Sum of the cross entropies of logits that are never there all at once.

    All of a step's logits are tens to hundreds of MB, and to write and read them several times takes as long as the
    products that they come from. So they are computed for some places at a time, and their gradients with them.
    """

    @staticmethod
    def forward(ctx: Any, guess: Tensor, table: Tensor, bias: Tensor, truth: Tensor) -> Tensor:
        """Nats, of logits `guess @ table.T + bias`. guess: [place, model]. table: [choice, model]. truth: [place]."""
        total, logits = torch.zeros((), device=guess.device), LOGITS if guess.device.type == "cpu" else 32 * LOGITS
        some = max(1, logits // len(table))
        along = along_guess, along_table, along_bias = [torch.zeros_like(each) for each in (guess, table, bias)]
        parts = (each.split(some) for each in (guess, truth[:, None], along_guess))
        for part, right, along_part in zip(*parts, strict=True):
            shares = linear(part, table, bias).float().log_softmax(-1)  # [place, choice]
            total -= shares.gather(-1, right).sum()
            error = shares.exp_().scatter_add_(-1, right, shares.new_full(right.shape, -1.0))  # softmax − truth
            along_bias += error.sum(0)
            error = error.to(table.dtype)
            along_part += error @ table
            along_table += error.mT @ part
        ctx.save_for_backward(*along)
        return total

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, along_total: Tensor) -> tuple[Tensor | None, ...]:
        return *(along_total * each for each in ctx.saved_tensors), None


class PredictionHead(nn.Module):
    """BERT's: dense, GELU, norm; then how well the result fits the embedding of every piece that can be predicted."""

    ids: Tensor
    place: Tensor

    def __init__(self, width: int, vocabulary: int, ids: Tensor, norm_eps: float) -> None:
        """ids: [choice] of the pieces that can be predicted; all others never are."""
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, norm_eps)
        self.bias = nn.Parameter(torch.zeros(len(ids)))
        self.register_buffer("ids", ids)
        self.number(vocabulary)

    def number(self, vocabulary: int) -> None:
        """Count the choices: `place` is, [piece], which choice it is, or -1."""
        place = torch.full((vocabulary,), -1, device=self.ids.device)
        place[self.ids] = torch.arange(len(self.ids), device=self.ids.device)
        self.register_buffer("place", place, persistent=False)

    def forward(self, hidden: Tensor, table: Tensor) -> Tensor:
        """Logits [place, choice] of hidden states [place, model]; `table` is the token embedding, [piece, model]."""
        return linear(self._guess(hidden), embedding(self.ids, table), self.bias)

    def loss(self, hidden: Tensor, table: Tensor, truth: Tensor) -> Tensor:
        """Sum of the losses, in nats, where `truth`, [place], are the pieces that should be predicted."""
        total: Tensor = _CrossEntropy.apply(  # type: ignore[no-untyped-call]
            self._guess(hidden), embedding(self.ids, table), self.bias, self.place[truth]
        )
        return total

    def _guess(self, hidden: Tensor) -> Tensor:
        guess: Tensor = self.norm(nn.functional.gelu(self.dense(hidden)))
        return guess


class MaskedLanguageModel(nn.Module):
    """An encoder with a prediction head that shares its token embedding."""

    def __init__(self, encoder: Encoder, predictable: Tensor) -> None:
        super().__init__()
        config = encoder.config
        self.encoder = encoder
        self.head = PredictionHead(config.width, config.vocabulary, predictable, config.norm_eps)
        nn.init.xavier_uniform_(self.head.dense.weight, generator=torch.Generator().manual_seed(0))
        nn.init.zeros_(self.head.dense.bias)

    def forward(self, ids: Tensor, segment: Tensor, asked: Tensor) -> Tensor:
        """Logits [place, choice] for the tokens that are asked for, in their order: the others cost nothing."""
        return self.logits(self._read(ids, segment)[asked])

    def logits(self, hidden: Tensor) -> Tensor:
        """[place, choice] of last hidden states [place, model]."""
        logits: Tensor = self.head(hidden, self.encoder.embeddings.token.weight)
        return logits

    def _read(self, ids: Tensor, segment: Tensor) -> Tensor:
        hidden: Tensor = self.encoder(ids, segment if self.encoder.config.segments else None)
        return hidden

    def begin_as(self, *others: "MaskedLanguageModel") -> None:
        """Take over the weights of a model of the same sizes, which may have more or fewer layers and positions.

        The top layers and last positions that it has more are left out. Where it has fewer layers, its top one becomes
        several: each with its weights and a part of what it adds, shorter steps that lead nearly as far (Chang et al.
        2018); new layers that began by adding nothing stayed idle. Learned positions beyond its last begin as its first
        ones again (Beltagy et al. 2020, §5). What it could not predict begins as its rarest piece. Of several models,
        the mean: where they went on from one another it keeps what they share, and less of what each learned by heart
        (Wortsman et al. 2022).
        """
        begun = [self._begun_as(other) for other in others]
        mean = {name: torch.stack([weights[name] for weights in begun]).nanmean(0) for name in begun[0]}
        rarest = min(float(other.head.bias.detach().min()) for other in others)
        mean["head.bias"] = mean["head.bias"].nan_to_num(rarest)
        self.load_state_dict(mean | {"head.ids": self.head.ids})

    def _begun_as(self, other: "MaskedLanguageModel") -> dict[str, Tensor]:
        """All weights but the choices; the bias of a piece that the other could not predict is NaN."""
        own = self.state_dict()
        bias = torch.full((other.encoder.config.vocabulary,), torch.nan)
        bias[other.head.ids] = other.head.bias.detach()
        weights = own | {name: weight for name, weight in other.state_dict().items() if name in own}
        top, layers = len(other.encoder.layers) - 1, len(self.encoder.layers)
        for name, weight in other.encoder.layers[top].state_dict().items():
            adds = name.startswith(("attention.output.", "feed_forward.contract."))
            for number in range(top, layers):
                weights[f"encoder.layers.{number}.{name}"] = weight / (layers - top) if adds else weight
        name = "encoder.embeddings.position.weight"
        again = torch.arange(len(own[name])) % len(weights[name])
        weights[name] = weights[name][again] if self.encoder.config.position == "learned" else own[name]
        del weights["head.ids"]
        return weights | {"head.bias": bias[self.head.ids]}

    def loss(self, batch: Masked) -> tuple[Tensor, Tensor]:
        """Sum of the losses, in nats, and how many there are: of the tokens asked for that can be predicted."""
        asked = batch.asked & (self.head.place[batch.truth] >= 0)
        hidden = self._read(batch.ids, batch.segment)[asked]
        return self.head.loss(hidden, self.encoder.embeddings.token.weight, batch.truth[asked]), asked.sum()


class Score(NamedTuple):
    """How well hidden tokens were guessed."""

    accuracy: float  # of all that were asked for: what cannot be predicted is wrong
    loss: float  # nats, mean over those that can be predicted
    perplexity: float  # exp(loss)
    asked: int
    predictable: float  # share of those asked for


@torch.inference_mode()
def score(model: MaskedLanguageModel, batches: Iterable[Masked]) -> Score:
    """Guess what is hidden in held-out batches. The model should be in evaluation mode."""
    device = model.head.bias.device
    right = possible = asked = 0
    loss = 0.0
    for batch in batches:
        here = batch.to(device)
        logits = model(here.ids, here.segment, here.asked).float()
        truth = model.head.place[here.truth[here.asked]]  # [place]
        known = truth >= 0
        right += int((logits.argmax(-1) == truth).sum())
        loss += float(cross_entropy(logits[known], truth[known], reduction="sum"))
        asked, possible = asked + len(truth), possible + int(known.sum())
    mean = loss / max(possible, 1)
    return Score(right / max(asked, 1), mean, float(torch.tensor(mean).exp()), asked, possible / max(asked, 1))
