"""Embeddings: what each token starts as, how alike tokens are, and where they go."""

from encoder.figures import embeddings as figures
from encoder.maps import hidden_states
from encoder.measures import cosine
from pages.shared import prose, state
from pages.shared.columns import columns, segments, switch
from pages.shared.tables import coordinates

VIEWS = {"sum": "The sum", "similarity": "Similarity", "map": "Map", "path": "Path of a token"}
SPACES = {"2d": "PCA in 2-D", "3d": "PCA in 3-D", "tsne": "t-SNE"}

prose.title(
    "Embeddings", "A model reads vectors: what each token starts as, and what the layers make of it.", "embeddings"
)
switch("embedding_view", VIEWS)
view = state.get("embedding_view")
if view == "map":
    segments("space", "Map by", SPACES)

for column in columns():
    with column:
        trace, colour, tokens = column.trace, column.colour, column.trace.tokens.text
        if view == "sum":
            column.show(
                figures.sum_strips(trace.embedding, tokens), "token + position + segment = embedding, four strips"
            )
        elif view == "similarity":
            level = column.level()
            cosines = cosine(hidden_states(trace)[level])
            column.show(figures.similarity(cosines, tokens), f"cosine of every two tokens after layer {level}")
        elif view == "map":
            level = column.level()
            if places := column.places(state.get("space")):
                column.show(figures.map_of(places, level, tokens, colour), f"map of the tokens after layer {level}")
                coordinates(trace, places, column.side)
        else:
            token = column.token()
            if places := column.places("2d"):
                column.show(figures.path_of(places, token, tokens, colour), "one token's path through the layers")
