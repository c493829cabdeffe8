"""Pictures: the data they carry, what their axes say, and tokens that stay text whatever was typed."""

import json
import re
import tomllib
from dataclasses import replace
from importlib.resources import files
from io import BytesIO
from itertools import product

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image
from playwright.sync_api import expect

from encoder import measures
from encoder.catalogue import ROOT
from encoder.figures import (
    attention,
    embeddings,
    feed_forward,
    heads,
    layers,
    naming,
    steps,
    style,
    thumbnails,
    what_if,
)
from encoder.figures.style import GREY, LEFT, RIGHT, labels
from encoder.labels import visible
from encoder.maps import Places, places
from encoder.numerals import number
from encoder.quantities import QUANTITIES
from encoder.steps import Bend, Shares, Strip
from encoder.trace import EmbeddingTrace, Guess
from tests.colours import contrast, over, parsed
from tests.synthetic import FFN, HEADS, HOSTILE, LAYERS, WIDTH, layer_weights, reading, relu
from tests.synthetic import attention as random_attention

TRACE = reading()
TOKENS = TRACE.tokens.text
LAYER = TRACE.layers[1]


def drawn(trace):
    """Every picture that carries tokens, of one reading."""
    tokens, layer = trace.tokens.text, trace.layers[1]
    quantity = QUANTITIES["size"]
    return {
        "all_heads": attention.all_heads(layer.attention, tokens, LEFT, 1),
        "one_head": attention.one_head(layer.attention[2], tokens, RIGHT),
        "sum_strips": embeddings.sum_strips(trace.embedding, tokens),
        "similarity": embeddings.similarity(measures.cosine(layer.hidden), tokens),
        "map_of 2d": embeddings.map_of(places(trace, "2d"), 1, tokens, LEFT),
        "map_of 3d": embeddings.map_of(places(trace, "3d"), 1, tokens, LEFT),
        "path_of": embeddings.path_of(places(trace, "2d"), 1, tokens, LEFT),
        "neuron_map": feed_forward.neuron_map(layer, tokens, before=False),
        "strongest_neurons": feed_forward.strongest_neurons(layer.neurons, 1, LEFT),
        "strongest_tokens": feed_forward.strongest_tokens(layer.neurons, 1, tokens, LEFT),
        "turned": what_if.turned(np.abs(quantity.of(trace)), tokens, LEFT, 1.0),
        "quantity_map": layers.quantity_map(
            quantity.of(trace), tokens, LEFT, quantity, layers.reach([quantity.of(trace)], quantity)
        ),
    }


FIGURES = drawn(TRACE)


def sent(figure):
    """The figure as the browser gets it."""
    return json.loads(figure.to_json())


# What all pictures share


@pytest.mark.parametrize("name", FIGURES)
def test_a_picture_leaves_fonts_and_backgrounds_to_the_page(name):
    layout = sent(FIGURES[name])["layout"]
    assert not {"font", "paper_bgcolor", "plot_bgcolor"} & layout.keys()
    assert layout["height"] > 0
    assert layout["showlegend"] is False


@pytest.mark.parametrize("name", FIGURES)
def test_arrays_travel_packed_in_four_bytes_a_number_and_not_as_lists(name):
    for trace in sent(FIGURES[name])["data"]:
        for axis in "xyz":
            values = trace.get(axis, [])
            if isinstance(values, dict):
                assert values["dtype"] in ("f4", "i4", "i2", "i1"), axis
            elif trace["type"] != "bar" and trace.get("mode") != "text":  # names, and a few numbers
                assert all(isinstance(value, str) for value in values), axis


@pytest.mark.parametrize("name", ["one_head", "sum_strips", "similarity", "neuron_map", "quantity_map"])
def test_a_colour_means_one_number(name):
    for trace in FIGURES[name].data:
        if trace.type == "heatmap":
            assert trace.zmin is not None
            assert trace.zmax > trace.zmin


def test_scales_run_from_transparent_to_a_colour():
    assert style.rgba("#0072B2", 0.25) == "rgba(0,114,178,0.25)"
    scale = style.probability_scale(RIGHT)
    assert (scale[0], scale[-1]) == ((0.0, "rgba(213,94,0,0)"), (1.0, "rgba(213,94,0,1)"))
    for value, colour in scale:
        assert float(colour.split(",")[-1].rstrip(")")) == pytest.approx(value**0.5)


def test_the_signed_scale_is_symmetric_about_a_clear_zero():
    low, below, above, high = style.SIGNED_SCALE
    assert [value for value, _ in style.SIGNED_SCALE] == [0, 0.5, 0.5, 1]
    assert (low[1], high[1]) == (style.rgba(style.NEGATIVE, 1), style.rgba(style.POSITIVE, 1))
    assert below[1].endswith(",0)")
    assert above[1].endswith(",0)")
    heat = style.signed_heat(np.array([[-1, 3]]), ["a"], ["b", "c"], 2.5)
    assert (heat["zmin"], heat["zmax"]) == (-2.5, 2.5)


@pytest.mark.parametrize("colour", [style.NEGATIVE, style.POSITIVE])
def test_colours_of_signed_values_mean_no_side_and_stand_out_in_both_themes(colour):
    assert colour not in (LEFT, RIGHT, GREY)
    for ground in ("#ffffff", "#14161a"):
        assert contrast(parsed(colour), parsed(ground)) >= 3


def test_the_reach_holds_almost_all_values_and_is_never_0():
    values = np.r_[np.linspace(-1, 1, 999), 100]
    assert style.reach_of(values) == pytest.approx(1, abs=0.01)
    assert style.reach_of(np.zeros((5, 12))) == 1
    assert style.reach_of(np.array([[-2.0]])) == 2


# Attention


