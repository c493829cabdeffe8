"""Maps: PCA against scikit-learn's, t-SNE, and the same axes for all levels."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from encoder.maps import MOST_POINTS, hidden_states, pca, places, tsne
from tests.synthetic import LAYERS, reading

SPACES = {"2d": 2, "3d": 3, "tsne": 2}


def random_states(levels=3, tokens=5, width=12, seed=0):
    spread = np.linspace(3, 1, width)  # no two axes alike
    random = np.random.default_rng(seed)
    return [(random.normal(size=(tokens, width)) * spread).astype(np.float32) for _ in range(levels)]


def test_hidden_states_are_the_embedding_and_then_every_layers_output():
    trace = reading()
    states = hidden_states(trace)
    assert len(states) == 1 + LAYERS
    assert states[0] is trace.embedding.output
    assert all(state is layer.hidden for state, layer in zip(states[1:], trace.layers, strict=True))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_pca_is_scikit_learns_up_to_the_sign_of_an_axis(dimensions):
    states = random_states()
    at, variance = pca(states, dimensions)
    reference = PCA(dimensions, svd_solver="full")
    expected = reference.fit_transform(np.concatenate(states))
    found = np.concatenate(at)
    signs = np.sign((found * expected).sum(0))
    np.testing.assert_allclose(found, expected * signs, atol=1e-4)
    np.testing.assert_allclose(variance, reference.explained_variance_ratio_, rtol=1e-4)


def test_all_levels_lie_on_the_same_axes():
    states = random_states(tokens=20)
    at, _ = pca(states, 3)
    assert [level.shape for level in at] == [(20, 3)] * 3
    centre = np.concatenate(states).mean(0)
    axes, *_ = np.linalg.lstsq(states[0] - centre, at[0], rcond=None)  # [model, dimension], from one level alone
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-4)
    for state, shown in zip(states, at, strict=True):
        np.testing.assert_allclose((state - centre) @ axes, shown, atol=1e-4)


def test_a_token_that_does_not_move_keeps_its_place():
    first, second = pca([random_states()[0]] * 2, 2)[0]
    np.testing.assert_array_equal(first, second)


def test_pca_with_all_dimensions_keeps_every_distance():
    states = random_states(levels=2, tokens=4, width=3)
    at, variance = pca(states, 3)
    whole, shown = np.concatenate(states), np.concatenate(at)
    distances = np.linalg.norm(whole[:, None] - whole[None], axis=-1)
    np.testing.assert_allclose(np.linalg.norm(shown[:, None] - shown[None], axis=-1), distances, atol=1e-4)
    assert variance.sum() == pytest.approx(1, abs=1e-5)
    assert (np.diff(variance) <= 0).all()


def test_the_sign_of_an_axis_is_fixed_by_its_largest_loading():
    states = random_states()
    at, _ = pca(states, 3)
    centred = np.concatenate(states) - np.concatenate(states).mean(0)
    loadings = np.linalg.lstsq(np.concatenate(at), centred, rcond=None)[0]  # [dimension, model]
    strongest = loadings[range(3), abs(loadings).argmax(1)]
    assert (strongest > 0).all()


def test_missing_dimensions_are_zeros():
    at, variance = pca([np.array([[1.0, 2, 3, 4]]), np.array([[4.0, 3, 2, 2]])], 3)
    assert [level.shape for level in at] == [(1, 3)] * 2
    np.testing.assert_allclose(np.stack(at)[..., 1:], 0, atol=1e-12)
    np.testing.assert_allclose(variance, [1, 0, 0], atol=1e-12)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_tokens_that_never_move_lie_at_the_origin(dimensions):
    at, variance = pca([np.ones((2, 12))] * 2, dimensions)
    assert not np.stack(at).any()
    assert not variance.any()


@pytest.fixture(scope="module", params=SPACES)
def mapped(request):
    """A space and the map of a reading in it: t-SNE takes a while."""
    return request.param, places(reading(), request.param)


def test_the_map_of_a_reading_has_a_place_for_every_token_at_every_level(mapped):
    space, found = mapped
    assert found.at.shape == (1 + LAYERS, 5, SPACES[space])
    assert len(found.axes) == SPACES[space]
    assert np.isfinite(found.at).all()
    assert not found.at.flags.writeable
    assert found.nbytes == found.at.nbytes


def test_the_same_text_gives_the_same_map_every_time(mapped):
    space, found = mapped
    np.testing.assert_array_equal(places(reading(), space).at, found.at)


def test_axes_of_a_map_say_their_share_of_variance_and_those_of_t_sne_none(mapped):
    space, found = mapped
    _, variance = pca(hidden_states(reading()), SPACES[space])
    shares = tuple(f"axis {number} ({round(100 * share)}% of variance)" for number, share in enumerate(variance, 1))
    assert found.axes == (("t-SNE 1", "t-SNE 2") if space == "tsne" else shares)


def test_t_sne_of_fewer_than_five_points_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"^t-SNE needs at least 5 points\.$"):
        tsne([np.zeros((1, 12)), np.zeros((3, 12))])


def test_t_sne_of_five_points_is_drawn():
    at = tsne(random_states(levels=1))
    assert [level.shape for level in at] == [(5, 2)]


def test_t_sne_keeps_two_far_groups_apart():
    random = np.random.default_rng(0)
    states = [random.normal(size=(10, 12)), random.normal(size=(12, 12)) + 50]
    here, there = tsne([state.astype(np.float32) for state in states])
    assert (here.shape, there.shape) == ((10, 2), (12, 2))
    gap = np.linalg.norm(here.mean(0) - there.mean(0))
    assert gap > np.linalg.norm(here - here.mean(0), axis=1).max()
    assert gap > np.linalg.norm(there - there.mean(0), axis=1).max()


def test_tsne_refuses_more_points_than_a_room_can_wait_for():
    with pytest.raises(ValueError, match="PCA, which has no such limit"):
        tsne([np.zeros((MOST_POINTS + 1, 4), dtype=np.float32)])
