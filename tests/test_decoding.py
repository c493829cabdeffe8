"""Text files of all kinds: read as they were meant, or refused in a sentence; nothing is damaged without a word."""

import tracemalloc

import numpy as np
import pytest

from encoder import decoding
from encoder.decoding import decoded, lines

RUSSIAN = "Кошка сидела на коврике, потому что она устала. " * 20
QUOTED = "“Yes,” said the cat. It’s a café — “the” café. " * 20
GERMAN = "Die Straßenbahn fährt über die Brücke. Wir hören „Musik“ und trinken süßen Kaffee.\n" * 10
SENTENCES = {
    "cp1252": "Le garçon a mangé la pomme que sa sœur avait cueillie, près de la forêt.\n" * 10,
    "cp1250": "Kot usiadł na macie, ponieważ był zmęczony. Żółw śpi.\n" * 10,
    "cp1251": "Кошка сидела на коврике, потому что она устала.\n" * 10,
    "koi8_r": "Кошка сидела на коврике, потому что она устала.\n" * 10,
    "cp1253": "Η γάτα κάθισε στο χαλί γιατί ήταν κουρασμένη.\n" * 10,
    "cp1255": "החתול ישב על המחצלת כי הוא היה עייף.\n" * 10,
    "cp1256": "جلست القطة على السجادة لأنها كانت متعبة.\n" * 10,
    "cp874": "แมวนั่งบนเสื่อเพราะมันเหนื่อย\n" * 10,
    "cp932": "猫はマットの上に座っていた。疲れていたからです。\n" * 10,
    "euc_jp": "猫はマットの上に座っていた。疲れていたからです。\n" * 10,
    "gb18030": "猫坐在垫子上，因为它累了。今天下大雨。\n" * 10,
    "big5": "貓坐在墊子上，因為牠累了。今天下大雨。\n" * 10,
    "cp949": "고양이는 피곤해서 매트 위에 앉았다. 오늘은 비가 많이 온다.\n" * 10,
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_a_file_is_read_whatever_program_wrote_it(encoding):
    text, found = decoded("Straße, café.".encode(encoding))
    assert text == "Straße, café."
    assert found.remark == (
        "" if encoding.startswith("utf-8") else f"read as {decoding.NAMES.get(encoding, encoding.upper())}"
    )


@pytest.mark.parametrize(("encoding", "text"), SENTENCES.items())
def test_every_script_is_told_by_its_letters_and_the_encoding_is_said(encoding, text):
    read, found = decoded(text.encode(encoding))
    assert read == text
    assert found.remark == f"read as {decoding.NAMES[encoding]}"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_known_by_its_zeros(encoding):
    assert decoded(GERMAN.encode(encoding))[0] == GERMAN


@pytest.mark.parametrize("text", [RUSSIAN, QUOTED])
def test_utf8_with_a_byte_astray_is_no_other_encoding_and_what_is_lost_is_said(text):
    data = text.encode()
    place = len(text[:500].encode())
    read, found = decoded(data[:place] + b"\xff" + data[place:])
    assert read == f"{text[:500]}\ufffd{text[500:]}"
    count = len(text) + 1
    assert found.remark == f"1 of {count:,} characters ({1 / count:.2%}) cannot be read"


def test_a_very_small_share_is_not_said_to_be_none():
    assert decoding.Encoding("utf-8", 200_000, 2).remark == "2 of 200,000 characters (under 0.01%) cannot be read"


@pytest.mark.parametrize("text", ["Кошка", f"{RUSSIAN}Она", f"{QUOTED}café", "Good 😀 night 😀"])
def test_utf8_that_was_cut_inside_its_last_character_is_no_other_encoding(text):
    assert decoded(text.encode()[:-1])[0] == text[:-1]


WESTERN = [
    "It was a very long way to the café. " * 50, "Größe, Straße, „Spaß“. " * 50, "naïve", GERMAN,
    "The cat sat on the mat and it’s a nice day.\n" + "Plain English text follows here.\n" * 200,
    "Katten satt på mattan för att den var trött. Älgen äter äpplen i ån.\n" * 5,
    "A criança comeu a maçã. O coração não é de pedra, não.\n" * 5,
]  # fmt: skip


@pytest.mark.parametrize("text", WESTERN, ids=lambda text: text[:12])
def test_western_languages_as_windows_writes_them_are_read_so(text):
    assert decoded(text.encode("cp1252"))[0] == text


NOISE = np.random.default_rng(0).integers(0, 256, 5_000, dtype=np.uint8).tobytes()
NO_TEXT = {
    "every byte": (bytes(range(256)) * 20, "no plain text"),
    "zeros": (b"\0" * 500, "no plain text"),
    "noise": (NOISE, "no plain text"),
    "zeros in text": (b"The cat sat on the mat.\0\0" * 20, "no plain text, or damaged: 8.0%"),
    ".docx": (b"PK\x03\x04" + NOISE, "a Word, OpenDocument, EPUB or ZIP file"),
    ".pdf": (b"%PDF-1.7\n1 0 obj", "a PDF"),
    ".rtf": (rb"{\rtf1\ansi The cat sat.}", "rich text"),
    ".doc": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office program"),
    ".gz": (b"\x1f\x8b\x08" + NOISE, "compressed"),
    "broken": (b"\xff\xd0\x9a" * 30 + RUSSIAN.encode(), "cannot be read"),
}


@pytest.mark.parametrize(("data", "why"), NO_TEXT.values(), ids=NO_TEXT)
def test_a_file_that_is_no_text_is_refused_in_a_sentence(data, why):
    with pytest.raises(ValueError, match=r"^This (is|file is) .*\.$") as error:
        decoded(data)
    assert why in str(error.value)


def test_a_refused_file_is_named(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"PK\x03\x04")
    with pytest.raises(ValueError, match=r"a\.txt: This is a Word, .*\.$"):
        lines(tmp_path / "a.txt")


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
@pytest.mark.parametrize("at_once", [7, 1 << 20])
def test_lines_are_the_same_however_little_is_read_at_once(tmp_path, monkeypatch, encoding, at_once):
    monkeypatch.setattr(decoding, "AT_ONCE", at_once)
    text = "Straße, café.\r\n\n  \nThe ‘cat’ sat.\rNo end" * 30
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    found, _ = lines(tmp_path / "a.txt")
    expected = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert list(found) == [line.strip() for line in expected if line.strip()]


def test_a_corpus_in_one_line_is_cut_between_words(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "LONGEST", 50)
    words = [f"word{number}" for number in range(500)]
    (tmp_path / "a.txt").write_text(" ".join(words) + " " + "x" * 120, encoding="utf-8")
    found = list(lines(tmp_path / "a.txt")[0])
    assert " ".join(found).split()[:500] == words
    assert max(map(len, found)) <= 50
    assert "".join(" ".join(found).split()[500:]) == "x" * 120


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_a_large_file_is_never_in_memory_as_a_whole(tmp_path, encoding):
    large = tmp_path / "a.txt"
    large.write_bytes(("The cat sat in the café on the mat.\n" * 600_000).encode(encoding))
    tracemalloc.start()
    try:
        assert sum(1 for _ in lines(large)[0]) == 600_000
        assert tracemalloc.get_traced_memory()[1] < large.stat().st_size / 2
    finally:
        tracemalloc.stop()