def test_all_heads_carry_their_attention():
    figure = attention.all_heads(LAYER.attention, TOKENS, LEFT, 1)
    assert len(figure.data) == HEADS
    for head, small in enumerate(figure.data):
        np.testing.assert_array_equal(small.z, LAYER.attention[head])
        assert list(small.x) == list(small.y) == list(TOKENS)
        assert small.hovertemplate.startswith(f"head {head + 1}<br>from %{{y}}<br>to %{{x}}")


def test_all_heads_share_the_scale_from_0_to_1():
    figure = attention.all_heads(LAYER.attention, TOKENS, RIGHT, 0)
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (0, 1)
    assert {small.coloraxis for small in figure.data} == {"coloraxis"}
    assert figure.layout.coloraxis.colorscale == tuple(style.probability_scale(RIGHT))


def test_the_chosen_heads_title_is_bold():
    figure = attention.all_heads(LAYER.attention, TOKENS, LEFT, 1)
    assert [title.text for title in figure.layout.annotations] == ["head 1", "<b>head 2</b>", "head 3"]


@pytest.mark.parametrize(("heads", "columns"), [(1, 4), (3, 2), (12, 4), (7, 4)])
def test_maps_of_heads_stand_in_rows_without_touching(heads, columns):
    figure = attention.all_heads(random_attention(heads), TOKENS, LEFT, 0, columns)
    boxes = [
        (
            figure.layout[small.xaxis.replace("x", "xaxis")].domain,
            figure.layout[small.yaxis.replace("y", "yaxis")].domain,
        )
        for small in figure.data
    ]
    assert len(boxes) == heads
    for (left, right), (bottom, top) in boxes:
        assert 0 <= left < right <= 1
        assert -1e-9 <= bottom < top <= 1
    for one, other in product(range(heads), repeat=2):
        if one < other:
            (across, down), (across_too, down_too) = boxes[one], boxes[other]
            beside = across[1] < across_too[0] or across_too[1] < across[0]
            assert beside or down[0] > down_too[1]  # the later one stands further down
    inside = [(title.x, title.y) for title in figure.layout.annotations]
    for (x, y), (across, down) in zip(inside, boxes, strict=True):
        assert across[0] < x < across[1]
        assert y == pytest.approx(down[1])


def test_one_head_says_which_way_attention_points():
    figure = attention.one_head(LAYER.attention[2], TOKENS, LEFT)
    large = figure.data[0]
    np.testing.assert_array_equal(large.z, LAYER.attention[2])
    assert (large.zmin, large.zmax) == (0, 1)
    assert (list(large.x), list(large.y)) == (list(TOKENS), list(TOKENS))
    assert figure.layout.xaxis.title.text == "to: the token that is read (key)"
    assert figure.layout.yaxis.title.text == "from: the token that reads (query)"
    assert figure.layout.yaxis.autorange == "reversed"  # the first token on top


def test_numbers_stand_in_their_cells_and_what_rounds_to_nothing_is_left_out():
    weights = np.array([[1.0, 0.0, 0.0], [0.004, 0.37, 0.626], [0.2, 0.006, 0.794]], dtype=np.float32)
    pale, deep = attention.one_head(weights, ("a", "b", "a"), LEFT).data[1:]
    first, second, third = labels(("a", "b", "a"))
    assert list(zip(pale.y, pale.x, pale.text, strict=True)) == [
        (second, second, ".37"), (second, third, ".63"), (third, first, ".20"), (third, second, ".01"),
    ]  # fmt: skip
    assert list(zip(deep.y, deep.x, deep.text, strict=True)) == [(first, first, "1.00"), (third, third, ".79")]
    assert (pale.textfont.color, deep.textfont.color) == (style.INK, "white")


def test_words_in_coloured_cells_can_be_read_in_both_themes():
    themes = tomllib.loads((ROOT / ".streamlit/config.toml").read_text(encoding="utf-8"))["theme"]
    cells = [(colour, opacity) for colour in (LEFT, RIGHT) for opacity in np.linspace(0, 1, 21)]
    cells += [(colour, heads.ROLE) for *_, colour in heads.LOOKS.values() if colour]
    for theme, ink in (("light", "#262730"), ("dark", "#FAFAFA")):  # what Streamlit puts for INK
        for colour, opacity in cells:
            pale, deep = style.written([["word"]], ["row"], ["column"], np.array([[opacity]]))
            assert (pale["text"], deep["text"]) in ((["word"], []), ([], ["word"]))
            seen = over(parsed(colour), opacity, parsed(themes[theme]["backgroundColor"]))
            assert contrast(seen, parsed("#FFFFFF" if deep["text"] else ink)) >= 3, (theme, colour, opacity)


def test_no_heat_map_picks_the_colour_of_its_words_itself():
    guess = Guess(1, ("dog", "cat"), (0.9, 0.05))
    for figure in (heads.role_map([["previous", ""]]), layers.predictions([guess], LEFT), *drawn(TRACE).values()):
        assert not any(trace.texttemplate for trace in figure.data if trace.type == "heatmap")
    pale, deep = layers.predictions([guess], LEFT).data[1:]
    assert (list(pale.text), list(deep.text)) == (["cat"], ["dog"])


@pytest.mark.parametrize(("tokens", "traces"), [(attention.MOST_NUMBERS, 3), (attention.MOST_NUMBERS + 1, 1)])
def test_numbers_are_drawn_only_where_there_is_room(tokens, traces):
    names = [f"t{number}" for number in range(tokens)]
    figure = attention.one_head(random_attention(tokens=tokens), names, LEFT)
    assert len(figure.data) == traces


def test_a_head_that_gives_the_shown_tokens_nothing_is_drawn_without_numbers():
    figure = attention.one_head(np.full((1, 1), 0.001, dtype=np.float32), ("cat",), LEFT)
    assert not any(trace.text for trace in figure.data[1:])


@pytest.mark.parametrize(("count", "word"), [(8, "prev"), (heads.MOST_WORDS, "prev"), (16, "←")])
def test_a_role_is_written_as_a_sign_where_a_word_has_no_room_and_the_legend_says_which(count, word):
    names = [["previous"] * count, [""] * count]
    figure = heads.role_map(names)
    assert set(figure.data[1].text) == {word}
    assert heads.legend(names).startswith(f"{word}: mostly the previous token; ")
    assert list(figure.data[0].y) == ["layer 1", "layer 2"]  # the first at the bottom


