"""The numbers in pictures and tables that sum readings up, each computed anew from what the models read."""

import re
from collections import Counter
from html import escape

import numpy as np
import pytest

from encoder import survey
from encoder.catalogue import catalogue
from encoder.changes import Changes
from encoder.figures.heads import LOOKS
from encoder.figures.style import GREY, rgba
from encoder.heads import MEASURES, measured, repeats, roles
from encoder.maps import hidden_states
from encoder.sentences import corpus
from tests.app import charts, drawn, fine, half, heat_maps, html, names, numbers, open_page, said

TEXT = "The dendrochronologist sat down, and the cat sat on the mat."
BANKS = ("She sat on the bank.", "The bank by the river was warm.", "A bank lends money.")
MODELS = {"a": "scratch", "b": "minilm"}  # both have GELU


@pytest.fixture(scope="module")
def models(scratch, minilm):
    return {"a": scratch, "b": minilm}


@pytest.fixture(scope="module")
def reads(models):
    return {side: model.trace(TEXT) for side, model in models.items()}


@pytest.fixture(scope="module")
def many(models):
    """Each model's readings of the example sentences."""
    return {side: [model.trace(sentence.text) for sentence in corpus()] for side, model in models.items()}


def kept(side):
    """What the page has kept of them, which tests/test_survey.py holds against plain reading."""
    return survey.running(catalogue()[MODELS[side]]).survey


def the_table(app, side):
    [table] = half(app, side).get("dataframe")
    return table.value


def cosines(states):
    """[one, other] of [one, model]"""
    unit = states / np.linalg.norm(states, axis=-1, keepdims=True)
    return unit @ unit.T


def of_different(square):
    """The mean of all pairs of two different rows."""
    return square[~np.eye(len(square), dtype=bool)].mean()


# Attention


def test_three_readings_are_the_weights_the_lengths_of_what_they_bring_and_rollout(models, reads):
    app = open_page("attention", attention_view="three", text=TEXT, layer="3", head="2")
    assert fine(app)
    for side, read in reads.items():
        layer, output = read.layers[2], models[side].weights(2).output.weight
        added = layer.value[1] @ output.reshape(read.model.heads, -1, read.model.width)[1]  # [key, model]
        raw, flow = layer.attention[1], np.eye(len(read.tokens))
        for each in read.layers[:3]:
            flow = (each.attention.mean(0) + np.eye(len(flow))) / 2 @ flow
        three = heat_maps(charts(app, side)[f"chart-{side}-1"])
        brought = raw * np.linalg.norm(added, axis=-1)
        for picture, values in zip(three, (raw, brought, flow), strict=True):
            np.testing.assert_allclose(numbers(picture["z"]), values, rtol=1e-3, atol=1e-5)
            assert names(picture["x"]) == names(picture["y"]) == list(read.tokens.text)
        assert three[1]["zmax"] == pytest.approx(brought.max(), rel=1e-3)


def shown_roles(app, side):
    """[layer][head] by the names on a map of roles, whose colours say the same."""
    picture, *words = charts(app, side)[f"chart-{side}-1"]["data"]
    short = {name: role for role, (name, *_) in LOOKS.items()}
    found = [[short[name] for name in row] for row in picture["text"]]
    for row, codes in zip(found, numbers(picture["z"]), strict=True):
        for role, code in zip(row, codes, strict=True):
            place = (code - picture["zmin"]) / (picture["zmax"] - picture["zmin"])
            colour = next(colour for end, colour in picture["colorscale"][1::2] if place < end)
            assert colour == (rgba(LOOKS[role][-1], 0.6) if role else rgba(GREY, 0.08))
    assert picture["y"] == [f"layer {number}" for number in range(1, len(found) + 1)]
    assert picture["x"] == [str(number) for number in range(1, len(found[0]) + 1)]
    written = {
        (at, of): word for each in words for at, of, word in zip(each["y"], each["x"], each["text"], strict=True)
    }
    cells = ((at, of, word) for at, row in zip(picture["y"], picture["text"], strict=True)
             for of, word in zip(picture["x"], row, strict=True))  # fmt: skip
    assert written == {(at, of): word for at, of, word in cells if word}
    return found


