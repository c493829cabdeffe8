"""What only a printed sheet shows: assets/app.css hides it on screens, where the same is said elsewhere."""

from html import escape

import pandas as pd
import streamlit as st

from encoder.numerals import number
from pages.shared import prose, state, traces
from pages.shared.state import Side

TEXTS = {"Text:": "text", "Second sentence:": "pair"}
MODELS: dict[str, Side] = {"Left:": "a", "Right:": "b"}
LONGEST = 5000  # characters of a text: some two pages


def heading() -> None:
    """The text, the models, and the address of the view, which assets/printing.js fills in."""
    said = {label: traces.text(name) for label, name in TEXTS.items() if state.get(name)}
    said |= {label: traces.entry(side).label for label, side in MODELS.items()}
    lines = "".join(prose.labelled(label, words, LONGEST) for label, words in said.items())
    _print(f'{lines}<div class="said"><span>Address:</span> <a></a></div>', "heading")


def table(numbers: pd.DataFrame) -> None:
    """All rows and columns of a table that scrolls on a screen."""
    head = "".join(f"<th>{escape(name)}</th>" for name in numbers.columns)
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in numbers.itertuples(index=False))
    _print(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>", "table")


def _cell(value: object) -> str:
    """A number as people write it, or words, in which what cannot be seen has its sign already."""
    if isinstance(value, float):
        return f"<td>{number(value, 4)}</td>"
    return f'<td class="{"words" if isinstance(value, str) else "count"}">{escape(str(value))}</td>'


def _print(html: str, kind: str) -> None:
    st.html(f'<div class="printed {kind}">{html}</div>')