# Embeddings


def test_the_strips_are_the_parts_of_the_sum():
    figure = embeddings.sum_strips(TRACE.embedding, TOKENS)
    parts = TRACE.embedding
    strips = [trace for trace in figure.data if trace.type == "heatmap"]
    for strip, values in zip(strips, (parts.token, parts.position, parts.segment, parts.output), strict=True):
        np.testing.assert_array_equal(strip.z, np.rint(1_000 * values))
        assert -strip.zmin == strip.zmax == 1_000 * style.reach_of(values)
        axis = figure.layout[strip.xaxis.replace("x", "xaxis")]
        assert list(axis.ticktext) == [str(channel) for channel in range(1, WIDTH + 1)]
        assert list(axis.tickvals) == list(strip.x) == [*range(WIDTH)]
    assert list(strips[0].y) == [*range(len(TOKENS))]
    names = dict(zip(figure.layout.yaxis.tickvals.tolist(), figure.layout.yaxis.ticktext, strict=True))
    assert names == dict(enumerate(TOKENS))


NORMED = replace(TRACE.embedding, output=20 * TRACE.embedding.output - 3)


@pytest.mark.parametrize(
    ("embedding", "titles"),
    [
        (TRACE.embedding, ["token", "+ position", "+ segment", "= embedding"]),
        (NORMED, ["token", "+ position", "+ segment", "= sum", "→ norm"]),
    ],
    ids=["no norm", "norm"],
)
def test_each_strip_says_its_reach_and_each_row_its_length_and_a_norm_has_a_strip_of_its_own(embedding, titles):
    figure = embeddings.sum_strips(embedding, TOKENS)
    heads = [note.text for note in figure.layout.annotations]
    strips = [trace for trace in figure.data if trace.type == "heatmap"]
    lengths = [trace for trace in figure.data if trace.type == "scatter"]
    total = embedding.token + embedding.position + embedding.segment
    parts = [embedding.token, embedding.position, embedding.segment, *([total] if len(titles) == 5 else [])]
    assert [head.partition("<br>")[0] for head in heads] == titles
    for values, head, strip, sizes in zip([*parts, embedding.output], heads, strips, lengths, strict=True):
        np.testing.assert_allclose(strip.z, 1_000 * values, atol=0.51)
        assert head.partition("<br>")[2] == f"±{number(style.reach_of(values), 2)}"
        assert (sizes.xaxis, list(sizes.y)) == (strip.xaxis, [-1, *strip.y])
        assert list(sizes.text) == ["length", *(number(np.sqrt((row**2).sum()), 3) for row in values)]


def test_a_model_without_segments_says_that_the_strip_is_all_0():
    none = replace(TRACE.embedding, segment=np.zeros_like(TRACE.embedding.segment))
    assert "+ segment<br>all 0" in [note.text for note in embeddings.sum_strips(none, TOKENS).layout.annotations]


@pytest.mark.parametrize(
    ("width", "wide", "cells", "of"), [(768, False, 48, 16), (768, True, 96, 8), (99, False, 48, 3)]
)
def test_a_wide_vector_has_no_more_cells_than_are_drawn_and_each_is_its_largest_number(width, wide, cells, of):
    vectors = np.random.default_rng(1).normal(size=(3, width)).astype(np.float32)
    embedding = EmbeddingTrace(vectors, vectors, 0 * vectors, 2 * vectors)
    figure = embeddings.sum_strips(embedding, ("a", "b", "c"), wide)
    strip = figure.data[0]
    assert strip.z.shape == (3, cells)
    assert strip.z.dtype == np.int16
    for cell, name in enumerate(figure.layout.xaxis.ticktext):
        first, _, last = name.partition(" – ")
        block = vectors[:, int(first) - 1 : int(last or first)]
        assert block.shape[1] in (of - 1, of)
        largest = block[np.arange(3), abs(block).argmax(1)]
        np.testing.assert_allclose(strip.z[:, cell], 1_000 * largest, atol=0.51)
    assert "the largest in size" in strip.hovertemplate
    assert f"of the {width} numbers and shows the largest in size" in embeddings.of_a_cell(width, wide)
    assert embeddings.of_a_cell(cells, wide) == ""


def test_similarity_runs_from_minus_1_to_1():
    cosines = measures.cosine(LAYER.hidden)
    heat = embeddings.similarity(cosines, TOKENS).data[0]
    np.testing.assert_array_equal(heat.z, np.rint(1_000 * cosines))
    assert (heat.zmin, heat.zmax) == (-1_000, 1_000)
    assert list(heat.colorbar.ticktext) == ["−1", "−0.5", "0", "0.5", "1"]
    assert list(heat.colorbar.tickvals) == [-1_000, -500, 0, 500, 1_000]


def test_similarity_of_a_long_text_shows_the_largest_cosine_of_blocks_of_tokens():
    cosines = measures.cosine(np.random.default_rng(0).normal(size=(512, 8)))
    heat = embeddings.similarity(cosines, [f"t{number}" for number in range(512)]).data[0]
    assert heat.z.shape == (256, 256)
    block = cosines[10:12, 20:22]
    assert heat.z[5, 10] == np.rint(1_000 * block.flat[abs(block).argmax()])
    assert (heat.y[5], heat.x[10]) == ("t10 – t11", "t20 – t21")
    assert "largest in size" in heat.hovertemplate
    assert "largest" not in embeddings.similarity(cosines[:9, :9], "abcdefghi").data[0].hovertemplate


