"""The example sentences, of which each was written as an example of something, or a teacher's own."""

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from encoder.decoding import decoded
from encoder.edits import words
from encoder.errors import ModelError, explained

SHIPPED = Path(__file__).parents[1] / "assets" / "corpus.json"
FORM = "they are a JSON object of kinds, each a list of sentences"
MOST_SENTENCES, LONGEST = 2_000, 2_000  # of a teacher's own corpus, and characters of each


@dataclass(frozen=True)
class Sentence:
    """A sentence of the example corpus, and what it was written as an example of."""

    kind: str
    text: str


@cache
def corpus() -> tuple[Sentence, ...]:
    """The example corpus: sentences written for this project, or a teacher's own. Raises ModelError."""
    try:
        kinds = json.loads(decoded(_corpus_file().read_bytes())[0])
        found = tuple(
            Sentence(str(kind), text[:LONGEST])
            for kind, texts in kinds.items()
            for text in _a_list(texts)
            if text[:LONGEST].strip()
        )
    except FileNotFoundError as error:
        raise explained(f"There is no file “{_corpus_file().name}” of example sentences.") from error
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise explained(f"The example sentences in “{_corpus_file().name}” cannot be read: {FORM}.") from error
    if not all(words(sentence.text) for sentence in found) or not 0 < len(found) <= MOST_SENTENCES:
        raise ModelError(
            f"The example sentences in “{_corpus_file().name}” are none, too many or not all sentences: {FORM}."
        )
    return found


def _a_list(texts: list[str]) -> list[str]:
    if not isinstance(texts, list):
        raise TypeError(texts)
    return texts


def _corpus_file() -> Path:
    return Path(os.environ.get("ENCODER_LENS_CORPUS") or SHIPPED)
