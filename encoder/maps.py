"""Hidden states in two or three dimensions: where tokens lie, and how they move through the layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from encoder.errors import KnownError
from encoder.trace import Array, Trace, read_only


def hidden_states(trace: Trace) -> tuple[Array, ...]:
    """The embedding and then every layer's output, each [token, model]; index 0 is the embedding."""
    return (trace.embedding.output, *(layer.hidden for layer in trace.layers))


MOST_POINTS = 800  # for t-SNE, about two seconds; everybody in the room shares the processor
Space = Literal["2d", "3d", "tsne"]


@dataclass(frozen=True)
class Places:
    """Where every token lies at every level of the stack (0 is the embedding), on axes that all levels share."""

    at: Array  # [level, token, dimension]
    axes: tuple[str, ...]

    @property
    def nbytes(self) -> int:
        return self.at.nbytes


def places(trace: Trace, space: Space) -> Places:
    """The map of a reading by PCA in two or three dimensions, or by t-SNE. Raises KnownError for too few tokens."""
    states = hidden_states(trace)
    if space == "tsne":
        return Places(read_only(np.stack(tsne(states))), ("t-SNE 1", "t-SNE 2"))
    return by_pca(states, 2 if space == "2d" else 3)


def by_pca(states: Sequence[Array], dimensions: int) -> Places:
    """Every [token, model] array on the same principal axes, which say how much of the variance they hold."""
    at, variance = pca(states, dimensions)
    axes = tuple(f"axis {number + 1} ({share:.0%} of variance)" for number, share in enumerate(variance))
    return Places(read_only(np.stack(at)), axes)


def pca(states: Sequence[Array], dimensions: int = 3) -> tuple[list[Array], Array]:
    """Every [token, model] array on the same principal axes, and the share of variance that each axis holds.

    The axes come from all arrays together, so that one layer's map may be compared with the next.
    Signs are fixed (the largest loading is positive), so that the same text gives the same map every time.
    Missing dimensions (too few tokens) are zeros. Returns ([token, dimension] each, [dimension]).
    """
    everything = np.concatenate(states).astype(np.float64)
    centre = everything.mean(0)
    # The axes are eigenvectors of [model, model]: cheaper than a decomposition of [all tokens, model], and in double
    # as exact.
    size, vectors = np.linalg.eigh((everything - centre).T @ (everything - centre))
    size, axes = size[::-1][:dimensions].clip(0), vectors.T[::-1][:dimensions]
    axes = axes * np.sign(axes[np.arange(len(axes)), abs(axes).argmax(1)])[:, None]
    missing = dimensions - len(axes)
    axes, size = np.pad(axes, ((0, missing), (0, 0))), np.pad(size, (0, missing))
    total = max(((everything - centre) ** 2).sum(), np.finfo(np.float64).tiny)
    return [((state - centre) @ axes.T).astype(np.float32) for state in states], size / total


def tsne(states: Sequence[Array]) -> list[Array]:
    """Every [token, model] array in two dimensions by t-SNE over all of them together (van der Maaten & Hinton 2008).

    Neighbours stay neighbours; distances and sizes of groups mean nothing. The seed is fixed.
    """
    from sklearn.manifold import TSNE  # slow to import, and asked for by few

    everything = np.concatenate(states)
    if len(everything) < 5:
        raise KnownError("t-SNE needs at least 5 points.")
    if len(everything) > MOST_POINTS:
        raise KnownError(
            f"t-SNE takes at most {MOST_POINTS} points, and all tokens of all layers are {len(everything)}: "
            "shorten the text, or use PCA, which has no such limit."
        )
    perplexity = min(30.0, (len(everything) - 1) / 3)
    places = TSNE(init="pca", perplexity=perplexity, random_state=0, max_iter=500).fit_transform(everything)
    return np.split(places, np.cumsum([len(state) for state in states])[:-1])
