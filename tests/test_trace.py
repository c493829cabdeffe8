"""The record itself, without any model."""

from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest

from encoder.trace import (
    EMBEDDING_AXES,
    LAYER_AXES,
    OUTPUT_AXES,
    EmbeddingTrace,
    LayerTrace,
    ModelCard,
    Tokens,
    Trace,
    read_only,
)

SIZES = {"token": 5, "query": 5, "key": 5, "model": 12, "head": 3, "head_dim": 4, "ffn": 20}
STORED = [name for name in LAYER_AXES if name != "scores"]


@pytest.fixture
def trace():
    """5 tokens, 3 heads, 2 layers, width 12, of random numbers."""
    random = np.random.default_rng(0)

    def array(axes):
        return read_only(random.standard_normal([SIZES[axis] for axis in axes], dtype=np.float32))

    tokens = Tokens(
        text=("[CLS]", "the", "cat", ".", "[SEP]"),
        word=np.array([-1, 0, 1, 2, -1]),
        segment=np.zeros(5, dtype=np.int64),
        special=np.array([True, False, False, False, True]),
        span=np.array([[0, 0], [0, 3], [4, 7], [7, 8], [0, 0]]),
    )
    layers = tuple(LayerTrace(**{name: array(LAYER_AXES[name]) for name in STORED}, scale=0.5) for _ in range(2))
    embedding = EmbeddingTrace(**{name: array(axes) for name, axes in EMBEDDING_AXES.items()})
    card = ModelCard("tiny", "test", 2, 3, 12, 20, 17, 0, "WordPiece")
    return Trace(card, tokens, embedding, layers, array(OUTPUT_AXES["output"]), 0.001, "cpu")


def test_every_array_is_named_once_with_its_axes(trace):
    found = list(trace.arrays())
    names = [name for name, _, _ in found]
    assert len(names) == len(set(names)) == len(EMBEDDING_AXES) + 2 * len(LAYER_AXES) + 1
    for name, array, axes in found:
        assert array.shape == tuple(SIZES[axis] for axis in axes), name
    by_name = {name: array for name, array, _ in found}
    assert by_name["embedding.output"] is trace.embedding.output
    assert by_name["layers.1.attention"] is trace.layers[1].attention


def test_no_field_of_the_record_is_without_axes():
    assert {field.name for field in fields(EmbeddingTrace)} == set(EMBEDDING_AXES)
    assert {field.name for field in fields(LayerTrace)} == {*STORED, "scale"}


def test_scores_are_scaled_products_of_queries_and_keys(trace):
    layer = trace.layers[1]
    for head in range(3):
        for query in range(5):
            for key in range(5):
                expected = 0.5 * layer.query[head, query].astype(float) @ layer.key[head, key].astype(float)
                assert layer.scores[head, query, key] == pytest.approx(expected, abs=1e-5)
    assert layer.scores.dtype == np.float32


def test_bytes_are_those_of_the_stored_arrays_and_not_of_derived_ones(trace):
    floats = 5 * 5 * 12 + 2 * (4 * 3 * 5 * 4 + 3 * 5 + 3 * 5 * 5 + 4 * 5 * 12 + 2 * 5 * 20)
    whole_numbers, truths = 5 + 5 + 5 * 2, 5
    assert trace.nbytes == 4 * floats + 8 * whole_numbers + truths


def test_tokens_are_counted_by_their_number(trace):
    assert len(trace.tokens) == 5
    assert trace.tokens.left_out == 0


@pytest.mark.parametrize("part", ["model", "tokens", "embedding", "layers", "seconds", "device"])
def test_nothing_of_a_trace_can_be_exchanged(trace, part):
    with pytest.raises(FrozenInstanceError):
        setattr(trace, part, None)


def test_read_only_closes_the_array_it_was_given():
    array = np.zeros(3)
    assert read_only(array) is array
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
