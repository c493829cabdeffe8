"""The Side by side page's pieces: a card of sizes, tokens as chips, and small pictures that lead to their pages."""

from base64 import b64encode
from html import escape

import streamlit as st

from encoder.changes import Changes
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
        "neurons a layer": f"{model.ffn_width:,}",
        "tokens read": f"{len(trace.tokens)}",
        "milliseconds": f"{trace.seconds * 1000:.1f}",
        "ran on": trace.device.upper(),
    }
    cells = "".join(f"<div><b>{escape(value)}</b><span>{name}</span></div>" for name, value in facts.items())
    st.html(f'<div class="card">{cells}</div>')


def chips(trace: Trace) -> None:
    """The tokens, as the tokenizer cut them."""
    st.html(prose.chips(trace.tokens.text, trace.tokens.special, trace.tokens.word))


def guesses(column: Column, changes: Changes | None = None) -> None:
    """What the model takes for likeliest behind each [MASK] of the text, as it is or with some changes."""
    found = traces.guesses(column.side, changes)
    if found is None:
        return
    name = prose.plain(column.read.model.name)
    if not found:
        if not changes:  # said once
            st.caption(f"{name} has no prediction head: it does not guess hidden tokens.")
        return
    numbered = len(found) > 1
    now = ", changed" if changes else ""
    st.html("".join(_guess(guess, column.side, ORDER[number] if numbered else "", now)
                    for number, guess in enumerate(found[:MOST_GUESSES])))  # fmt: skip
    if len(found) > MOST_GUESSES:
        st.caption(f"The first {MOST_GUESSES} of {len(found)} hidden tokens.")


def _guess(guess: Guess, side: Side, order: str, now: str) -> str:
    """The likeliest tokens as bars of their probability, as HTML."""
    rows = "".join(
        f'<div class="row"><span class="bar" style="width: {share:.1%}"></span>'
        f"<bdi>{escape(visible(token))}</bdi><b>{share:.1%}</b></div>"
        for token, share in zip(guess.tokens, guess.shares, strict=True)
    )
    return f'<div class="guess {side}"><span class="what">Behind {order}[MASK]{now}</span>{rows}</div>'


def stage(picture: bytes, page: str, title: str, alt: str) -> None:
    """A small picture of one stage, and the way to its page."""
    source = f"data:image/png;base64,{b64encode(picture).decode()}"
    st.html(f'<div class="stage"><img src="{source}" alt="{escape(alt)}"></div>')
    st.page_link(page, label=title, icon=":material/arrow_forward:")
