"""From typed text to tokens, with the words, sentences and characters that each token stands for."""

from pathlib import Path

import numpy as np
from tokenizers import Encoding
from tokenizers import Tokenizer as Backend
from tokenizers.decoders import ByteLevel

from encoder.errors import ModelError
from encoder.hub import TOKENIZERS
from encoder.trace import Tokens, read_only

MASKS = ("[MASK]", "<mask>")  # BERT's name for a hidden token, and RoBERTa's


class Tokenizer:
    """A model's own tokenizer. Shared by all threads: nothing about a call is kept on it."""

    def __init__(self, backend: Backend) -> None:
        # Cutting and padding are settings of the backend, shared by every caller; each call here cuts for itself.
        backend.no_truncation()
        backend.no_padding()
        self.backend = backend
        self.mask = next((name for name in MASKS if backend.token_to_id(name) is not None), None)  # its hidden token
        self._byte_level = isinstance(backend.decoder, ByteLevel)

    @property
    def name(self) -> str:
        """The algorithm, as the tokenizers library calls it: WordPiece, BPE, Unigram."""
        return type(self.backend.model).__name__

    @property
    def vocabulary(self) -> int:
        """How many embeddings a model needs for every id that can come up; ids may have gaps."""
        return max(self.backend.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    def encode(self, text: str, pair: str | None, limit: int) -> tuple[list[int], Tokens]:
        """Token ids and their record for one text or a pair, at most `limit` tokens, special ones included.

        Where both sentences do not fit, the longer one is cut first (as BERT's own preparation does);
        `Tokens.left_out` counts what was cut. Raises ModelError for what no tokenizer can read.
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
        # Taken before the special tokens join: RoBERTa's way of adding them cuts a space off each span a second time.
        spans = first.offsets + (second.offsets if second else [])
        return encoding.ids, self._record(encoding, len(first), spans, left_out)

    def _masked(self, text: str) -> str:
        """Whatever a learner calls a hidden token, this tokenizer reads as its own; both names are equally long."""
        for name in MASKS if self.mask else ():
            text = text.replace(name, str(self.mask))
        return text

    def _record(self, encoding: Encoding, first: int, spans: list[tuple[int, int]], left_out: int) -> Tokens:
        added, ids = np.array(encoding.special_tokens_mask, dtype=bool), np.array(encoding.ids)
        special = np.isin(ids, ids[added])  # a typed [SEP] is one to the model
        # Of the tokens that were not added, the first so many come from the first sentence; RoBERTa's own
        # numbers do not tell, and BERT's know where the last [SEP] belongs when the second sentence is blank.
        sentence = np.maximum(np.array(encoding.type_ids, dtype=np.int64), np.cumsum(~added) > first)
        span = np.zeros((len(added), 2), dtype=np.int64)
        span[~added] = np.array(spans, dtype=np.int64).reshape(-1, 2)
        return Tokens(
            text=tuple(map(self.shown, encoding.ids)),
            word=read_only(_words(encoding.word_ids, sentence, special)),
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


def _words(word_ids: list[int | None], sentence: np.ndarray, special: np.ndarray) -> np.ndarray:
    """[token] word indices that go on counting in the second sentence; -1 for special tokens."""
    words = np.full(len(word_ids), -1, dtype=np.int64)
    following, last = -1, None
    for token in np.flatnonzero(~special):
        current = (sentence[token], word_ids[token])
        # A token outside every word (a typed [MASK], say) is a word of its own.
        if current != last or current[1] is None:
            following += 1
        words[token], last = following, current
    return words


def read_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer stored in a model folder. Raises ModelError when there is none that can be read."""
    try:
        if (folder / "tokenizer.json").is_file():
            return Tokenizer(Backend.from_file(str(folder / "tokenizer.json")))
        names = {path.name for path in folder.iterdir()}
        if not any(needed <= names for needed in TOKENIZERS):
            # transformers would make up a tokenizer that knows no word.
            raise FileNotFoundError(folder)
        # Older folders hold only vocabulary files; transformers knows how to build each family's tokenizer from them.
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return Tokenizer(tokenizer.backend_tokenizer)
    except Exception as error:  # the tokenizers library raises bare Exceptions
        raise ModelError(f"The folder “{folder.name}” holds no tokenizer that can be read.") from error