def assert_all_heads(table, found, measures):
    """A table has a row a head, with its role and its measures [layer, head]."""
    shape = np.shape(found)
    assert list(zip(table["Layer"] - 1, table["Head"] - 1, strict=True)) == list(np.ndindex(shape))
    assert table["Role"].tolist() == [role or "none" for row in found for role in row]
    for name, values in measures.items():
        np.testing.assert_allclose(table[MEASURES[name].label], values.ravel(), atol=1e-5)


def test_the_map_and_the_table_of_roles_are_what_each_head_does_in_this_text(reads):
    app = open_page("attention", attention_view="roles", text=TEXT)
    for side, read in reads.items():
        found = shown_roles(app, side)
        assert found == [list(row) for row in roles(read)]
        assert len({role for row in found for role in row}) > 3
        assert_all_heads(the_table(app, side), found, measured(read))


def test_over_the_example_sentences_a_heads_role_is_the_one_that_it_has_most_often(many):
    app = open_page("attention", attention_view="roles", basis="corpus", text=TEXT)
    for side, readings in many.items():
        found, table = shown_roles(app, side), the_table(app, side)
        votes = np.stack([roles(read) for read in readings])  # [sentence, layer, head]
        for row, (layer, head) in enumerate(np.ndindex(np.shape(found))):
            count = Counter(votes[:, layer, head].tolist())
            assert count[found[layer][head]] == max(count.values())
            assert table["Of the sentences"][row] == pytest.approx(max(count.values()) / len(readings))
        measures = [measured(read) for read in readings]
        mean = {name: np.mean([each[name] for each in measures], 0) for name in MEASURES if name != "same"}
        again = [each["same"] for each, read in zip(measures, readings, strict=True) if repeats(read.tokens)]
        assert_all_heads(table, found, mean | {"same": np.mean(again, 0)})


# Embeddings


def test_the_nearest_tokens_stand_in_the_table_with_their_cosines(models, reads):
    place = reads["a"].tokens.text.index("cat")
    app = open_page("embeddings", embedding_view="nearest", text=TEXT, token=str(place + 1))
    for side, read in reads.items():
        tokens, near = zip(*models[side].neighbours(read, place), strict=True)
        table = the_table(app, side)
        assert tuple(table["Token"]) == tokens
        np.testing.assert_allclose(table["Cosine"], near, atol=1e-5)


def test_a_words_own_likeness_in_several_sentences_is_the_mean_of_its_cosines(models):
    app = open_page("embeddings", embedding_view="elsewhere", word="bank", elsewhere="\n".join(BANKS), level="2")
    lines = charts(app)["elsewhere"]["data"]
    for line, (side, model) in zip(lines, models.items(), strict=True):
        places = [(read, read.tokens.text.index("bank")) for read in map(model.trace, BANKS)]
        levels = range(model.card.layers + 1)
        alike = [cosines(np.stack([hidden_states(read)[level][at] for read, at in places])) for level in levels]
        np.testing.assert_allclose(drawn(charts(app, side)[f"chart-{side}-1"]), alike[2], atol=1e-5)
        np.testing.assert_allclose(numbers(line["y"]), [of_different(each) for each in alike], atol=1e-5)
        assert line["x"] == list(levels)


def test_the_example_sentences_say_how_alike_all_words_are_and_how_alike_the_layers():
    app = open_page("embeddings", embedding_view="corpus")
    lines, grams = charts(app)["anisotropy"]["data"], {}
    for line, side in zip(lines, "ab", strict=True):
        states = kept(side).hidden.astype(np.float32)  # [level, word, model]
        alike = [of_different(cosines(each)) for each in states]
        np.testing.assert_allclose(numbers(line["y"]), alike, atol=1e-4)
        centred = states - states.mean(1, keepdims=True)
        products = (centred @ centred.mT).reshape(len(states), -1)  # [level, word · word]
        grams[side] = products / np.linalg.norm(products, axis=-1, keepdims=True)
    for key, one, other in (("chart-a-1", "a", "a"), ("chart-b-1", "b", "b"), ("cka", "a", "b")):
        picture = charts(app)[key]
        np.testing.assert_allclose(drawn(picture), grams[one] @ grams[other].T, atol=2e-3)
        for axis, side in (("y", one), ("x", other)):
            assert heat_maps(picture)[0][axis] == [str(level) for level in range(len(grams[side]))]


# Feed-forward


