"""Measures: identities that always hold, and the same numbers by plain loops."""

import numpy as np
import pytest
import torch

from encoder import measures
from encoder.model import EncoderConfig, FeedForward
from tests.synthetic import attention, gelu, relu

TOKENS = ("the", "cat", "the", "mat", "the")
UNIFORM = np.full((3, 5, 5), 0.2, dtype=np.float32)
ITSELF = np.broadcast_to(np.eye(5, dtype=np.float32), (3, 5, 5))
MASK = np.array([True, False, False, False, True])

# Every measure of a head, with the rest of its arguments filled in.
OF_HEADS = {
    "offset_share": lambda a: measures.offset_share(a, -1),
    "share_on": lambda a: measures.share_on(a, MASK),
    "same_token_share": lambda a: measures.same_token_share(a, TOKENS),
    "entropy": measures.entropy,
    "normalized entropy": lambda a: measures.entropy(a, normalized=True),
    "distance": measures.distance,
}

# The same of one head, [query, key], by loops.
BY_LOOPS = {
    "offset_share": lambda a: np.mean([a[i, i - 1] for i in range(1, 5)]),
    "share_on": lambda a: np.mean([a[i, 0] + a[i, 4] for i in range(5)]),
    "same_token_share": lambda a: np.mean(
        [sum(a[i, j] for j in (0, 2, 4) if i != j) for i in (0, 2, 4)]  # the rows of “the”
    ),
    "entropy": lambda a: np.mean([-sum(p * np.log(p) for p in row) for row in a]),
    "normalized entropy": lambda a: np.mean([-sum(p * np.log(p) for p in row) for row in a]) / np.log(5),
    "distance": lambda a: np.mean([sum(a[i, j] * abs(i - j) for j in range(5)) for i in range(5)]),
}


@pytest.mark.parametrize("name", OF_HEADS)
def test_a_measure_of_a_head_is_what_its_formula_says(name):
    heads = attention(3)
    found = OF_HEADS[name](heads)
    np.testing.assert_allclose(found, [BY_LOOPS[name](head.astype(float)) for head in heads], rtol=1e-5)


@pytest.mark.parametrize("name", OF_HEADS)
def test_a_measure_of_a_head_keeps_the_leading_axes(name):
    measure, layers = OF_HEADS[name], attention(2, 3)
    assert measure(layers).shape == (2, 3)
    assert measure(layers[0, 0]).shape == ()
    for layer in range(2):
        np.testing.assert_array_equal(measure(layers)[layer], measure(layers[layer]))


@pytest.mark.parametrize("name", OF_HEADS)
def test_a_measure_leaves_its_attention_alone(name):
    heads = attention(3)
    heads.flags.writeable = False
    OF_HEADS[name](heads)


@pytest.mark.parametrize("offset", range(-4, 5))
def test_uniform_attention_gives_every_offset_its_share(offset):
    np.testing.assert_allclose(measures.offset_share(UNIFORM, offset), 0.2, rtol=1e-6)


def test_attention_to_oneself_has_all_its_weight_at_offset_0():
    shares = [measures.offset_share(ITSELF, offset) for offset in range(-4, 5)]
    np.testing.assert_array_equal(np.sum(shares, 0), 1)
    np.testing.assert_array_equal(shares[4], 1)


def test_all_offsets_together_with_their_rows_sum_to_one():
    heads = attention(2, 3)
    whole = sum(measures.offset_share(heads, offset) * (5 - abs(offset)) for offset in range(-4, 5))
    np.testing.assert_allclose(whole / 5, 1, rtol=1e-6)


def test_an_offset_that_no_row_has_is_0():
    share = measures.offset_share(attention(2, 3), 5)
    assert (share.shape, share.dtype, share.any()) == ((2, 3), np.float32, np.False_)


def test_the_previous_token_is_the_one_before_and_the_next_the_one_after():
    before = np.eye(5, k=-1)
    assert (measures.offset_share(before, -1), measures.offset_share(before, 1)) == (1, 0)


