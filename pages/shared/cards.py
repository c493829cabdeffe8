"""The Side by side page's pieces: a card of sizes, tokens as chips, and small pictures that lead to their pages."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape

import streamlit as st

from encoder.edits import Pairs
from encoder.labels import visible
from encoder.trace import Guess, Trace
from pages.shared import prose, traces
from pages.shared.columns import Column
from pages.shared.state import Side

ORDER = ("the first ", "the second ")
MOST_GUESSES = len(ORDER)  # hidden tokens of a text: more would push the pictures away


def card(trace: Trace) -> None:
    """Sizes and timing of the model that read this text."""
    model = trace.model
    facts = {
        "parameters": f"{model.parameters / 1e6:.1f} M" if model.parameters >= 1e6 else f"{model.parameters:,}",
        "vocabulary": f"{model.vocabulary:,}",
        "neurons per layer": f"{model.ffn_width:,}",
        "tokens read": f"{len(trace.tokens)}",
        f"ms (1/1000 s) for one reading on this machine’s {trace.device.upper()}": f"{trace.seconds * 1000:.1f}",
    }
    cells = "".join(f"<div><b>{escape(value)}</b><span>{name}</span></div>" for name, value in facts.items())
    st.html(f'<div class="card">{cells}</div>')


def chips(trace: Trace) -> None:
    """The tokens, as the tokenizer cut them."""
    st.html(prose.chips(trace.tokens.text, trace.tokens.special, trace.tokens.word))


def guesses(column: Column, after: Trace | None = None, partners: Pairs | None = None) -> None:
    """What the model takes for likeliest behind each [MASK] of the text, or of another reading after some change.

    partners: which token of that reading is which of the first; what has only now been hidden comes first.
    """
    found = traces.guesses(column.side, after)
    if found is None:
        return
    if not found:
        if not after or traces.guesses(column.side) is None:  # said once
            st.caption(
                f"{prose.plain(column.read.model.name)} has no prediction head: it does not guess hidden tokens."
            )
        return
    names = {guess.place: f"Behind {order}[MASK]" for guess, order in zip(found, _orders(len(found)), strict=True)}
    if after and partners:
        names = _names_after(column, found, partners)
        found = tuple(sorted(found, key=lambda guess: not names[guess.place].endswith("hidden now")))
    st.html("".join(_guess(guess, column.side, names[guess.place]) for guess in found[:MOST_GUESSES]))
    if len(found) > MOST_GUESSES:
        st.caption(f"{MOST_GUESSES} of {len(found)} hidden tokens.")


def _orders(count: int) -> list[str]:
    """What tells hidden tokens apart: nothing where there is one."""
    return [ORDER[number] if number < len(ORDER) else "another " for number in range(count)] if count != 1 else [""]


def _names_after(column: Column, found: Sequence[Guess], partners: Pairs) -> dict[int, str]:
    """What stands above each guess after a change: the same [MASK] has the name that it had before."""
    before = [guess.place for guess in traces.guesses(column.side) or ()]
    orders = dict(zip(before, _orders(len(before)), strict=True))
    partner = dict(zip(partners.after.tolist(), partners.before.tolist(), strict=True))
    names = {}
    for guess in found:
        place = partner.get(guess.place)
        if place in orders:
            names[guess.place] = f"Behind {orders[place]}[MASK], changed"
        elif place is not None:
            names[guess.place] = f"Behind “{visible(column.read.tokens.text[place])}”, hidden now"
        else:
            names[guess.place] = "Behind a [MASK] hidden now"
    return names


def _guess(guess: Guess, side: Side, name: str) -> str:
    """The likeliest tokens as bars of their probability, as HTML."""
    rows = "".join(
        f'<div class="row"><span class="bar" style="width: {share:.1%}"></span>'
        f"<bdi>{escape(visible(token))}</bdi><b>{share:.1%}</b></div>"
        for token, share in zip(guess.tokens, guess.shares, strict=True)
    )
    return f'<div class="guess {side}"><span class="what">{escape(name)}</span>{rows}</div>'


def stage(picture: bytes, page: str, title: str, alt: str) -> None:
    """A small picture of one stage, what its rows and columns are, and the way to its page."""
    source = f"data:image/png;base64,{b64encode(picture).decode()}"
    st.html(f'<div class="stage"><img src="{source}" alt="{escape(alt)}"><span>{escape(alt)}</span></div>')
    st.page_link(page, label=title, icon=":material/arrow_forward:")
