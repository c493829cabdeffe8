"""Where pages open: a noun, and a head in which one word clearly reads another."""

import numpy as np
import pytest

from encoder.starts import start
from tests.synthetic import reading


def attended(trace, layer, head, query, key, weight=0.95):
    """The same reading, but for one head that has one token read another."""
    attention = np.full((len(trace.tokens),) * 2, 1 / len(trace.tokens), dtype=np.float32)
    attention[query] = (1 - weight) / (len(trace.tokens) - 1)
    attention[query, key] = weight
    heads = [each.attention.copy() for each in trace.layers]
    heads[layer][head] = attention
    for number, each in enumerate(trace.layers):
        object.__setattr__(each, "attention", heads[number])
    return trace


CAT = ("the", "cat", "sat", "on", "the", "mat", "as", "it", "was", "tired", ".")


@pytest.mark.parametrize(
    ("tokens", "noun"),
    [
        (CAT, "cat"),
        (("Time", "flies", "like", "an", "arrow"), "arrow"),
        (("Time", "flies"), "Time"),
        (("it", "was"), "it"),
        (("我", "爱", "你"), "我"),
    ],
)
def test_a_page_opens_on_a_noun_where_it_can_tell_one(tokens, noun):
    trace = reading(*tokens)
    assert trace.tokens.text[start(trace).token] == noun


def test_a_page_opens_on_the_head_in_which_one_word_reads_another_most_clearly():
    trace = attended(reading(*CAT), 1, 2, 8, 2)  # it → cat
    found = start(trace)
    assert (found.layer, found.head, found.query, found.key) == (1, 2, 8, 2)


@pytest.mark.parametrize(("query", "key"), [(0, 0), (2, 2), (12, 2), (2, 12), (2, 3), (9, 2)])
def test_special_tokens_neighbours_and_little_words_are_no_pair_to_open_on(query, key):
    trace = attended(reading(*CAT), 1, 2, query, key)
    assert (start(trace).query, start(trace).key) != (query, key)


@pytest.mark.parametrize("tokens", [("cat",), ("?",), ("it", "was")])
def test_a_text_without_a_pair_opens_on_its_first_head(tokens):
    found = start(reading(*tokens))
    assert (found.layer, found.head, found.query, found.key) == (0, 0, found.token, found.token)