def test_shares_on_some_keys_and_on_the_rest_sum_to_one():
    heads = attention(2, 3)
    np.testing.assert_allclose(measures.share_on(heads, MASK) + measures.share_on(heads, ~MASK), 1, rtol=1e-6)
    np.testing.assert_array_equal(measures.share_on(heads, np.zeros(5, dtype=bool)), 0)


def test_only_rows_of_tokens_that_repeat_count_for_the_same_token():
    heads = np.zeros((5, 5))
    heads[:, 0] = 1
    assert measures.same_token_share(heads, TOKENS) == pytest.approx(2 / 3)  # “the” to the first, which has no other
    heads[[1, 3]] = np.eye(5)[[1, 3]]
    assert measures.same_token_share(heads, TOKENS) == pytest.approx(2 / 3)


def test_the_same_token_elsewhere_is_0_where_none_repeats_and_all_where_nothing_else_is():
    assert not measures.same_token_share(attention(3), ("a", "b", "c", "d", "A")).any()
    heads = attention(3)
    elsewhere = 1 - np.diagonal(heads, 0, -2, -1).mean(-1)
    np.testing.assert_allclose(measures.same_token_share(heads, ("a",) * 5), elsewhere, rtol=1e-6)


def test_entropy_is_0_for_one_key_and_ln_t_for_all_alike():
    assert not measures.entropy(ITSELF).any()
    np.testing.assert_allclose(measures.entropy(UNIFORM), np.log(5), rtol=1e-6)
    np.testing.assert_allclose(measures.entropy(UNIFORM, normalized=True), 1, rtol=1e-6)


def test_entropy_of_a_single_token_is_0_either_way():
    one = np.ones((3, 1, 1), dtype=np.float32)
    assert not measures.entropy(one).any()
    assert not measures.entropy(one, normalized=True).any()


def test_entropy_never_leaves_its_bounds():
    entropies = measures.entropy(attention(2, 3))
    assert (entropies > 0).all()
    assert (entropies < np.log(5)).all()


def test_distance_is_0_for_oneself_and_grows_with_the_offset():
    assert not measures.distance(ITSELF).any()
    first = np.zeros((5, 5))
    first[:, 0] = 1
    assert measures.distance(first) == pytest.approx((0 + 1 + 2 + 3 + 4) / 5)
    np.testing.assert_allclose(measures.distance(UNIFORM), np.mean(abs(np.subtract.outer(range(5), range(5)))))


def test_weighting_by_norm_is_the_length_of_what_each_key_adds():
    heads, random = attention(2, 3), np.random.default_rng(4)
    added = random.normal(size=(2, 3, 5, 12))  # [layer, head, key, model]: value · W_O
    found = measures.norm_weighted(heads, np.linalg.norm(added, axis=-1))
    assert found.shape == (2, 3, 5, 5)
    for query in range(5):
        for key in range(5):
            expected = np.linalg.norm(heads[..., query, key, None] * added[..., key, :], axis=-1)
            np.testing.assert_allclose(found[..., query, key], expected, rtol=1e-5)


def test_weighting_by_norm_is_0_where_attention_is_and_grows_with_the_values():
    sizes = np.array([[1, 2, 3, 4, 5], [0, 1, 0, 1, 0], [2, 2, 2, 2, 2]], dtype=np.float32)
    np.testing.assert_array_equal(measures.norm_weighted(ITSELF, sizes), ITSELF * sizes[:, :, None])
    heads = attention(3)
    longer = measures.norm_weighted(heads, 7 * sizes)
    np.testing.assert_allclose(longer, 7 * measures.norm_weighted(heads, sizes), rtol=1e-6)
    np.testing.assert_array_equal(measures.norm_weighted(heads, np.ones_like(sizes)), heads)