def test_a_map_shows_the_places_of_its_level():
    flat, deep = places(TRACE, "2d"), places(TRACE, "3d")
    for level in range(1 + LAYERS):
        marks = embeddings.map_of(flat, level, TOKENS, LEFT).data[0]
        np.testing.assert_array_equal(np.stack([marks.x, marks.y], 1), flat.at[level])
        marks = embeddings.map_of(deep, level, TOKENS, LEFT).data[0]
        np.testing.assert_array_equal(np.stack([marks.x, marks.y, marks.z], 1), deep.at[level])
        assert list(marks.text) == list(marks.hovertext) == list(TOKENS)


def test_of_names_that_would_cover_each_other_one_is_written_and_all_come_on_hover():
    heap = Places(np.zeros((2, 3, 2), dtype=np.float32) + np.array([[[0, 0], [0.01, 0], [4, 4]]]), ("a", "b"))
    dots = embeddings.map_of(heap, 1, ("alpha", "beta", "gamma"), LEFT).data[0]
    assert [bool(text) for text in dots.text] == [True, False, True] or [bool(text) for text in dots.text] == [True] * 3
    assert list(dots.hovertext) == ["alpha", "beta", "gamma"]


@pytest.mark.parametrize("count", [5, 60, 200])
def test_no_name_on_a_map_covers_another_or_a_point_on_the_narrowest_screen(count):
    at = np.random.default_rng(count).normal(size=(count, 2))
    names, axes = ["token" + "x" * (number % 7) for number in range(count)], style.map_axes(at[None], ("a", "b"))
    sides = naming.placed(at, axes, names)
    low, high = np.array([axis["range"] for axis in axes]).T
    points = (at - low) / (high - low) * (naming.WIDTH, naming.HEIGHT)
    boxes = []
    for point, name, side in zip(points, names, sides, strict=True):
        if side:
            size = np.array([naming.LETTER * len(name), naming.LINE])
            middle = point + np.array(naming.SIDES[side]) * (size / 2 + naming.DOT)
            boxes.append((*(middle - size / 2), *(middle + size / 2)))
    assert len(boxes) >= min(5, count) - 1
    for place, (left, bottom, right, top) in enumerate(boxes):
        assert not any(left < x < right and bottom < y < top for x, y in points)
        for other in boxes[:place]:
            assert left >= other[2] or right <= other[0] or bottom >= other[3] or top <= other[1]


def test_the_ranges_of_a_map_are_the_same_at_every_level_and_hold_all_places():
    flat, deep = places(TRACE, "2d"), places(TRACE, "3d")
    maps = [embeddings.map_of(flat, level, TOKENS, LEFT).layout for level in range(1 + LAYERS)]
    assert len({(each.xaxis.range, each.yaxis.range) for each in maps}) == 1
    scenes = [embeddings.map_of(deep, level, TOKENS, LEFT).layout.scene for level in range(1 + LAYERS)]
    assert len({(each.xaxis.range, each.yaxis.range, each.zaxis.range) for each in scenes}) == 1
    for limits, at in zip(
        (scenes[0].xaxis.range, scenes[0].yaxis.range, scenes[0].zaxis.range), deep.at.T, strict=True
    ):
        assert limits[0] < at.min()
        assert at.max() < limits[1]


def test_axes_of_a_map_are_named_after_the_places():
    flat, deep = embeddings.map_of(places(TRACE, "2d"), 0, TOKENS, LEFT), places(TRACE, "3d")
    assert (flat.layout.xaxis.title.text, flat.layout.yaxis.title.text) == deep.axes[:2]
    scene = embeddings.map_of(deep, 0, TOKENS, LEFT).layout.scene
    titles = (scene.xaxis.title.text, scene.yaxis.title.text, scene.zaxis.title.text)
    assert titles == tuple(title.replace(" of variance", "") for title in deep.axes)


def test_a_map_of_tokens_all_in_one_place_still_has_a_range():
    same = Places(np.zeros((2, 3, 2), dtype=np.float32), ("a", "b"))
    low, high = embeddings.map_of(same, 0, ("x", "y", "z"), LEFT).layout.xaxis.range
    assert low < 0 < high


def test_a_path_goes_from_the_embedding_through_every_layer():
    flat = places(TRACE, "2d")
    others, way = embeddings.path_of(flat, 2, TOKENS, RIGHT).data
    np.testing.assert_array_equal(np.stack([way.x, way.y], 1), flat.at[:, 2])
    assert list(way.hovertext) == ["0", "1", "2"]
    np.testing.assert_array_equal(np.stack([others.x, others.y], 1), flat.at[-1])
    assert list(others.hovertext) == list(TOKENS)
    assert way.line.color == RIGHT


@pytest.mark.parametrize(("size", "numbered"), [(7, True), (8, True), (13, False)])
def test_likeness_of_layers_has_layer_1_at_the_bottom_and_numbers_only_where_they_fit_on_a_phone(size, numbered):
    figure = embeddings.layer_likeness(np.full((size, size), 0.5), LEFT)
    assert len(figure.data) == (3 if numbered else 1)
    assert list(figure.data[0].y) == [str(level) for level in range(size)]
    assert figure.layout.yaxis.autorange is None  # from below
    assert (figure.layout.yaxis.dtick, figure.layout.xaxis.dtick) == (1, 1)
    for axis in (figure.layout.yaxis, figure.layout.xaxis):
        assert axis.title.text == "after layer (0: the embedding)"
    two = embeddings.layer_likeness(np.full((size, 3), 0.5), GREY, "Left: <b>A</b>", "Right: B")
    assert two.layout.yaxis.title.text == "Left: &lt;b&gt;A&lt;/b&gt;: layer"
    assert two.layout.xaxis.title.text == "Right: B: layer"


def test_a_word_in_sentences_leaves_room_for_numbers_on_a_phone_and_writes_no_minus_0():
    texts = [(f"It was a sunny afternoon at the bank number {number}.", 29) for number in range(8)]
    figure = embeddings.self_similarity(np.full((8, 8), -0.001), texts)
    assert max(map(len, figure.data[0].y)) <= 24  # of 340 pixels, which leaves 24 for each of eight cells
    assert figure.data[0].showscale is False
    assert {text for words in figure.data[1:] for text in words.text} == {".00"}
    assert figure.data[0].y[0].startswith("1. …at the bank")


