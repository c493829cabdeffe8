"""The Train page's pieces: what to learn and how, a training under way, and what can be done with what came of it."""

import json
from functools import cache
from typing import Any

import streamlit as st

from encoder.errors import ModelError
from encoder.lesson import OFFERED, OWN_TEXT_BYTES, LessonConfig, best_head, milestone
from encoder.replay import Replay
from encoder.workshop import AT_WORK, Run
from pages.shared import lessons, prose, state, traces
from pages.shared.columns import segments

SOURCES = {"toy": "Toy language", "own": "My own text"}
LARGEST_FILE = 100  # MB of a model that is brought
PASTED, SHOWN = "lesson.text", "lesson.shown"  # the learner's own text; the training that is looked at


def choose() -> None:
    """What to learn from and with what encoder, and the button that starts."""
    with st.container(horizontal=True, vertical_alignment="center", key="lesson-choices"):
        segments("learn", "Learn from", SOURCES)
        with st.popover("The encoder and its training", icon=":material/tune:"):
            st.caption(summary(config()))
            for name in OFFERED:
                _choice(name)
        busy = any(is_under_way(run) for run in lessons.mine())
        st.button("Start", type="primary", icon=":material/play_arrow:", disabled=busy, on_click=_start)
        _trainings()
    if state.get("learn") == "own":
        _own_text()
    if problem := st.session_state.pop("lesson.problem", None):
        st.warning(prose.plain(problem), icon=":material/warning:")


def config() -> LessonConfig:
    """The lesson that is chosen."""
    return LessonConfig(own_text=state.get("learn") == "own", **{name: state.get(f"train_{name}") for name in OFFERED})


def summary(config: LessonConfig) -> str:
    """A lesson in one line."""
    steps = f"{config.steps:,} steps"
    sizes = f"width {config.width} · {_many(config.layers, 'layer')} · {_many(config.heads, 'head')}"
    norm, activation, scale = (named(name, getattr(config, name)) for name in ("norm", "activation", "score_scale"))
    kind = f"norm: {norm.lower()} · {activation} · scores ÷ {scale} · learning rate {config.learning_rate:g}"
    return f"{SOURCES['own' if config.own_text else 'toy']} · {sizes} · {kind} · {steps}"


def called(run: Run) -> str:
    """A training's name in lists and legends: its number, and what is unusual about it."""
    words = about()["choices"]
    unusual = [
        words[name]["short"].format(named(name, value))
        for name, value in run.config.differences().items()
        if name in words
    ]
    return f"Training {run.number}: {', '.join(unusual) or 'as usual'}" + (", own text" * run.config.own_text)


def shown() -> Run | None:
    """The training that is looked at: the last one, or another that was picked."""
    by_name = {run.name: run for run in reversed(lessons.mine())}
    return by_name.get(st.session_state.get(SHOWN, ""), next(iter(by_name.values()), None))


def progress(run: Run) -> None:
    """How far a training is, and the buttons that it understands now."""
    if run.state == "failed":
        st.warning(prose.plain(run.why), icon=":material/warning:")
    elif run.over:
        st.caption(_news(run))
    else:
        bar, buttons = st.columns([3, 1], vertical_alignment="center")
        with buttons, st.container(horizontal=True, horizontal_alignment="right"):
            _buttons(run)
        with bar:
            st.progress(min(1.0, run.step / run.config.steps), _news(run))


def use(run: Run) -> None:
    """What can be done with a trained model."""
    folder = run.model
    if folder is None:
        return
    with st.container(horizontal=True, width="content", key="lesson-use"):
        for side, label in (("a", "Use on the left"), ("b", "Use on the right")):
            st.button(label, key=f"use-{side}", on_click=_use, args=(side, run))
        st.download_button(
            "Download", data=lambda: _packed(run), file_name=f"{run.name}.safetensors",
            mime="application/octet-stream", icon=":material/download:", on_click="ignore", key="lesson-download",
        )  # fmt: skip


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