def test_rollout_adds_up_every_path_through_the_layers():
    layers = attention(3, 4)
    found = measures.rollout(layers)
    assert found.shape == (3, 5, 5)
    step = [[[(layers[n, :, i, j].mean() + (i == j)) / 2 for j in range(5)] for i in range(5)] for n in range(3)]
    for top in range(5):
        for bottom in range(5):
            assert found[0, top, bottom] == pytest.approx(step[0][top][bottom], rel=1e-5)
            two = sum(step[1][top][m] * step[0][m][bottom] for m in range(5))
            assert found[1, top, bottom] == pytest.approx(two, rel=1e-5)
            three = sum(step[2][top][n] * step[1][n][m] * step[0][m][bottom] for n in range(5) for m in range(5))
            assert found[2, top, bottom] == pytest.approx(three, rel=1e-5)


@pytest.mark.parametrize("kept", [1.0, 0.3], ids=["whole rows", "rows that lack what was hidden"])
def test_rows_of_a_rollout_sum_to_one(kept):
    layers = (attention(6, 3) * np.float32(kept)).astype(np.float32)
    found = measures.rollout(layers)
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-5)
    assert found.min() >= 0
    assert found.dtype == np.float32


def test_rollout_of_attention_to_oneself_stays_where_it_is_and_of_even_attention_tends_to_even():
    np.testing.assert_array_equal(measures.rollout(np.stack([ITSELF] * 4)), np.stack([ITSELF[0]] * 4))
    even = measures.rollout(np.stack([UNIFORM] * 4))
    for number in range(4):
        itself = 0.5 ** (number + 1)
        np.testing.assert_allclose(even[number], (1 - itself) / 5 + itself * np.eye(5), rtol=1e-5)


def test_rollout_leaves_its_attention_alone():
    layers = attention(2, 3)
    layers.flags.writeable = False
    before = layers.copy()
    measures.rollout(layers)
    np.testing.assert_array_equal(layers, before)


def test_merging_words_sums_columns_and_averages_rows():
    heads, word = attention(2, 3), np.array([0, 1, 1, 2, 3])
    merged = measures.merge_words(heads, word)
    assert merged.shape == (2, 3, 4, 4)
    np.testing.assert_allclose(merged.sum(-1), 1, rtol=1e-6)
    for query in range(4):
        for key in range(4):
            block = heads[..., word == query, :][..., word == key]
            np.testing.assert_allclose(merged[..., query, key], block.sum(-1).mean(-1), rtol=1e-5)


def test_merging_words_of_one_piece_changes_nothing():
    heads = attention(3)
    np.testing.assert_array_equal(measures.merge_words(heads, np.arange(5)), heads)


def test_cosines_are_those_of_every_two_rows():
    vectors = np.random.default_rng(1).normal(size=(5, 12)).astype(np.float32)
    found = measures.cosine(vectors)
    for one in range(5):
        for other in range(5):
            a, b = vectors[one].astype(float), vectors[other].astype(float)
            expected = a @ b / np.sqrt((a @ a) * (b @ b))
            assert found[one, other] == pytest.approx(expected, abs=1e-6)
    np.testing.assert_allclose(np.diag(found), 1, rtol=1e-6)
    assert abs(found).max() <= 1


def test_a_zero_vector_has_no_direction():
    vectors = np.array([[0, 0], [3, 4]], dtype=np.float32)
    np.testing.assert_array_equal(measures.cosine(vectors), [[0, 0], [0, 1]])
    np.testing.assert_array_equal(measures.turn(vectors, vectors), [1, 0])


def test_mean_cosine_is_1_for_identical_vectors_and_about_0_for_random_ones():
    random = np.random.default_rng(0)
    assert measures.mean_cosine(np.tile(random.normal(size=12), (5, 1))) == pytest.approx(1)
    assert abs(measures.mean_cosine(random.normal(size=(200, 300)))) < 0.01
    assert measures.mean_cosine(random.normal(size=(1, 12))) == 1
    assert measures.mean_cosine(np.array([[1.0, 0], [-2.0, 0]])) == pytest.approx(-1)


def test_mean_cosine_does_not_depend_on_lengths_or_on_a_rotation():
    random = np.random.default_rng(2)
    hidden = random.normal(size=(5, 12))
    expected = measures.mean_cosine(hidden)
    rotation = np.linalg.qr(random.normal(size=(12, 12)))[0]
    assert measures.mean_cosine(hidden * random.uniform(1, 9, size=(5, 1))) == pytest.approx(expected)
    assert measures.mean_cosine(hidden @ rotation) == pytest.approx(expected)


