"""The toy language: its sentences keep its rules, and what is asked about them has one answer."""

import json
from collections import Counter
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordPiece

from encoder import corpus
from encoder.lesson import STRUCTURES

MANY = corpus.sentences(400, seed=5)


def of(structure):
    return [sentence for sentence in MANY if sentence.structure == structure]


def test_the_same_seed_gives_the_same_sentences_and_another_others():
    assert corpus.sentences(40, seed=3) == corpus.sentences(40, seed=3)
    assert corpus.sentences(40, seed=3) != corpus.sentences(40, seed=4)
    assert Counter(sentence.structure for sentence in MANY) == dict.fromkeys(STRUCTURES, 100)
    assert tuple(corpus.STRUCTURES) == STRUCTURES


@pytest.mark.parametrize("sentence", MANY, ids=lambda sentence: sentence.text)
def test_what_stands_there_is_right_and_what_is_wrong_is_of_the_same_kind(sentence):
    assert sentence.questions
    for question in sentence.questions:
        assert sentence.words[question.place] in question.right
        assert not question.right & question.wrong
        assert question.wrong
        assert question.decided_by < question.place


def test_a_verb_has_the_number_of_the_noun_that_decides_not_of_the_nearest():
    plurals = {many for _, many, _ in corpus.NOUNS}
    many_verbs = {many for _, many in corpus.VERBS}
    misled = 0
    for sentence in of("agreement"):
        [question] = sentence.questions
        noun, verb = sentence.words[question.decided_by], sentence.words[question.place]
        assert (noun in plurals) == (verb in many_verbs)
        nouns = [word for word in sentence.words if any(word in pair[:2] for pair in corpus.NOUNS)]
        misled += (nouns[-1] in plurals) != (noun in plurals)
    assert misled > 10  # or looking at the last noun would do


def test_a_pronoun_fits_its_noun():
    pronoun_of = {one: pronoun for one, _, pronoun in corpus.NOUNS} | {many: "they" for _, many, _ in corpus.NOUNS}
    for sentence in of("pronouns"):
        [question] = sentence.questions
        assert sentence.words[question.place] == pronoun_of[sentence.words[question.decided_by]]


def test_brackets_close_in_order():
    for sentence in of("brackets"):
        opened, partners = [], {}
        for place, word in enumerate(sentence.words[:-1]):
            if word in corpus.BRACKETS:
                opened.append(place)
            else:
                partners[place] = opened.pop()
                assert corpus.BRACKETS[sentence.words[partners[place]]] == word
        assert opened == []
        assert {question.place: question.decided_by for question in sentence.questions} == partners


def test_what_was_said_is_said_again():
    for sentence in of("copying"):
        middle = sentence.words.index(":")
        assert sentence.words[:middle] == sentence.words[middle + 1 : -1]
        for question in sentence.questions:
            assert question.place - question.decided_by == middle + 1
            assert sentence.words[question.place] == sentence.words[question.decided_by]


def test_every_word_is_one_token_and_capitals_do_not_matter():
    tokenizer = corpus.tokenizer()
    for sentence in MANY:
        assert tokenizer.encode(sentence.text).tokens == ["[CLS]", *sentence.words, "[SEP]"]
    assert tokenizer.encode("The DOG [MASK].").tokens == ["[CLS]", "the", "dog", "[MASK]", ".", "[SEP]"]
    assert "[UNK]" in tokenizer.encode("the elephant sleeps .").tokens


def _pieces(*pieces):
    backend = Tokenizer(WordPiece({piece: number for number, piece in enumerate((*corpus.SPECIAL, *pieces))}))
    corpus.dress(backend)
    return backend


@pytest.mark.parametrize("length", [99, 100, 101, 200, 5_000])
def test_a_word_longer_than_wordpiece_takes_is_cut_and_nothing_of_it_is_lost(length):
    encoding = _pieces("a", "##a").encode("a" * length + " a", add_special_tokens=False)
    assert "[UNK]" not in encoding.tokens
    assert encoding.tokens.count("a") == -(-length // 100) + 1
    assert encoding.offsets == [*((place, place + 1) for place in range(length)), (length + 1, length + 2)]


def test_one_strange_chinese_character_hides_no_other():
    assert _pieces("猫").encode("猫龘猫", add_special_tokens=False).tokens == ["猫", "[UNK]", "猫"]


def test_the_samples_of_the_page_are_sentences_of_the_language():
    words = json.loads((Path(__file__).parent.parent / "assets/lessons.json").read_text(encoding="utf-8"))["structures"]
    tokenizer = corpus.tokenizer()
    for structure in STRUCTURES:
        assert "[UNK]" not in tokenizer.encode(words[structure]["sample"]).tokens
