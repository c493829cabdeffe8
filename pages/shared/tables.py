"""Numbers to take home."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from encoder import numerals
from encoder.changes import Ablation, strongest
from encoder.figures.heads import Roles
from encoder.heads import MEASURES
from encoder.labels import visible
from encoder.maps import Places
from encoder.quantities import QUANTITIES
from encoder.steps import Shares
from encoder.trace import Array, Trace
from encoder.views import origins
from pages.shared import paper, state, traces
from pages.shared.columns import COLOURS
from pages.shared.state import Side

# By title: the quantity whose mean is shown, and what is said of it.
CONSEQUENCES = {
    "Spread": (
        "entropy",
        "Entropy of attention ÷ ln T, mean over heads: 0 for one token only, 1 for all tokens alike.",
    ),
    "Length": ("size", "The mean length of the layer's hidden states."),
}
ABLATION = {
    "1 − cosine": "How far the last hidden states turn without this head, mean over tokens: 0 is not at all.",
    "KL of the guess, nats": "How far the guess behind the first [MASK] moves without this head: 0 is not at all.",
}
EXPONENTIAL = "e^(score − largest)"


def coordinates(trace: Trace, places: Places, side: Side) -> None:
    """A button that downloads every token's place at every level as CSV, by its number among the tokens read."""
    first = origins(traces.trace(side).tokens, state.get("words"), state.get("hide"))
    st.download_button(
        "Download coordinates", data=lambda: _csv(trace, places, first), file_name=f"coordinates-{side}.csv",
        mime="text/csv", key=f"coordinates-{side}", icon=":material/download:", on_click="ignore",
    )  # fmt: skip


def _csv(trace: Trace, places: Places, first: Array) -> bytes:
    rows = [
        (level, number + 1, token, *at)
        for level, layer in enumerate(places.at)
        for number, token, at in zip(first, trace.tokens.text, layer, strict=True)
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
            "Score": np.where(abs(row.score) < 5e-4, 0, row.score),  # which would be written −0.000
            EXPONENTIAL: row.exponential, "Share": row.share,
        }
    )  # fmt: skip
    _show(
        table, key=f"shares-{side}", height="content" if len(tokens) <= 12 else 460,
        column_config={  # so wide that a phone has room for all of them
            "Token": st.column_config.TextColumn(width=98),
            "Score": st.column_config.NumberColumn(format="%.3f", width=64),
            EXPONENTIAL: st.column_config.NumberColumn(
                format="%.4f", width=128,
                help="The exponential: e to the power of the score less the largest score of all tokens",
            ),
            "Share": st.column_config.NumberColumn(
                format="%.4f", width=64, help="The exponential, divided by the sum of all of them"
            ),
        },
    )  # fmt: skip


def ablation(found: Ablation, side: Side) -> None:
    """All heads, the one whose absence changes most first."""
    order = strongest(found.change, found.change.size)
    columns: dict[str, list[int] | list[float]] = {
        "Layer": [layer + 1 for layer, _ in order],
        "Head": [head + 1 for _, head in order],
        "1 − cosine": [float(found.change[place]) for place in order],
    }
    if found.divergence is not None:
        columns["KL of the guess, nats"] = [float(found.divergence[place]) for place in order]
    formats = {name: st.column_config.NumberColumn(format="%.4f", help=ABLATION[name]) for name in list(columns)[2:]}
    _show(pd.DataFrame(columns), key=f"ablation-{side}", height=320, column_config=formats)


def roles(roles: Roles, shares: Array | None, measured: dict[str, Array], side: Side) -> None:
    """All heads with their roles and measures, and a button that downloads them."""
    names = np.asarray(roles)
    places = [(layer, head) for layer in range(names.shape[0]) for head in range(names.shape[1])]
    columns: dict[str, Any] = {
        "Layer": [layer + 1 for layer, _ in places],
        "Head": [head + 1 for _, head in places],
        "Role": [str(names[place]) or "none" for place in places],
    }
    if shares is not None:
        columns["Of the sentences"] = [float(shares[place]) for place in places]
    columns |= {MEASURES[name].label: values[tuple(zip(*places, strict=True))] for name, values in measured.items()}
    table = pd.DataFrame(columns)
    formats: dict[str, Any] = {"Of the sentences": st.column_config.NumberColumn(format="%.3f")}
    formats |= {
        each.label: st.column_config.NumberColumn(format="%.3f", help=each.meaning) for each in MEASURES.values()
    }
    formats["Role"] = st.column_config.TextColumn(width=100)
    _show(table, key=f"roles-{side}", height=360, column_config=formats)
    st.download_button(
        "Download the table", data=lambda: table.to_csv(index=False).encode("utf-8-sig"), key=f"roles-csv-{side}",
        file_name=f"heads-{side}.csv", mime="text/csv", icon=":material/download:", on_click="ignore",
    )  # fmt: skip


def neighbours(found: Sequence[tuple[str, float]], side: Side) -> None:
    """The vocabulary's tokens that are nearest to one, with their cosines."""
    table = pd.DataFrame({"Token": [visible(token) for token, _ in found], "Cosine": [cosine for _, cosine in found]})
    bar = st.column_config.ProgressColumn(format="%.3f", min_value=0, max_value=1, color=COLOURS[side])
    _show(
        table, key=f"neighbours-{side}", height="content", column_config={"Cosine": bar}
    )  # fmt: skip


def consequences(before: Trace, after: Trace, side: Side) -> None:
    """What other choices in a model's making do to every layer."""
    columns: dict[str, Any] = {"Layer": range(1, len(before.layers) + 1)}
    formats = {}
    for name, (quantity, meaning) in CONSEQUENCES.items():
        for read, title in ((before, name), (after, f"{name}, changed")):
            columns[title] = QUANTITIES[quantity].of(read).mean(1)[-len(read.layers) :]  # without the embedding's
            formats[title] = st.column_config.NumberColumn(format="%.3f", help=meaning)
    table = pd.DataFrame(columns)
    _show(table, key=f"consequences-{side}", column_config=formats)


def _show(table: pd.DataFrame, **options: Any) -> None:
    """A table, on screen and on paper."""
    st.dataframe(table, hide_index=True, **options)
    paper.table(table)


def facts(numbers: Sequence[tuple[str, float]]) -> str:
    """Some numbers with their names, as HTML."""
    cells = "".join(f"<div><b>{numerals.number(value)}</b><span>{escape(name)}</span></div>" for name, value in numbers)
    return f'<div class="card">{cells}</div>'