@pytest.mark.parametrize("name", ["similarity", "map_of 2d", "path_of", "quantity_map"])
def test_both_axes_of_a_picture_say_what_they_are(name):
    layout = FIGURES[name].layout
    assert layout.xaxis.title.text
    assert layout.yaxis.title.text


def test_the_strips_say_what_a_column_is():
    figure = embeddings.sum_strips(NORMED, TOKENS)
    titles = [figure.layout[f"xaxis{number}"].title.text for number in ("", 2, 3, 4, 5)]
    assert titles.count(f"numbers 1 to {WIDTH} of each vector") == 1


def test_predictions_have_short_words_in_their_cells_and_whole_ones_on_hover():
    found = [Guess(1, ("understanding", "cat"), (0.5, 0.25))] * 3
    figure = layers.predictions(found, LEFT)
    heat, *words = figure.data
    assert heat.text[0][0] == "understanding"
    assert {text for each in words for text in each.text} == {"underst…", "cat"}
    assert list(heat.y) == ["1", "2", "3"]
    assert (figure.layout.yaxis.autorange, figure.layout.yaxis.dtick) == (None, 1)
    assert figure.layout.yaxis.title.text == "layer"
    assert figure.layout.xaxis.title.text == "likeliest first"


# Feed-forward


@pytest.mark.parametrize(("before", "field"), [(False, "neurons"), (True, "preactivation")])
def test_the_neuron_map_shows_the_same_neurons_before_and_after(before, field):
    heat = feed_forward.neuron_map(LAYER, TOKENS, before).data[0]
    chosen = np.argsort(-LAYER.neurons.max(0), kind="stable")[: feed_forward.MANY]
    np.testing.assert_array_equal(heat.z, getattr(LAYER, field)[:, chosen].T)
    assert list(heat.y) == [f"{neuron + 1}" for neuron in chosen]
    assert list(heat.x) == list(TOKENS)
    assert -heat.zmin == heat.zmax


def test_the_strongest_neurons_of_a_token_come_strongest_first():
    bars = feed_forward.strongest_neurons(LAYER.neurons, 2, LEFT).data[0]
    assert len(bars.x) == feed_forward.FEW < FFN
    assert list(abs(np.array(bars.x))) == sorted(abs(LAYER.neurons[2]), reverse=True)[: feed_forward.FEW]
    for value, name in zip(bars.x, bars.y, strict=True):
        assert LAYER.neurons[2, int(name) - 1] == value


def test_the_strongest_tokens_of_a_neuron_keep_their_names_apart():
    tokens = ("the", "cat", "the", "mat", "the")
    bars = feed_forward.strongest_tokens(LAYER.neurons, 3, tokens, LEFT).data[0]
    names = labels(tokens)
    assert len(set(bars.y)) == 5
    for value, name in zip(bars.x, bars.y, strict=True):
        assert LAYER.neurons[names.index(name), 3] == value
    assert list(abs(np.array(bars.x))) == sorted(abs(LAYER.neurons[:, 3]), reverse=True)


def test_every_row_of_a_neuron_has_its_name_and_room_for_it():
    figure = feed_forward.neuron_map(LAYER, TOKENS, before=False)
    rows = len(figure.data[0].y)
    assert figure.layout.yaxis.dtick == 1  # else Plotly would leave every second one out
    assert figure.layout.height / rows >= 15
    for ranking in (feed_forward.strongest_neurons(LAYER.neurons, 2, LEFT), FIGURES["strongest_tokens"]):
        assert ranking.layout.yaxis.dtick == 1


@pytest.mark.parametrize("values", [[-3.0, -2.0], [3.0, -1.0], [2.0, 1.0], [0.0, 0.0]])
def test_bars_have_room_for_their_numbers_at_both_ends(values):
    figure = feed_forward.strongest_neurons(np.array([values], dtype=np.float32), 0, LEFT, "preactivation")
    low, high = figure.layout.xaxis.range
    length = max(0, *values) - min(0, *values)
    assert high - max(0, *values) >= (0.2 * length if max(values) > 0 else 0)
    assert min(0, *values) - low >= (0.2 * length if min(values) < 0 else 0)
    assert figure.data[0].textposition == "outside"
    assert figure.data[0].cliponaxis is False
    assert figure.layout.xaxis.title.text == "preactivation"


@pytest.mark.parametrize("name", ["all_heads", "one_head", "neuron_map", "strongest_neurons", "strongest_tokens"])
def test_axes_of_attention_and_of_neurons_say_what_they_are_of(name):
    layout = sent(FIGURES[name])["layout"]
    for axis in "xy":
        titles = [part.get("title", {}).get("text") for key, part in layout.items() if key.startswith(f"{axis}axis")]
        assert any(titles), axis


def test_each_of_three_readings_says_what_its_full_colour_is():
    figure = attention.three_readings(TRACE, 1, 2, LEFT)
    raw, weighted, rolled = (title.text for title in figure.layout.annotations)
    assert (raw, rolled) == ("Raw weights,<br>full colour: 1", "Rollout to 2,<br>full colour: 1")
    brought = measures.norm_weighted(LAYER.attention[2], LAYER.value_size[2])
    assert float(weighted.partition("full colour: ")[2]) == pytest.approx(brought.max(), rel=1e-3)
    assert [each.zmax for each in figure.data] == pytest.approx([1, brought.max(), 1])


@pytest.mark.parametrize("tokens", [attention.MOST_CELLS, 100, 127])
def test_small_maps_of_many_tokens_send_no_more_cells_than_are_drawn(tokens):
    whole, names = random_attention(12, tokens=tokens), [f"t{number}" for number in range(tokens)]
    figure = attention.all_heads(whole, names, LEFT, 0)
    for head, small in enumerate(figure.data):
        np.testing.assert_array_equal(small.z, measures.coarse(whole[head], attention.MOST_CELLS))
        assert len(small.x) == len(small.y) == attention.MOST_CELLS
    large = attention.one_head(whole[0], names, LEFT)
    assert len(figure.to_json()) + len(large.to_json()) < 250_000  # of one of two models


