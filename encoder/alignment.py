"""The steps of one or two models in rows: side by side where they correspond, each model's in its own order."""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from heapq import merge
from typing import NamedTuple

from encoder.steps import TITLES

NAMES = list(TITLES)
SECOND = "_b"  # ends the key of a row in which the second model alone takes a step that the first takes elsewhere
KEYS = (*NAMES, *(f"{name}{SECOND}" for name in NAMES))


class Row(NamedTuple):
    """A step, and where it stands among each model's own."""

    key: str  # of the row, in an address
    name: str  # of the step
    places: tuple[int | None, ...]  # from 0; None where a model has nothing in this row


def rows(orders: Sequence[Sequence[str]], wanted: str) -> tuple[Row, ...]:
    """The rows of one or two models' steps, which are given by name.

    wanted: the key of a row; where none of the models has that step it has a row without any, so that a learner who
    goes from layer to layer stays there.
    """
    found = [_row(places, orders) for places in _places(orders)]
    if (name := wanted.removesuffix(SECOND)) not in [row.name for row in found]:
        later = (at for at, row in enumerate(found) if NAMES.index(row.name) > NAMES.index(name))
        found.insert(next(later, len(found)), Row(name, name, (None,) * len(orders)))
    return tuple(found)


def find(found: Sequence[Row], key: str) -> int:
    """Which row has a key, or else the key's step."""
    keys, names = [row.key for row in found], [row.name for row in found]
    return keys.index(key) if key in keys else names.index(key.removesuffix(SECOND))


def absence(name: str, order: Sequence[str]) -> str:
    """Why a model that takes these steps has none by that name in a row: what is said of "it"."""
    if name not in order:
        return "has no norm after this layer" if name == "final_norm" else "has no norms inside its layers"
    block = "attention" if name == "attention_norm" else "the feed-forward block"
    is_before = order.index("attention_norm") < order.index("projections")
    where = f"before {block}" if is_before else f"after the sum around {block}"
    return f"normalises {where}, in its step {order.index(name) + 1}"


def _places(orders: Sequence[Sequence[str]]) -> Iterator[tuple[int | None, ...]]:
    if len(orders) == 1:
        yield from ((place,) for place in range(len(orders[0])))
        return
    one, other = orders
    for tag, start, end, there, then in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        here, beyond = range(start, end), range(there, then)
        if tag == "equal":
            yield from zip(here, beyond, strict=True)
            continue
        alone = [(place, None) for place in here], [(None, place) for place in beyond]
        yield from merge(*alone, key=lambda at: NAMES.index(_name(at, orders)))


def _name(places: tuple[int | None, ...], orders: Sequence[Sequence[str]]) -> str:
    return next(order[place] for place, order in zip(places, orders, strict=True) if place is not None)


def _row(places: tuple[int | None, ...], orders: Sequence[Sequence[str]]) -> Row:
    name = _name(places, orders)
    is_elsewhere = places[0] is None and name in orders[0]
    return Row(f"{name}{SECOND}" if is_elsewhere else name, name, places)
