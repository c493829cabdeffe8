"""Train: random numbers become an encoder, live; then back in time, to see every head take shape."""

import streamlit as st

from encoder.figures import training as figures
from encoder.workshop import Run
from pages.shared import choosing, lessons, prose, state, trained, training
from pages.shared.columns import draw, segments

VIEWS = {"curves": "Curves", "weights": "What heads look at", "heads": "Heads through time", "map": "Map through time"}
LIVE = ("curves", "weights")  # are drawn anew while a training goes on
LEVELS = {"first": "The embedding", "last": "After the last layer"}
HEADS = (
    "Layer 1 is at the bottom; head 2-1 is head 1 of layer 2. A row is a token that reads: the stronger the colour, "
    "the more of its attention goes to a token. Move the slider, or press ▶, to see the heads after other steps."
)
MAP = (
    "A dot is a token; dots that are close have similar hidden states. The axes are the two directions in which the "
    "tokens of all snapshots differ most (PCA), each with its share of the variance. Move the slider, or press ▶."
)
TURN = 1.0  # seconds between two looks at a training under way


def curves(run: Run) -> None:
    """Right answers by structure, and one figure of all trainings."""
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(training.asked(run))
        by_structure = figures.accuracy(training.accuracies(run), *training.guesses(run))
        draw(by_structure, "Right answers by structure", "lesson-accuracy")
        st.caption(training.guessing(run))
    with right:
        what, share, found = training.compared(run)
        draw(figures.compare(found, share), f"{what} of all trainings", "lesson-compare")


def weights(run: Run) -> None:
    """How much each head gives the token that it should look at: when did it learn to?"""
    with st.container(horizontal=True, vertical_alignment="center"):
        what = training.target(run)
        if what is None:
            return
        steps, curves = training.weights(run, what)
        head = training.head(curves)
    right = run.accuracy(what) if what in run.chance else None
    picture = figures.head_weights(steps, curves, right, head)
    draw(picture, f"each head's weight: {training.name_of(what)}", "lesson-weights")
    st.caption(training.finding(run, what, head))


def heads(run: Run) -> None:
    """Every head at every snapshot, on the learner's sentence."""
    most = figures.most_tokens(run.config.layers * run.config.heads)
    if seen := training.again(run, training.sentence(run), most):
        draw(figures.heads_again(*seen.attention), "all heads at every snapshot", "lesson-heads")
        st.caption(HEADS)


def places(run: Run) -> None:
    """Where the tokens of the learner's sentence lie, at every snapshot."""
    with st.container(horizontal=True, vertical_alignment="center"):
        segments("level_of", "Where", LEVELS)
        text = training.sentence(run)
    if seen := training.again(run, text, figures.MOST_TOKENS):
        draw(figures.map_again(*seen.hidden(state.get("level_of"))), "the tokens at every snapshot", "lesson-map")
        st.caption(MAP)


def picture(run: Run) -> None:
    """What the learner wants to see of a training."""
    if run.marks:
        {"curves": curves, "weights": weights, "heads": heads, "map": places}[state.get("train_view")](run)


@st.fragment(run_every=TURN)
def follow(run: Run) -> None:
    """A training under way: the page looks again every second."""
    training.progress(run)
    if state.get("train_view") in LIVE:
        picture(run)
    if not run.under_way:
        st.rerun()  # the whole page: now it can show what came of it


prose.title("Train", "An encoder begins with random numbers. Watch it learn, then go back in time.", "train")
lessons.remember()
choosing.choose()
run = training.shown()
if run is None:
    choosing.language()
else:
    going = run.under_way  # it may end between two looks
    with st.container(key="lesson-switch", horizontal=True, horizontal_alignment="distribute"):
        if going or run.marks:
            segments("train_view", "Picture", VIEWS)
        trained.use(run)
    trained.fitting(run)
    if going:
        follow(run)
    else:
        training.progress(run)
    if not going or state.get("train_view") not in LIVE:
        picture(run)
    with st.expander("What there is to learn", icon=":material/school:"):
        choosing.language()
trained.bring()