def language() -> None:
    """Before the first training: what there is to learn, and what a head must do for it."""
    st.subheader("The toy language", anchor=False)
    st.caption("Four structures. For each a head must learn to look at one certain token, and none is told which.")
    places = st.columns(4, gap="medium")
    for place, name in zip(places, ("agreement", "pronouns", "brackets", "copying"), strict=True):
        structure = about()["structures"][name]
        words = structure["sample"].split()
        with place:
            st.markdown(f"**{structure['title']}**")
            st.html(prose.chips(words, [False] * len(words), range(len(words))))
            st.caption(f"{structure['task']} {structure['head']}")


def _sentence(run: Run) -> str:
    """The sentence that every snapshot reads."""
    samples = {} if run.config.own_text else {
        structure["title"]: structure["sample"] for structure in about()["structures"].values() if "sample" in structure
    }  # fmt: skip
    usual = next(iter(samples.values()), state.get("text"))
    with st.container(horizontal=True):
        state.mirror(
            st.text_input, "train_text", "Sentence", placeholder=usual, width=460, label_visibility="collapsed"
        )
        if samples:
            st.selectbox(
                "Example", list(samples), index=None, key="lesson-example", placeholder="Example",
                on_change=_pick, args=(samples,), width=200, label_visibility="collapsed",
            )  # fmt: skip
    return state.get("train_text").strip() or usual


def again(run: Run, most: int) -> Replay | None:
    """What every snapshot makes of the learner's sentence; None, said in a sentence, where it cannot be read."""
    text = _sentence(run)
    with st.spinner("Every snapshot reads the sentence"):
        try:
            seen = traces.again(run, text, most)
        except ModelError as error:
            st.warning(prose.plain(str(error)), icon=":material/warning:")
            return None
    if seen.left_out:
        st.caption(f"{most} tokens were read and {seen.left_out:,} left out.")
    return seen


def lesson_of(run: Run, what: str) -> str:
    """What a curve of weights says, in a sentence: which head, and from which step on."""
    steps, found = run.weights(what)
    name, when = best_head(steps, found)
    words = about()["structures"].get(what, {}).get("head", "")
    said = f"Head {name} gives it more than half of its attention from step {when:,} on." if when is not None else (
        f"No head gives it half of its attention; head {name} gives most.")  # fmt: skip
    if what in run.chance and (right := milestone(*run.accuracy(what), 0.95)) is not None:
        said += f" At least 95 % of the answers are right from step {right:,} on."
    return f"{said} {words}"


def guesses(run: Run) -> tuple[dict[str, float], dict[str, float]]:
    """By structure as it is shown: right by pure chance, and by always guessing the most frequent word."""
    return tuple({name_of(name): share for name, share in each.items()} for each in (run.chance, run.unigram))  # type: ignore[return-value]


def is_under_way(run: Run) -> bool:
    return run.state in ("waiting", *AT_WORK)


def name_of(structure: str) -> str:
    """A structure, or something to look at, as it is shown."""
    return str(about()["structures"].get(structure, {"title": structure.capitalize()})["title"])


@cache
def about() -> dict[str, Any]:
    """The words for structures and choices in assets/lessons.json."""
    read: dict[str, Any] = json.loads(prose.asset("lessons.json"))
    return read


def named(name: str, value: Any) -> str:
    """A choice's value as it is shown."""
    names: dict[str, str] = about()["choices"][name].get("names", {})
    return names.get(value) or (f"{value:,}" if isinstance(value, int) else f"{value:g}")


def _choice(name: str) -> None:
    words = about()["choices"][name]
    kind = st.segmented_control
    state.mirror(
        kind, f"train_{name}", words["label"], options=list(OFFERED[name]), help=words["help"], required=True,
        format_func=lambda value: named(name, value),
    )  # fmt: skip


def _trainings() -> None:
    """Which of several trainings is looked at."""
    by_name = {run.name: run for run in reversed(lessons.mine())}
    if len(by_name) < 2:
        return
    if st.session_state.get(SHOWN) not in by_name:
        st.session_state.pop(SHOWN, None)
    st.selectbox(
        "Training", list(by_name), key=SHOWN, format_func=lambda name: called(by_name[name]), width=300,
        label_visibility="collapsed",
    )  # fmt: skip


