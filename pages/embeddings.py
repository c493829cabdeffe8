"""Embeddings: what each token starts as, how alike tokens are, and where they go."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from encoder.edits import find
from encoder.figures import embeddings as figures
from encoder.figures.style import GREY, Figure
from encoder.maps import hidden_states
from encoder.measures import cosine
from encoder.trace import Array
from pages.shared import choices, prose, state, surveys, tables, traces
from pages.shared.columns import Column, as_read, columns, draw, segments, switch

VIEWS = {
    "sum": "The sum",
    "similarity": "Similarity",
    "map": "Map",
    "path": "Path",
    "nearest": "Nearest",
    "elsewhere": "Word elsewhere",
    "corpus": "Example sentences",
}
# What is seen, above each picture.
CAPTIONS = {
    "sum": "One row per token. Each cell is a number of its vector: violet below zero, green above, up to the ± over "
    "the strip. Beside the strip: the vector’s length. Vectors add up number by number, lengths do not. The embedding "
    "is the sum after its layer norm, where the model has one.",
    "similarity": "The cosine of every two tokens, on one scale for both models: 1 for the same direction, 0 for a "
    "right angle, −1 for opposite directions.",
    "map": "Each point is a token; each model has axes of its own. Names that would cover others are left out: point "
    "at or tap a point to read its name.",
    "3d": "Each point is a token; each model has axes of its own. Drag to turn the map. Point at or tap a point to "
    "read its name.",
    "path": "The line follows one token from its embedding (0) through the layers (1, 2, …). Grey: all tokens after "
    "the last layer. Names that would cover others are left out: point at or tap a point to read its name.",
    "nearest": "The tokens of the vocabulary whose embeddings point in the most similar direction. No layer has read "
    "the sentence yet: a token has the same neighbours in every text.",
    "elsewhere": "The same word in several sentences: the cosine of its vectors in every two of them, after one layer. "
    "Violet is below zero, green above.",
    "corpus": "Both models have read the example sentences. Each cell compares two layers over all their words (CKA): "
    "1 for the same arrangement of words, 0 for nothing shared. Layer 1 is at the bottom.",
}
SPACES = {"2d": "PCA in 2-D", "3d": "PCA in 3-D", "tsne": "t-SNE"}
MOST_SENTENCES = 8


def the_sum(column: Column) -> None:
    """token + position + segment."""
    embedding = column.trace.embedding
    picture = figures.sum_strips(embedding, column.trace.tokens.text, column.wide)
    column.show(picture, f"{figures.equation(embedding)}, a strip of coloured cells each")
    if words := figures.of_a_cell(embedding.output.shape[-1], column.wide):
        st.caption(words)


def similarity(column: Column) -> None:
    """Every two tokens of the text."""
    level = column.level()
    cosines = cosine(hidden_states(column.trace)[level])
    column.show(
        figures.similarity(cosines, column.trace.tokens.text), f"cosine of every two tokens after layer {level}"
    )


def map_of(column: Column) -> None:
    """The tokens on a map."""
    level = column.level()
    if places := column.places(state.get("space")):
        picture = figures.map_of(places, level, column.trace.tokens.text, column.colour)
        column.show(picture, f"map of the tokens after layer {level}")
        tables.coordinates(column.trace, places, column.side)


def path(column: Column) -> None:
    """One token's way through the layers."""
    token = column.token()
    if places := column.places("2d"):
        picture = figures.path_of(places, token, column.trace.tokens.text, column.colour)
        column.show(picture, "one token's path through the layers")


def nearest(column: Column) -> None:
    """The vocabulary's nearest tokens to one, before any layer has seen the sentence."""
    place = column.reads("Token", column.start.token)
    found = traces.neighbours(column.side, place)
    tables.neighbours(found, column.side)


def elsewhere() -> None:
    """One word in the learner's own sentences: how alike its vectors are, layer by layer."""
    with st.container(horizontal=True, vertical_alignment="top"):
        state.mirror(st.text_input, "word", "Word", max_chars=choices.LONGEST_WORD, width=160)
        state.mirror(st.text_area, "elsewhere", "Sentences with this word, one per line", height=120)
    lines = [line.strip() for line in traces.text("elsewhere").splitlines() if line.strip()]
    having = [(line, span) for line in lines if (span := find(line, state.get("word")))]
    found = having[:MOST_SENTENCES]
    if len(found) < 2:
        st.info("Type at least two sentences with this one word, one per line.", icon=":material/edit:")
        return
    if len(found) < len(lines):
        most = f", at most {MOST_SENTENCES}" if len(having) > MOST_SENTENCES else ""
        st.caption(f"{len(found)} of {len(lines)} sentences are compared: those that have the word{most}.")
    curves = {}
    for column in columns():
        with column:
            numbers, states = surveys.elsewhere(column.side, found)
            if len(numbers) < 2:
                st.info("The word lies beyond the tokens that are read: “Longest text” in the sidebar sets how many.")
                continue
            if len(numbers) < len(found):
                st.caption("Sentences that were cut off before the word are left out.")
            level = column.level()
            places = [(found[number][0], found[number][1][0]) for number in numbers]
            picture = figures.self_similarity(cosine(states[:, level]), places)
            column.show(picture, f"cosines of the word in every two sentences after layer {level}")
            curves[column.name] = (surveys.self_similarity(states), column.colour)
    if curves:
        st.caption("How alike the word’s vectors are in these sentences, on average, layer by layer (0: as it starts).")
        draw(figures.curves(curves, "mean cosine"), "self-similarity of the word through the layers", "elsewhere")


def corpus() -> None:
    """Both models over the example sentences: how alike all words are, and how alike the layers."""
    found, curves = [], {}
    for column in columns():
        with column:
            if survey := surveys.of(column):
                curves[column.name] = (surveys.anisotropy(survey), column.colour)
                found.append((column, survey))
                layers(surveys.alike(survey, survey), column.colour, column.show)
    if not found:
        return
    st.caption("Anisotropy: the mean cosine of all words of the example sentences, layer by layer (0: the embedding).")
    draw(figures.curves(curves, "mean cosine"), "mean cosine of all words through the layers", "anisotropy")
    if len(found) == 2:
        (left, first), (right, second) = found
        st.caption("How alike the layers of the two models are, left by right (linear CKA).")
        layers(surveys.alike(first, second), GREY, partial(draw, key="cka"), left.name, right.name)


def layers(
    cka: Array | None, colour: str, show: Callable[[Figure, str], None], rows: str = "", across: str = ""
) -> None:  # fmt: skip
    """The likeness of layers, or why there is none."""
    if cka is None:
        st.info("The example sentences have too few words for models as wide as this to be compared.")
        return
    show(figures.layer_likeness(cka, colour, rows, across), f"CKA of every two layers {rows} {across}".strip())


PICTURES = {"sum": the_sum, "similarity": similarity, "map": map_of, "path": path, "nearest": nearest}

view = state.get("embedding_view")
prose.title(
    "Embeddings", "A model reads vectors: what each token starts as, and what the layers make of it.",
    "embeddings", view,
)  # fmt: skip
switch("embedding_view", VIEWS)
st.caption(CAPTIONS["3d" if view == "map" and state.get("space") == "3d" else view])
if view == "map":
    segments("space", "Map by", SPACES)
if view == "elsewhere":
    elsewhere()
elif view == "corpus":
    corpus()
else:
    if view == "nearest":
        as_read()
    for column in columns():
        with column:
            PICTURES[view](column)
