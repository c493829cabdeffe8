"""Text files, whatever program wrote them: in which encoding a file is, and its text, a piece at a time.

A file is never in memory as a whole. It is read twice: once to see how it is encoded and how much of it cannot be read,
and again for its text. What cannot be read is counted and said, and a file with too much of it is refused.
"""

import codecs
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from charset_normalizer import from_bytes

from encoder.errors import KnownError

MOST_UNREADABLE = 1 / 200  # of the characters: with more, one word in forty would be damaged
AT_ONCE = 1 << 20  # bytes that are read at once
SAMPLE = 1 << 16  # bytes in which an encoding is looked for
LONGEST = 100_000  # characters of a line; a longer one is cut between two words, as some corpora are one line
SIGNATURES = (  # what a file begins with that is no plain text, whatever its name
    (b"PK\x03\x04", "a Word, OpenDocument, EPUB or ZIP file"),
    (b"%PDF-", "a PDF"),
    (b"{\\rtf", "a rich text file (RTF)"),
    (b"\xd0\xcf\x11\xe0", "a file of an old Office program"),
    (b"\x1f\x8b", "a compressed file"),
)
MARKS = (  # a byte order mark says the encoding; that of UTF-32 begins like that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
WESTERN = "cp1252"
# What text files are still written in. More candidates would be taken for one another.
CANDIDATES = [
    WESTERN, "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "cp874",
    "cp932", "euc_jp", "gb18030", "big5", "cp949",
]  # fmt: skip
WIDE = ["utf_16_le", "utf_16_be"]
NAMES = {
    "utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf_16_le": "UTF-16", "utf_16_be": "UTF-16",
    "cp1252": "Windows-1252 (Western European)", "cp1250": "Windows-1250 (Central European)",
    "cp1251": "Windows-1251 (Cyrillic)", "koi8_r": "KOI8-R (Cyrillic)", "cp1253": "Windows-1253 (Greek)",
    "cp1254": "Windows-1254 (Turkish)", "cp1255": "Windows-1255 (Hebrew)", "cp1256": "Windows-1256 (Arabic)",
    "cp874": "Windows-874 (Thai)", "cp932": "Shift JIS (Japanese)", "euc_jp": "EUC-JP (Japanese)",
    "gb18030": "GB 18030 (Chinese)", "big5": "Big5 (Chinese)", "cp949": "Windows-949 (Korean)",
}  # fmt: skip
STRANGE = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x80-\x84\x86-\x9f\ufffd]")  # no plain text has control characters


@dataclass(frozen=True)
class Encoding:
    """How a file is written, and what of it cannot be read."""

    name: str  # as Python calls it
    characters: int
    unreadable: int  # of them

    @property
    def remark(self) -> str:
        """What a reader should know, as the end of a sentence; nothing of a whole file in UTF-8."""
        said = [] if NAMES.get(self.name) == "UTF-8" else [f"read as {NAMES.get(self.name, self.name.upper())}"]
        if self.unreadable:
            share = self.unreadable / self.characters
            in_all = f"{share:.2%}" if share >= 1e-4 else "under 0.01%"
            said.append(f"{self.unreadable:,} of {self.characters:,} characters ({in_all}) cannot be read")
        return "; ".join(said)


def decoded(data: bytes) -> tuple[str, Encoding]:
    """The text of a file that is in memory. Raises KnownError, in a sentence, for what is no plain text."""
    file = io.BytesIO(data)
    encoding = detect(file)
    return "".join(_text(file, encoding.name)), encoding


def lines(file: Path) -> tuple[Iterator[str], Encoding]:
    """The lines of a text file that are not blank, as they come. Raises OSError, and KnownError as `decoded` does."""
    with file.open("rb") as opened:
        try:
            encoding = detect(opened)
        except KnownError as error:
            raise KnownError(f"{file}: {error}") from error
    return _lines(file, encoding.name), encoding


