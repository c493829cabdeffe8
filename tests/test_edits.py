"""Words of a text changed or shuffled, and which token is which afterwards."""

from itertools import pairwise

import pytest

from encoder.edits import Edit, covered, edited, find, pairs, words
from encoder.models import load
from tests.synthetic import HOSTILE
from tests.tiny import FAMILIES, save_tiny


def said(text):
    return [text[start:end] for start, end in words(text)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The cat sat, it's well-known.", ["The", "cat", "sat", "it's", "well-known"]),
        ("A [MASK] and a <mask>!", ["A", "[MASK]", "and", "a", "<mask>"]),
        ("他喜欢猫。 ok", ["他", "喜", "欢", "猫", "ok"]),
        ("Größe kostet 5 € — (wirklich)", ["Größe", "kostet", "5", "wirklich"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("<img src=x onerror=alert(1)>", ["img", "src=x", "onerror=alert(1"]),
        ("[a] <b>", ["a", "b"]),
        (" \n\t", []),
        ("...", []),
    ],
)
def test_words_are_what_stands_between_spaces_and_marks(text, wanted):
    assert said(text) == wanted


@pytest.mark.parametrize(
    ("text", "word", "wanted"),
    [
        ("The ice on the lake. We had Ice  Cream!", "“ice cream”", "Ice  Cream"),
        ("The ice on the lake", "ice cream", None),
        ("We broke the ice. Cream was all we had.", "ice cream", None),
        ("河边有银杏，他去银行取钱。", "银行", "银行"),
        ("他存银，行人很多。", "银行", None),
        ("Rock & roll, and rock & Roll.", "rock & roll", "Rock & roll"),
        ("A bank? The BANK!", "bank", "bank"),
        ("Größe", "GRÖSSE", "Größe"),
        ("He said [MASK] cream.", "[MASK] cream", "[MASK] cream"),
        ("cream", "ice cream", None),
        ("... and more", "...", None),
        ("", "bank", None),
        ("bank", "", None),
    ],
)
def test_a_word_or_several_are_found_as_a_whole(text, word, wanted):
    span = find(text, word)
    assert (span and text[slice(*span)]) == wanted


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_lost_whatever_it_is(text):
    assert edited(text, Edit()).text == text
    assert sorted(edited(text, Edit(shuffled=True)).text) == sorted(text)
    spans = words(text)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))


def test_changed_words_give_way_and_all_else_stays():
    text = "The cat  sat, on\nthe mat."
    assert edited(text, Edit(frozenset({1, 5}))).text == "The [MASK]  sat, on\nthe [MASK]."
    assert edited(text, Edit(frozenset({1}), "dog")).text == "The dog  sat, on\nthe mat."
    assert edited(text, Edit(frozenset({2}), "")).text == "The cat  , on\nthe mat."
    assert edited(text, Edit(frozenset({99}))).text == text


def test_shuffled_words_are_the_same_words_in_the_same_new_order():
    text = "One two three, four five six."
    other = edited(text, Edit(shuffled=True))
    assert other.text != text
    assert sorted(said(other.text)) == sorted(said(text))
    assert other == edited(text, Edit(shuffled=True))
    assert other.text[-1] == "."
    assert edited(text, Edit(frozenset({0}), "1", shuffled=True)).text == other.text.replace("One", "1")


def test_every_piece_is_found_where_it_went():
    text = "One two, three four."
    other = edited(text, Edit(shuffled=True))
    for (start, end), (there, then) in other.moved:
        assert text[start:end] == other.text[there:then]
    assert "".join(other.text[there:then] for _, (there, then) in other.moved) == other.text


def partners(model, text, edit, pair=None):
    other = edited(text, edit)
    before, after = model.trace(text, pair).tokens, model.trace(other.text, pair).tokens
    matching = pairs(before, after, other.moved)
    assert len(set(matching.before)) == len(matching.before)
    assert len(set(matching.after)) == len(matching.after)
    return before, after, matching


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pair", [None, "It was warm there."])
def test_tokens_are_paired_in_every_family(tmp_path, family, pair):
    model = load(str(save_tiny(tmp_path, family)))
    before, after, matching = partners(model, "The cat sat on the mat.", Edit(frozenset({1}), "bank"), pair)
    found = {before.text[one] for one in matching.before} | {"cat"}
    assert set(before.text) - found <= {" cat", "▁cat", "c", "a", "t", " c", "Ġcat", "ca"}
    for one, other in zip(*matching, strict=True):
        assert before.special[one] == after.special[other]
        assert before.segment[one] == after.segment[other]


def test_shuffled_tokens_are_paired_by_word(minilm):
    before, after, matching = partners(minilm, "Dogs chase unbelievably fast cats.", Edit(shuffled=True))
    assert len(matching.before) == len(before) == len(after)
    assert [before.text[one] for one in matching.before] == [after.text[other] for other in matching.after]
    assert list(matching.before) != list(matching.after)


def test_a_word_that_has_other_many_tokens_has_no_partner(minilm):
    before, after, matching = partners(minilm, "The cat sat.", Edit(frozenset({1}), "dendrochronologist"))
    assert [before.text[one] for one in matching.before] == ["[CLS]", "the", "sat", ".", "[SEP]"]
    assert [after.text[other] for other in matching.after] == ["[CLS]", "the", "sat", ".", "[SEP]"]


def test_the_tokens_of_a_word_are_covered_by_it(minilm):
    text = "The dendrochronologist sat."
    tokens = minilm.trace(text, "The dendrochronologist").tokens
    found = covered(tokens, words(text))
    assert found.shape == (3, len(tokens))
    assert "".join(tokens.text[place].removeprefix("##") for place in found[1].nonzero()[0]) == "dendrochronologist"
    assert found[:, tokens.special | (tokens.segment == 1)].sum() == 0
    assert covered(tokens, []).shape == (0, len(tokens))
