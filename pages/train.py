"""Train: random numbers become an encoder, live; then back in time, to see every head take shape."""

import streamlit as st

from encoder.figures import training as figures
from encoder.lesson import COMPARED, NEIGHBOURS
from encoder.workshop import Run
from pages.shared import lessons, prose, state, training
from pages.shared.columns import draw, segments

VIEWS = {"curves": "Curves", "weights": "What heads look at", "heads": "Heads through time", "map": "Map through time"}
LEVELS = {"first": "The embedding", "last": "After the last layer"}
TURN = 1.0  # seconds between two looks at a training under way


def curves(run: Run) -> None:
    """Right answers by structure, and one figure of all trainings."""
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Right answers** in sentences that it has not learned from")
        found = {training.name_of(name): run.accuracy(name) for name in run.chance}
        draw(figures.accuracy(found, *training.guesses(run)), "Right answers by structure", "lesson-accuracy")
    with right:
        names = {name: "Loss" if name == "loss" else f"Right answers: {training.name_of(name)}" for name in COMPARED}
        state.mirror(
            st.selectbox, "compare", "All your trainings", options=list(names), format_func=names.__getitem__,
            label_visibility="collapsed", width=280,
        )  # fmt: skip
        what = state.get("compare")
        others = [each for each in lessons.mine() if each is not run]
        found = {training.called(each): each.loss if what == "loss" else each.accuracy(what) for each in [*others, run]}
        draw(figures.compare(found, names[what], what != "loss"), f"{names[what]} of all trainings", "lesson-compare")


def weights(run: Run) -> None:
    """How much each head gives the token that it should look at: when did it learn to?"""
    names = {name: training.name_of(name) for name in [*run.chance, *NEIGHBOURS] if run.weights(name)[0]}
    if not names:
        return
    wish = state.get("look_at")
    state.mirror(
        st.segmented_control, "look_at", "What to look at", wish if wish in names else next(iter(names)),
        options=list(names), format_func=names.__getitem__, required=True, label_visibility="collapsed",
    )  # fmt: skip
    what = state.get("look_at") if state.get("look_at") in names else next(iter(names))
    steps, found = run.weights(what)
    right = run.accuracy(what) if what in run.chance else None
    draw(figures.head_weights(steps, found, right), f"each head's weight: {names[what]}", "lesson-weights")
    st.caption(training.lesson_of(run, what))


def heads(run: Run) -> None:
    """Every head at every snapshot, on the learner's sentence."""
    if seen := training.again(run, figures.MOST_TOKENS):
        draw(figures.heads_again(*seen.attention), "all heads at every snapshot", "lesson-heads")


def places(run: Run) -> None:
    """Where the tokens of the learner's sentence lie, at every snapshot."""
    with st.container(horizontal=True, vertical_alignment="center"):
        segments("level_of", "Where", LEVELS)
        seen = training.again(run, figures.MOST_TOKENS)
    if seen:
        draw(figures.map_again(*seen.hidden(state.get("level_of"))), "the tokens at every snapshot", "lesson-map")


def picture(run: Run) -> None:
    """What the learner wants to see of a training."""
    if run.marks:
        {"curves": curves, "weights": weights, "heads": heads, "map": places}[state.get("train_view")](run)


@st.fragment(run_every=TURN)
def follow(run: Run) -> None:
    """A training under way: the page looks again every second."""
    training.progress(run)
    if state.get("train_view") in ("curves", "weights"):
        picture(run)
    else:
        st.info("Snapshots can be seen once the training has stopped or pauses.", icon=":material/hourglass_top:")
    if not training.is_under_way(run):
        st.rerun()  # the whole page: now it can show what came of it


prose.title("Train", "An encoder begins with random numbers. Watch it learn, then go back in time.", "train")
training.choose()
run = training.shown()
if run is None:
    training.language()
elif training.is_under_way(run):
    segments("train_view", "Picture", VIEWS)
    follow(run)
else:
    with st.container(key="lesson-switch", horizontal=True, horizontal_alignment="distribute"):
        segments("train_view", "Picture", VIEWS)
        training.use(run)
    training.progress(run)
    picture(run)
training.bring()
