"""Looking inside a layer: all heads switched off in turn, norm-weighted attention, the example sentences."""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import perf_counter

from tests.bench import engine, texts
from tests.bench.clock import interleave, milliseconds, spread
from tests.bench.report import Row

TOKENS = 32


def rows() -> Iterator[Row]:
    """Ablation ÷ a forward, norm-weighted attention ÷ transformers' trace, and reading the corpus, all on MiniLM."""
    yield from _reading()
    yield from _corpus()


def _reading() -> Iterator[Row]:
    import torch

    from encoder.measures import norm_weighted
    from encoder.models import load

    model = load("minilm")
    text = texts.of_tokens(TOKENS)
    encoder = model._ours()
    ids = torch.tensor([model._tokenizer.encode(text, None, TOKENS)[0]])

    def forward() -> object:
        with torch.inference_mode():
            return encoder(ids)

    def weighted() -> object:
        read = model.trace(text)
        return [norm_weighted(layer.attention, layer.value_size) for layer in read.layers]

    jobs = {"ablation": partial(model.ablation, text), "forward": forward}
    took = interleave(jobs)
    heads = model.card.layers * model.card.heads
    yield _row(
        f"each of {heads} heads off in turn, {TOKENS} tokens ÷ one forward", took["ablation"], took["forward"], 15
    )
    took = interleave({"weighted": weighted, "trace": partial(engine.their_trace(), text)})
    name = f"trace with norm-weighted attention, {TOKENS} tokens ÷ transformers' without"
    yield _row(name, took["weighted"], took["trace"], 3)


def _corpus() -> Iterator[Row]:
    from encoder.catalogue import catalogue
    from encoder.models import load
    from encoder.survey import Surveying

    model = load("minilm")
    with tempfile.TemporaryDirectory() as home:
        for name, target in (("read by MiniLM", 60.0), ("found on disk again", None)):
            start, job = perf_counter(), Surveying()
            job.run(catalogue()["minilm"], lambda: model, Path(home))
            if job.survey is None:
                raise RuntimeError(job.error)
            seconds = perf_counter() - start
            yield Row("inside", f"{job.survey.sentences} example sentences, {name}", seconds, unit="s", target=target)
        size = sum(path.stat().st_size for path in Path(home).rglob("*.npz")) / 1e6
        yield Row("inside", "the same on disk", size, unit="MB", target=300)


def _row(name: str, ours: list[float], peer: list[float], target: float) -> Row:
    return Row("inside", name, milliseconds(ours), milliseconds(peer), target=target, note=spread(ours, peer))
