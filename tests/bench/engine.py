"""The engine by itself: a full trace and a plain forward beside transformers' own, on MiniLM."""

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any

from encoder.catalogue import minilm_folder
from encoder.trace import ModelCard
from tests.bench import texts
from tests.bench.clock import interleave, milliseconds, spread
from tests.bench.report import Row

LENGTHS = (16, 64, 128, 512)  # tokens


def rows() -> Iterator[Row]:
    """Trace ÷ transformers (and ÷ nnsight where it is installed), then forward ÷ transformers' fastest."""
    yield from _traces()
    yield from _forwards()


def _traces() -> Iterator[Row]:
    from encoder.models import load

    ours, theirs = load("minilm"), their_trace()
    nnsight, note = _nnsight()
    for length in LENGTHS:
        text = texts.of_tokens(length)
        if len(ours.trace(text, limit=512).tokens) != length:
            raise ValueError(f"the text for {length} tokens has another length")
        jobs: dict[str, Callable[[], object]] = {
            "ours": partial(ours.trace, text, limit=512),
            "transformers": partial(_in_as_many_threads, ours.card, length, theirs, text),
            "all cores": partial(theirs, text),
        }
        if nnsight is not None:
            jobs["nnsight"] = partial(nnsight, text)
        took = interleave(jobs)
        name = f"trace of {length} tokens ÷"
        peer = "transformers, eager, all outputs"
        yield _row(f"{name} {peer}, in as many threads", took["ours"], took["transformers"], 1.1)
        yield _row(f"{name} {peer}, in all cores", took["ours"], took["all cores"])
        if nnsight is not None:
            yield _row(f"{name} {note}, hidden states and attention", took["ours"], took["nnsight"])
    if nnsight is None:
        yield Row("engine", "trace ÷ nnsight", None, note=note)


def _in_as_many_threads(card: ModelCard, length: int, work: Callable[[str], object], text: str) -> object:
    """A short text is read in one thread: twice as many readers at once are worth more here than a quicker one."""
    from encoder.devices import threads

    with threads(length * card.width * card.ffn_width):
        return work(text)


def _forwards() -> Iterator[Row]:
    import torch

    from encoder.bert import carry

    theirs = _load_theirs("sdpa")
    ours = carry(theirs).eval()
    draw = torch.Generator().manual_seed(0)
    for batch, target in ((1, 1.0), (32, 1.05)):
        for length in LENGTHS:
            ids = torch.randint(1000, 20000, (batch, length), generator=draw)  # [batch, token]
            kept = torch.randint(length // 2, length + 1, (batch, 1), generator=draw)
            kept[0] = length
            mask = torch.arange(length) < kept if batch > 1 else None  # [batch, token], True where there is text
            with torch.inference_mode():
                took = interleave(
                    {"ours": partial(ours, ids, mask=mask), "theirs": partial(theirs, ids, attention_mask=mask)}
                )
            padded = "" if mask is None else ", padded"
            name = f"forward of {batch} × {length} tokens{padded} ÷ transformers, sdpa"
            yield _row(name, took["ours"], took["theirs"], target)


def _row(name: str, ours: list[float], peer: list[float], target: float | None = None) -> Row:
    return Row("engine", name, milliseconds(ours), milliseconds(peer), target=target, note=spread(ours, peer))


def _load_theirs(attention: str) -> Any:
    from transformers import BertModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    # Without the pooler: ours has none, and the peer should do nothing more.
    return BertModel.from_pretrained(minilm_folder(), attn_implementation=attention, add_pooling_layer=False).eval()


def _tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(minilm_folder())


def their_trace() -> Callable[[str], object]:
    """transformers' reading of a text with all attention and hidden states."""
    import torch

    model, tokenizer = _load_theirs("eager"), _tokenizer()

    @torch.inference_mode()
    def trace(text: str) -> object:
        return model(**tokenizer(text, return_tensors="pt"), output_attentions=True, output_hidden_states=True)

    return trace


def _nnsight() -> tuple[Callable[[str], object] | None, str]:
    """What nnsight needs to save hidden states and attention, or None and why not."""
    import torch

    if find_spec("nnsight") is None:
        return None, "nnsight is not installed: tests/bench/requirements.txt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that `output` is a word of its own
        import nnsight

        model = nnsight.NNsight(_load_theirs("eager"))  # a model of its own: it stays wrapped
    tokenizer = _tokenizer()

    @torch.inference_mode()
    def trace(text: str) -> object:
        encoded = tokenizer(text, return_tensors="pt")
        with model.trace(**encoded):
            hidden, attention = nnsight.save([]), nnsight.save([])
            for layer in model.encoder.layer:
                attention.append(layer.attention.self.output[1])
                hidden.append(layer.output)
        return hidden, attention

    return trace, f"nnsight {nnsight.__version__}"