def test_mean_cosine_is_the_mean_over_every_two_rows():
    hidden = np.random.default_rng(5).normal(size=(5, 12))
    hidden[2] = 0
    pairs = [(hidden[one], hidden[other]) for one in range(5) for other in range(5) if one != other]
    cosines = [a @ b / np.sqrt((a @ a) * (b @ b)) if a.any() and b.any() else 0 for a, b in pairs]
    assert measures.mean_cosine(hidden) == pytest.approx(np.mean(cosines))


def test_mean_cosine_takes_zero_vectors_for_alike_to_nothing():
    assert measures.mean_cosine(np.zeros((5, 12))) == 0
    assert measures.mean_cosine(np.array([[0.0, 0], [3, 4], [6, 8]])) == pytest.approx(2 / 6)
    assert measures.mean_cosine(np.zeros((1, 12))) == 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_mean_cosine_needs_no_matrix_of_all_pairs(dtype):
    random, many = np.random.default_rng(6), 50_000  # 20 GB of pairs
    alike = np.tile(random.normal(size=12), (many, 1)).astype(dtype)
    assert measures.mean_cosine(alike) == pytest.approx(1, abs=1e-9)
    alike[::2] *= -1
    assert measures.mean_cosine(alike) == pytest.approx(-1 / (many - 1), abs=1e-9)
    assert abs(measures.mean_cosine(random.normal(size=(many, 12)).astype(dtype))) < 1e-3


