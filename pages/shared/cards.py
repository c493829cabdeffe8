"""The Side by side page's pieces: a card of sizes, tokens as chips, and small pictures that lead to their pages."""

from base64 import b64encode
from html import escape

import streamlit as st

from encoder.trace import Trace
from pages.shared import prose


def card(trace: Trace) -> None:
    """Sizes and timing of the model that read this text."""
    model = trace.model
    facts = {
        "parameters": f"{model.parameters / 1e6:.1f} M",
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


def stage(picture: bytes, page: str, title: str, alt: str) -> None:
    """A small picture of one stage, and the way to its page."""
    source = f"data:image/png;base64,{b64encode(picture).decode()}"
    st.html(f'<div class="stage"><img src="{source}" alt="{escape(alt)}"></div>')
    st.page_link(page, label=title, icon=":material/arrow_forward:")
