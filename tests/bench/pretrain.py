"""A training step of ours beside transformers' and torch's own: the same tokens, sizes, masks and optimizer.

transformers' own step predicts every piece of the vocabulary at every token; ours, and torch's with our head, the
commonest pieces at the hidden ones. How much of the difference that is, the row with our head on both tells; and how
much it is that ours never has all logits at once, the row with our loss too.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import texts
from tests.bench.clock import interleave, milliseconds, spread
from tests.bench.report import Row
from tests.server import ROOT

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import BertConfig

    from encoder.masked import Masked, MaskedLanguageModel
    from encoder.model import EncoderConfig
    from encoder.pretrain import Pretraining

STEPS = 6  # before memory is read


def rows() -> Iterator[Row]:
    """Time of a step ÷ BertForMaskedLM's and ÷ nn.TransformerEncoder's; peak memory ÷ BertForMaskedLM's."""
    from tests.bench import learning

    run = _ours()
    sizes, predictable = run.model.encoder.config, run.model.head.ids
    jobs: dict[str, Callable[[], object]] = {
        "ours": run.advance, "bert": _bert(run),
        "torch": _with_our_head(torchs(sizes, predictable), run),
        "loss": _with_our_loss(torchs(sizes, predictable), run),
        "headed": _with_our_head(learning.bert(sizes, predictable, 0), run),
    }  # fmt: skip
    took = interleave(jobs, seconds=100, fewest=5)
    ours, tokens = milliseconds(took["ours"]), run.config.batch * run.config.length
    for peer, name, target in (
        ("bert", "BertForMaskedLM", 1 / 1.5), ("torch", "nn.TransformerEncoder with our head", 1.0),
        ("loss", "nn.TransformerEncoder with our head and loss", 1.0),
        ("headed", "BertForMaskedLM with our head", None),
    ):  # fmt: skip
        note = f"{tokens / ours * 1e3:,.0f} tokens a second; {spread(took['ours'], took[peer])}"
        yield Row("pretrain", f"a training step ÷ {name}'s", ours, milliseconds(took[peer]), target=target, note=note)
    mine, theirs = (_peak(name) for name in ("ours", "bert"))
    yield Row("pretrain", "peak memory ÷ BertForMaskedLM's", mine, theirs, unit="MB", target=0.7)


def _ours() -> "Pretraining":
    import numpy as np

    from encoder.masked import MaskedLanguageModel, Pieces
    from encoder.model import Encoder
    from encoder.pretrain import PretrainConfig, Pretraining, commonest
    from encoder.runs import SMALL, wordpiece
    from encoder.texts import Sequences, token_row

    tokenizer, fresh = wordpiece(), texts.never_seen(seed=3, words=60)
    pieces = Pieces.of(tokenizer)
    row = token_row((next(fresh) for _ in range(3_000)), tokenizer)
    config = PretrainConfig(steps=100_000, batch=32)  # at its beginning: six tokens in ten are hidden
    predictable = commonest(np.arange(len(pieces.special)), pieces, config.predictable)
    sequences = Sequences(row, config.length, pieces.classify, config.seed)
    return Pretraining(MaskedLanguageModel(Encoder(SMALL), predictable), config, pieces, sequences)


def _bert(run: "Pretraining") -> Callable[[], object]:
    """The library's model, loss and training step as its own documentation writes them."""
    from transformers import BertForMaskedLM

    model = BertForMaskedLM(bert_config(run.model.encoder.config)).train()

    def loss(batch: "Masked") -> "Tensor":
        labels = batch.truth.masked_fill(~batch.asked, -100)
        found: Tensor = model(input_ids=batch.ids, token_type_ids=batch.segment, labels=labels).loss
        return found

    return _step(model, loss, run)


def bert_config(sizes: "EncoderConfig") -> "BertConfig":
    """The library's BERT in the sizes of one of our encoders, without dropout."""
    from transformers import BertConfig

    return BertConfig(
        vocab_size=sizes.vocabulary, hidden_size=sizes.width, num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads, intermediate_size=sizes.ffn_width, max_position_embeddings=sizes.positions,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip


def _with_our_head(model: "MaskedLanguageModel", run: "Pretraining") -> Callable[[], object]:
    return _step(model.train(), lambda batch: _mean(*plain_loss(model, batch)), run)


def _with_our_loss(model: "MaskedLanguageModel", run: "Pretraining") -> Callable[[], object]:
    return _step(model.train(), lambda batch: _mean(*model.loss(batch)), run)


def _mean(total: "Tensor", count: "Tensor") -> "Tensor":
    return total / count


def plain_loss(model: "MaskedLanguageModel", batch: "Masked") -> "tuple[Tensor, Tensor]":
    """What `MaskedLanguageModel.loss` returns, as torch's own documentation writes it."""
    from torch.nn.functional import cross_entropy

    asked = batch.asked & (model.head.place[batch.truth] >= 0)
    logits = model(batch.ids, batch.segment, asked)
    return cross_entropy(logits.float(), model.head.place[batch.truth[asked]], reduction="sum"), asked.sum()


def torchs(sizes: "EncoderConfig", predictable: "Tensor", seed: int = 0) -> "MaskedLanguageModel":
    """torch's own encoder between our embeddings and our prediction head."""
    import torch
    from torch import nn

    from encoder.masked import MaskedLanguageModel
    from encoder.model import Encoder

    torch.manual_seed(seed)
    layer = nn.TransformerEncoderLayer(
        sizes.width, sizes.heads, sizes.ffn_width, 0.0, "gelu", sizes.norm_eps, batch_first=True, norm_first=True
    )
    model = MaskedLanguageModel(Encoder(replace(sizes, layers=1), seed), predictable)
    del model.encoder.layers  # torch's stand in their place
    stack = nn.TransformerEncoder(layer, sizes.layers, enable_nested_tensor=False)
    model.encoder.forward = lambda ids, segment: model.encoder.final_norm(  # type: ignore[method-assign]
        stack(model.encoder.embeddings(ids, segment))
    )
    model.add_module("stack", stack)
    return model


def _step(model: "nn.Module", loss: "Callable[[Masked], Tensor]", run: "Pretraining") -> Callable[[], object]:
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.98), fused=True)
    number = iter(range(1_000_000))

    def step() -> None:
        loss(run.batch(next(number))).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), run.config.clip)
        optimizer.step()
        optimizer.zero_grad()

    return step


def _peak(name: str) -> float:
    """Megabytes that a process of its own takes at most for some steps, beyond what its imports take."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.pretrain", name], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def _measure(name: str) -> float:
    import torch  # noqa: F401
    from transformers import BertForMaskedLM  # noqa: F401

    before = _most()
    run = _ours()
    step = run.advance if name == "ours" else _bert(run)
    if name != "ours":
        run.accelerator.free_memory()  # it holds the model too
        del run.model, run._trained, run._optimizers  # what it leaves behind, the peer uses
    for _ in range(STEPS):
        step()
    return _most() - before


def _most() -> float:
    """Megabytes that this process has ever had at once, as Linux counts them: `resource` counts the parent's too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


if __name__ == "__main__":
    print(_measure(sys.argv[1]))