def two_layers(seed=0):
    """[token, 12] and [token, 20], partly alike."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(50, 12))
    return x, x @ random.normal(size=(12, 20)) + 5 * random.normal(size=(50, 20))


def in_half_precision():
    """The two layers far from zero: half precision holds neither their sums nor their means."""
    return ((1_000 + each / each.std()).astype(np.float16) for each in two_layers())


def cka_by_similarities(x, y):
    """HSIC(K, L) / √(HSIC(K, K) · HSIC(L, L)) of the matrices of all tokens by all tokens."""
    centring = np.eye(len(x)) - 1 / len(x)
    k, m = (centring @ (each @ each.T) @ centring for each in (x, y))
    return np.trace(k @ m) / np.sqrt(np.trace(k @ k) * np.trace(m @ m))


def test_cka_is_the_alignment_of_the_similarities_of_all_tokens():
    x, y = two_layers()
    expected = cka_by_similarities(x, y)
    assert 0.1 < expected < 0.9
    assert measures.cka(x, y) == pytest.approx(expected, rel=1e-4)
    assert measures.cka(y, x) == pytest.approx(expected, rel=1e-4)


def test_cka_is_1_for_a_layer_rotated_scaled_and_shifted():
    x, _ = two_layers()
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(12, 12)))[0]
    assert measures.cka(x, x) == pytest.approx(1, rel=1e-5)
    assert measures.cka(x, -7 * x @ rotation + np.arange(12)) == pytest.approx(1, rel=1e-5)
    assert measures.cka(x, x * np.arange(12)) < 0.95, "scaling each channel for itself is another layer"


def test_cka_does_not_change_with_a_rotation_a_scale_or_a_shift_of_either():
    x, y = two_layers()
    expected = measures.cka(x, y)
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(20, 20)))[0]
    for changed in (y @ rotation, 0.01 * y, -300 * y, y + np.arange(20)):
        assert measures.cka(x, changed) == pytest.approx(expected, rel=1e-4)
        assert measures.cka(changed, x) == pytest.approx(expected, rel=1e-4)


def test_cka_is_0_for_what_never_changes_and_small_for_what_has_nothing_in_common():
    x, _ = two_layers()
    still = np.full((50, 20), 3.5)
    assert measures.cka(x, still) == measures.cka(still, x) == measures.cka(still, still) == 0
    random = np.random.default_rng(3)
    assert measures.cka(random.normal(size=(5_000, 12)), random.normal(size=(5_000, 20))) < 0.01


def test_cka_of_half_precision_is_computed_in_full():
    x, y = in_half_precision()
    assert measures.cka(x, y) == pytest.approx(cka_by_similarities(x.astype(float), y.astype(float)), rel=1e-4)


def attention_block(seed=0):
    """The arguments of `residual_mix` but gamma: 3 heads, 5 tokens, head_dim 4, width 12."""
    random = np.random.default_rng(seed)
    shapes = (3, 5, 4), (3, 4, 12), (5, 12)
    return attention(3, seed=seed), *(random.normal(size=shape).astype(np.float32) for shape in shapes)


GAMMA = np.random.default_rng(7).uniform(0.2, 2, size=12).astype(np.float32)
WITH_AND_WITHOUT_A_NORM = pytest.mark.parametrize("gamma", [None, GAMMA], ids=["sum", "norm"])


@WITH_AND_WITHOUT_A_NORM
def test_the_residual_mix_is_what_comes_from_others_against_what_a_token_keeps(gamma):
    weights, value, output, hidden = attention_block()
    found = measures.residual_mix(weights, value, output, hidden, gamma)
    assert found.shape == (5,)
    for query in range(5):
        kept, others = hidden[query].astype(float), np.zeros(12)
        for head in range(3):
            for key in range(5):
                added = weights[head, query, key] * (value[head, key].astype(float) @ output[head])
                if key == query:
                    kept = kept + added
                else:
                    others = others + added
        if gamma is not None:
            kept, others = gamma * (kept - kept.mean()), gamma * (others - others.mean())
        mixed, past = np.sqrt((others**2).sum()), np.sqrt((kept**2).sum())
        assert found[query] == pytest.approx(mixed / (mixed + past), rel=1e-4)


@WITH_AND_WITHOUT_A_NORM
def test_nothing_is_mixed_where_attention_is_to_oneself_or_nothing_is_read(gamma):
    weights, value, output, hidden = attention_block()
    np.testing.assert_allclose(measures.residual_mix(ITSELF, value, output, hidden, gamma), 0, atol=1e-6)
    np.testing.assert_array_equal(measures.residual_mix(weights, 0 * value, output, hidden, gamma), 0)
    np.testing.assert_array_equal(measures.residual_mix(weights, 0 * value, output, 0 * hidden, gamma), 0)


@WITH_AND_WITHOUT_A_NORM
def test_all_is_mixed_where_nothing_goes_past_and_attention_is_to_others(gamma):
    weights, value, output, hidden = attention_block()
    elsewhere = weights * (1 - ITSELF)
    elsewhere /= elsewhere.sum(-1, keepdims=True)
    np.testing.assert_allclose(measures.residual_mix(elsewhere, value, output, 0 * hidden, gamma), 1, rtol=1e-6)


@WITH_AND_WITHOUT_A_NORM
def test_the_residual_mix_does_not_depend_on_a_scale_and_falls_with_what_goes_past(gamma):
    weights, value, output, hidden = attention_block()
    expected = measures.residual_mix(weights, value, output, hidden, gamma)
    np.testing.assert_allclose(
        measures.residual_mix(weights, 7 * value, output, 7 * hidden, gamma), expected, rtol=1e-4
    )
    assert (measures.residual_mix(weights, value, output, 50 * hidden, gamma) < expected).all()
    if gamma is not None:
        shifted = hidden + np.float32(3), 5 * gamma  # a norm takes off the mean
        np.testing.assert_allclose(measures.residual_mix(weights, value, output, *shifted), expected, rtol=1e-4)


def test_a_measure_of_several_arrays_leaves_them_alone():
    block, (x, y) = (*attention_block(), GAMMA.copy()), two_layers()
    for array in (*block, x, y):
        array.flags.writeable = False
    measures.residual_mix(*block)
    measures.mean_cosine(x)
    measures.cka(x, y)
    measures.correlations(x[:, 0], y)


def test_correlations_are_pearsons_r_with_each_column():
    x, y = two_layers()
    values, others = x[:, 3], 40 + y
    found = measures.correlations(values, others)
    expected = np.corrcoef(values, others, rowvar=False)[0, 1:]
    assert found.shape == (20,)
    assert abs(expected).max() > 0.3
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_correlation_is_1_along_a_line_and_minus_1_against_it():
    values = np.array([0, 1, 4, 9, 16], dtype=np.float32)
    np.testing.assert_allclose(
        measures.correlations(values, np.stack([values, 3 * values + 8, -values], -1)), [1, 1, -1], rtol=1e-6
    )


def test_what_never_changes_correlates_with_nothing():
    values, still = np.array([0.5, -1, 2, 3, 0]), np.full(5, 2.5)
    others = np.stack([still, values, 0 * still], -1)
    np.testing.assert_allclose(measures.correlations(values, others), [0, 1, 0], atol=1e-6)
    np.testing.assert_array_equal(measures.correlations(still, others), [0, 0, 0])


def test_correlations_of_half_precision_are_computed_in_full():
    x, y = in_half_precision()
    expected = np.corrcoef(x[:, 3].astype(float), y.astype(float), rowvar=False)[0, 1:]
    np.testing.assert_allclose(measures.correlations(x[:, 3], y), expected, atol=1e-4)


def test_a_turn_is_0_ahead_1_at_right_angles_and_2_back():
    before = np.array([[1, 0], [1, 0], [1, 0]], dtype=np.float32)
    after = np.array([[5, 0], [0, 2], [-3, 0]], dtype=np.float32)
    np.testing.assert_allclose(measures.turn(before, after), [0, 1, 2], atol=1e-7)


def test_a_turn_is_one_less_the_cosine_row_by_row():
    before, after = np.random.default_rng(3).normal(size=(2, 5, 12))
    both = measures.cosine(np.concatenate([before, after]))
    np.testing.assert_allclose(measures.turn(before, after), 1 - np.diag(both[:5, 5:]), rtol=1e-6)


def test_a_relu_neuron_is_silent_at_0():
    neurons = relu(np.array([[-2.0, 0.0, 0.01], [0.04, 3.0, -0.5]]))
    np.testing.assert_array_equal(measures.silent(neurons), [[True, True, False], [False, False, True]])
    assert measures.sparsity(neurons) == 0.5


def test_a_gelu_neuron_is_silent_near_0_on_either_side():
    neurons = np.array([[-0.16, -0.049, 0.0, 0.049], [0.05, 0.051, 2.0, -0.05]])
    np.testing.assert_array_equal(measures.silent(neurons), [[False, True, True, True], [False, False, False, False]])
    assert measures.sparsity(neurons) == 3 / 8


def test_half_of_random_relu_neurons_are_silent():
    before = np.random.default_rng(0).normal(size=(100, 200))
    assert measures.sparsity(relu(before)) == pytest.approx(0.5, abs=0.02)
    assert measures.sparsity(relu(before)) == (before <= 0).mean()


def test_the_encoders_gelu_never_falls_below_its_minimum():
    inputs = np.linspace(-8, 8, 4_001, dtype=np.float32)
    neurons = FeedForward(EncoderConfig(activation="gelu")).activation(torch.from_numpy(inputs)).numpy()
    np.testing.assert_allclose(neurons, gelu(inputs.astype(float)), atol=1e-6)
    assert -0.1701 < neurons.min() < -0.1699


def test_the_strongest_are_largest_in_size_and_the_largest_first():
    values = np.array([0.5, -3.0, 2.0, 0.0, 2.0])
    assert measures.strongest(values, 3).tolist() == [1, 2, 4]
    assert measures.strongest(values, 9).tolist() == [1, 2, 4, 0, 3]


def test_the_most_active_neurons_reach_highest_on_any_token():
    neurons = np.array([[0.1, -0.17, 0.0, 0.9], [0.3, -0.16, 0.2, -0.1]])
    assert measures.most_active(neurons, 2).tolist() == [3, 0]
    assert measures.most_active(neurons, 9).tolist() == [3, 0, 2, 1]  # far below zero is not active
