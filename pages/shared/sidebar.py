"""The sidebar: the text, the two models, where they run, and how tokens are shown."""

import json
from functools import cache

import streamlit as st

from encoder.catalogue import Entry
from pages.shared import lessons, paper, prose, state, traces, typed
from pages.shared.state import Side

NAMES: dict[Side, str] = {"a": "Left", "b": "Right"}
ARTICLES = ("first-article", "second-article")


def question() -> None:
    """What both models read, and which models they are."""
    with st.sidebar:
        state.mirror(st.text_area, "text", "Text", height=96, placeholder="Type a sentence")
        if not state.text_fits_address():
            st.caption("Too long for the address: a link to this view, or loading it anew, leaves the text out.")
        state.mirror(st.text_input, "pair", "Second sentence", placeholder="None")
        _examples()
        _model("a")
        _model("b")
        state.mirror(st.toggle, "words", "Whole words", help=_about("whole_words"))
        state.mirror(
            st.toggle,
            "hide",
            "Hide special tokens",
            help="Leaves [CLS], [SEP] and their like out of the pictures. The models read them all the same.",
        )
        state.mirror(
            st.toggle,
            "together",
            "Move together",
            help="Choose a layer, head or token in one column, and the other goes there too. Until you do, each opens "
            "where its own model has one word read another most clearly.",
        )
        state.mirror(st.number_input, "limit", "Longest text, in tokens", min_value=8, max_value=4096, step=8)
    with st.container(key="phone-text"):
        # A box of one line would join the lines of the text.
        state.mirror(st.text_area, "text", "Text", place="-phone", height="content")
    paper.heading()


def devices() -> None:
    """The GPU toggle, and each model's milliseconds on the device that it really ran on."""
    from encoder.devices import accelerator  # after the page: torch takes a second to import

    found = accelerator()
    with st.sidebar:
        if found:
            state.mirror(st.toggle, "gpu", f"GPU ({found.upper()})", help=_about("gpu"))
        else:
            st.toggle("GPU", key="no-gpu", disabled=True, help=_about("gpu"))
            st.caption("This machine has no GPU that PyTorch can use: both models run on the CPU.")
        for side in NAMES:
            if trace := traces.ready(side):
                took = f"{trace.seconds * 1000:.1f} ms on this machine’s {trace.device.upper()}"
                st.caption(f"{NAMES[side]}: one reading of the text took {took}.")


@cache
def examples() -> list[dict[str, str]]:
    """The example sentences, each with a reason: title, text, pair, why."""
    read: list[dict[str, str]] = json.loads(prose.asset("examples.json"))
    return read


def _examples() -> None:
    titles = [example["title"] for example in examples()]
    current = next((example for example in examples() if _is_asked(example)), None)
    state.tell("example", current["title"] if current else None)
    index = titles.index(current["title"]) if current else None
    st.selectbox("Example", titles, index, key="example", placeholder="Pick a sentence", on_change=_pick_example)
    if current:
        st.caption(current["why"])
    typed.ways_back("text", "pair", key="own-text")


def _pick_example() -> None:
    chosen = next((example for example in examples() if example["title"] == st.session_state.get("example")), None)
    if chosen and not state.is_echo("example"):
        typed.offer(text=chosen["text"], pair=chosen["pair"])


def _is_asked(example: dict[str, str]) -> bool:
    return (example["text"], example["pair"]) == (state.get("text"), state.get("pair"))


def _model(side: Side) -> None:
    entries = lessons.entries()
    chosen = traces.entry(side, entries)
    state.mirror(
        st.selectbox, side, NAMES[side], chosen.name, options=list(entries),
        format_func=lambda name: entries[name].label, help=_about_model(chosen),
    )  # fmt: skip


def _about_model(entry: Entry) -> str:
    """The two articles' encoders have an explanation of their own."""
    return _about(entry.name.replace("-", "_")) if entry.name in ARTICLES else prose.plain(entry.about)


def _about(topic: str) -> str:
    return prose.asset(f"explain/{topic}.md")
