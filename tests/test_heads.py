"""What heads do: every measure by plain loops, and roles of heads that were made to have them."""

from dataclasses import replace

import numpy as np
import pytest

from encoder.heads import BROAD, MEASURES, MOSTLY, SHARES, roles
from encoder.quantities import QUANTITIES
from encoder.views import whole_words, without_special
from tests.synthetic import HEADS, LAYERS, reading

# [CLS] The cat , the mat . [SEP]: “the” twice, two punctuation marks, two special tokens.
TEXT = ("The", "cat", ",", "the", "mat", ".")
THE, MARKS, SPECIAL, COUNT = (1, 4), (3, 6), (0, 7), 8

BY_LOOPS = {
    "previous": lambda a: np.mean([a[i, i - 1] for i in range(1, COUNT)]),
    "next": lambda a: np.mean([a[i, i + 1] for i in range(COUNT - 1)]),
    "self": lambda a: np.mean([a[i, i] for i in range(COUNT)]),
    "special": lambda a: np.mean([a[i, 0] + a[i, 7] for i in range(COUNT)]),
    "opening": lambda a: np.mean([a[i, 0] for i in range(COUNT)]),
    "separators": lambda a: np.mean([a[i, 7] for i in range(COUNT)]),
    "punctuation": lambda a: np.mean([a[i, 3] + a[i, 6] for i in range(COUNT)]),
    "same": lambda a: (a[1, 4] + a[4, 1]) / 2,
    "entropy": lambda a: np.mean([-sum(p * np.log(p) for p in row) for row in a]) / np.log(COUNT),
    "distance": lambda a: np.mean([sum(p * abs(i - j) for j, p in enumerate(row)) for i, row in enumerate(a)]),
}


def with_heads(trace, *heads):
    """The same reading with these [query, key] maps for the three heads of every layer."""
    attention = np.stack(heads).astype(np.float32)
    return replace(trace, layers=tuple(replace(layer, attention=attention) for layer in trace.layers))


def role(attention, *text, pair=()):
    """The role of a head that reads so."""
    return roles(with_heads(reading(*(text or TEXT), pair=pair), *[attention] * HEADS))[0][0]


def even(count=COUNT):
    return np.full((count, count), 1 / count)


def onto(*keys, count=COUNT):
    """All weight on these keys, from everywhere."""
    return np.tile(np.isin(np.arange(count), keys) / len(keys), (count, 1))


def shifted(offset, count=COUNT):
    """All weight on the token so many places away; at the edge, where there is none, all tokens alike."""
    rows = np.eye(count, k=offset)
    return np.where(rows.any(1, keepdims=True), rows, 1 / count)


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_is_what_its_meaning_says(name):
    trace = reading(*TEXT)
    expected = [[BY_LOOPS[name](head.astype(float)) for head in layer.attention] for layer in trace.layers]
    np.testing.assert_allclose(MEASURES[name].of(trace), expected, rtol=1e-5)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("view", [lambda trace: trace, whole_words, without_special], ids=["read", "words", "hidden"])
@pytest.mark.parametrize("text", [("cat",), ("un", "##believ", "cats", ".")], ids=["one token", "four tokens"])
def test_a_measure_is_a_finite_number_a_head_for_every_reading(name, view, text):
    values = MEASURES[name].of(view(reading(*text)))
    assert values.shape == (LAYERS, HEADS)
    assert np.isfinite(values).all()
    if name != "distance":
        assert values.min() >= 0
        assert values.max() <= 1 + 1e-6


def test_measures_come_in_the_order_of_the_menu_shares_first():
    assert list(MEASURES) == [*SHARES[:4], "opening", "separators", *SHARES[4:], "entropy", "distance"]
    assert SHARES[-1] == "same"


def test_labels_are_unique_and_every_measure_explains_itself_in_a_sentence():
    assert len({measure.label for measure in MEASURES.values()}) == len(MEASURES)
    for measure in MEASURES.values():
        assert measure.label == measure.label.capitalize()
        assert measure.meaning.endswith(".")
        assert measure.meaning.count(". ") == 0


@pytest.mark.parametrize("name", ["entropy", "distance", "previous", "special"])
def test_the_page_of_layers_shows_the_same_numbers(name):
    trace = reading(*TEXT)
    np.testing.assert_array_equal(QUANTITIES[name].of(trace), MEASURES[name].of(trace))


# Tokens


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        *((mark, True) for mark in (".", ",", "…", "”", "?!", "##.", "▁,", " ,", "¿", "—", "(")),
        *((word, False) for word in ("a", "a.", "7", "$", "+", "▁", " ", "", "##s", "\x00", "😀", "[MASK]", "é")),
    ],
)
def test_punctuation_is_what_unicode_says(text, counts):
    values = MEASURES["punctuation"].of(with_heads(reading("b", text), *[onto(2, count=4)] * HEADS))
    np.testing.assert_array_equal(values, float(counts))


def test_a_special_token_that_looks_like_punctuation_is_special_only():
    trace = with_heads(reading(*TEXT), *[onto(3)] * HEADS)
    special = np.arange(COUNT) == 3
    trace = replace(trace, tokens=replace(trace.tokens, special=special))
    assert not MEASURES["punctuation"].of(trace).any()
    np.testing.assert_array_equal(MEASURES["special"].of(trace), 1)