def _own_text() -> None:
    given = st.session_state.get(PASTED, "")
    tabs = st.columns([2, 1])
    with tabs[0]:
        st.text_area("Your text: a few pages at least", given if len(given) < 20_000 else "", key="lesson-paste",
                     height=120, max_chars=OWN_TEXT_BYTES, on_change=_pasted,
                     placeholder="Paste it here, or bring a file. It stays on this machine.")  # fmt: skip
    with tabs[1]:
        st.file_uploader("Or a .txt file", type=["txt"], max_upload_size=OWN_TEXT_BYTES // 1_000_000, key="lesson-txt",
                         on_change=_read_file)  # fmt: skip
    if given:
        st.caption(f"{len(given.split()):,} words to learn from.")


def _pasted() -> None:
    st.session_state[PASTED] = st.session_state["lesson-paste"]


def _read_file() -> None:
    file = st.session_state.get("lesson-txt")
    if file is not None:
        st.session_state[PASTED] = file.getvalue().decode("utf-8-sig", errors="replace")


def _start() -> None:
    text = st.session_state.get(PASTED, "")
    if state.get("learn") == "own" and not text.strip():
        st.session_state["lesson.problem"] = "There is no text to learn from yet: paste one, or bring a .txt file."
        return
    try:
        lessons.start(config(), text)
        st.session_state.pop(SHOWN, None)
    except ValueError as error:
        st.session_state["lesson.problem"] = str(error)


def _buttons(run: Run) -> None:
    shop = lessons.workshop()
    if run.state in ("starting", "running"):
        st.button("Pause", icon=":material/pause:", on_click=shop.pause, args=(run,))
    if run.state == "paused":
        st.button("Resume", icon=":material/play_arrow:", on_click=shop.resume, args=(run,))
    if run.state == "waiting":
        st.button("Leave the queue", icon=":material/logout:", on_click=shop.stop, args=(run,))
    elif not run.over:
        st.button("Stop", icon=":material/stop:", on_click=shop.stop, args=(run,))


def _news(run: Run) -> str:
    if run.state == "starting":
        return "Starting: a few seconds"
    if run.state == "waiting":
        ahead = lessons.workshop().ahead(run)
        others = "one training goes" if ahead < 2 else f"{ahead} trainings go"
        return f"Waiting: {others} before yours, as one at a time has the processor"
    loss = f" · loss {run.losses[-1][1]:.2f}" if run.losses else ""
    how = {"running": "", "paused": "Paused · ", "stopped": "Stopped · ", "done": "Done · "}[run.state]
    why = f" · {run.why}" if run.why else ""
    return prose.plain(
        f"{how}Step {run.step:,} of {run.config.steps:,}{loss} · {run.worked:.0f} s · {run.parameters:,} weights{why}"
    )


def _use(side: state.Side, run: Run) -> None:
    state.put(side, run.name)
    if not run.config.own_text:  # of the text in the sidebar the toy language knows hardly a word
        state.put("text", state.get("train_text").strip() or about()["structures"]["agreement"]["sample"])


def _packed(run: Run) -> bytes:
    from encoder.checkpoints import pack  # torch takes a second to import

    assert run.model is not None
    return pack(run.model)


def _bring() -> None:
    file = st.session_state.get("lesson-file")
    if file is None:
        st.session_state.pop("lesson.brought", None)
        return
    try:
        label = file.name.removesuffix(".safetensors")[:40]
        lessons.bring(label, file.getvalue())
        st.session_state["lesson.brought"] = True, f"“{label}” is in the lists of models in the sidebar."
    except ModelError as error:
        st.session_state["lesson.brought"] = False, str(error)


def _pick(samples: dict[str, str]) -> None:
    chosen = st.session_state.get("lesson-example")
    if chosen:
        state.put("train_text", samples[chosen])


def _many(count: int, word: str) -> str:
    return f"{count} {word}" + "s" * (count != 1)
