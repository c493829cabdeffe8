"""Numbers to take home."""

from collections.abc import Sequence
from html import escape

import pandas as pd
import streamlit as st

from encoder.labels import visible
from encoder.maps import Places
from encoder.steps import Shares
from encoder.trace import Trace
from pages.shared.state import Side


def coordinates(trace: Trace, places: Places, side: Side) -> None:
    """A button that downloads every token's place at every level as CSV."""
    st.download_button(
        "Download coordinates", data=lambda: _csv(trace, places), file_name=f"coordinates-{side}.csv", mime="text/csv",
        key=f"coordinates-{side}", icon=":material/download:", on_click="ignore",
    )  # fmt: skip


def _csv(trace: Trace, places: Places) -> bytes:
    rows = [
        (level, number + 1, token, *at)
        for level, layer in enumerate(places.at)
        for number, (token, at) in enumerate(zip(trace.tokens.text, layer, strict=True))
    ]
    names = [f"x{number + 1}" for number in range(places.at.shape[-1])]
    return (
        pd.DataFrame(rows, columns=["after_layer", "position", "token", *names]).to_csv(index=False).encode("utf-8-sig")
    )  # the mark tells Excel the encoding


def shares(row: Shares, tokens: Sequence[str], side: Side) -> None:
    """A softmax token by token."""
    table = pd.DataFrame(
        {
            "Token": [f"{number}  {visible(token)}" for number, token in enumerate(tokens, 1)],
            "Score": row.score, "Exponent": row.exponent, "Share": row.share,
        }
    )  # fmt: skip
    st.dataframe(
        table, hide_index=True, key=f"shares-{side}", height="content" if len(tokens) <= 12 else 460,
        column_config={
            "Score": st.column_config.NumberColumn(format="%.3f"),
            "Exponent": st.column_config.NumberColumn(
                format="%.4f", help="e to the power of the score less the largest score"
            ),
            "Share": st.column_config.ProgressColumn(format="%.3f", min_value=0, max_value=1),
        },
    )  # fmt: skip


def facts(numbers: Sequence[tuple[str, float]]) -> str:
    """Some numbers with their names, as HTML."""
    cells = "".join(f"<div><b>{value:.5g}</b><span>{escape(name)}</span></div>" for name, value in numbers)
    return f'<div class="card">{cells}</div>'