def test_silent_neurons_of_the_example_sentences_are_counted_in_every_layer(many):
    app = open_page("feed_forward", neuron_view="corpus")
    for side, readings in many.items():
        shares = [[(abs(layer.neurons) < 0.05).mean() for layer in read.layers] for read in readings]
        [bars] = charts(app, side)[f"chart-{side}-1"]["data"]
        np.testing.assert_allclose(numbers(bars["y"]), np.mean(shares, 0), atol=1e-4)
        assert bars["x"] == [f"{number}" for number in range(1, len(shares[0]) + 1)]


def test_a_neurons_sentences_are_those_where_it_is_most_active_and_its_tokens_are_marked(many):
    # [word, ffn] of layer 2; of a busy neuron ten words are shown, of that which the page picks maybe fewer
    active = {
        side: np.concatenate([read.layers[1].neurons[~read.tokens.special] for read in readings])
        for side, readings in many.items()
    }
    busy = {side: int(np.sort(neurons, axis=0)[-10].argmax()) for side, neurons in active.items()}
    address = {"neuron_view": "corpus", "layer": "2", "layer_b": "2", "together": "0"}
    for chosen in ({}, {"neuron": str(busy["a"] + 1), "neuron_b": str(busy["b"] + 1)}):
        app = open_page("feed_forward", **address, **chosen)
        for side, readings in many.items():
            neuron = app.selectbox(key="pick.neuron" if side == "a" else "pick.neuron_b").value - 1
            found = [
                (read.layers[1].neurons[token, neuron], sentence.text, *read.tokens.span[token])
                for sentence, read in zip(corpus(), readings, strict=True)
                for token in np.flatnonzero(~read.tokens.special)
            ]
            expected = [
                (f"{value:.2f}", escape(text[:start]), escape(text[start:end]), escape(text[end:]))
                for value, text, start, end in sorted(found, reverse=True)[:10]
                if value >= 0.005  # of the others 0.00 would be shown
            ]
            shown = re.findall("<b>(.*?)</b><span>(.*?)<mark>(.*?)</mark>(.*?)</span>", html(half(app, side)))
            assert len(expected) == 10 or (not chosen and expected)
            assert shown == expected


def test_the_neurons_that_go_with_one_are_those_of_the_highest_correlation():
    assert fine(open_page("feed_forward", neuron_view="corpus"))
    layer, sampled = 1, [kept(side).neurons.astype(np.float64) for side in "ab"]  # [layer, word, ffn]
    scaled = [each - each.mean(1, keepdims=True) for each in sampled]
    one, other = (each / np.maximum(np.linalg.norm(each, axis=1, keepdims=True), 1e-9) for each in scaled)
    r = one[layer].T @ other  # [layer of the other, neuron, neuron of the other]
    neuron = int(np.argmax(np.sort(r.max(-1), 0)[-1]))
    app = open_page("feed_forward", neuron_view="corpus", layer=str(layer + 1), neuron=str(neuron + 1))
    told = re.search("Neurons of MiniLM that are active at.*", said(half(app, "a")))[0]
    close = re.findall(r"layer (\d+), neuron (\d+) \(r = (.*?)\)", told)
    best = np.sort(r[:, neuron], axis=None)[::-1][:3]
    assert best[0] > 0.5
    assert [float(value) for *_, value in close] == pytest.approx(best[best >= 0.4], abs=0.006)
    for number, partner, value in close:
        assert r[int(number) - 1, neuron, int(partner) - 1] == pytest.approx(float(value), abs=0.006)


# Step by step


def test_a_flipped_choice_has_its_consequences_beside_what_was_before(models, reads):
    app = open_page("step_by_step", text=TEXT, step="embedding", flip_norm="none")
    changed = models["a"].what_if(Changes(choices=(("norm", "none"),))).trace(TEXT)
    table = the_table(app, "a")
    assert table["Layer"].tolist() == [*range(1, len(reads["a"].layers) + 1)]
    for end, read in (("", reads["a"]), (", changed", changed)):
        for row, layer in enumerate(read.layers):
            weights = layer.attention.astype(np.float64)
            spread = -(weights * np.log(np.maximum(weights, 1e-300))).sum(-1).mean() / np.log(len(read.tokens))
            assert table[f"Spread{end}"][row] == pytest.approx(spread, rel=1e-3, abs=1e-5)
            length = np.sqrt((layer.hidden**2).sum(-1)).mean()
            assert table[f"Length{end}"][row] == pytest.approx(length, rel=1e-3)
    assert not half(app, "b").get("dataframe")
