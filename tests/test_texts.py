"""Texts to learn from: nothing lost, nothing twice, always in the same order."""

import numpy as np
import pytest

from encoder.runs import wordpiece
from encoder.texts import Sentences, Sequences, Spelled, paragraphs, token_row


def test_a_file_a_folder_and_a_data_set_give_their_paragraphs(tmp_path, monkeypatch):
    (tmp_path / "b.txt").write_text("Third.\n", encoding="utf-8")
    (tmp_path / "a.txt").write_text("First. \n\n  \nSecond: é.\n", encoding="utf-8")
    (tmp_path / "c.md").write_text("No text file.")
    assert list(paragraphs(str(tmp_path / "a.txt"))) == ["First.", "Second: é."]
    assert list(paragraphs(str(tmp_path))) == ["First.", "Second: é.", "Third."]

    asked = []

    def load_dataset(name, part=None, *, split, streaming):
        asked.append((name, part, split, streaming))
        return iter([{"text": "One.\n\nTwo."}, {"text": ""}])

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    for which in ("", ":test", ":small:test"):
        assert list(paragraphs(f"someone/books{which}")) == ["One.", "Two."]
    assert [each[1:] for each in asked] == [(None, "train", True), (None, "test", True), ("small", "test", True)]
    with pytest.raises(ValueError, match=r"^A data set is named owner/name, .*, not someone/books:a:b:c\.$"):
        list(paragraphs("someone/books:a:b:c"))
    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: iter([{"label": 1, "sentence": "One."}]))
    with pytest.raises(ValueError, match=r"^The data set someone/books has no column “text” but label, sentence\.$"):
        list(paragraphs("someone/books"))


@pytest.mark.parametrize("name", ["nowhere.txt", "no/where.txt", "", "."])
def test_what_is_not_there_is_said_in_a_sentence(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"^(There is no file or folder|The folder .* holds no .txt file)"):
        list(paragraphs(name))


def test_what_is_not_utf8_is_told_of_each_file(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"caf\xe9\nthe end\n")
    (tmp_path / "b.txt").write_text("café\n", encoding="utf-8")
    told = []
    assert list(paragraphs(str(tmp_path), told.append)) == ["café", "the end", "café"]
    assert told == [f"{tmp_path / 'a.txt'}: read as Windows-1252 (Western European)."]


def test_the_share_of_what_no_piece_can_spell_is_said_and_limited():
    tokenizer = wordpiece()
    row = token_row(["แมว and nine words more that we can spell here."], tokenizer)
    found = Spelled.of(row, tokenizer)
    assert (found.tokens, found.unknown) == (11, 1)
    assert found.checked("a.txt") == "a.txt: 11 tokens, 9.09% of them [UNK]."
    assert (found + found).tokens == 22
    with pytest.raises(ValueError, match=r"^a\.txt: 1 tokens, 100\.00% of them \[UNK\], and 20% may be\. .*\.$"):
        Spelled.of(token_row(["แมวนั่งบนเสื่อ"], tokenizer), tokenizer).checked("a.txt")
    assert Spelled().share == 0


def test_a_row_holds_every_piece_of_every_text_and_a_sep_after_each():
    tokenizer = wordpiece()
    row = token_row(iter(["The cat sat.", "Unbelievable!"]), tokenizer)
    assert [tokenizer.id_to_token(number) for number in row] == [
        "the", "cat", "sat", ".", "[SEP]", "unbelievable", "!", "[SEP]",
    ]  # fmt: skip
    assert len(token_row([], tokenizer)) == 0


def test_every_token_is_in_one_sequence_of_a_pass_and_the_next_pass_has_another_order():
    row = np.arange(100, 175, dtype=np.int32)
    sequences = Sequences(row, 8, first=1, seed=3)
    assert len(sequences) == 10
    passes = [np.concatenate([sequences.batch(step, 5) for step in pair]) for pair in ((0, 1), (2, 3))]
    for each in passes:
        assert each.shape == (10, 8)
        assert (each[:, 0] == 1).all()
        assert sorted(each[:, 1:].ravel()) == list(range(100, 170))
    assert not np.array_equal(*passes)
    assert np.array_equal(Sequences(row, 8, first=1, seed=3).batch(3, 5), sequences.batch(3, 5))
    assert not np.array_equal(Sequences(row, 8, first=1, seed=4).batch(3, 5), sequences.batch(3, 5))


def test_a_batch_may_reach_from_one_pass_into_the_next():
    sequences = Sequences(np.arange(21, dtype=np.int32), 8, first=1)
    both = np.concatenate([sequences.batch(step, 2)[:, 1:] for step in range(3)])
    assert sorted(both[:3].ravel()) == sorted(both[3:].ravel()) == list(range(21))


def test_too_little_text_for_one_sequence_is_said():
    with pytest.raises(ValueError, match=r"^6 tokens of text are too few for one sequence of 8\.$"):
        Sequences(np.arange(6, dtype=np.int32), 8, first=1)


def test_held_out_text_stands_in_its_own_order():
    found = list(Sequences(np.arange(21, dtype=np.int32), 8, first=99).in_order(2))
    assert [len(part) for part in found] == [2, 1]
    assert np.concatenate(found)[:, 1:].ravel().tolist() == list(range(21))


def test_sentences_of_one_length_share_a_batch_and_come_as_often_as_they_are():
    rows = [[1, 7, 2]] * 30 + [[1, 8, 9, 2]] * 10
    texts = Sentences(rows, seed=3)
    batches = [texts.batch(step, 5) for step in range(200)]
    assert {batch.shape for batch in batches} == {(5, 3), (5, 4)}
    assert 0.6 < np.mean([batch.shape[1] == 3 for batch in batches]) < 0.9
    assert all(row in rows for batch in batches for row in batch.tolist())
    np.testing.assert_array_equal(texts.batch(7, 5), Sentences(rows, seed=3).batch(7, 5))
