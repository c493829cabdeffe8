"""What the tokenizer's record says of the typed text."""

import numpy as np
import pytest

from encoder.catalogue import minilm_folder
from encoder.errors import ModelError
from encoder.tokens import Tokenizer, read_tokenizer
from tests.tiny import WORD_PIECES, byte_level, save_tiny, unigram, wordpiece


@pytest.fixture(scope="module")
def bert() -> Tokenizer:
    """MiniLM's tokenizer, which is bert-base-uncased's."""
    return read_tokenizer(minilm_folder())


@pytest.fixture(scope="module")
def theirs():
    """transformers' own preparation with the same tokenizer."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(minilm_folder(), local_files_only=True)


def test_special_tokens_belong_to_no_word_and_no_characters(bert):
    _, tokens = bert.encode("The cat sat.", None, 20)
    assert tokens.text == ("[CLS]", "the", "cat", "sat", ".", "[SEP]")
    assert tokens.special.tolist() == [True, False, False, False, False, True]
    assert tokens.word.tolist() == [-1, 0, 1, 2, 3, -1]
    assert tokens.span[tokens.special].tolist() == [[0, 0], [0, 0]]
    assert tokens.left_out == 0


def test_pieces_of_a_word_share_its_number(bert):
    _, tokens = bert.encode("Unbelievables tokenized", None, 20)
    assert tokens.text == ("[CLS]", "unbelievable", "##s", "token", "##ized", "[SEP]")
    assert tokens.word.tolist() == [-1, 0, 0, 1, 1, -1]


@pytest.mark.parametrize("text", ["The cat sat, unbelievably, on the mat.", "  Two  spaces;\ttab\nline. "])
def test_a_span_holds_the_characters_of_its_token(bert, text):
    _, tokens = bert.encode(text, None, 40)
    for piece, special, (start, end) in zip(tokens.text, tokens.special, tokens.span, strict=True):
        assert special or text[start:end].lower() == piece.removeprefix("##")


@pytest.mark.parametrize(("make", "space"), [(byte_level, " "), (unigram, "▁")])
def test_spans_hold_with_tokenizers_that_count_the_space_before_a_word(make, space):
    text, pair = "The cat sat on the mat.", "It was warm."
    _, tokens = Tokenizer(make()).encode(text, pair, 40)
    seen = [
        (text, pair)[which][start:end].strip() for which, (start, end) in zip(tokens.segment, tokens.span, strict=True)
    ]
    for piece, characters, special in zip(tokens.text, seen, tokens.special, strict=True):
        assert special or characters == piece.strip(space) or piece == "<unk>"
    assert "cat" in seen


def test_the_second_sentence_goes_on_counting_words_and_starts_its_characters_anew(bert):
    _, tokens = bert.encode("A cat.", "Dogs bark", 20)
    assert tokens.text == ("[CLS]", "a", "cat", ".", "[SEP]", "dogs", "bark", "[SEP]")
    assert tokens.segment.tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
    assert tokens.word.tolist() == [-1, 0, 1, 2, -1, 3, 4, -1]
    assert tokens.span[5].tolist() == [0, 4]


def test_equal_words_at_the_seam_of_two_sentences_stay_two_words(bert):
    _, tokens = bert.encode("cat", "cat", 20)
    assert tokens.word.tolist() == [-1, 0, -1, 1, -1]


@pytest.mark.parametrize("make", [byte_level, unigram], ids=["byte level", "unigram"])
def test_segments_tell_the_sentences_apart_in_models_that_do_not(make):
    _, tokens = Tokenizer(make()).encode("the cat", "the mat.", 40)
    second = tokens.text.index("</s>") + 2
    assert tokens.text[second - 1] == "</s>"
    assert not tokens.segment[: second - 1].any()
    assert tokens.segment[second:].all()


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("The cat sat on the mat.", None),
        ("The cat sat.", "It was warm, unbelievably so."),
        ("The [MASK] sat.", "[SEP] typed [CLS]"),
        ("", None),
        ("", "the cat"),
        ("the cat", " "),
        ("naïve ÜBER 中文 😀 e\u0301", "שלום"),
    ],
)
def test_ids_and_segments_are_those_of_transformers(bert, theirs, text, pair):
    ids, tokens = bert.encode(text, pair, 64)
    expected = theirs(text, pair) if pair else theirs(text)
    assert ids == expected["input_ids"]
    assert tokens.segment.tolist() == expected["token_type_ids"]
    assert list(tokens.text) == theirs.convert_ids_to_tokens(ids)


def test_a_typed_separator_is_special_as_it_is_to_the_model(bert):
    ids, tokens = bert.encode("the cat. [SEP] it sat [UNK] [MASK]", None, 64)
    assert ids[4] == ids[-1]
    assert tokens.text == ("[CLS]", "the", "cat", ".", "[SEP]", "it", "sat", "[UNK]", "[MASK]", "[SEP]")
    assert np.flatnonzero(tokens.special).tolist() == [0, 4, 9]
    assert tokens.word.tolist() == [-1, 0, 1, 2, -1, 3, 4, 5, 6, -1]
    assert tokens.span[4].tolist() == [9, 14]


@pytest.mark.parametrize("make", [wordpiece, byte_level, unigram])
def test_a_typed_mask_is_one_ordinary_token_and_a_word_of_its_own(make):
    tokenizer = Tokenizer(make())
    mask = "[MASK]" if make is wordpiece else "<mask>"
    text = f"the cat {mask} on"
    ids, tokens = tokenizer.encode(text, None, 40)
    place = tokens.text.index(mask)
    start, end = tokens.span[place]
    assert not tokens.special[place]
    assert text[start:end].strip() == mask
    assert (tokens.word == tokens.word[place]).sum() == 1
    assert (np.diff(tokens.word[1:-1]) >= 0).all()
    assert ids[place] == tokenizer.backend.token_to_id(mask)


def test_a_mask_glued_to_a_word_is_still_the_mask(bert):
    _, tokens = bert.encode("cats[MASK]dogs[MASK][MASK]", None, 20)
    assert tokens.text == ("[CLS]", "cats", "[MASK]", "dogs", "[MASK]", "[MASK]", "[SEP]")
    assert tokens.word.tolist() == [-1, 0, 1, 2, 3, 4, -1]


def test_a_text_that_does_not_fit_is_cut_and_counted(bert):
    ids, tokens = bert.encode("one two three four five", None, 5)
    assert tokens.text == ("[CLS]", "one", "two", "three", "[SEP]")
    assert (len(ids), tokens.left_out) == (5, 2)


@pytest.mark.parametrize(
    ("first", "second", "limit", "kept"),
    [
        (9, 2, 10, (5, 2)),
        (2, 9, 10, (2, 5)),
        (9, 9, 10, (4, 3)),
        (3, 9, 9, (3, 3)),
        (0, 9, 6, (0, 3)),
        (4, 5, 12, (4, 5)),
    ],
)
def test_of_two_sentences_that_do_not_fit_the_longer_is_cut_first(bert, first, second, limit, kept):
    ids, tokens = bert.encode("cat " * first, "dog " * second, limit)
    assert (tokens.text.count("cat"), tokens.text.count("dog")) == kept
    assert tokens.left_out == first + second - sum(kept)
    assert len(ids) == len(tokens) <= limit


@pytest.mark.parametrize("limit", [0, 1, 2, 3])
def test_a_limit_too_small_for_any_word_leaves_the_special_tokens(bert, limit):
    _, alone = bert.encode("one two", None, min(limit, 2))
    _, pair = bert.encode("one two", "three", limit)
    assert (alone.text, alone.left_out) == (("[CLS]", "[SEP]"), 2)
    assert (pair.text, pair.left_out) == (("[CLS]", "[SEP]", "[SEP]"), 3)


def test_one_call_leaves_nothing_for_the_next(bert):
    before = bert.encode("one two three four", None, 40)
    bert.encode("one two three four", "five six", 6)
    after = bert.encode("one two three four", None, 40)
    assert before[0] == after[0]
    assert before[1].text == after[1].text


def test_a_hundred_thousand_characters_are_cut(bert):
    ids, tokens = bert.encode("The cat sat. " * 7_693, None, 128)
    assert len(ids) == len(tokens) == 128
    assert tokens.left_out == 4 * 7_693 - 126


def test_two_sentences_of_a_hundred_thousand_characters_keep_their_beginnings(bert):
    # The library's own cutting would join every piece of one with every piece of the other, for half a minute.
    ids, tokens = bert.encode("the cat " * 12_500, "it was " * 14_280, 128)
    assert tokens.text[:3] == ("[CLS]", "the", "cat")
    assert tokens.text[64:68] == ("[SEP]", "it", "was", "it")
    assert tokens.left_out == 25_000 + 28_560 - 125
    whole = bert.encode("the cat " * 31 + "the", "it was " * 31, 128)
    assert (ids, tokens.text) == (whole[0], whole[1].text)
    for name in ("word", "segment", "special", "span"):
        assert np.array_equal(getattr(tokens, name), getattr(whole[1], name)), name


@pytest.mark.parametrize("kept", range(1, 9))
def test_a_cut_text_begins_as_the_whole_text_does(bert, kept):
    text = "unbelievables of the naïve cats"
    whole, cut = bert.encode(text, None, 40), bert.encode(text, None, kept + 2)
    pieces = len(whole[0]) - 2
    assert cut[0][:-1] == whole[0][: min(kept, pieces) + 1]
    assert cut[1].span[:-1].tolist() == whole[1].span[: min(kept, pieces) + 1].tolist()
    assert cut[1].word[:-1].tolist() == whole[1].word[: min(kept, pieces) + 1].tolist()
    assert cut[1].left_out == max(0, pieces - kept)


def test_one_word_of_five_thousand_letters_is_one_unknown_word(bert):
    _, tokens = bert.encode("x" * 5_000, None, 128)
    assert tokens.text == ("[CLS]", "[UNK]", "[SEP]")
    assert tokens.span[1].tolist() == [0, 5_000]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", ()),
        (" \t\n ", ()),
        ("\x00\x07\x1b\u200b", ()),
        ("a\x00b", ("ab",)),
        ("😀", ("[UNK]",)),
        ("😀😀 🎉", ("[UNK]", "[UNK]")),
        ("e\u0301te\u0301", ("et", "##e")),
        ("שם", ("ש", "##ם")),
        ("\u202eab\u202c", ("ab",)),
        ("中国", ("中", "国")),
        ("<b>", ("<", "b", ">")),
    ],
)
def test_odd_characters_are_read_or_dropped_but_never_break(bert, text, pieces):
    _, tokens = bert.encode(text, None, 40)
    assert tokens.text == ("[CLS]", *pieces, "[SEP]")
    assert all(0 <= start <= end <= len(text) for start, end in tokens.span)
    assert tokens.special.tolist() == [True, *[False] * len(pieces), True]


def sentencepiece(*pieces: str) -> Tokenizer:
    """XLM-RoBERTa's, as transformers builds it: it parts a text at its spaces only."""
    from transformers import XLMRobertaTokenizer

    scored = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    scored += [(piece, -1.0 - number / 10) for number, piece in enumerate(pieces)]
    return Tokenizer(XLMRobertaTokenizer(vocab=scored).backend_tokenizer)


