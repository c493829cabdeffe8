"""Which neurons have the clearest examples: always the same word or kind of sentence, and far above the usual."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from encoder.sentences import Sentence
from encoder.starts import says_something
from encoder.survey import EVERY, Survey
from encoder.trace import Array

HALF = 4.0  # standard deviations above the mean at which a rise counts half; far above, still higher is hardly clearer


@dataclass(frozen=True)
class Clear:
    """Each neuron's examples in the sentences where it is most active: from 0, the layers and neurons of one survey."""

    clearness: Array  # [layer, ffn]
    order: Array  # [layer, ffn] the neurons of each layer, the clearest first
    mean: Array  # [layer, ffn] the usual activation: the mean over the words that were kept

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.clearness.nbytes + self.order.nbytes + self.mean.nbytes

    @property
    def layer(self) -> int:
        """The layer that has the clearest neuron."""
        return int(self.clearness.max(1).argmax())


def clearest(found: Survey, sentences: tuple[Sentence, ...]) -> Clear:
    """How clear each neuron's examples are: agreement × rise.

    Agreement is the share of its most active places that mark the word, or lie in sentences of the kind, that comes
    there most often; words that say little by themselves, and signs, agree on nothing. Rise is how far the lowest of
    these places lies above the neuron's mean over all words, z standard deviations, as z / (z + HALF).
    """
    number, first, last = np.moveaxis(found.where, -1, 0)  # [layer, ffn, rank] each
    words = _words(number, first, last, sentences)
    agreement = np.maximum(_agreement(words), _agreement(np.where(words < 0, words, _kinds(number, sentences))))
    read = found.read[::EVERY]
    values = found.neurons[:, read].astype(np.float32)  # [layer, word, ffn]
    mean, spread = values.mean(1), values.std(1)
    rise = np.maximum(found.top[..., -1] - mean, 0) / np.maximum(spread, 1e-6)
    clearness = (agreement * rise / (rise + HALF)).astype(np.float32)
    return Clear(clearness, np.argsort(-clearness, -1, kind="stable"), mean)


def marked(found: Survey, sentences: tuple[Sentence, ...], layer: int, neuron: int) -> tuple[str, int]:
    """The word that a neuron's most active places mark most often, and how often."""
    texts = [
        sentences[number].text[first:last].casefold() for number, first, last in found.where[layer, neuron].tolist()
    ]
    return Counter(texts).most_common(1)[0]


def _words(number: Array, first: Array, last: Array, sentences: tuple[Sentence, ...]) -> Array:
    """[layer, ffn, rank] a number for each word that is marked; words that say little have each their own."""
    places, where = np.unique(np.stack([number, first, last], -1).reshape(-1, 3), axis=0, return_inverse=True)
    numbers: dict[str, int] = {}
    names = np.empty(len(places), dtype=np.int64)
    for place, (sentence, start, end) in enumerate(places.tolist()):
        word = sentences[sentence].text[start:end].casefold()
        names[place] = numbers.setdefault(word, len(numbers)) if says_something(word) else -1 - place
    return names[where.reshape(number.shape)]


def _kinds(number: Array, sentences: tuple[Sentence, ...]) -> Array:
    """[layer, ffn, rank] a number for the kind of the sentence."""
    numbers: dict[str, int] = {}
    kinds = np.array([numbers.setdefault(sentence.kind, len(numbers)) for sentence in sentences])
    return kinds[number]


def _agreement(names: Array) -> Array:
    """[…] the share of [..., rank] that has the commonest name."""
    most = np.zeros(names.shape[:-1], dtype=np.int64)
    for rank in range(names.shape[-1]):
        most = np.maximum(most, (names == names[..., rank, None]).sum(-1))
    return most / names.shape[-1]
