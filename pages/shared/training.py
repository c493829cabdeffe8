"""The Train page's lower part: a training under way, and what it has come to."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import streamlit as st

from encoder.lesson import COMPARED, NEIGHBOURS, best_head, by_head, milestone
from encoder.replay import Replay
from encoder.workshop import AT_WORK, OVER, Run, State
from pages.shared import lessons, prose, state, traces, trouble, typed

SHOWN, PROBLEM = "lesson.shown", "lesson.problem"  # the training that is looked at; why something could not be done


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
    now = run.state  # looked at once: the training goes on meanwhile
    if now == "failed":
        st.warning(prose.plain(run.why), icon=":material/warning:")
    elif now in OVER:
        st.caption(_news(run, now))
    else:
        bar, buttons = st.columns([3, 1], vertical_alignment="center")
        with buttons, st.container(horizontal=True, horizontal_alignment="right"):
            _buttons(run, now)
        with bar:
            st.progress(min(1.0, run.step / run.config.steps), _news(run, now))


def accuracies(run: Run) -> dict[str, tuple[Sequence[float], Sequence[float]]]:
    """Right answers by structure, each as it is shown."""
    return {name_of(name): run.accuracy(name) for name in run.chance}


def guesses(run: Run) -> tuple[dict[str, float], dict[str, float]]:
    """By structure as it is shown: right by pure chance, and by always guessing the most frequent word."""
    chance, unigram = ({name_of(name): share for name, share in each.items()} for each in (run.chance, run.unigram))
    return chance, unigram


def asked(run: Run) -> str:
    """What the right answers are counted in, as a heading."""
    where = "the end of your text, which it has not" if run.config.own_text else "sentences that it has not"
    return f"**Right answers** in {where} learned from"


def guessing(run: Run) -> str:
    """What right answers have to be held against: all of it can be read without a mouse."""
    each = (
        f"{name_of(name).lower()} {100 * run.unigram[name]:.3g}\u00a0% (by pure chance {100 * chance:.3g}\u00a0%)"
        for name, chance in run.chance.items()
    )
    kind = "piece" if run.config.own_text else "word that could stand there"
    return f"Dotted: what always guessing the most frequent {kind} gets: {', '.join(each)}."


def compared(run: Run) -> tuple[str, bool, dict[str, tuple[Sequence[float], Sequence[float]]]]:
    """What the learner wants to compare, chosen here, whether it is a share, and its curve in each of their trainings,
    `run`'s last."""
    every = [*(each for each in lessons.mine() if each is not run), run]
    names = {"loss": "Loss", "all": "Right answers"}
    learned = {name for each in every for name in each.chance}
    names |= {name: f"Right answers: {name_of(name)}" for name in COMPARED if name in learned}
    wish: str = state.get("compare")
    what = wish if wish in names else "loss"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**All your trainings**", width="content")
        state.mirror(
            st.selectbox, "compare", "All your trainings", what, options=list(names), format_func=names.__getitem__,
            label_visibility="collapsed", width=230,
        )  # fmt: skip
    return (
        names[what],
        what != "loss",
        {called(each): each.loss if what == "loss" else each.accuracy(what) for each in every},
    )


def target(run: Run) -> str | None:
    """What the heads should look at, chosen here; None while there are no marks."""
    names = {name: name_of(name) for name in [*run.chance, *NEIGHBOURS] if run.weights(name)[0]}
    if not names:
        return None
    wish = state.get("look_at")
    seen = wish if wish in names else next(iter(names))
    state.mirror(
        st.segmented_control, "look_at", "What to look at", seen, options=list(names), format_func=names.__getitem__,
        required=True, label_visibility="collapsed", wrap=True,
    )  # fmt: skip
    return seen


def weights(run: Run, what: str) -> tuple[list[int], dict[str, list[float]]]:
    """Steps, and how much each head, by its name, gives what it should look at."""
    steps, found = run.weights(what)
    return steps, by_head(found)


def head(curves: Mapping[str, Sequence[float]]) -> str | None:
    """The head whose curve has a colour, chosen here; None for the best one."""
    wish = state.get("look_head")
    seen = wish if wish in curves else "best"
    state.mirror(
        st.selectbox, "look_head", "Head", seen, options=["best", *curves], label_visibility="collapsed", width=140,
        format_func=lambda name: "Best head" if name == "best" else f"Head {name}",
    )  # fmt: skip
    return None if seen == "best" else seen


