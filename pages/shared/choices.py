"""All that a learner can choose: what is chosen at first, and how it is read from an address."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from encoder import alignment, heads
from encoder.catalogue import DEFAULT_LEFT, DEFAULT_RIGHT
from encoder.edits import HIDDEN
from encoder.lesson import COMPARED, NEIGHBOURS, OFFERED, STRUCTURES, LessonConfig
from encoder.quantities import QUANTITIES
from pages.shared import lessons

LONGEST_ADDRESS = 4_000  # characters; longer addresses are refused by servers and cut by messengers
FIRST_ELSEWHERE = """She sat on the bank of the river and fed the ducks.
They walked along the bank until the water was too deep.
He put all his money in the bank.
The bank lent her the money for a house."""
FIRST_TEXT = "The cat sat on the mat because it was tired."


@dataclass(frozen=True)
class Choice:
    """What is chosen at first, and how it is read from an address: ValueError for what cannot be."""

    default: Any
    read: Callable[[str], Any] = str


def _one_of(*options: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in options:
            raise ValueError(value)
        return value

    return read


def _flag(value: str) -> bool:
    return _one_of("0", "1")(value) == "1"


def _number(low: int, high: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not low <= int(value) <= high:
            raise ValueError(value)
        return int(value)

    return read


def _among(*values: Any) -> Callable[[str], Any]:
    by_name = {str(value): value for value in values}
    return lambda name: by_name[_one_of(*by_name)(name)]


def _model(value: str) -> str:
    return _one_of(*lessons.entries())(value)


def _listed(pattern: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if len(value) > LONGEST_ADDRESS or not re.fullmatch(pattern, value):
            raise ValueError(value)
        return value

    return read


def _short(value: str) -> str:
    if len(value) > LONGEST_WORD:
        raise ValueError(value)
    return _line(value)


def _line(value: str) -> str:
    """What a box of one line can hold: it would join two lines without a space between, and change the words."""
    return re.sub(r"[\r\n]+", " ", value)


PAIRS = r"(\d+\.\d+(-\d+\.\d+)*)?"
FACTORS = {0.0: "off", 0.5: "half", 2.0: "twice", 5.0: "five times", -1.0: "sign reversed"}  # times an activation
LONGEST_WORD = 60  # characters of what is put in a word's place
# Choices of EncoderConfig in which the articles, BERT and the textbook differ, by their names in an address.
FLIPS: dict[str, dict[str, str | bool]] = {
    "score_scale": {"sqrt_head_dim": "sqrt_head_dim", "sqrt_width": "sqrt_width"},
    "norm": {"post": "post", "pre": "pre", "none": "none"},
    "shared_projections": {"full": False, "shared": True},
    "activation": {"gelu": "gelu", "relu": "relu"},
}
EXAMPLE = "example"  # of changed words: nobody has changed anything, and What if shows a change of ours
OPEN = -1  # of layers, heads and tokens: nobody has chosen yet
MOST = 1_000_000  # no model has as many layers, heads, tokens or neurons; each page knows its own model's limit
CHOICES: dict[str, Choice] = {
    "text": Choice(FIRST_TEXT),
    "pair": Choice("", _line),
    "a": Choice(DEFAULT_LEFT, _model),
    "b": Choice(DEFAULT_RIGHT, _model),
    "gpu": Choice(False, _flag),
    "words": Choice(False, _flag),  # whole words instead of word pieces
    "hide": Choice(False, _flag),  # hide special tokens
    "limit": Choice(128, _number(8, 4096)),  # tokens; attention grows with its square
    "show": Choice("both", _one_of("both", "a", "b")),
    "together": Choice(True, _flag),  # both columns move to the same layer, head, token
    # Counted from 1 as on the screen; level 0 is the embedding, neuron 0 stands for the most active one. Until somebody
    # chooses, OPEN stands for the place that encoder/starts.py finds in the text.
    **{name + end: Choice(OPEN, _number(1, MOST)) for name in ("layer", "head", "token", "to") for end in ("", "_b")},
    **{f"level{end}": Choice(OPEN, _number(0, MOST)) for end in ("", "_b")},
    **{f"neuron{end}": Choice(0, _number(0, MOST)) for end in ("", "_b")},
    "embedding_view": Choice("sum", _one_of("sum", "similarity", "map", "path", "nearest", "elsewhere", "corpus")),
    "elsewhere": Choice(FIRST_ELSEWHERE),  # sentences, one a line, and a word that comes in them
    "word": Choice("bank", _short),
    "space": Choice("2d", _one_of("2d", "3d", "tsne")),
    # All heads in the explorer, one layer's in Plotly's maps, what they do, three readings; the last three: BertViz's.
    "attention_view": Choice("all", _one_of("all", "maps", "roles", "three", "head", "model", "neuron")),
    "basis": Choice("text", _one_of("text", "corpus")),  # what is said of heads holds for it
    "neuron_view": Choice("corpus", _one_of("corpus", "after", "before")),
    # Of all steps the softmax alone has its numbers beside the words of the sentence: who reads how much of whom.
    "step": Choice("softmax", _one_of(*alignment.KEYS)),
    # What if: words by their places (a first visit shows a finished example), then what each column does without, or
    # with more of.
    "what_if_view": Choice("change", _one_of("change", "each")),
    "outcome": Choice("hidden", _one_of("hidden", "attention", "guesses")),
    "changed": Choice(EXAMPLE, _listed(rf"{EXAMPLE}|(\d+(-\d+)*)?")),
    "put_in": Choice(HIDDEN, _short),
    "shuffled": Choice(False, _flag),
    "without": Choice("", _listed(r"([a-z]+(-[a-z]+)*)?")),
    **{f"off{end}": Choice("", _listed(PAIRS)) for end in ("", "_b")},  # layer.head; head 0 are all heads of a layer
    **{f"scaled{end}": Choice("", _listed(PAIRS)) for end in ("", "_b")},  # layer.neuron
    **{f"factor{end}": Choice(0.0, _among(*FACTORS)) for end in ("", "_b")},
    # Step by step: what the from-scratch side is made of instead.
    **{f"flip_{name}": Choice("", _one_of("", *options)) for name, options in FLIPS.items()},
    "quantity": Choice("change", _one_of(*QUANTITIES)),
    # The Train page.
    "learn": Choice("toy", _one_of("toy", "own")),
    **{f"train_{name}": Choice(getattr(LessonConfig, name), _among(*OFFERED[name])) for name in OFFERED},
    "train_view": Choice("curves", _one_of("curves", "weights", "heads", "map")),
    "train_text": Choice("", _line),
    "compare": Choice("loss", _one_of(*COMPARED)),
    "look_at": Choice("agreement", _one_of(*STRUCTURES, *NEIGHBOURS)),
    "look_head": Choice("best", _listed(r"best|\d+-\d+")),  # whose curve has a colour: layer-head, or the best one's
    "level_of": Choice("last", _one_of("first", "last")),
    # The explorer's lenses.
    "layout": Choice("map", _one_of("map", "lines", "flat")),
    "weights": Choice("raw", _one_of("raw", "norm", "rollout")),
    "over": Choice("one", _one_of("one", "mean", "max")),  # one head, or what over the heads of a layer
    "part": Choice("all", _one_of("all", "aa", "ab", "ba", "bb")),  # from which sentence to which
    "renorm": Choice(False, _flag),
    "top": Choice(100, _number(1, 100)),  # percent of each row's weight that is shown
    "minus": Choice(False, _flag),  # left − right
    "sort": Choice("grid", _one_of("grid", *heads.MEASURES)),
    "least": Choice(0, _number(0, 100)),  # percent of the measure that heads need, not to be dimmed
    **{f"pins{end}": Choice("", _listed(r"(\d+(\.\d+)*)?")) for end in ("", "_b")},  # tokens: 3.5
    **{f"more{end}": Choice("", _listed(PAIRS)) for end in ("", "_b")},  # layer.head-layer.head
}