@pytest.mark.parametrize("other", ["the", "The", " the", "▁the", "THE"])
def test_the_same_word_is_the_same_whatever_its_case_and_the_space_before_it(other):
    attention = np.eye(6)
    attention[[1, 4]] = np.eye(6)[[4, 1]]
    trace = with_heads(reading("the", "cat", "mat", other), *[attention] * HEADS)
    np.testing.assert_array_equal(MEASURES["same"].of(trace), 1)


def test_special_tokens_are_never_the_same_word():
    trace = reading("a", "b", pair=("c", "d"))  # [CLS] a b [SEP] c d [SEP]
    assert not MEASURES["same"].of(with_heads(trace, *[onto(3, 6, count=7)] * HEADS)).any()


# Roles


@pytest.mark.parametrize(
    ("attention", "expected"),
    [
        (shifted(-1), "previous"),
        (shifted(1), "next"),
        (np.eye(COUNT), "self"),
        (onto(*SPECIAL), "special"),
        (onto(0), "special"),
        (onto(*MARKS), "punctuation"),
        (onto(6), "punctuation"),
        (even(), "broad"),
        (onto(2), ""),
        (onto(1, 2, 4), ""),
    ],
)
def test_a_head_has_the_role_that_it_was_made_for(attention, expected):
    assert role(attention) == expected


def test_a_head_that_reads_the_other_place_of_each_repeated_word_has_that_role():
    attention = shifted(-2, count=10)
    for row in (1, 2, 5, 6):
        attention[row] = 0
        attention[row, {1: 5, 5: 1, 2: 6, 6: 2}[row]] = 1
    assert role(attention, "the", "bank", "by", "a", "the", "bank", "with", "it") == "same"


def test_two_rows_of_a_repeated_word_do_not_make_a_role_when_all_rows_rest_elsewhere():
    attention = onto(7)
    attention[[1, 4]] = np.eye(COUNT)[[4, 1]]
    assert role(attention) == "special"


def test_every_head_of_every_layer_has_its_own_role():
    trace = with_heads(reading(*TEXT), shifted(-1), onto(0), even())
    first, second = trace.layers
    trace = replace(trace, layers=(first, replace(second, attention=second.attention[::-1])))
    assert roles(trace) == (("previous", "special", "broad"), ("broad", "special", "previous"))


@pytest.mark.parametrize(
    ("name", "full", "chance"),
    [
        ("previous", shifted(-1), 1 / COUNT),
        ("self", np.eye(COUNT), 1 / COUNT),
        ("special", onto(*SPECIAL), 2 / COUNT),
        ("punctuation", onto(*MARKS), 2 / COUNT),
    ],
)
def test_a_role_begins_where_enough_weight_is_more_than_even_attention_would_give(name, full, chance):
    for gain in (MOSTLY + 0.01, MOSTLY - 0.01):
        attention = gain * full + (1 - gain) * even()
        trace = with_heads(reading(*TEXT), *[attention] * HEADS)
        np.testing.assert_allclose(MEASURES[name].of(trace), gain + (1 - gain) * chance, rtol=1e-5)
        assert (role(attention) == name) == (gain > MOSTLY)


def test_a_head_is_broad_from_nine_tenths_of_the_largest_entropy_on():
    found = {}
    for rest in np.linspace(0.01, 1, 60):
        attention = (1 - rest) * onto(2) + rest * even()
        trace = with_heads(reading(*TEXT), *[attention] * HEADS)
        found[MEASURES["entropy"].of(trace)[0, 0]] = roles(trace)[0][0]
    assert {name for entropy, name in found.items() if entropy >= BROAD} == {"broad"}
    assert {name for entropy, name in found.items() if entropy < BROAD} == {""}


@pytest.mark.parametrize("text", [("a", "b"), ("a", "b", "c"), (".", ".", ".", "."), ("no",) * 40])
def test_even_attention_is_broad_whatever_the_text(text):
    assert role(even(len(text) + 2), *text) == "broad"


@pytest.mark.parametrize("attention", [np.eye(3), even(3), onto(0, count=3), shifted(-1, count=3)])
def test_heads_have_no_role_in_a_text_of_three_tokens(attention):
    assert role(attention, "a") == ""


def test_a_text_of_nothing_but_special_tokens_or_punctuation_makes_no_role_of_them():
    trace = with_heads(reading(*TEXT), onto(0), onto(5), even())
    every = replace(trace, tokens=replace(trace.tokens, special=np.ones(COUNT, dtype=bool)))
    with np.errstate(all="raise"):
        assert roles(every)[0] == ("", "", "broad")
    marks = without_special(with_heads(reading(*".,;:!?"), *[even()] * HEADS))
    assert set(roles(marks)[0]) <= {"broad", ""}


@pytest.mark.parametrize("view", [whole_words, without_special], ids=["words", "hidden"])
def test_views_have_roles_too(view):
    assert roles(view(with_heads(reading(*TEXT), *[shifted(-1)] * HEADS))) == (("previous",) * HEADS,) * LAYERS


def test_a_reading_without_tokens_left_has_no_roles():
    trace = reading(*TEXT)
    none = without_special(replace(trace, tokens=replace(trace.tokens, special=np.ones(COUNT, dtype=bool))))
    assert roles(none) == (("",) * HEADS,) * LAYERS
