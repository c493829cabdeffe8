"""Numbers to take home."""

import pandas as pd
import streamlit as st

from encoder.maps import Places
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
