"""A toy language small enough to be learned in a minute, with four structures that each need something of attention.

Sentences are made by a grammar, so that for each it is known which word decides what, and where: that is what a head
has to look at.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer, FixedLength
from tokenizers.processors import TemplateProcessing

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LONGEST_WORD = 100  # characters: WordPiece makes [UNK] of a longer one, and its trainer takes their square in time
# Singular, plural and the pronoun of the singular; of many it is always "they".
NOUNS = (
    ("king", "kings", "he"), ("boy", "boys", "he"), ("queen", "queens", "she"), ("girl", "girls", "she"),
    ("dog", "dogs", "it"), ("car", "cars", "it"),
)  # fmt: skip
VERBS = (
    ("sleeps", "sleep"), ("falls", "fall"), ("waits", "wait"),
    ("shines", "shine"), ("sings", "sing"), ("grows", "grow"),
)  # fmt: skip
ADJECTIVES = ("old", "young", "small", "quiet", "happy", "green")
PREPOSITIONS = ("near", "behind", "with", "under")
COPIED = ("red", "blue", "cup", "lamp", "salt", "milk", "ten", "two", "rain", "snow")
BRACKETS = {"(": ")", "[": "]", "{": "}"}
PRONOUNS = ("he", "she", "it", "they")

Chance = np.random.Generator


@dataclass(frozen=True)
class Question:
    """One hidden word: where it stands, which word decides it, and what could stand there instead."""

    place: int  # of the hidden word in its sentence, from 0
    decided_by: int  # place of the word that decides
    right: frozenset[str]  # any of these would fit
    wrong: frozenset[str]  # these are of the same kind and would not


@dataclass(frozen=True)
class Sentence:
    """Words of the toy language, and what can be asked about them."""

    structure: str
    words: tuple[str, ...]
    questions: tuple[Question, ...]

    @property
    def text(self) -> str:
        return " ".join(self.words)


def agreement(chance: Chance) -> Sentence:
    """A verb agrees with its noun in number, over other nouns between them: the dogs near the old tree sleep."""
    many = _coin(chance)
    words, place = _noun_phrase(chance, many)
    for _ in range(int(chance.integers(0, 3))):
        words += [_one_of(chance, PREPOSITIONS), *_noun_phrase(chance, _coin(chance))[0]]
    verb = len(words)
    words += [_one_of(chance, [both[many] for both in VERBS]), "."]
    right, wrong = (frozenset(both[number] for both in VERBS) for number in (many, not many))
    return Sentence("agreement", tuple(words), (Question(verb, place, right, wrong),))


def pronouns(chance: Chance) -> Sentence:
    """A pronoun agrees with its noun in gender and number: the queen near the boys sings because she can wait."""
    many = _coin(chance)
    words, place = _noun_phrase(chance, many)
    noun = words[place]
    if _coin(chance):
        words += [_one_of(chance, PREPOSITIONS), *_noun_phrase(chance, _coin(chance))[0]]
    words += [_one_of(chance, [both[many] for both in VERBS]), "because"]
    pronoun = "they" if many else next(pronoun for one, _, pronoun in NOUNS if one == noun)
    asked = len(words)
    words += [pronoun, "can", _one_of(chance, [plural for _, plural in VERBS]), "."]
    question = Question(asked, place, frozenset({pronoun}), frozenset(PRONOUNS) - {pronoun})
    return Sentence("pronouns", tuple(words), (question,))


def brackets(chance: Chance) -> Sentence:
    """What opens last closes first: ( [ ] { } )."""
    words: list[str] = []
    questions = []
    open_at: list[int] = []
    left = int(chance.integers(2, 6))  # pairs
    while left or open_at:
        if left and (not open_at or (len(open_at) < 4 and _coin(chance))):
            open_at.append(len(words))
            words.append(_one_of(chance, tuple(BRACKETS)))
            left -= 1
        else:
            partner = open_at.pop()
            closing = BRACKETS[words[partner]]
            questions.append(
                Question(len(words), partner, frozenset({closing}), frozenset(BRACKETS.values()) - {closing})
            )
            words.append(closing)
    return Sentence("brackets", (*words, "."), tuple(questions))


def copying(chance: Chance) -> Sentence:
    """What was said is said again: red cup rain : red cup rain."""
    said = [_one_of(chance, COPIED) for _ in range(int(chance.integers(2, 6)))]
    again = len(said) + 1
    questions = tuple(
        Question(again + place, place, frozenset({word}), frozenset(COPIED) - {word}) for place, word in enumerate(said)
    )
    return Sentence("copying", (*said, ":", *said, "."), questions)


STRUCTURES: dict[str, Callable[[Chance], Sentence]] = {
    "agreement": agreement, "pronouns": pronouns, "brackets": brackets, "copying": copying,
}  # fmt: skip


def sentences(count: int, seed: int = 0, structures: Iterable[str] = tuple(STRUCTURES)) -> list[Sentence]:
    """So many sentences, the structures in turn; the same seed gives the same ones."""
    chance = np.random.default_rng(seed)
    makers = [STRUCTURES[structure] for structure in structures]
    return [makers[number % len(makers)](chance) for number in range(count)]


def tokenizer() -> Tokenizer:
    """One token a word; capitals do not matter, and what is not in the language is [UNK]."""
    nouns = [form for one, many, _ in NOUNS for form in (one, many)]
    verbs = [form for both in VERBS for form in both]
    words = [*SPECIAL, "the", *nouns, *verbs, *ADJECTIVES, *PREPOSITIONS, *PRONOUNS, "because", "can",
             *BRACKETS, *BRACKETS.values(), *COPIED, ":", "."]  # fmt: skip
    backend = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    dress(backend)
    return backend


def dress(backend: Tokenizer) -> None:
    """Give a vocabulary of lower-case words or pieces BERT's manners: how it cuts text, and its special tokens."""
    # A Chinese character is a word: else one that is not in the vocabulary would make [UNK] of a whole clause.
    backend.normalizer = BertNormalizer(
        clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=True
    )
    backend.pre_tokenizer = pre_tokenizers.Sequence([BertPreTokenizer(), FixedLength(LONGEST_WORD)])
    backend.add_special_tokens(list(SPECIAL))
    backend.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, backend.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )  # fmt: skip


def _noun_phrase(chance: Chance, many: bool) -> tuple[list[str], int]:
    """Its words, and the place of the noun among them."""
    words = ["the", *([_one_of(chance, ADJECTIVES)] if _coin(chance) else [])]
    return [*words, NOUNS[int(chance.integers(len(NOUNS)))][many]], len(words)


def _coin(chance: Chance) -> bool:
    return bool(chance.integers(2))


def _one_of(chance: Chance, words: Sequence[str]) -> str:
    return words[int(chance.integers(len(words)))]