def detect(file: BinaryIO) -> Encoding:
    """The encoding of a file. Raises KnownError for one that is no plain text, or in an encoding that is not known."""
    file.seek(0)
    start = file.read(max(len(signature) for signature, _ in SIGNATURES))
    for signature, what in SIGNATURES:
        if start.startswith(signature):
            raise KnownError(f"This is {what}, not plain text. Save it as plain text in UTF-8 (.txt) first.")
    if name := next((name for mark, name in MARKS if start.startswith(mark)), None):
        return _bearable(_counted(file, name))
    broken, well = _as_utf8(file)
    sample = _sample(file)
    if sample.count(b"\0") > len(sample) / 10:  # in UTF-16 most letters of Western languages have a zero byte
        return _bearable(_counted(file, _likeliest(sample, WIDE)))
    if well >= 10 * broken:  # by chance hardly a letter of another encoding is UTF-8
        return _bearable(_counted(file, "utf-8"))
    return _bearable(_counted(file, _likeliest(sample, CANDIDATES)))


def _as_utf8(file: BinaryIO) -> tuple[int, int]:
    """How many bytes or characters are no UTF-8, and how many characters beyond ASCII are."""
    broken = well = 0
    for text in _text(file, "utf-8"):
        lost = text.count("\ufffd")
        broken, well = broken + lost, well + len(text) - len(text.encode("ascii", "ignore")) - lost
    return broken, well


def _bearable(encoding: Encoding) -> Encoding:
    if encoding.unreadable > MOST_UNREADABLE * encoding.characters:
        raise KnownError(
            f"This file is no plain text, or damaged: {encoding.unreadable / encoding.characters:.1%} of its "
            f"characters cannot be read, and {MOST_UNREADABLE:.1%} may be. Save it as plain text in UTF-8 (.txt)."
        )
    return encoding


def _counted(file: BinaryIO, name: str) -> Encoding:
    characters = unreadable = 0
    for text in _text(file, name):
        characters += len(text)
        unreadable += len(STRANGE.findall(text))
    return Encoding(name, characters, unreadable)


def _sample(file: BinaryIO) -> bytes:
    """The first lines that are not all ASCII: those tell encodings apart."""
    file.seek(0)
    sample = b""
    while len(sample) < SAMPLE and (line := file.readline(SAMPLE)):
        if not line.isascii() or b"\0" in line:
            sample += line
    if len(sample) > SAMPLE and (end := re.search(rb"[\x00-\x7f][^\x00-\x7f]*$", sample[:SAMPLE])):
        sample = sample[: end.start() + 1]  # not inside a character
    return sample


def _likeliest(sample: bytes, candidates: list[str]) -> str:
    """Raises KnownError where none of the encodings fits.

    charset-normalizer tells scripts apart well, and Western from Central European texts badly: so the commoner of these
    two is taken wherever it is possible at all.
    """
    found = list(from_bytes(sample, steps=20, cp_isolation=candidates, preemptive_behaviour=False))
    if not found:
        raise KnownError("This file is no plain text, or in an encoding that is not known here. Save it as UTF-8.")
    if any(WESTERN in match.could_be_from_charset for match in found):
        return WESTERN
    return found[0].encoding


def _text(file: BinaryIO, name: str) -> Iterator[str]:
    """Text in pieces, lines ending in \\n, \\ufffd for what cannot be read; a last character that is cut is omitted."""
    file.seek(0)
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(name)("replace"), translate=True)
    while data := file.read(AT_ONCE):
        yield decoder.decode(data)


def _lines(file: Path, name: str) -> Iterator[str]:
    rest = ""
    with file.open("rb") as opened:
        for text in chain(_text(opened, name), ["\n"]):
            *whole, rest = (rest + text).split("\n")
            yield from filter(None, map(str.strip, chain.from_iterable(map(_cut, whole))))
            *long, rest = _cut(rest)
            yield from filter(None, map(str.strip, long))


def _cut(line: str) -> Iterable[str]:
    """A line in pieces of at most LONGEST characters, cut between words where there are any."""
    while len(line) > LONGEST:
        end = line.rfind(" ", 1, LONGEST) if " " in line[1:LONGEST] else LONGEST
        yield line[:end]
        line = line[end:]
    yield line