def finding(run: Run, what: str, chosen: str | None = None) -> str:
    """What a curve of weights says, in a sentence: which head, the chosen or the best one, and from which step on."""
    steps, curves = weights(run, what)
    name = chosen or best_head(curves)
    when = milestone(steps, curves[name], 0.5)
    if when is not None:
        said = f"Head {name} gives the right token more than half of its attention from step {when:,} on."
    elif chosen:
        share = round(100 * curves[name][-1])
        said = (
            f"Head {name} now gives the right token {share}\u00a0% of its attention; it does not stay above half from "
            "any step on."
        )
    else:
        said = f"No head gives the right token half of its attention; head {name} gives most."
    if what in run.chance and (right := milestone(*run.accuracy(what), 0.95)) is not None:
        said += f" At least 95\u00a0% of the answers are right from step {right:,} on."
    return f"{about()['structures'].get(what, {}).get('head', '')} {said}".strip()


def sentence(run: Run) -> str:
    """The sentence that every snapshot reads, chosen here."""
    structures = () if run.config.own_text else about()["structures"].values()
    samples = {each["title"]: each["hidden"] for each in structures if "hidden" in each}
    usual = next(iter(samples.values()), traces.text())
    with st.container(horizontal=True):
        state.mirror(
            st.text_input, "train_text", "Sentence", placeholder=usual, width=430, label_visibility="collapsed"
        )
        if samples:
            st.selectbox(
                "Example", list(samples), index=None, key="lesson-example", placeholder="Example", on_change=_pick,
                args=(samples,), width=160, label_visibility="collapsed",
            )  # fmt: skip
        typed.ways_back("train_text", key="own-train-text")
    return traces.text("train_text").strip() or usual


def again(run: Run, text: str, most: int) -> Replay | None:
    """What every snapshot makes of the learner's sentence; None, said in a sentence, where it cannot be read."""
    with st.spinner("Every snapshot reads the sentence"):
        try:
            seen = traces.again(run, text, most)
        except Exception as error:
            trouble.say(error)
            return None
    if seen.left_out:
        st.caption(f"{most} tokens were read and {seen.left_out:,} left out.")
    if run.under_way:
        st.caption(f"Snapshots up to step {seen.steps[-1]:,}; newer ones come with the next click.")
    return seen


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
    names: Mapping[str, str] = about()["choices"][name].get("names", {})
    return names.get(value) or (f"{value:,}" if isinstance(value, int) else f"{value:g}")


def _buttons(run: Run, now: State) -> None:
    shop = lessons.workshop()
    if now in AT_WORK:
        st.button("Pause", icon=":material/pause:", on_click=shop.pause, args=(run,), disabled=bool(run.wish))
    if now == "paused":
        why_not = lessons.hindrance()
        st.button(
            "Resume", icon=":material/play_arrow:", key="lesson-resume", on_click=_resume, args=(run,),
            disabled=bool(why_not), help=why_not,
        )  # fmt: skip
    if now == "waiting":
        st.button("Leave the queue", icon=":material/logout:", on_click=shop.stop, args=(run,))
    else:
        st.button("Stop", icon=":material/stop:", on_click=shop.stop, args=(run,), disabled=run.wish == "stop")


def _news(run: Run, now: State) -> str:
    if wish := run.wish:
        return {"pause": "Pausing …", "stop": "Stopping …"}[wish]
    if now == "starting":
        return "Starting: a few seconds"
    if now == "waiting":
        ahead = lessons.workshop().ahead(run)
        others = "one training goes" if ahead < 2 else f"{ahead} trainings go"
        return f"Waiting: {others} before yours, as one at a time has the processor"
    how = {"running": "", "paused": "Paused · ", "stopped": "Stopped · ", "done": "Done · "}[now]
    loss = f" · loss {run.losses[-1][1]:.2f}" if run.losses else ""
    weights = f" · {run.parameters:,} weights" if run.parameters else ""  # none yet where it left the queue
    spelled = f" · {run.unknown:.1%} of your text is [UNK]" if run.config.own_text and run.parameters else ""
    why = f" · {run.why}" if run.why else ""
    done = f"{how}Step {run.step:,} of {run.config.steps:,}{loss} · {run.worked:.0f} s"
    return prose.plain(f"{done}{weights}{spelled}{why}")


def _resume(run: Run) -> None:
    try:
        lessons.workshop().resume(run)
    except Exception as error:
        st.session_state[PROBLEM] = trouble.sentence(error)


def _pick(samples: dict[str, str]) -> None:
    chosen = st.session_state.get("lesson-example")
    if chosen:
        typed.offer(train_text=samples[chosen])
