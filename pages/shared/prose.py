"""Words on a page: titles, explanations, and text from learners that must stay text."""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from pathlib import Path

import streamlit as st

from encoder.labels import visible
from encoder.numerals import power_of_ten
from encoder.trace import Array
from pages.shared import state

SCRIPTS = ("typing.js", "phone.js", "printing.js", "untranslated.js")
ASSETS = Path(__file__).parents[2] / "assets"


def style() -> None:
    """What Streamlit's theme and widgets cannot do, in CSS and JavaScript of our own.

    In one message: Streamlit sends one of 10 kB and more once only, and later only says that it comes again.
    """
    with st.container(key="style"):
        st.html(_style(), unsafe_allow_javascript=True)


@cache
def _style() -> str:
    scripts = "\n".join(asset(name) for name in SCRIPTS)
    return f"<style>{asset('app.css')}</style><script>{scripts}</script>"


def title(name: str, why: str, explain: str, view: str = "") -> None:
    """A page's head: its name, one sentence of why, and behind a click the explanation in assets/explain/.

    A page of several views has an explanation for each.
    """
    heading, more = st.columns([3, 1], vertical_alignment="bottom")
    heading.title(name, anchor=False)
    heading.caption(why)
    with more.popover("Why, and the formula", icon=":material/function:", width="stretch"):
        st.markdown(asset(f"explain/{explain}_{view}.md" if view else f"explain/{explain}.md"))
    for note in state.notes():
        st.info(note, icon=":material/info:")


def paragraph(explain: str) -> None:
    """A short explanation in assets/explain/, for everybody to see."""
    st.markdown(asset(f"explain/{explain}.md"))


@cache
def asset(name: str) -> str:
    """The text of a file in assets/."""
    return (ASSETS / name).read_text(encoding="utf-8")


def plain(text: str) -> str:
    """Text that Streamlit's Markdown shows as it is."""
    text = re.sub(r":(?=material|streamlit)", ":\u2060", text)  # it makes pictures of these before it reads Markdown
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$:^=&])", r"\\\1", text)


def labelled(label: str, text: str, longest: int = 600) -> str:
    """A learner's text beside a word of ours, as HTML."""
    return f'<div class="said"><span>{escape(label)}</span> <bdi>{escape(line(text, longest))}</bdi></div>'


def line(text: str, longest: int = 600) -> str:
    """A learner's text in one line, every character of it visible: only in a token does a space need a sign."""
    shown = " ".join(visible(word, 60) for word in text.split())
    return shown if len(shown) <= longest else shown[:longest] + " …"


def closeness(difference: float) -> str:
    """How close two computations come, in words."""
    return "exactly" if difference == 0 else f"to {power_of_ten(difference)}"


def chips(tokens: Sequence[str], special: Iterable[bool], words: Sequence[int] | Array) -> str:
    """Tokens as HTML chips: pieces of one word joined, special tokens dimmed. Safe for whatever was typed."""
    spans = []
    for number, (token, dim) in enumerate(zip(tokens, special, strict=True)):
        joined = number > 0 and not dim and words[number] == words[number - 1]
        kind = "token special" if dim else "token joined" if joined else "token"
        spans.append(f'<span class="{kind}"><bdi>{escape(visible(token))}</bdi></span>')
    return f'<div class="tokens">{"".join(spans)}</div>'
