"""What can be done with a model that was trained: use it, read with it, keep it as a file, bring it back."""

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from encoder.errors import ModelError
from encoder.workshop import Run
from pages.shared import lessons, prose, state, traces, trouble, typed
from pages.shared.training import about

LARGEST_FILE = 100  # MB of a model that is brought


def use(run: Run) -> None:
    """What can be done with a trained model."""
    folder = run.model
    if folder is None:
        return
    with st.container(horizontal=True, width="content", key="lesson-use"):
        for side, label in (("a", "Use on the left"), ("b", "Use on the right")):
            st.button(label, key=f"use-{side}", on_click=_use, args=(side, run))
        st.download_button(
            "Download", data=lambda: _packed(run), file_name=f"training-{run.number}.safetensors",
            mime="application/octet-stream", icon=":material/download:", on_click="ignore", key="lesson-download",
        )  # fmt: skip


def fitting(run: Run) -> None:
    """Where this training reads the learner's sentence and knows few of its words: a sentence that it can read.

    The learner's own stays, or comes back with a click.
    """
    if run.model is None or run.config.own_text or run.name not in (state.get("a"), state.get("b")):
        return
    if typed.own("text", "pair"):
        typed.ways_back("text", "pair", key="own-text-here")
        return
    known, words = _known(traces.text())
    if known == words:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="lesson-fitting"):
        words_known = f"{known or 'none'} of the {words} words and signs"
        st.caption(f"This training knows {words_known} in your text: the others are [UNK].")
        st.button("Read a sentence of the toy language", key="lesson-offer", on_click=_offer_sentence)


def bring() -> None:
    """A model that was downloaded here before comes back."""
    with st.expander("Bring a model that was downloaded here", icon=":material/upload:"):
        st.file_uploader(
            "A .safetensors file", type=["safetensors"], max_upload_size=LARGEST_FILE, key="lesson-file",
            on_change=_bring, label_visibility="collapsed",
        )  # fmt: skip
        if said := st.session_state.get("lesson.brought"):
            good, sentence = said
            (st.success if good else st.warning)(prose.plain(sentence))


def _known(text: str) -> tuple[int, int]:
    """How many words and signs of a text are in the toy language, and how many there are."""
    from encoder import corpus  # only where it is asked

    tokens = corpus.tokenizer().encode(text, add_special_tokens=False).tokens
    return sum(token != "[UNK]" for token in tokens), len(tokens)


def _use(side: state.Side, run: Run) -> None:
    state.put(side, run.name)
    st.toast(f"Training {run.number} is the {'left' if side == 'a' else 'right'} model on every page now.")


def _offer_sentence() -> None:
    typed.offer(text=state.get("train_text").strip() or about()["structures"]["agreement"]["hidden"], pair="")


def _packed(run: Run) -> bytes:
    from encoder.checkpoints import pack  # torch takes a second to import

    assert run.model is not None
    return pack(run.model)


def _bring() -> None:
    file = st.session_state.get("lesson-file")
    if file is None:
        st.session_state.pop("lesson.brought", None)
        return
    st.session_state["lesson.brought"] = _kept(file)


def _kept(file: UploadedFile) -> tuple[bool, str]:
    """Whether a model could be kept, and what there is to say about it."""
    name = file.name.removesuffix(".safetensors")[:40].strip()
    try:
        if file.size > LARGEST_FILE * 2**20:  # browsers need not keep to limits
            raise ModelError(f"a file that is brought can have {LARGEST_FILE} MB at most.")
        label = lessons.bring(name or "Without a name", file.getvalue())
    except Exception as error:
        return False, f"“{file.name[:60]}” could not be taken: {trouble.sentence(error)}"
    return True, f"“{label}” is in the lists of models in the sidebar, as one of the last three that you brought."
