"""Other ways to look at a reading: whole words, and without special tokens."""

import numpy as np
import pytest

from encoder.trace import EMBEDDING_AXES, LAYER_AXES
from encoder.views import _groups, origins, whole_words, without_special
from tests.synthetic import FFN, HEAD_DIM, HEADS, WIDTH, reading, relu

VIEWS = {
    "words": whole_words,
    "hidden": without_special,
    "both": lambda trace: without_special(whole_words(trace)),
}
PAIR = {"pair": ("no", "##body", "ran")}
VECTORS = [name for name, axes in LAYER_AXES.items() if axes[-2] == "token"]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("pair", [{}, PAIR], ids=["single", "pair"])
def test_every_array_of_a_view_has_the_sizes_its_axes_say(view, pair):
    trace = VIEWS[view](reading(**pair))
    count = len(trace.tokens)
    sizes = {
        "token": count, "query": count, "key": count,
        "model": WIDTH, "head": HEADS, "head_dim": HEAD_DIM, "ffn": FFN,
    }  # fmt: skip
    for name, array, axes in trace.arrays():
        assert array.shape == tuple(sizes[axis] for axis in axes), name
        assert array.dtype == np.float32, name


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_cannot_be_written_to_and_leaves_the_reading_as_it_was(view):
    trace = reading()
    before = {name: array.copy() for name, array, _ in trace.arrays()}
    seen = VIEWS[view](trace)
    for part in (seen.tokens, seen.embedding, *seen.layers):
        for name, value in vars(part).items():
            if isinstance(value, np.ndarray):
                assert not value.flags.writeable, name
    for name, array, _ in trace.arrays():
        np.testing.assert_array_equal(array, before[name])
    assert trace.tokens.text == ("[CLS]", "un", "##believ", "cats", "[SEP]")


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_keeps_what_is_not_about_tokens(view):
    trace = reading()
    seen = VIEWS[view](trace)
    assert (seen.model, seen.seconds, seen.device) == (trace.model, trace.seconds, trace.device)
    assert [layer.scale for layer in seen.layers] == [layer.scale for layer in trace.layers]
    assert seen.tokens.left_out == trace.tokens.left_out == 4


# Whole words


def test_word_pieces_become_words_and_special_tokens_stay():
    tokens = whole_words(reading()).tokens
    assert tokens.text == ("[CLS]", "unbeliev", "cats", "[SEP]")
    assert tokens.word.tolist() == [-1, 0, 1, -1]
    assert tokens.special.tolist() == [True, False, False, True]
    assert tokens.span.tolist() == [[0, 0], [0, 8], [9, 13], [0, 0]]


def test_the_words_of_a_pair_stay_in_their_sentences():
    tokens = whole_words(reading(**PAIR)).tokens
    assert tokens.text == ("[CLS]", "unbeliev", "cats", "[SEP]", "nobody", "ran", "[SEP]")
    assert tokens.segment.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert tokens.word.tolist() == [-1, 0, 1, -1, 2, 3, -1]
    assert tokens.span.tolist() == [[0, 0], [0, 8], [9, 13], [0, 0], [0, 6], [7, 10], [0, 0]]


def test_special_tokens_side_by_side_stay_apart():
    tokens = reading("a").tokens
    assert _groups(tokens).tolist() == [0, 1, 2]
    two = reading("a", "b").tokens
    two.word.flags.writeable = two.special.flags.writeable = True
    two.word[2], two.special[2] = -1, True  # [CLS] a [SEP] [SEP], as RoBERTa parts a pair
    assert _groups(two).tolist() == [0, 1, 2, 3]


def test_attention_between_words_is_summed_over_columns_and_averaged_over_rows():
    trace = reading()
    for before, after in zip(trace.layers, whole_words(trace).layers, strict=True):
        columns = np.stack([before.attention[..., [0]], before.attention[..., [1, 2]].sum(-1, keepdims=True),
                            before.attention[..., [3]], before.attention[..., [4]]], -2)[..., 0]  # fmt: skip
        rows = [columns[:, 0], columns[:, [1, 2]].mean(1), columns[:, 3], columns[:, 4]]
        np.testing.assert_allclose(after.attention, np.stack(rows, 1), rtol=1e-5)


@pytest.mark.parametrize("pair", [{}, PAIR], ids=["single", "pair"])
def test_rows_of_attention_between_words_sum_to_one(pair):
    for layer in whole_words(reading(**pair)).layers:
        np.testing.assert_allclose(layer.attention.sum(-1), 1, rtol=1e-6)


