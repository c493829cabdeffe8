"""Quantities: every one has the shape and the meaning that it says, for every reading."""

import numpy as np
import pytest

from encoder.maps import hidden_states
from encoder.quantities import QUANTITIES, silent
from encoder.views import whole_words, without_special
from tests.synthetic import HEAD_DIM, HEADS, LAYERS, WIDTH, gelu, layer_weights, reading, relu

# What each quantity says, as a plain loop over one layer's token or head.
BY_LOOPS = {
    "size": lambda trace, level, token: np.sqrt(sum(x**2 for x in states(trace)[level][token])),
    "change": lambda trace, layer, token: 1 - cosine(states(trace)[layer][token], states(trace)[layer + 1][token]),
    "departure": lambda trace, layer, token: 1 - cosine(states(trace)[0][token], states(trace)[layer + 1][token]),
    "alike": lambda trace, level, token: np.mean(
        [cosine(states(trace)[level][token], other) for i, other in enumerate(states(trace)[level]) if i != token]
    ),
    "silent": lambda trace, layer, token: np.mean([abs(x) < 0.05 for x in trace.layers[layer].neurons[token]]),
    "entropy": lambda trace, layer, head: np.mean(
        [-sum(a * np.log(a) for a in row) / np.log(5) for row in trace.layers[layer].attention[head]]
    ),
    "distance": lambda trace, layer, head: np.mean(
        [sum(a * abs(i - j) for j, a in enumerate(row)) for i, row in enumerate(trace.layers[layer].attention[head])]
    ),
    "previous": lambda trace, layer, head: np.mean(
        [trace.layers[layer].attention[head][i, i - 1] for i in range(1, 5)]
    ),
    "special": lambda trace, layer, head: np.mean([row[0] + row[4] for row in trace.layers[layer].attention[head]]),
    "mix": lambda trace, layer, token: mixed(trace, layer, token),
}


def mixed(trace, number, token):
    """How much is from other tokens, head by head and token by token."""
    layer, weights = trace.layers[number], layer_weights(number)
    given = np.zeros((len(trace.tokens), WIDTH))
    for head in range(HEADS):
        output = weights.output.weight[head * HEAD_DIM : (head + 1) * HEAD_DIM]
        for key in range(len(trace.tokens)):
            given[key] += layer.attention[head, token, key] * (layer.value[head, key] @ output)
    others = sum(given[key] for key in range(len(trace.tokens)) if key != token) + np.zeros(WIDTH)
    kept = given[token] + states(trace)[number][token]
    lengths = [np.linalg.norm((part - part.mean()) * weights.attention_norm.gamma) for part in (others, kept)]
    return lengths[0] / sum(lengths)


def of(quantity, trace):
    return quantity.of(trace, layer_weights) if quantity.inside else quantity.of(trace)


def states(trace):
    return [state.astype(float) for state in hidden_states(trace)]


def cosine(one, other):
    return one @ other / np.sqrt((one @ one) * (other @ other))


def size_of(quantity, trace):
    rows = LAYERS + quantity.from_embedding
    return rows, len(trace.tokens) if quantity.across == "token" else HEADS


def test_every_quantity_is_checked_here():
    assert set(BY_LOOPS) == set(QUANTITIES)


@pytest.mark.parametrize("name", QUANTITIES)
def test_a_quantity_is_what_its_meaning_says(name):
    trace, quantity = reading(), QUANTITIES[name]
    rows, columns = size_of(quantity, trace)
    expected = [[BY_LOOPS[name](trace, row, column) for column in range(columns)] for row in range(rows)]
    np.testing.assert_allclose(of(quantity, trace), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", QUANTITIES)
@pytest.mark.parametrize("view", [lambda trace: trace, whole_words, without_special], ids=["read", "words", "hidden"])
@pytest.mark.parametrize("text", [("cat",), ("un", "##believ", "cats")], ids=["one token", "three tokens"])
@pytest.mark.parametrize("activation", [gelu, relu])
def test_a_quantity_is_finite_and_has_its_shape_for_every_reading(name, view, text, activation):
    quantity = QUANTITIES[name]
    trace = (view if not quantity.inside else lambda read: read)(reading(*text, activation=activation))
    values = of(quantity, trace)
    assert values.shape == size_of(quantity, trace)
    assert np.isfinite(values).all()
    if quantity.top is not None:
        assert values.min() >= 0
        assert values.max() <= quantity.top + 1e-6


@pytest.mark.parametrize("activation", [gelu, relu])
def test_silent_neurons_of_a_word_are_the_mean_of_its_pieces_as_they_were_read(activation):
    trace = reading("un", "##believ", "cats", activation=activation)  # [CLS] un ##believ cats [SEP]
    each = silent(trace)
    joined = np.stack([each[:, 0], each[:, 1:3].mean(1), each[:, 3], each[:, 4]], axis=1)
    np.testing.assert_allclose(silent(trace, words=True), joined)
    np.testing.assert_array_equal(silent(trace, hide=True), each[:, 1:4])
    np.testing.assert_allclose(silent(trace, words=True, hide=True), joined[:, 1:3])


def test_what_starts_at_the_embedding_has_it_in_its_first_row():
    trace = reading()
    np.testing.assert_allclose(
        QUANTITIES["size"].of(trace)[0], np.linalg.norm(trace.embedding.output, axis=1), rtol=1e-6
    )
    assert {name for name, quantity in QUANTITIES.items() if quantity.from_embedding} == {"size", "alike"}


def test_the_first_layers_change_is_its_departure():
    trace = reading()
    np.testing.assert_array_equal(QUANTITIES["change"].of(trace)[0], QUANTITIES["departure"].of(trace)[0])


def test_labels_are_unique_and_every_quantity_explains_itself_in_a_sentence():
    assert len({quantity.label for quantity in QUANTITIES.values()}) == len(QUANTITIES)
    for quantity in QUANTITIES.values():
        assert quantity.meaning.endswith(".")
        assert quantity.unit


def test_the_means_of_spread_and_size_that_a_flipped_choice_is_told_by(minilm):
    read = minilm.trace("The cat sat on the mat because it was tired.")
    weights = read.layers[2].attention.astype(np.float64)
    evenness = -(weights * np.log(weights)).sum(-1).mean() / np.log(len(read.tokens))
    assert QUANTITIES["entropy"].of(read).mean(1)[2] == pytest.approx(evenness, rel=1e-4)
    length = np.sqrt((read.layers[5].hidden ** 2).sum(-1)).mean()
    assert QUANTITIES["size"].of(read)[1:].mean(1)[5] == pytest.approx(length, rel=1e-5)