SPACED = ("▁", "▁the", "▁cat", "s", ".", ",", "你", "好", "世", "界", "(", ")", "▁(", "...", "a", "the", "cat", "'")


def words_of(tokenizer, text, pair=None):
    """The tokens of each word."""
    _, tokens = tokenizer.encode(text, pair, 100)
    return [tuple(np.array(tokens.text)[tokens.word == word]) for word in range(max(tokens.word, default=-1) + 1)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the cats, the cat.", [("▁the",), ("▁cat", "s"), (",",), ("▁the",), ("▁cat",), (".",)]),
        ("世界你好", [("▁", "世"), ("界",), ("你",), ("好",)]),
        ("the世cats", [("▁the",), ("世",), ("cat", "s")]),
        ("the (cats)...", [("▁the",), ("▁(",), ("cat", "s"), (")",), ("...",)]),
        ("cat's", [("▁cat",), ("'",), ("s",)]),
        ("the Ω cats", [("▁the",), ("▁", "<unk>"), ("▁cat", "s")]),
        ("theΩcats", [("▁the",), ("<unk>",), ("cat", "s")]),
        ("the cats<mask>cats", [("▁the",), ("▁cat", "s"), ("<mask>",), ("▁cat", "s")]),
    ],
)
def test_words_of_sentencepiece_end_at_punctuation_chinese_characters_and_unknown_tokens(text, words):
    assert words_of(sentencepiece(*SPACED), text) == words


