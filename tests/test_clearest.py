"""Which neurons have the clearest examples: the same content word or kind, far above the usual."""

from types import SimpleNamespace

import numpy as np
import pytest

from encoder.clearest import clearest, marked
from encoder.sentences import Sentence
from encoder.survey import EVERY, TOP

TEXTS = (
    [f"house number {number}" for number in range(TOP)]  # the first word is marked in these
    + [f"the {number} days" for number in range(TOP)]
    + [f"word{chr(97 + number)} soup" for number in range(TOP)]
)
SENTENCES = tuple(Sentence("Food" if "soup" in text else f"kind {place}", text) for place, text in enumerate(TEXTS))
WORDS = 40


def survey(places, top=9.0, rest=0.0, spread=0.5):
    """A survey of one layer whose neurons are most active at the first words of the given sentences."""
    where = np.array([[[place, 0, TEXTS[place].index(" ")] for place in each] for each in places])[None]
    count = len(places)
    neurons = np.random.default_rng(0).normal(rest, spread, (1, WORDS, count)).astype(np.float16)
    tops = (
        np.broadcast_to(np.float32(top), (1, count, TOP))
        if np.isscalar(top)
        else np.array(top)[None, :, None].repeat(TOP, -1)
    )
    return SimpleNamespace(
        where=where, top=tops.astype(np.float32), neurons=neurons, read=np.ones(EVERY * WORDS, dtype=bool)
    )


HOUSES, ARTICLES, FOODS = (range(start, start + TOP) for start in (0, TOP, 2 * TOP))
MIXED = [*range(5), *range(2 * TOP, 2 * TOP + 2), *range(TOP, TOP + 3)]


def test_the_clearest_neuron_marks_the_same_word_or_the_same_kind_of_sentence():
    found = clearest(survey([ARTICLES, MIXED, HOUSES, FOODS]), SENTENCES)
    assert set(found.order[0, :2].tolist()) == {2, 3}
    assert found.order[0].tolist()[2:] == [1, 0]
    assert found.clearness[0, 2] == pytest.approx(found.clearness[0, 3], rel=0.1)


def test_articles_and_signs_are_no_clear_examples():
    assert clearest(survey([ARTICLES]), SENTENCES).clearness[0, 0] < 0.1


def test_a_neuron_far_above_its_usual_activation_is_clearer_than_one_that_is_always_active():
    found = clearest(survey([HOUSES, HOUSES], top=[1.0, 9.0]), SENTENCES)
    assert found.order[0].tolist() == [1, 0]
    always = clearest(survey([HOUSES], top=9.0, rest=9.0), SENTENCES)
    assert always.clearness[0, 0] < 0.3 * found.clearness[0, 1]
    assert always.mean[0, 0] == pytest.approx(9.0, abs=0.3)


def test_the_layer_to_open_on_is_that_of_the_clearest_neuron():
    one, other = survey([ARTICLES, HOUSES]), survey([FOODS, ARTICLES], top=3.0)
    both = SimpleNamespace(
        **{name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in ("where", "top", "neurons")},
        read=one.read,
    )
    found = clearest(both, SENTENCES)
    assert (found.layer, found.order[found.layer, 0]) == (0, 1)


def test_the_word_that_examples_mark_most_often_is_told_with_how_often():
    assert marked(survey([HOUSES]), SENTENCES, 0, 0) == ("house", TOP)
    assert marked(survey([MIXED]), SENTENCES, 0, 0) == ("house", 5)
