"""Pictures of a training: each curve and each frame is what was measured."""

import numpy as np
import pytest

from encoder.figures import training as figures
from encoder.figures.style import sides
from encoder.lesson import SNAPSHOTS
from tests.app import numbers

STEPS = (0, 3, 40)
TOKENS = ("[CLS]", "<b>a</b>", "a", "a", "[SEP]")
ATTENTION = np.random.default_rng(0).dirichlet(np.ones(5), (3, 2, 3, 5)).astype(np.float32)  # moment, layer, head


def test_right_answers_stand_beside_what_guessing_gets():
    curves = {"Agreement": ([0, 10], [0.4, 0.9]), "Brackets": ([0, 10], [0.2, 1.0])}
    figure = figures.accuracy(curves, {"Agreement": 0.5, "Brackets": 0.33}, {"Agreement": 0.6, "Brackets": 0.4})
    lines = figure.data
    assert [line.name for line in lines if line.name] == ["Agreement", "Brackets"]
    assert list(lines[0].y) == [0.4, 0.9]
    assert list(lines[1].y) == [0.6, 0.6]
    assert "60% by the most frequent word, 50% by pure chance" in lines[1].hovertemplate
    assert lines[0].line.color == lines[1].line.color != lines[2].line.color


def test_the_last_of_several_trainings_is_the_one_in_colour():
    figure = figures.compare({"One <i>": ([1], [2.0]), "Two": ([1, 2], [3.0, 1.0])}, False)
    assert [line.name for line in figure.data] == ["One &lt;i&gt;", "Two"]
    assert [line.line.color == figures.LEFT for line in figure.data] == [False, True]
    assert list(figure.data[1].y) == [3.0, 1.0]


@pytest.mark.parametrize(("chosen", "shown"), [("1-1", "1-1"), (None, "1-2")])
def test_the_head_that_was_chosen_or_is_the_best_so_far_has_a_colour_and_lies_on_top(chosen, shown):
    curves = {"1-1": [0.1, 0.2], "1-2": [0.3, 0.9]}
    figure = figures.head_weights([0, 10], curves, ([0, 10], [0.5, 1.0]), chosen)
    assert {line.name: list(line.y) for line in figure.data} == {
        "head 1-1": [0.1, 0.2], "head 1-2": [0.3, 0.9], "right answers": [0.5, 1.0],
    }  # fmt: skip
    coloured = [line.name for line in figure.data if line.line.color == figures.LEFT]
    assert coloured == [line.name for line in figure.data[:2] if line.showlegend] == [f"head {shown}"]
    assert figure.data[1].name == f"head {shown}"


def test_every_frame_holds_all_heads_of_its_snapshot_with_layer_1_at_the_bottom():
    figure = figures.heads_again(ATTENTION, STEPS, TOKENS)
    assert [frame.name for frame in figure.frames] == ["0", "3", "40"]
    for moment, frame in zip(ATTENTION, figure.frames, strict=True):
        shown = np.stack([numbers(each.z) for each in frame.data])
        np.testing.assert_array_equal(shown.reshape(moment.shape), moment[::-1])  # the first row is the last layer
    np.testing.assert_array_equal(numbers(figure.data[4].z), ATTENTION[-1, 0, 1])  # at first the last one is seen
    heights = {axis.title.text: axis.domain for axis in figure.select_yaxes() if axis.title.text}
    assert list(heights) == ["<b>layer 2</b><br>from (query)", "<b>layer 1</b><br>from (query)"]
    assert heights["<b>layer 1</b><br>from (query)"][1] < heights["<b>layer 2</b><br>from (query)"][0]
    titles = [note.text for note in figure.layout.annotations]
    assert titles == ["2-1", "2-2", "2-3", "1-1", "1-2", "1-3"] or titles[0] == "head 2-1"
    slider = figure.layout.sliders[0]
    assert slider.active == 2
    assert [step.args[0][0] for step in slider.steps] == ["0", "3", "40"]
    assert len(set(figure.data[0].x)) == 5  # a token that comes twice is drawn twice
    assert not any("<" in name for name in figure.data[0].x)


def test_the_map_has_the_same_axes_at_every_snapshot():
    states = np.random.default_rng(1).normal(size=(3, 5, 6)).astype(np.float32)  # moment, token, model
    figure = figures.map_again(list(states), STEPS, TOKENS)
    places = np.stack([np.stack([numbers(frame.data[0].x), numbers(frame.data[0].y)], -1) for frame in figure.frames])
    centred = states.reshape(-1, 6) - states.reshape(-1, 6).mean(0)
    lengths = np.linalg.svd(centred, compute_uv=False)[:2]  # what the two principal axes hold
    np.testing.assert_allclose(np.linalg.norm(places.reshape(-1, 2), axis=0), lengths, rtol=1e-4)
    low, high = figure.layout.xaxis.range
    assert low < places[..., 0].min() < places[..., 0].max() < high
    edge = min(places[..., 0].min() - low, high - places[..., 0].max()) / (high - low)
    assert edge * 200 > 30  # pixels of a phone's map for the name of the outermost token
    assert not figure.data[0].cliponaxis  # a longer one goes on beyond the axis


def test_both_axes_of_every_picture_have_a_title():
    line = {"Agreement": ([0, 10], [0.4, 0.9])}
    states = list(np.random.default_rng(1).normal(size=(3, 5, 6)).astype(np.float32))
    pictures = {
        "accuracy": figures.accuracy(line, {"Agreement": 0.5}, {"Agreement": 0.6}),
        "loss": figures.compare(line, False), "compare": figures.compare(line, True),
        "weights": figures.head_weights([0, 10], {"1-1": [0.1, 0.2]}, None, None),
        "heads": figures.heads_again(ATTENTION, STEPS, TOKENS), "map": figures.map_again(states, STEPS, TOKENS),
    }  # fmt: skip
    for name, picture in pictures.items():
        for axes in (picture.select_xaxes(), picture.select_yaxes()):
            assert any(axis.title.text for axis in axes), name


def test_every_row_of_a_short_sentence_has_its_name():
    figure = figures.heads_again(ATTENTION, STEPS, TOKENS)
    assert {axis.dtick for axis in figure.select_yaxes()} == {1}
    tokens = [f"t{number}" for number in range(figures.NAMED + 1)]
    attention = np.zeros((3, 2, 4, len(tokens), len(tokens)), dtype=np.float32)
    long = figures.heads_again(attention, STEPS, tokens)
    assert {axis.dtick for axis in long.select_yaxes()} == {None}
    assert long.layout.height > figure.layout.height


def test_names_on_a_map_are_written_on_the_side_away_from_their_neighbour():
    axes = [{"range": [0, 10]}, {"range": [0, 10]}]
    at = np.array([[5, 5], [5, 6], [1, 1], [2, 1]])
    assert sides(at, axes) == ["bottom center", "top center", "middle left", "middle right"]
    assert sides(at[:1], axes) == ["top center"]


@pytest.mark.parametrize("heads", [1, 8, 32])
def test_a_message_stays_small_however_many_heads_there_are(heads):
    tokens = figures.most_tokens(heads)
    assert 12 <= tokens <= figures.MOST_TOKENS
    assert 4 * SNAPSHOTS * heads * tokens**2 <= figures.MOST_BYTES