def test_words_of_byte_level_tokens_end_at_chinese_characters_too():
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Backend(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    _, tokens = Tokenizer(backend).encode("ab 世界", None, 40)
    assert tokens.word.tolist() == [0, 0, *[1] * 4, *[2] * 3]  # a space, and three bytes to each character


@pytest.mark.parametrize(
    "text",
    ["The cats sat, on the mat!", "中国人 the 世界你好。", "it's 3.14 (or so)...", "naïve—or not", "a_b c-d e/f $5"],
)
def test_both_kinds_of_tokenizer_find_the_same_words(bert, text):
    other = sentencepiece(*sorted({letter for letter in text if letter != " "}), *"▁")

    def bounds(tokenizer):
        _, tokens = tokenizer.encode(text, None, 100)
        spans = [tokens.span[tokens.word == word] for word in range(tokens.word.max() + 1)]
        return [(span[:, 0].min(), span[:, 1].max()) for span in spans]

    assert bounds(other) == bounds(bert)


def test_a_text_that_leaves_nothing_is_told_in_one_sentence_where_no_special_tokens_are_added():
    backend = wordpiece()
    backend.post_processor = None
    tokenizer = Tokenizer(backend)
    for text, pair in [("", None), ("\u200d", None), (" ", "\u200d")]:
        with pytest.raises(ModelError, match=r"^This text leaves no token to read: [^.]*\.$"):
            tokenizer.encode(text, pair, 40)
    assert tokenizer.encode("the \u200d", None, 40)[1].text == ("the",)
    assert tokenizer.encode("\u200d", "the", 40)[1].text == ("the",)


@pytest.mark.parametrize("make", [wordpiece, byte_level, unigram])
@pytest.mark.parametrize(
    "text", ["", " ", "\x00", "😀", "e\u0301\u0301\u0301", "שלום", "</script>", "\u202e", "x" * 5_000]
)
def test_every_kind_of_tokenizer_reads_everything(make, text):
    ids, tokens = Tokenizer(make()).encode(text, text, 12)
    assert len(ids) == len(tokens) == len(tokens.word) == len(tokens.span) == len(tokens.segment)
    assert len(ids) <= 12
    assert all(0 <= start <= end <= len(text) for start, end in tokens.span)


def test_byte_level_tokens_are_shown_as_what_they_mean():
    _, tokens = Tokenizer(byte_level()).encode("é cat", None, 40)
    assert tokens.text == ("<s>", "é", " cat", "</s>")


def test_a_token_shows_what_the_model_reads_even_where_the_letters_are_known():
    # Some tokenizers hand back the typed letters of a word that the model only sees as <unk>.
    _, tokens = Tokenizer(unigram()).encode("the zebra", None, 40)
    assert tokens.text == ("<s>", "▁the", "▁", "<unk>", "a", "</s>")


def test_the_arrays_of_the_record_are_read_only(bert):
    _, tokens = bert.encode("The cat.", "Sat.", 20)
    for name in ("word", "segment", "special", "span"):
        assert not getattr(tokens, name).flags.writeable
    assert tokens.special.dtype == bool
    assert len(tokens) == 8


def test_the_vocabulary_covers_the_highest_id_even_with_gaps():
    backend = wordpiece()
    assert Tokenizer(backend).vocabulary == len(WORD_PIECES)
    assert Tokenizer(gapped_wordpiece()).vocabulary == 1_000


def gapped_wordpiece():
    from tokenizers import Tokenizer as Backend
    from tokenizers.models import WordPiece

    return Backend(WordPiece({"[UNK]": 0, "cat": 999}, unk_token="[UNK]"))


def test_a_folder_with_nothing_but_a_vocabulary_file_is_enough(tmp_path):
    whole = save_tiny(tmp_path / "tiny")
    expected = read_tokenizer(whole).encode("The cat sat [MASK], unbelievable.", "It was warm.", 40)
    (whole / "tokenizer.json").unlink()
    (whole / "vocab.txt").write_text("\n".join(WORD_PIECES) + "\n")
    ids, tokens = read_tokenizer(whole).encode("The cat sat [MASK], unbelievable.", "It was warm.", 40)
    assert (ids, tokens.text) == (expected[0], expected[1].text)


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"model": {"type": "Unheard"}}', "\x00\x01"])
def test_a_broken_tokenizer_file_is_told_in_one_sentence(tmp_path, content):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ModelError, match=r"^The folder “.*” holds no tokenizer that can be read\.$"):
        read_tokenizer(tmp_path)


def test_a_folder_without_any_tokenizer_is_told_in_one_sentence(tmp_path):
    with pytest.raises(
        ModelError, match=r"holds no tokenizer that can be read: there is no vocab.txt or tokenizer.json\.$"
    ):
        read_tokenizer(save_tiny_without_tokenizer(tmp_path))


def save_tiny_without_tokenizer(folder):
    save_tiny(folder)
    (folder / "tokenizer.json").unlink()
    return folder