def test_silent_bars_run_from_0_to_1_with_the_chosen_layer_in_colour():
    figure = feed_forward.share_bars([0.25, 0.5, 1.0], RIGHT, 1, "silent")
    bars = figure.data[0]
    assert (list(bars.x), list(bars.y)) == (["1", "2", "3"], [0.25, 0.5, 1.0])
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("layer", "silent")
    assert list(bars.marker.color) == [GREY, RIGHT, GREY]
    assert figure.layout.yaxis.range == (0, 1)


# Layers


def test_one_scale_fits_all_models_so_that_colours_compare():
    quantity = QUANTITIES["size"]
    assert layers.reach([np.array([[1.0, 2.0]]), np.array([[5.0], [3.0]])], quantity) == (0, 5)
    assert layers.reach([np.array([[1.0, -7.0]]), np.array([[5.0]])], quantity) == (-7, 7)
    assert layers.reach([np.zeros((2, 3))], quantity) == (0, 1)


@pytest.mark.parametrize("name", QUANTITIES)
def test_a_quantity_is_drawn_with_a_row_a_layer(name):
    quantity = QUANTITIES[name]
    values = quantity.of(TRACE, layer_weights) if quantity.inside else quantity.of(TRACE)
    columns = TOKENS if quantity.across == "token" else layers.head_names(HEADS)
    figure = layers.quantity_map(values, columns, LEFT, quantity, layers.reach([values], quantity))
    heat = figure.data[0]
    np.testing.assert_array_equal(heat.z, values)
    assert list(heat.y) == (["0"] if quantity.from_embedding else []) + ["1", "2"]
    assert figure.layout.yaxis.title.text == ("layer (0: the embedding)" if quantity.from_embedding else "layer")
    assert (figure.layout.yaxis.dtick, figure.layout.xaxis.dtick) == (1, 1)  # no row and no column without its label
    assert figure.layout.xaxis.title.text == quantity.across
    assert list(heat.x) == list(columns)
    assert figure.layout.yaxis.autorange is None  # the first layer at the bottom
    top = quantity.top or values.max()
    if values.min() < 0:  # signed: zero in the middle
        top = abs(values).max()
        assert heat.zmin == -top
    else:
        assert heat.zmin == 0
    assert heat.zmax == top
    assert heat.colorbar.title.text == quantity.unit


def test_a_quantity_that_is_0_everywhere_still_has_a_scale():
    heat = layers.quantity_map(
        np.zeros((2, 5)), TOKENS, LEFT, QUANTITIES["change"], layers.reach([np.zeros((2, 5))], QUANTITIES["change"])
    ).data[0]
    assert (heat.zmin, heat.zmax) == (0, 1)


@pytest.mark.parametrize(("name", "numbers"), [("size", [0, 1, 2]), ("change", [1, 2])])
def test_a_mean_line_has_a_point_a_layer(name, numbers):
    values = QUANTITIES[name].of(TRACE)
    line = layers.mean_line(values, RIGHT, QUANTITIES[name])
    assert list(line["x"]) == numbers
    np.testing.assert_allclose(line["y"], [row.mean() for row in values], rtol=1e-6)
    assert line["line"]["color"] == RIGHT


def test_compared_models_stand_in_one_picture_by_name():
    quantity = QUANTITIES["size"]
    lines = {
        f"{side}: <b>model</b>": layers.mean_line(quantity.of(TRACE), colour, quantity)
        for side, colour in (("Left", LEFT), ("Right", RIGHT))
    }
    figure = layers.compare(lines, quantity)
    assert [line.name for line in figure.data] == ["Left: &lt;b&gt;model&lt;/b&gt;", "Right: &lt;b&gt;model&lt;/b&gt;"]
    assert [line.line.color for line in figure.data] == [LEFT, RIGHT]
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == (
        "layer (0: the embedding)", quantity.unit,
    )  # fmt: skip
    assert figure.layout.showlegend is True


# What if


def test_a_map_of_all_heads_has_a_row_a_layer_and_a_column_a_head():
    values = np.arange(1, 7, dtype=np.float32).reshape(2, 3)
    figure = what_if.ranking(values, LEFT, "nats", 8)
    heat = figure.data[0]
    np.testing.assert_array_equal(heat.z, values)
    assert (list(heat.y), list(heat.x)) == (["layer 1", "layer 2"], ["1", "2", "3"])
    assert figure.layout.xaxis.title.text == "head that is off"
    assert figure.layout.yaxis.autorange is None  # the first layer at the bottom
    assert (heat.zmin, heat.zmax, heat.colorbar.title.text) == (0, 8, "nats")


def test_names_beside_three_maps_stand_at_their_outer_edges():
    tokens = ["[CLS]", "dendrochronologist", "<b>"], ["[CLS]", "a", "cat", "<b>"]
    before, after = np.eye(3, dtype=np.float32), np.eye(4, dtype=np.float32)
    gone = np.full((3, 3), np.nan, dtype=np.float32)
    figure = what_if.before_and_after((before, after), tokens, gone, LEFT, 0.5)
    assert [trace.name for trace in figure.data] == ["Before", "Difference", "After"]
    axes = figure.layout.yaxis, figure.layout.yaxis2, figure.layout.yaxis3
    assert [(axis.side, axis.showticklabels) for axis in axes] == [("left", True), ("left", False), ("right", True)]
    assert all(axis.automargin for axis in axes)
    assert max(len(name.rstrip("\u200b").replace("&lt;", "<").replace("&gt;", ">")) for name in figure.data[0].y) <= 9
    assert not any("<" in name for trace in figure.data for name in trace.y)
    assert (figure.data[1].zmin, figure.data[1].zmax) == (-0.5, 0.5)
    same = what_if.before_and_after((before, before), (tokens[0], tokens[0]), gone, LEFT, 0.5)
    assert same.layout.yaxis3.showticklabels is False
    assert figure.layout.xaxis2.title.text == "row: token that reads, column: token that is read"


