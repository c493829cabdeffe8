"""What a model of ours learns from so many tokens, beside transformers' and torch's encoders of the same sizes.

All are trained by our own `Pretraining`: the same sentences, hidden tokens, pieces to choose from, optimizer, schedule;
only the network differs. `python -m tests.bench.learning TEXTS --out FOLDER …` trains transformers' network as
`python -m encoder pretrain` trains ours: so the shipped checkpoint's peer is made.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import mean
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tests.bench.report import Row
from tests.server import ROOT

if TYPE_CHECKING:
    from torch import Tensor

    from encoder.masked import Masked, MaskedLanguageModel
    from encoder.model import EncoderConfig

DATA = ROOT.parent / "shared" / "data"  # texts that stay outside the repository
SEEDS = (0, 1, 2)
SIZES = {"width": 128, "heads": 4, "ffn_width": 512, "positions": 32}
TRAINING: dict[str, Any] = {
    "steps": 500, "batch": 64, "length": 32, "learning_rate": 2e-3, "predictable": 4_000,
}  # fmt: skip


def rows() -> Iterator[Row]:
    """Share of hidden tokens guessed wrong after a million tokens ÷ each peer's, three seeds."""
    if not DATA.is_dir():
        yield Row("learning", "wrong guesses after the same tokens", None, note="needs the books in ../shared/data")
        return
    from tests.bench import pretrain

    text = (DATA / "books_train.txt").read_text(encoding="utf-8").splitlines()[:60_000]
    held_out = (DATA / "books_valid.txt").read_text(encoding="utf-8").splitlines()
    makers: dict[str, Callable[..., MaskedLanguageModel]] = {
        "ours": ours, "BertForMaskedLM": bert, "nn.TransformerEncoder": pretrain.torchs,
    }  # fmt: skip
    wrong: dict[str, list[float]] = {name: [] for name in makers}
    for seed in SEEDS:
        for name, make in makers.items():
            wrong[name].append(1 - _accuracy(make, seed, text, held_out))
    for peer in list(makers)[1:]:
        each = ", ".join(f"{1 - a:.3f} and {1 - b:.3f}" for a, b in zip(wrong["ours"], wrong[peer], strict=True))
        note = f"accuracy, ours and theirs, by seed: {each}"
        yield Row("learning", f"wrong guesses after 1 M tokens ÷ {peer}'s", 100 * mean(wrong["ours"]),
                  100 * mean(wrong[peer]), unit="%", target=1.0, note=note)  # fmt: skip


def _accuracy(make: "Callable[..., MaskedLanguageModel]", seed: int, text: list[str], held_out: list[str]) -> float:
    from encoder.masked import Pieces
    from encoder.pretrain import PretrainConfig, Pretraining, commonest
    from encoder.runs import SMALL, wordpiece
    from encoder.texts import Sequences, token_row

    config = PretrainConfig(**TRAINING, seed=seed)
    pieces, row = Pieces.of(wordpiece()), token_row(text, wordpiece())
    model = make(replace(SMALL, **SIZES), commonest(row, pieces, config.predictable), seed)
    training = Pretraining(model, config, pieces, Sequences(row, config.length, pieces.classify, seed))
    while training.step < config.steps:
        training.advance()
    return training.held_out(token_row(held_out, wordpiece())).accuracy


def ours(sizes: "EncoderConfig", predictable: "Tensor", seed: int) -> "MaskedLanguageModel":
    from encoder.masked import MaskedLanguageModel
    from encoder.model import Encoder

    return MaskedLanguageModel(Encoder(sizes, seed=seed), predictable)


def bert(sizes: "EncoderConfig", predictable: "Tensor", seed: int) -> "MaskedLanguageModel":
    """transformers' network as it initialises itself; its head is asked for the hidden tokens and our pieces alone."""
    import torch
    from transformers import BertForMaskedLM

    from encoder.masked import MaskedLanguageModel
    from tests.bench.pretrain import bert_config, plain_loss

    class Bert(MaskedLanguageModel):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)
            network = BertForMaskedLM(bert_config(sizes))
            self.read, self.transform = network.bert, network.cls.predictions.transform
            self.bias = torch.nn.Parameter(torch.zeros(len(predictable)))  # as the library's begins
            place = torch.full((sizes.vocabulary,), -1)
            place[predictable] = torch.arange(len(predictable))
            self.register_buffer("choices", predictable, persistent=False)
            self.register_buffer("place", place, persistent=False)
            self.encoder: Any = SimpleNamespace(config=sizes)

        @property
        def head(self) -> Any:
            """What losses and scores ask of ours."""
            return SimpleNamespace(place=self.place, bias=self.bias)

        def forward(self, ids: "Tensor", segment: "Tensor", asked: "Tensor") -> "Tensor":
            hidden = self.read(ids, token_type_ids=segment).last_hidden_state[asked]
            table = torch.nn.functional.embedding(self.choices, self.read.embeddings.word_embeddings.weight)
            logits: Tensor = self.transform(hidden) @ table.T + self.bias
            return logits

        def loss(self, batch: "Masked") -> "tuple[Tensor, Tensor]":
            return plain_loss(self, batch)

    torch.manual_seed(seed)
    return Bert()


def main() -> None:
    """Train the peer of a run of ours, with the options of `python -m encoder pretrain`."""
    from encoder.__main__ import orders, parser
    from encoder.masked import Pieces
    from encoder.pretrain import commonest
    from encoder.runs import learn, tokens, wordpiece

    given = orders(parser().parse_args(["pretrain", *sys.argv[1:]]))
    if given.start:
        sys.exit("The peer begins with random weights: --start is for ours.")
    row = tokens(given)
    predictable = commonest(row, Pieces.of(wordpiece()), given.training.predictable)
    learn(bert(given.encoder, predictable, given.training.seed), given, row)


if __name__ == "__main__":
    main()
