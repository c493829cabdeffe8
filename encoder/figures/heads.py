"""Heads: what each of them mostly does, as a coloured table of layers and heads."""

from collections.abc import Sequence

import numpy as np

from encoder.figures.style import GREY, Drawn, Figure, Scale, layer_names, picture, rgba, stack_height, written
from encoder.heads import ROLES
from encoder.trace import Array

ROLE = 0.6  # opacity of a role's colour
Roles = Array | Sequence[Sequence[str]]  # [layer, head] names of heads.ROLES, or "" for none
MOST_WORDS = 12  # heads in a row up to which a cell has room for a word, on a phone too; then it has a sign
# Colours that no model has, and the short names and signs that the explorer writes on its small maps.
LOOKS: dict[str, tuple[str, str, str]] = {
    "": ("", "", ""),
    "previous": ("prev", "←", "#56B4E9"),
    "next": ("next", "→", "#009E73"),
    "self": ("self", "↓", "#F0E442"),
    "special": ("spec", "[]", GREY),
    "punctuation": ("punct", ".,", "#CC79A7"),
    "same": ("same", "=", "#E69F00"),
    "broad": ("broad", "○", "#A6761D"),
}


def role_map(roles: Roles, shares: Array | None = None) -> Figure:
    """[layer, head] roles by colour and name, the first layer at the bottom; shares: of the sentences that say so."""
    names = np.asarray(roles)
    layers, heads = names.shape
    known = list(LOOKS)
    numbers = np.array([[known.index(name) for name in row] for row in names.tolist()], dtype=np.float32)
    said = [[name or "no role" for name in row] for row in names.tolist()]
    if shares is not None:
        said = [[f"{name}, in {share:.0%} of the sentences" for name, share in zip(*row, strict=True)]
                for row in zip(said, shares.tolist(), strict=True)]  # fmt: skip
    rows, columns = layer_names(layers), [str(head + 1) for head in range(heads)]
    words = [[_short(name, heads) for name in row] for row in names.tolist()]
    drawn: Drawn = {
        "type": "heatmap", "z": numbers, "zmin": -0.5, "zmax": len(known) - 0.5, "colorscale": _steps(),
        "showscale": False, "xgap": 2, "ygap": 2, "x": columns, "y": rows, "customdata": said,
        "text": words, "hovertemplate": "%{y}, head %{x}: %{customdata}<extra></extra>",
    }  # fmt: skip
    traces = [drawn, *written(words, rows, columns, np.full(names.shape, ROLE), size=9)]
    return picture(traces, height=stack_height(layers), xaxis={"type": "category", "title": {"text": "head"}})


def legend(roles: Roles) -> str:
    """What the short names on the map mean, of those that are there."""
    names = np.asarray(roles)
    there, heads = set(names.ravel().tolist()), names.shape[1]
    meant = [f"{_short(name, heads)}: {said}" for name, said in ROLES.items() if name in there]
    return "; ".join([*meant, "empty: none of these"]) + "."


def _short(name: str, heads: int) -> str:
    word, sign, _ = LOOKS[name]
    return word if heads <= MOST_WORDS else sign


def _steps() -> Scale:
    """A scale of plain colours, one a role."""
    scale: Scale = []
    for number, (*_, colour) in enumerate(LOOKS.values()):
        shown = rgba(colour, ROLE) if colour else rgba(GREY, 0.08)
        scale += [(number / len(LOOKS), shown), ((number + 1) / len(LOOKS), shown)]
    return scale
