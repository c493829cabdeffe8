"""English-looking texts that no cache has seen."""

import random
from collections.abc import Iterator

# Each word is one token of BERT's vocabulary, so that a text's length in tokens is known.
STORY = (
    "the old river runs past a quiet house where my brother wrote long letters about music and war "
    "every summer children play near its bridge while boats carry stone from north to south under white "
    "clouds she said that nobody could remember when such cold winter came before but they still tell "
    "this story with bread tea and laughter until night falls over green hills"
)
WORDS = STORY.split()


def never_seen(seed: int, words: int = 12) -> Iterator[str]:
    """Different texts of so many words, the same ones for the same seed."""
    draw, seen = random.Random(seed), set()
    while True:
        text = " ".join(draw.choices(WORDS, k=words)).capitalize() + "."
        if text not in seen:
            seen.add(text)
            yield text


def of_tokens(count: int) -> str:
    """A text that BERT's tokenizer turns into exactly `count` tokens, [CLS] and [SEP] among them."""
    return " ".join(WORDS[position % len(WORDS)] for position in range(count - 2))