def test_vectors_of_a_word_are_the_mean_of_its_pieces():
    trace = reading()
    seen = whole_words(trace)
    for name in EMBEDDING_AXES:
        before, after = getattr(trace.embedding, name), getattr(seen.embedding, name)
        np.testing.assert_allclose(after[1], (before[1] + before[2]) / 2, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(after[[0, 2, 3]], before[[0, 3, 4]])
    for name in VECTORS:
        before, after = getattr(trace.layers[1], name), getattr(seen.layers[1], name)
        np.testing.assert_allclose(after[..., 1, :], before[..., 1:3, :].mean(-2), rtol=1e-5, atol=1e-7, err_msg=name)
        np.testing.assert_array_equal(after[..., [0, 2, 3], :], before[..., [0, 3, 4], :], err_msg=name)


def test_the_size_of_a_words_value_is_the_mean_of_its_pieces():
    trace = reading()
    for before, after in zip(trace.layers, whole_words(trace).layers, strict=True):
        np.testing.assert_allclose(after.value_size[:, 1], before.value_size[:, 1:3].mean(-1), rtol=1e-6)
        np.testing.assert_array_equal(after.value_size[:, [0, 2, 3]], before.value_size[:, [0, 3, 4]])


def test_relu_neurons_of_words_are_never_negative():
    assert min(layer.neurons.min() for layer in whole_words(reading(activation=relu)).layers) == 0


def test_words_of_one_piece_change_nothing():
    trace = reading("the", "cat", "sat", pair=("it", "ran"))
    for (name, before, _), (_, after, _) in zip(trace.arrays(), whole_words(trace).arrays(), strict=True):
        np.testing.assert_array_equal(after, before, err_msg=name)
    assert whole_words(trace).tokens.text == trace.tokens.text


def test_joining_words_twice_is_joining_them_once():
    once = whole_words(reading(**PAIR))
    twice = whole_words(once)
    assert once.tokens.text == twice.tokens.text
    for (name, one, _), (_, other, _) in zip(once.arrays(), twice.arrays(), strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)


# Without special tokens


def test_without_special_tokens_the_others_keep_their_numbers():
    trace = reading(**PAIR)
    seen, kept = without_special(trace), [1, 2, 3, 5, 6, 7]
    assert seen.tokens.text == ("un", "##believ", "cats", "no", "##body", "ran")
    for name in ("word", "segment", "special", "span"):
        np.testing.assert_array_equal(getattr(seen.tokens, name), getattr(trace.tokens, name)[kept])
    assert not seen.tokens.special.any()
    for (name, before, axes), (_, after, _) in zip(trace.arrays(), seen.arrays(), strict=True):
        for axis, axis_name in enumerate(axes):
            if axis_name in ("token", "query", "key"):
                before = np.delete(before, [0, 4, 8], axis)
        np.testing.assert_array_equal(after, before, err_msg=name)


def test_rows_lack_exactly_what_went_to_special_tokens():
    trace = reading(**PAIR)
    special = trace.tokens.special
    for before, after in zip(trace.layers, without_special(trace).layers, strict=True):
        lost = before.attention[:, ~special][..., special].sum(-1)
        assert (lost > 0).all()
        np.testing.assert_allclose(after.attention.sum(-1) + lost, 1, rtol=1e-6)


def test_a_text_of_special_tokens_only_leaves_nothing():
    trace = reading()
    trace.tokens.special.flags.writeable = True
    trace.tokens.special[:] = True
    seen = without_special(trace)
    assert len(seen.tokens) == 0
    assert seen.layers[0].attention.shape == (HEADS, 0, 0)


# Both


def test_whole_words_without_special_tokens_are_the_middle_of_whole_words():
    words = whole_words(reading())
    both = without_special(words)
    assert both.tokens.text == ("unbeliev", "cats")
    for one, other in zip(words.layers, both.layers, strict=True):
        np.testing.assert_array_equal(other.attention, one.attention[:, 1:3, 1:3])
        np.testing.assert_array_equal(other.hidden, one.hidden[1:3])


def test_the_order_of_the_two_views_does_not_matter():
    trace = reading(**PAIR)
    one, other = without_special(whole_words(trace)), whole_words(without_special(trace))
    assert one.tokens.text == other.tokens.text
    for (name, first, _), (_, second, _) in zip(one.arrays(), other.arrays(), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-6, err_msg=name)


def test_every_token_shown_knows_the_token_read_that_it_stands_for():
    trace = reading("un", "##bel", "cat")
    shown = {
        (False, False): [0, 1, 2, 3, 4],
        (False, True): [1, 2, 3],
        (True, False): [0, 1, 3, 4],
        (True, True): [1, 3],
    }
    for (words, hide), tokens in shown.items():
        assert origins(trace.tokens, words, hide).tolist() == tokens
