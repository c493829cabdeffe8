"""BertViz's views in a frame of their own."""

import streamlit as st

from encoder.figures import bertviz
from encoder.trace import Trace
from pages.shared import prose


def show(view: str, trace: Trace, layer: int, head: int, colour: str) -> None:
    """BertViz's "head", "model" or "neuron" view, or one sentence where the text is too long for it."""
    if problem := bertviz.fits(trace, view):
        st.info(prose.plain(problem), icon=":material/straighten:")
        return
    dark = st.context.theme.type == "dark"
    if view == "head":
        document = bertviz.head_view(
            trace, layer, (head,), colour=colour, dark=dark
        )  # twelve heads at once are too faint to read
    elif view == "model":
        document = bertviz.model_view(trace, colour=colour, dark=dark)
    else:
        document = bertviz.neuron_view(trace, layer, head, colour=colour, dark=dark)
    st.iframe(document.html, height=document.height, alt=f"BertViz’s {view} view of {trace.model.name}")
