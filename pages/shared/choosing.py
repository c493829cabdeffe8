"""The Train page's upper part: what to learn from, with what encoder, and the button that starts."""

from functools import partial

import streamlit as st

from encoder.decoding import decoded
from encoder.lesson import OFFERED, OWN_TEXT_BYTES, LessonConfig
from encoder.workshop import MOST
from pages.shared import lessons, prose, state, trouble
from pages.shared.columns import segments
from pages.shared.training import PROBLEM, SHOWN, about, called, named

SOURCES = {"toy": "Toy language", "own": "My own text"}
# The learner's own text, where from, how long, what there is to say of it; what they pasted, though a file came after.
TEXT, ORIGIN, WORDS, REMARK, PASTED = (f"lesson.{name}" for name in ("text", "origin", "words", "remark", "pasted"))


def choose() -> None:
    """Everything before a training begins, and which of several is looked at."""
    with st.container(horizontal=True, vertical_alignment="center", key="lesson-choices"):
        segments("learn", "Learn from", SOURCES)
        with st.popover("The encoder and its training", icon=":material/tune:"):
            st.caption(_summary(_config()))
            names = tuple(OFFERED)
            for pair in zip(names[::2], names[1::2], strict=True):
                _choices(pair)
            st.caption(prose.asset("explain/articles.md"))
        why_not = lessons.hindrance()
        st.button(
            "Start", type="primary", icon=":material/play_arrow:", key="lesson-start", on_click=_start,
            disabled=bool(why_not), help=why_not,
        )  # fmt: skip
        _trainings()
    st.caption(_expected())
    if len(mine := lessons.mine()) >= MOST:
        st.caption(prose.plain(f"Your last {MOST} trainings are kept. The next one deletes “{called(mine[0])}”."))
    if state.get("learn") == "own":
        _own_text()
    if problem := st.session_state.pop(PROBLEM, None):
        st.warning(prose.plain(problem), icon=":material/warning:")


def language() -> None:
    """What there is to learn, and what a head must do for it."""
    if state.get("learn") == "own":
        st.caption(
            "A vocabulary of up to 3,000 word pieces is made for your text. Then tokens are hidden behind [MASK] and "
            "guessed, again and again; the last twentieth of the text is only asked about, never learned from."
        )
        return
    st.subheader("The toy language", anchor=False)
    st.caption(
        "In every step words of 32 sentences are hidden behind [MASK] and guessed. For each structure of the language "
        "a head must learn to look at one certain token, and none is told which."
    )
    structures = [each for each in about()["structures"].values() if "sample" in each]
    for place, structure in zip(st.columns(len(structures), gap="medium"), structures, strict=True):
        words = structure["sample"].split()
        with place:
            st.markdown(f"**{structure['title']}**")
            st.html(prose.chips(words, [False] * len(words), range(len(words))))
            st.caption(f"{structure['task']} {structure['head']}")


def _config() -> LessonConfig:
    return LessonConfig(own_text=state.get("learn") == "own", **{name: state.get(f"train_{name}") for name in OFFERED})


def _expected() -> str:
    """How long the training that could be started now will take."""
    config = _config()
    return (
        f"{config.steps:,} steps take about {spoken(lessons.seconds(config))} on this machine, longer while it is busy."
    )


def spoken(seconds: float) -> str:
    """A duration as it is said when it is not known to the second."""
    if seconds >= 90:
        return f"{round(seconds / 60)} minutes"
    return f"{max(5, 5 * round(seconds / 5))} seconds"


def _summary(config: LessonConfig) -> str:
    """A lesson in one line."""
    sizes = f"width {config.width}, layers: {config.layers}, heads: {config.heads}"
    norm, activation, scale, rate, steps = (
        named(name, getattr(config, name)) for name in ("norm", "activation", "score_scale", "learning_rate", "steps")
    )
    return (
        f"{SOURCES['own' if config.own_text else 'toy']}; {sizes}; norm: {norm.lower()}; {activation}; "
        f"scores ÷ {scale}; learning rate {rate}; {steps} steps"
    )


def _choices(names: tuple[str, ...]) -> None:
    """Settings side by side."""
    for place, name in zip(st.columns(len(names)), names, strict=True):
        words = about()["choices"][name]
        with place:
            state.mirror(
                st.segmented_control, f"train_{name}", words["label"], options=list(OFFERED[name]), help=words["help"],
                required=True, format_func=partial(named, name), wrap=True,
            )  # fmt: skip


def _trainings() -> None:
    """Which of several trainings is looked at."""
    by_name = {run.name: run for run in reversed(lessons.mine())}
    if len(by_name) < 2:
        return
    if st.session_state.get(SHOWN) not in by_name:
        st.session_state[SHOWN] = next(iter(by_name))  # said, not left out: the browser would go on with an older one
    st.selectbox(
        "Training", list(by_name), key=SHOWN, format_func=lambda name: called(by_name[name]), width=300,
        label_visibility="collapsed",
    )  # fmt: skip


def _own_text() -> None:
    session = st.session_state
    given, origin = session.get(TEXT, ""), session.get(ORIGIN, "")
    label = f"{session[WORDS]:,} words to learn from, {origin}" if given else "Your text: a few pages at least"
    with st.expander(prose.plain(label), expanded=not lessons.mine()):
        paste, file = st.columns([2, 1])
        with paste:
            st.text_area(
                "Paste it here", session.get(PASTED, ""), key="lesson-paste", height=110,
                max_chars=OWN_TEXT_BYTES, on_change=_pasted, placeholder="It stays on this machine.",
            )  # fmt: skip
        with file:
            st.file_uploader(
                "Or bring a .txt file", type=["txt"], max_upload_size=OWN_TEXT_BYTES // 1_000_000, key="lesson-txt",
                on_change=_read_file,
            )  # fmt: skip
    if given and session[REMARK]:
        st.caption(prose.plain(f"Your text, {origin}: {session[REMARK]}."))


def _pasted() -> None:
    text = st.session_state[PASTED] = st.session_state["lesson-paste"]
    if _fits(len(text.encode())):
        _keep(text.encode(), "pasted")


def _read_file() -> None:
    file = st.session_state.get("lesson-txt")
    if file is not None:
        if _fits(file.size):
            _keep(file.getvalue(), f"from {file.name[:40]}")
    elif st.session_state.get(ORIGIN) != "pasted":  # it was taken away again
        _keep(st.session_state.get(PASTED, "").encode(), "pasted")


def _fits(size: int) -> bool:
    """Whether a text of so many bytes can be learned from; a warning where not. Browsers need not keep to limits."""
    if size > OWN_TEXT_BYTES:
        st.session_state[PROBLEM] = f"A text to learn from can have {OWN_TEXT_BYTES // 1_000_000} MB at most."
    return size <= OWN_TEXT_BYTES


def _keep(data: bytes, origin: str) -> None:
    """Take a text to learn from; its words are counted once, not with every turn. What is no text is said."""
    session = st.session_state
    try:
        text, encoding = decoded(data)
    except Exception as error:
        session[PROBLEM] = trouble.sentence(error)
        return
    session[TEXT], session[ORIGIN], session[WORDS] = text, origin, len(text.split())
    session[REMARK] = encoding.remark


def _start() -> None:
    text = st.session_state.get(TEXT, "")
    if state.get("learn") == "own" and not text.strip():
        st.session_state[PROBLEM] = "There is no text to learn from yet: paste one, or bring a .txt file."
        return
    try:
        st.session_state[SHOWN] = lessons.start(_config(), text).name
    except Exception as error:
        st.session_state[PROBLEM] = trouble.sentence(error)
