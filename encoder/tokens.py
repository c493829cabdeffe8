"""From typed text to tokens, with the words, sentences and characters that each token stands for."""

import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Encoding
from tokenizers import Tokenizer as Backend
from tokenizers.decoders import ByteLevel

from encoder.errors import ModelError, explained
from encoder.folders import LARGEST_TOKENIZER, check_size, read_json
from encoder.trace import Array, Tokens, read_only

MASKS = ("[MASK]", "<mask>")  # BERT's name for a masked token, and RoBERTa's
UNKNOWN = ("[UNK]", "<unk>")
PARSED = (".json", ".txt", ".model", ".jinja")  # files that a tokenizer may be made of
SENTENCEPIECE = {"sentencepiece": "sentencepiece", "google.protobuf": "protobuf"}  # what its files need, by module
# Signs that BERT makes a word of each: Chinese characters, and punctuation, which in ASCII is all that is no letter,
# digit or space (its `_is_chinese_char` and `_is_punctuation`).
HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ceaf\U0002f800-\U0002fa1f"
ALONE = re.compile(rf"[!-/:-@\[-`{{-~{HAN}]")


class Tokenizer:
    """A model's own tokenizer. Shared by all threads: nothing about a call is kept on it."""

    def __init__(
        self, backend: Backend, mask: str | None = None, embeddings: int | None = None, segments: bool = True
    ) -> None:
        """mask: its mask token, where that is known. embeddings: how many tokens its model has a vector for.

        segments: whether it tells the model which sentence a token is of, as transformers' tokenizer of some models
        does not.
        """
        # Cutting and padding are settings of the backend, shared by every caller; each call here cuts for itself.
        backend.no_truncation()
        backend.no_padding()
        self.backend = backend
        names = (mask, *MASKS) if mask else MASKS
        self.mask = next((name for name in names if backend.token_to_id(name) is not None), None)
        self.segments = segments
        self._embeddings = embeddings
        self._byte_level = isinstance(backend.decoder, ByteLevel)

    @property
    def name(self) -> str:
        """The algorithm, as the tokenizers library calls it: WordPiece, BPE, Unigram."""
        return type(self.backend.model).__name__

    @property
    def vocabulary(self) -> int:
        """How many embeddings a model needs for every id that can come up; ids may have gaps."""
        return int(self._ids.max(initial=-1)) + 1

    @property
    def own_vocabulary(self) -> int:
        """The same without the tokens that were added later."""
        return max(self.backend.get_vocab(with_added_tokens=False).values(), default=-1) + 1

    @cached_property
    def _ids(self) -> Array:
        return np.fromiter(self.backend.get_vocab(with_added_tokens=True).values(), dtype=np.int64)

    def named(self, count: int) -> Array:
        """[id] whether each of so many ids stands for a token: a model may have more embeddings than that."""
        found = np.zeros(count, dtype=bool)
        found[self._ids[self._ids < count]] = True
        return found

    def encode(self, text: str, pair: str | None, limit: int) -> tuple[list[int], Tokens]:
        """Token ids and their record for one text or a pair, at most `limit` tokens, special ones included.

        Where both sentences do not fit, the longer one is cut first (as BERT's own preparation does);
        `Tokens.left_out` counts what was cut. Raises ModelError for what no tokenizer can read, where no token is left,
        and for a token that the model has no embedding for.
        """
        if not _is_unicode(text + (pair or "")):
            raise ModelError("The text holds bytes that are no characters: it is not UTF-8.")
        first = self.backend.encode(self._masked(text), add_special_tokens=False)
        second = self.backend.encode(self._masked(pair), add_special_tokens=False) if pair else None
        room = max(0, limit - self.backend.num_special_tokens_to_add(second is not None))
        left_out = max(0, len(first) + (len(second) if second else 0) - room)
        if second is not None:
            second = _beginning(second, max(room // 2, room - len(first)))
        first = _beginning(first, room - (len(second) if second else 0))
        encoding = self.backend.post_process(first, second)
        if not encoding.ids:
            raise ModelError("This text leaves no token to read: this tokenizer drops what is in it, and adds nothing.")
        if self._embeddings is not None and max(encoding.ids) >= self._embeddings:
            token = self.shown(next(each for each in encoding.ids if each >= self._embeddings))
            raise ModelError(f"“{token}” is a token of this tokenizer for which its model has no embedding.")
        # Taken before the special tokens join: RoBERTa's way of adding them cuts a space off each span a second time.
        spans = first.offsets + (second.offsets if second else [])
        return encoding.ids, self._record(encoding, len(first), spans, left_out, (text, pair or ""))

    def _masked(self, text: str) -> str:
        """Whichever name of a masked token a learner types, this tokenizer reads its own, if it is equally long."""
        for name in MASKS:
            if self.mask and len(self.mask) == len(name):
                text = text.replace(name, self.mask)
        return text

    def _record(
        self, encoding: Encoding, first: int, spans: list[tuple[int, int]], left_out: int, typed: tuple[str, str]
    ) -> Tokens:
        added, ids = np.array(encoding.special_tokens_mask, dtype=bool), np.array(encoding.ids)
        special = np.isin(ids, ids[added])  # a typed [SEP] is one to the model
        # Of the tokens that were not added, the first so many come from the first sentence; RoBERTa's own
        # numbers do not tell, and BERT's know where the last [SEP] belongs when the second sentence is blank.
        sentence = np.maximum(np.array(encoding.type_ids, dtype=np.int64), np.cumsum(~added) > first)
        span = np.zeros((len(added), 2), dtype=np.int64)
        span[~added] = np.array(spans, dtype=np.int64).reshape(-1, 2)
        text = tuple(map(self.shown, encoding.ids))
        seen = [
            _visible(typed[min(number, 1)], *chars)
            for number, chars in zip(sentence.tolist(), span.tolist(), strict=True)
        ]
        return Tokens(
            text=text,
            word=read_only(_words(text, encoding.word_ids, sentence, special, seen)),
            segment=read_only(sentence),
            special=read_only(special),
            span=read_only(span),
            left_out=left_out,
        )

    def shown(self, token_id: int) -> str:
        """A token by its id, as a trace shows it."""
        # What the model reads: some tokenizers would give the typed letters of a word that it reads as <unk>.
        token: str = self.backend.id_to_token(token_id) or ""
        if not self._byte_level:
            return token
        # Byte-level tokens spell bytes with stand-in letters (Ġ for a space, Ã© for é): show what they mean.
        meant: str = self.backend.decode([token_id], skip_special_tokens=False)
        return meant or token


def _is_unicode(text: str) -> bool:
    """Whether there are no halves of characters in it, which Python makes of a command line that is not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _beginning(encoding: Encoding, count: int) -> Encoding:
    """The first `count` tokens.

    The library keeps what it cuts off as pieces of the size that is left, and later joins every piece of one
    sentence with every piece of the other: half a minute for 100,000 characters each. So cut into two pieces only.
    """
    if 0 < count < len(encoding) / 2:
        encoding.truncate(len(encoding) - count, direction="left")
        return encoding.overflowing[0]
    encoding.truncate(min(count, len(encoding)))
    return encoding


class _Seen(NamedTuple):
    """What a token shows of the typed text: where it begins and ends, without spaces, and that."""

    start: int
    end: int
    text: str


def _visible(text: str, start: int, end: int) -> _Seen:
    bare = text[start:end].strip()
    start += len(text[start:end]) - len(text[start:end].lstrip())
    return _Seen(start, start + len(bare), bare)


def _words(
    text: Sequence[str], word_ids: Sequence[int | None], sentence: Array, special: Array, seen: Sequence[_Seen]
) -> Array:
    """[token] word indices that go on counting in the second sentence; -1 for special tokens.

    A word is what the tokenizer takes for one, as far as it goes without a punctuation mark, a Chinese character or an
    unknown token: each of these is a word of its own, as in BERT. SentencePiece looks for spaces only.
    """
    words = np.full(len(word_ids), -1, dtype=np.int64)
    following = -1
    last: int | None = None
    for token in np.flatnonzero(~special).tolist():
        # A token outside every word (a typed [MASK], say) is a word of its own.
        if (
            last is None
            or sentence[token] != sentence[last]
            or word_ids[token] is None
            or word_ids[token] != word_ids[last]
            or (seen[last].end <= seen[token].start and _parts(last, token, text, seen))
        ):
            following += 1
        words[token], last = following, token
    return words


def _parts(last: int, token: int, text: Sequence[str], seen: Sequence[_Seen]) -> bool:
    """Whether a word ends between two tokens, though their tokenizer does not say so."""
    if not seen[last].text:  # the space before a word, as a token of its own
        return False
    if text[last] in UNKNOWN or text[token] in UNKNOWN:
        return True
    return _stands_alone(seen[last].text[-1:]) or _stands_alone(seen[token].text[:1])


def _stands_alone(sign: str) -> bool:
    return bool(ALONE.match(sign)) or (sign != "" and unicodedata.category(sign).startswith("P"))


def read_own(folder: Path, label: str = "") -> Tokenizer:
    """The tokenizer.json of a model that was trained here, or of MiniLM, without transformers. Raises ModelError."""
    label = label or folder.name
    check_size(folder / "tokenizer.json", label, LARGEST_TOKENIZER)
    try:
        return Tokenizer(Backend.from_file(str(folder / "tokenizer.json")))
    except Exception as error:  # the tokenizers library raises bare Exceptions
        raise explained(f"The folder “{label}” holds no tokenizer that can be read.") from error


def read_tokenizer(folder: Path, label: str = "", embeddings: int | None = None) -> Tokenizer:
    """The tokenizer of a pretrained model's folder.

    transformers builds it from whatever files there are, so that the ids are those that it would give the model.
    embeddings: how many tokens the model has a vector for. Raises ModelError.
    """
    label = label or folder.name
    for path in sorted(folder.glob("*")):
        if path.suffix in PARSED:
            check_size(path, label, LARGEST_TOKENIZER)
    from transformers import AutoTokenizer  # seconds, unless its models are imported already

    try:
        theirs: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # each layer below raises its own kind
        raise explained(_why_unreadable(folder, label, error)) from error
    if not hasattr(theirs, "backend_tokenizer"):
        raise ModelError(_no_spans(label, type(theirs).__name__))
    files = [name for name in theirs.vocab_files_names.values() if name]
    if not any((folder / name).is_file() for name in files):  # it made up a tokenizer that knows no word
        raise ModelError(f"The folder “{label}” holds no tokenizer that can be read: there is no {' or '.join(files)}.")
    kinds = theirs("a", "b").get("token_type_ids") or []
    return Tokenizer(theirs.backend_tokenizer, theirs.mask_token, embeddings, any(kinds))


def _why_unreadable(folder: Path, label: str, error: BaseException) -> str:
    """A sentence for an error of transformers, whose own words do not always name the cause."""
    import transformers

    try:
        kind = str(read_json(folder / "tokenizer_config.json", label).get("tokenizer_class"))
    except (OSError, ValueError, AttributeError, RecursionError):
        kind = ""
    known = getattr(transformers, kind, None)
    if isinstance(known, type) and not hasattr(known, "backend_tokenizer"):
        return _no_spans(label, kind)
    if package := _missing_package(folder, error):
        return f"The tokenizer of “{label}” needs the Python package “{package}”, which is not installed here."
    return f"The folder “{label}” holds no tokenizer that can be read."


def _missing_package(folder: Path, error: BaseException | None) -> str | None:
    """What would have to be installed. Of a SentencePiece file transformers says that it wants tiktoken instead."""
    if any(folder.glob("*.model")):
        return next((package for module, package in SENTENCEPIECE.items() if not _is_installed(module)), None)
    while error is not None:
        if isinstance(error, ImportError):
            named = re.search(r"(?:install|requires the) `?([\w-]+)", str(error))
            return error.name or (named.group(1) if named else None)
        error = error.__cause__ or error.__context__
    return None


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:  # not even the package that it would be in
        return False


def _no_spans(label: str, kind: str) -> str:
    return (
        f"The tokenizer of “{label}” ({kind}) does not tell which characters a token stands for, "
        "so its model cannot be shown."
    )