# Tokens stay text


HOSTILE_FIGURES = drawn(reading(*HOSTILE))


def strings(value):
    """Every text in a figure, wherever it stands."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key != "bdata":
                yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


@pytest.mark.parametrize("name", HOSTILE_FIGURES)
def test_hostile_tokens_add_no_html_to_a_picture(name):
    ours = {text for text in strings(sent(FIGURES[name])) if "<" in text}
    for text in strings(sent(HOSTILE_FIGURES[name])):
        if text in ours or re.fullmatch(r"[=+]? ?\w+<br>±[\d.,]+", text):
            continue
        assert "<" not in text.replace("<\u200b", ""), text
        assert not set("\x00\n\u202e") & set(text)
        assert len(text) < 150


@pytest.mark.parametrize("name", FIGURES)
def test_an_axis_of_names_says_so_or_plotly_would_place_the_token_1984_by_its_number(name):
    figure = sent(FIGURES[name])
    for trace in figure["data"]:
        for letter in "xy":
            names = trace.get(letter, [])
            if isinstance(names, list) and set(names) & set(TOKENS):
                axis = trace.get(f"{letter}axis", letter).replace(letter, f"{letter}axis")
                assert figure["layout"][axis]["type"] == "category", axis


@pytest.fixture(scope="module")
def plotly(browser):
    """A page with Plotly's own script and nothing else."""
    page = browser.new_page(viewport={"width": 900, "height": 900})
    page.set_content("<div id='plot' style='width: 900px'></div>")
    page.add_script_tag(content=(files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8"))
    return page


@pytest.mark.browser
@pytest.mark.parametrize("name", [name for name in FIGURES if not name.endswith("3d")])  # that one asks for WebGL
def test_the_browser_draws_hostile_tokens_as_text_each_in_its_own_place(plotly, name):
    figure = go.Figure(HOSTILE_FIGURES[name]).update_layout(template="none")  # as bare as Streamlit's
    plotly.evaluate("figure => Plotly.newPlot(plot, figure.data, figure.layout)", sent(figure))
    assert plotly.locator("#plot img, #plot b, #plot script:not([src])").count() == 0
    ticks = [text.rstrip("\u200b") for text in plotly.locator("#plot .ytick text").all_text_contents()]
    shown = {style.visible(token) for token in reading(*HOSTILE).tokens.text}
    if name in ("one_head", "similarity", "sum_strips"):
        assert set(ticks) == shown
    if name in ("all_heads", "strongest_tokens"):  # not all of them have room
        assert set(ticks) <= shown
    kinds = plotly.evaluate(
        "Object.entries(plot._fullLayout).filter(([name]) => /^[xy]axis/.test(name)).map(([, axis]) => axis.type)"
    )
    plain = {name: {"linear"} for name in ("map_of 2d", "path_of", "sum_strips")}
    mixed = {key: {"linear", "category"} for key in ("strongest_neurons", "strongest_tokens")}
    assert set(kinds) == (plain | mixed).get(name, {"category"})


MIDDLE = """([row, column]) => {
  const { left, top } = plot.querySelector(".nsewdrag").getBoundingClientRect();
  const { xaxis, yaxis } = plot._fullLayout;
  return [left + xaxis.r2p(column), top + yaxis.r2p(row)];
}"""


@pytest.mark.browser
@pytest.mark.parametrize("name", ["similarity", "sum_strips"])
def test_the_number_on_hover_is_the_true_one_to_three_digits(plotly, name):
    values = measures.cosine(LAYER.hidden) if name == "similarity" else TRACE.embedding.token
    figure = go.Figure(FIGURES[name]).update_layout(template="none")
    plotly.evaluate("figure => Plotly.newPlot(plot, figure.data, figure.layout)", sent(figure))
    for row, column in ((0, 0), (1, 3), (3, 1), (4, 2)):
        plotly.mouse.move(*plotly.evaluate(MIDDLE, [row, column]))
        expect(plotly.locator("#plot .hoverlayer")).to_contain_text(f"{values[row, column]:+z.3f}")


# Small pictures


def pixels(png):
    return np.asarray(Image.open(BytesIO(png)).convert("RGBA")).astype(int)


def colour_of(colour):
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def test_the_atlas_holds_every_head_of_every_layer_with_a_gap_between():
    picture = pixels(thumbnails.attention_atlas(TRACE, RIGHT))
    side = len(TOKENS) + thumbnails.GAP
    assert picture.shape == (LAYERS * side - 1, HEADS * side - 1, 4)
    for layer, head, query, key in product(range(LAYERS), range(HEADS), range(5), range(5)):
        *rgb, alpha = picture[(LAYERS - 1 - layer) * side + query, head * side + key]  # layer 1 at the bottom
        assert rgb == colour_of(RIGHT)
        assert abs(alpha - 255 * TRACE.layers[layer].attention[head, query, key] ** 0.5) <= 0.51
    assert not picture[side - 1 :: side, :, 3].any()
    assert not picture[:, side - 1 :: side, 3].any()


@pytest.mark.parametrize(
    ("draw", "values"),
    [
        (thumbnails.embedding_strip, TRACE.embedding.output),
        (thumbnails.neuron_strip, LAYER.neurons[:, np.argsort(-LAYER.neurons.max(0), kind="stable")].T),
    ],
    ids=["embedding", "neurons"],
)
def test_signed_strips_are_violet_below_zero_and_green_above(draw, values):
    picture = pixels(draw(TRACE))
    assert picture.shape == (*values.shape, 4)
    reach = np.quantile(abs(values), 0.995)
    for row, column in [(0, 0), (1, 3), (2, 2), (4, 1), (3, 4)]:
        value = values[row, column]
        assert picture[row, column, :3].tolist() == colour_of(style.NEGATIVE if value < 0 else style.POSITIVE)
        assert abs(picture[row, column, 3] - 255 * min(1, abs(value) / reach)) <= 0.51


def test_the_strip_of_a_wide_embedding_stops_at_96_channels():
    trace = reading("a", "b")
    wide = np.ones((4, 200), dtype=np.float32)
    object.__setattr__(trace.embedding, "output", wide)
    assert pixels(thumbnails.embedding_strip(trace)).shape == (4, 96, 4)


def test_layer_changes_start_at_the_bottom_on_a_plain_scale():
    picture = pixels(thumbnails.layer_changes(TRACE, LEFT))
    changes = QUANTITIES["change"].of(TRACE)
    assert picture.shape == (LAYERS, 5, 4)
    np.testing.assert_allclose(picture[::-1, :, 3], 255 * changes / changes.max(), atol=0.51)
    assert (picture[..., :3] == colour_of(LEFT)).all()


@pytest.mark.parametrize("activation", [relu, lambda x: 0 * x], ids=["relu", "nothing"])
def test_small_pictures_of_one_token_and_of_nothing_are_drawn(activation):
    trace = reading("a", activation=activation)
    for png in (
        thumbnails.embedding_strip(trace),
        thumbnails.attention_atlas(trace, LEFT),
        thumbnails.neuron_strip(trace),
        thumbnails.layer_changes(trace, LEFT),
    ):
        assert png.startswith(b"\x89PNG")
        assert pixels(png).size


def test_the_atlas_of_a_long_text_shows_the_largest_weight_of_each_block():
    weights = random_attention(1, 2, tokens=61)  # [layer, head, query, key]
    small = measures.coarse(weights, thumbnails.MOST_PIXELS)
    assert small.shape == (1, 2, thumbnails.MOST_PIXELS, thumbnails.MOST_PIXELS)
    edges = [*(number * 61 // thumbnails.MOST_PIXELS for number in range(thumbnails.MOST_PIXELS)), 61]
    for row, column in ((0, 0), (5, 17), (23, 23)):
        block = weights[0, 1, edges[row] : edges[row + 1], edges[column] : edges[column + 1]]
        assert small[0, 1, row, column] == block.max()
    assert small.max() == weights.max()


# Step by step


def test_strips_have_one_scale_about_zero_for_vectors_of_a_length_and_labels_that_stay_text():
    vectors = [Strip(f"0.5 × {n} {visible(name)}", LAYER.hidden[1] * n) for n, name in enumerate(HOSTILE, 1)]
    first, second = steps.strips([*vectors, Strip("γ", LAYER.neurons[0])])
    heat = sent(first)["data"][0]
    assert heat["zmin"] == -heat["zmax"] < 0
    assert heat["y"] == [style.escape(strip.label) for strip in vectors]
    assert not re.search("<(?!extra|/extra|br)", json.dumps(sent(first)).replace("&lt;", ""))
    assert len(set(heat["y"])) == len(HOSTILE)
    assert sent(second)["data"][0]["y"] == ["γ"]
    for figure, reach in zip((first, second), steps.reaches([*vectors, Strip("γ", LAYER.neurons[0])]), strict=True):
        [heat] = sent(figure)["data"]
        assert heat["zmax"] == pytest.approx(reach)
        assert heat["colorbar"]["ticktext"] == [number(end, 2) for end in (-reach, 0, reach)]
        assert figure.layout.xaxis.title.text


@pytest.mark.parametrize("reach", [0.05, 0.55, 3.14, 340.2, 56789.0])
def test_the_ends_of_a_colour_bar_are_written_without_an_e(reach):
    [figure] = steps.strips([Strip("x", np.array([-reach, reach], dtype=np.float32))])
    low, zero, high = figure.data[0].colorbar.ticktext
    assert "e" not in low + high
    assert (low, zero) == (f"−{high}", "0")
    assert float(high.replace(",", "")) == pytest.approx(reach, rel=0.05)


def test_the_bars_of_a_softmax_are_shares_of_1_and_the_token_that_is_read_has_its_number():
    share = np.array([0.7, 0.1, 0.2], dtype=np.float32)
    figure = steps.shares(Shares(np.log(share), share / 0.7, share, 2), ("a", "<b>", "a"), LEFT)
    [bars] = figure.data
    np.testing.assert_array_equal(bars.y, share)
    assert len(set(bars.x)) == 3
    assert not any("<" in name for name in bars.x)
    assert list(bars.text) == ["", "", "0.20"]
    assert list(bars.marker.color) == [style.rgba(LEFT, 0.45), style.rgba(LEFT, 0.45), style.rgba(LEFT, 1)]
    assert figure.layout.yaxis.range == (0, 1.15)  # of every model, with room for the number of a share of 1
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("token that is read", "share")


def test_the_activation_functions_of_both_sides_have_one_axis():
    bends = [Bend("relu", at, relu(at), 0) for at in (np.float32([-1, 8]), np.float32([-4, 1]))]
    reach = steps.span(bends)
    assert reach == (-4, 8)
    for at in bends:
        line = steps.bend(at, LEFT, reach).data[0]
        assert (line.x[0], line.x[-1]) == reach


@pytest.mark.parametrize("many", [FFN, 399, 401, 3072])
def test_the_bend_draws_some_hundred_neurons_on_the_curve_and_the_chosen_one_large(many):
    before = np.random.default_rng(0).normal(size=many).astype(np.float32)
    line, points, one = sent(steps.bend(Bend("relu", before, relu(before), 5), RIGHT, (-5, 5)))["data"]
    assert one["text"] == ["6"]
    assert one["marker"]["size"] > points["marker"]["size"]
    assert len(points["text"]) <= 400
    assert len(points["text"]) >= min(many, 200)
    assert line["mode"] == "lines"
