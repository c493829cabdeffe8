"""Every page with both models: what a visitor sees is what the two models computed."""

import re
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from encoder import heads, survey
from encoder.catalogue import catalogue
from encoder.clearest import clearest
from encoder.figures import embeddings
from encoder.figures.style import LEFT, LEFT_IN_DARK, RIGHT
from encoder.labels import visible
from encoder.maps import hidden_states, places
from encoder.measures import cosine, most_active, sparsity, strongest
from encoder.quantities import QUANTITIES, silent
from encoder.sentences import corpus
from encoder.views import whole_words, without_special
from pages.shared import tables
from pages.shared.sidebar import examples
from tests.app import (
    MAPS,
    OPENINGS,
    PAGES,
    VIEWS,
    ask,
    cells,
    charts,
    choose,
    drawn,
    explored,
    fine,
    frames,
    half,
    heat_maps,
    html,
    in_bertviz,
    layers_and_heads,
    names,
    numbers,
    open_page,
    said,
    start,
    view_name,
)

TEXT = "The dendrochronologist sat down."


@pytest.fixture(scope="module")
def left(scratch):
    return scratch.trace(TEXT)


@pytest.fixture(scope="module")
def right(minilm):
    return minilm.trace(TEXT)


@pytest.fixture
def both(left, right):
    return {"a": left, "b": right}


def shows(picture, values):
    """The same numbers, up to what a pool of threads may add in another order."""
    return picture.shape == values.shape and np.allclose(picture, values, atol=1e-5)


# Every view of every page


@pytest.mark.parametrize(("page", "address"), VIEWS, ids=[view_name(*view) for view in VIEWS])
def test_every_view_of_every_page_draws_both_models_with_words_for_the_blind(page, address):
    app = open_page(page, text=TEXT, **address)
    assert fine(app)
    assert not app.info
    assert not app.warning
    for side, name in (("a", "From scratch"), ("b", "MiniLM")):
        assert name in html(app)
        assert half(app, side)
        pictures = [chart.proto.alt for chart in app.get("plotly_chart") if str(chart.key).startswith(f"chart-{side}")]
        pictures += [frame.alt for frame in frames(app) if name in frame.alt]
        if table := {"softmax", "nearest"} & set(address.values()):
            assert len(half(app, side).get("dataframe")) == 1, "a table speaks for itself"
        pictures += [model["name"] for its, model in explored(app)["models"].items() if its == side]
        pictures += re.findall(r'<img src="data:image/png;base64,[^"]+" alt="([^"]+)"', _html_of(app, side))
        assert pictures or table
        assert all(alt.strip() for alt in pictures)
        assert page == "side_by_side" or all(name in alt for alt in pictures)
    assert all(chart.proto.alt.strip() for chart in app.get("plotly_chart"))


@pytest.mark.parametrize("page", PAGES)
def test_every_page_says_its_name_its_reason_and_its_formula(page):
    app = open_page(page)
    assert len(app.title) == 1
    assert app.caption[0].value.endswith(".")
    assert "**Sources.**" in app.main.markdown[0].value
    assert "$" in app.main.markdown[0].value


@pytest.mark.parametrize(
    ("page", "address", "chart"),
    [
        ("embeddings", {"embedding_view": "map"}, 1),
        ("embeddings", {"embedding_view": "path"}, 1),
        ("attention", MAPS, 1),
        ("attention", MAPS, 2),
        ("feed_forward", {"neuron_view": "after"}, 2),
        ("feed_forward", {"neuron_view": "before"}, 4),
        ("layers", {"quantity": "entropy"}, 1),
    ],
)
def test_left_is_blue_and_right_is_vermilion(page, address, chart):
    app = open_page(page, text=TEXT, **address)
    blue, vermilion = ("rgba(0,114,178", LEFT), ("rgba(213,94,0", RIGHT)
    for side, own, other in (("a", blue, vermilion), ("b", vermilion, blue)):
        figure = charts(app, side)[f"chart-{side}-{chart}"]
        colours = str(figure["data"]) + str(figure["layout"].get("coloraxis"))
        assert any(colour in colours for colour in own)
        assert not any(colour in colours for colour in other)


def test_small_pictures_of_attention_have_the_colours_of_their_sides():
    app = start(text=TEXT)
    for side, colour in (("a", LEFT), ("b", RIGHT)):
        image = re.search(
            r'base64,([^"]+)" alt="one row per layer, layer 1 at the bottom; one small', _html_of(app, side)
        )[1]
        pixels = np.array(Image.open(BytesIO(b64decode(image))))
        inked = pixels[pixels[..., 3] > 0]
        assert len(inked)
        assert np.all(inked[:, :3] == [int(colour[at : at + 2], 16) for at in (1, 3, 5)])


# Side by side


def test_side_by_side_shows_tokens_sizes_and_a_way_to_every_other_page(both):
    app = start(text=TEXT)
    assert fine(app)
    for side, trace in both.items():
        body = _html_of(app, side)
        assert re.findall(r"<bdi>(.*?)</bdi>", body) == [visible(token) for token in trace.tokens.text]
        assert f"<b>{trace.model.vocabulary:,}</b><span>vocabulary" in body
        assert f"<b>{trace.model.ffn_width:,}</b><span>neurons per layer" in body
        assert f"<b>{len(trace.tokens)}</b><span>tokens read" in body
        assert "<span>ms (1/1000 s) for one reading on this machine’s CPU<" in body
        model = trace.model
        assert f"{model.layers} layers · {model.heads} heads · width {model.width} · " in body
        links = [link.label for link in half(app, side).get("page_link")]
        assert sorted(links) == ["Attention", "Embeddings", "Feed-forward", "Layers"]
        assert body.count("<img ") == 4


def test_pieces_of_one_word_hang_together_and_special_tokens_are_dimmed():
    kinds = re.findall(r'class="(token[ a-z]*)"><bdi>(.*?)</bdi>', _html_of(start(text="It is undrinkable."), "b"))
    assert ("token special", "[CLS]") in kinds
    assert ("token", "und") in kinds
    assert ("token joined", "##rin") in kinds


# Embeddings


def test_the_sum_shows_token_position_segment_and_embedding_of_both_models(both):
    app = open_page("embeddings", text=TEXT)
    for side, trace in both.items():
        picture = charts(app, side)[f"chart-{side}-1"]
        for strip, values in zip(heat_maps(picture), embeddings.sum_parts(trace.embedding).values(), strict=True):
            block = values[:, trace.model.width * 3 // 48 : trace.model.width * 4 // 48].tolist()
            pooled = np.array([max(row, key=abs) for row in block])
            np.testing.assert_allclose(cells(strip)[:, 3], pooled, atol=0.00051)
        assert names(picture["layout"]["yaxis"]["ticktext"])[::-1] == list(trace.tokens.text)
        assert f"of the {trace.model.width} numbers" in said(half(app, side))


@pytest.mark.parametrize("level", [0, 2, 4])
def test_similarity_shows_the_cosines_after_the_chosen_layer(both, level):
    app = open_page("embeddings", text=TEXT, embedding_view="similarity", level=str(level))
    for side, trace in both.items():
        figure = charts(app, side)[f"chart-{side}-1"]
        np.testing.assert_allclose(drawn(figure), cosine(hidden_states(trace)[level]), atol=0.00051)
        assert (heat_maps(figure)[0]["zmin"], heat_maps(figure)[0]["zmax"]) == (-1_000, 1_000)


@pytest.mark.parametrize("space", ["2d", "3d", "tsne"])
def test_a_map_shows_every_token_where_the_whole_stack_puts_it(both, space):
    app = open_page("embeddings", text=TEXT, embedding_view="map", space=space, level="3")
    for side, trace in both.items():
        dots = charts(app, side)[f"chart-{side}-1"]["data"][0]
        at = np.stack([numbers(dots[axis]) for axis in ("xyz" if space == "3d" else "xy")], -1)
        assert names(dots["hovertext"]) == list(trace.tokens.text)
        assert shows(at, places(trace, space).at[3]) or space == "tsne"
        assert np.isfinite(at).all()


def test_axes_of_a_map_are_the_same_at_every_level():
    app = open_page("embeddings", text=TEXT, embedding_view="map")
    ranges = []
    for level in (0, 2, 4):
        app.slider(key="pick.level").set_value(level).run()
        layout = charts(app, "b")["chart-b-1"]["layout"]
        ranges.append((layout["xaxis"]["range"], layout["yaxis"]["range"]))
    assert ranges[0] == ranges[1] == ranges[2]


def test_a_path_leads_one_token_from_its_embedding_through_every_layer(both):
    app = open_page("embeddings", text=TEXT, embedding_view="path", token="3")
    for side, trace in both.items():
        _, way = charts(app, side)[f"chart-{side}-1"]["data"]
        assert shows(numbers(way["x"]), places(trace, "2d").at[:, 2, 0])
        assert way["hovertext"] == [str(level) for level in range(trace.model.layers + 1)]


@pytest.fixture
def given(monkeypatch):
    """What the download buttons of tables would give, by their keys."""
    found = {}
    monkeypatch.setattr(tables.st, "download_button", lambda *_, data, key, **__: found.update({key: data()}))
    return found


def test_coordinates_come_as_a_table_of_every_token_at_every_level(both, given):
    assert fine(open_page("embeddings", text=TEXT, embedding_view="map", space="3d"))
    for side, trace in both.items():
        head, *rows = given[f"coordinates-{side}"].decode("utf-8-sig").splitlines()
        assert head == "after_layer,position,token,x1,x2,x3"
        assert len(rows) == (trace.model.layers + 1) * len(trace.tokens)
        level, position, token, *at = rows[len(trace.tokens) + 1].split(",")
        assert (level, position, token) == ("1", "2", trace.tokens.text[1])
        assert shows(np.array(at, dtype=float), places(trace, "3d").at[1, 1])


@pytest.mark.parametrize(("words", "hide"), [("1", "0"), ("0", "1"), ("1", "1")])
def test_coordinates_number_the_tokens_as_the_list_of_tokens_does(given, words, hide):
    view = {"text": TEXT, "words": words, "hide": hide}
    open_page("embeddings", embedding_view="map", **view)
    path = open_page("embeddings", embedding_view="path", **view)
    for side, picker in (("a", "pick.token"), ("b", "pick.token_b")):
        offered = path.selectbox(key=picker).options
        rows = [row.split(",") for row in given[f"coordinates-{side}"].decode("utf-8-sig").splitlines()[1:]]
        assert [f"{position}  {token}" for _, position, token, *_ in rows[: len(offered)]] == offered
        assert len(offered) < len(rows)


def test_a_word_of_several_words_is_compared_as_a_whole(scratch, minilm):
    sentences = ("We ate ice cream.", "Ice cream melts.", "The ice on the lake is thin.")
    app = open_page(
        "embeddings", embedding_view="elsewhere", word="ice cream", elsewhere="\n".join(sentences), level="3"
    )
    assert "2 of 3 sentences are compared" in said(app)
    for side, model in (("a", scratch), ("b", minilm)):
        states = []
        for sentence in sentences[:2]:
            trace = model.trace(sentence)
            start = sentence.lower().index("ice cream")
            tokens = trace.tokens.span[:, 0].clip(start) < trace.tokens.span[:, 1].clip(max=start + len("ice cream"))
            assert tokens.sum() == 2
            states.append(hidden_states(trace)[3][tokens].mean(0))
        assert shows(drawn(charts(app, side)[f"chart-{side}-1"]), cosine(np.stack(states)))


def test_a_word_whose_end_was_not_read_is_not_compared():
    sentences = ("We ate ice cream.", "Ice cream melts.", "On this one very day ice cream melts.")
    app = open_page(
        "embeddings", embedding_view="elsewhere", word="ice cream", elsewhere="\n".join(sentences), limit="8"
    )
    for side in ("a", "b"):
        assert drawn(charts(app, side)[f"chart-{side}-1"]).shape == (2, 2)


# Attention


def test_attention_opens_with_the_explorer_and_every_weight_of_every_head_of_both_models(both):
    app = open_page("attention", text=TEXT)
    assert fine(app)
    assert not charts(app)
    assert app.button_group(key="pick.attention_view").value == "all"
    assert explored(app)["models"].keys() == both.keys()
    for side, trace in both.items():
        model, card = explored(app)["models"][side], trace.model
        assert (model["name"], model["layers"], model["heads"]) == (card.name, card.layers, card.heads)
        assert model["tokens"] == [visible(token) for token in trace.tokens.text]
        attention = np.concatenate([layer.attention for layer in trace.layers])
        assert model["attention"].shape == attention.shape
        assert np.abs(model["attention"] - attention).max() < 0.00051  # thousandths, rounded


def test_the_explorer_reads_a_new_text_and_a_second_sentence(scratch, minilm):
    app = ask(open_page("attention", text=TEXT), "A dog barks.")
    app.text_input(key="pick.pair").set_value("It is loud.").run()
    for side, model in (("a", scratch), ("b", minilm)):
        trace, seen = model.trace("A dog barks.", "It is loud."), explored(app)["models"][side]
        assert seen["tokens"] == [visible(token) for token in trace.tokens.text]
        assert seen["segment"] == trace.tokens.segment.tolist()
        attention = np.concatenate([layer.attention for layer in trace.layers])
        assert np.abs(seen["attention"] - attention).max() < 0.00051


def test_of_a_long_text_the_explorer_gets_small_maps_of_all_heads_and_the_layer_that_is_looked_at():
    app = open_page("attention", text="cat mat " * 60, limit="128", show="b")
    for layer in (1, 4):
        choose(app, {**explored(app)["choice"], "layer_b": layer})
        assert fine(app)
        model = explored(app)["models"]["b"]
        assert model["shown"] == [[layer - 1, head] for head in range(12)]
        assert [(block["count"], block["side"]) for block in model["blocks"]] == [(6 * 12, 24), (12, 122)]


def test_of_a_still_longer_text_the_explorer_gets_what_is_looked_at():
    app = open_page("attention", text="cat mat " * 150, limit="512", show="b", layer_b="2", head_b="5")
    model = explored(app)["models"]["b"]
    assert (model["shown"], model["made"]) == ([[1, 4]], None)
    for change in ({"over": "mean"}, {"weights": "rollout"}):
        choose(app, {**explored(app)["choice"], **change})
        model = explored(app)["models"]["b"]
        assert model["shown"] == []
        assert change.items() <= model["made"].items()
        assert [(block["count"], block["side"]) for block in model["blocks"]] == [(6 * 12, 24), (1, 302)]


@pytest.mark.parametrize(("layer", "head"), [(1, 1), (3, 4)])
def test_heat_maps_show_every_head_of_the_layer_and_one_large(both, layer, head):
    app = open_page("attention", **MAPS | {"text": TEXT, "layer": str(layer), "head": str(head)})
    for side, trace in both.items():
        attention = trace.layers[layer - 1].attention
        small, large = charts(app, side).values()
        for picture, head_attention in zip(heat_maps(small), attention, strict=True):
            assert shows(numbers(picture["z"]), head_attention)
            assert names(picture["x"]) == names(picture["y"]) == list(trace.tokens.text)
        assert (small["layout"]["coloraxis"]["cmin"], small["layout"]["coloraxis"]["cmax"]) == (0, 1)
        assert shows(drawn(large), attention[head - 1])
        assert (heat_maps(large)[0]["zmin"], heat_maps(large)[0]["zmax"]) == (0, 1)
        bold = [title["text"] for title in small["layout"]["annotations"] if "<b>" in title["text"]]
        assert bold == [f"<b>head {head}</b>"]


def test_the_axes_say_which_way_attention_points():
    for figure in list(charts(open_page("attention", **MAPS, text=TEXT)).values())[1::2]:
        assert "reads (query)" in figure["layout"]["yaxis"]["title"]["text"]
        assert "is read (key)" in figure["layout"]["xaxis"]["title"]["text"]
        assert figure["layout"]["yaxis"]["autorange"] == "reversed"


@pytest.mark.parametrize("view", ["head", "model", "neuron"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_bertviz_draws_both_models_in_the_colours_of_the_page(view, theme):
    app = open_page("attention", text=TEXT)
    app.context["theme"] = theme
    app.button_group(key="pick.attention_view").set_value(view).run()
    assert fine(app)
    left, right = frames(app)
    assert "From scratch" in left.alt
    assert "MiniLM" in right.alt
    for frame, colour in ((left, LEFT_IN_DARK if theme == "dark" else LEFT), (right, RIGHT)):
        params = in_bertviz(frame)
        assert f'"display_mode":"{theme}"' in params
        assert colour in params
        assert "##dro" in params or "##chron" in params


def test_a_text_too_long_for_bertviz_gets_a_sentence_and_keeps_the_page():
    app = open_page("attention", text="cat " * 70, attention_view="head")
    assert fine(app)
    assert not frames(app)
    assert said(app).count("BertViz’s head view takes at most") == 2


# Feed-forward


@pytest.mark.parametrize("view", ["after", "before"])
def test_the_neuron_map_shows_the_most_active_neurons_of_both_models(both, view):
    app = open_page("feed_forward", text=TEXT, neuron_view=view, layer="2")
    for side, trace in both.items():
        layer = trace.layers[1]
        chosen = most_active(layer.neurons, 20)
        values = layer.preactivation if view == "before" else layer.neurons
        figure = charts(app, side)[f"chart-{side}-1"]
        assert shows(drawn(figure), values[:, chosen].T)
        assert figure["data"][0]["y"] == [f"{neuron + 1}" for neuron in chosen]
        assert names(figure["data"][0]["x"]) == list(trace.tokens.text)


def test_feed_forward_opens_on_the_clearest_examples_and_offers_them_first(both):
    app = open_page("feed_forward", text=TEXT)
    for side, end in (("a", ""), ("b", "_b")):
        found = survey.running(catalogue()["scratch" if side == "a" else "minilm"]).survey
        clear = clearest(found, corpus())
        assert app.slider(key=f"pick.layer{end}").value == clear.layer + 1
        neuron, first = app.selectbox(key=f"pick.neuron{end}"), int(clear.order[clear.layer, 0])
        assert neuron.value == first + 1
        assert [int(re.match(r"neuron (\d+)", each)[1]) - 1 for each in neuron.options] == clear.order[
            clear.layer, :20
        ].tolist()
        told = said(half(app, side))
        assert f"neuron {first + 1} of layer {clear.layer + 1} is most active" in told
        assert "The number before each is the neuron’s activation there" in told
        assert len(re.findall("<mark>", html(half(app, side)))) > 0


def test_a_neuron_that_is_chosen_stays_in_its_layer_in_every_view():
    app = open_page("feed_forward", text=TEXT)
    layer, neuron = app.slider(key="pick.layer").value, app.selectbox(key="pick.neuron")
    other = int(re.match(r"neuron (\d+)", neuron.options[3])[1])
    neuron.set_value(other).run()
    app.button_group(key="pick.neuron_view").set_value("after").run()
    assert (app.slider(key="pick.layer").value, app.selectbox(key="pick.neuron").value) == (layer, other)


def test_while_the_sentences_are_read_the_page_shows_progress_and_the_neurons_of_this_text(monkeypatch, both):
    waiting = survey.Surveying()
    waiting.total = 540
    monkeypatch.setattr(survey, "start", lambda *given, **wishes: waiting)
    monkeypatch.setattr(survey, "running", lambda entry: waiting)
    app = open_page("feed_forward", text=TEXT)
    assert fine(app)
    for side in both:
        alts = [chart.proto.alt for chart in half(app, side).get("plotly_chart")]
        assert "most active neurons" in alts[0]
        assert "Until then, the neurons in this text" in said(half(app, side))


@pytest.mark.parametrize("view", ["after", "before"])
def test_rankings_show_a_tokens_neurons_and_a_neurons_tokens_as_the_view_says(both, view):
    app = open_page("feed_forward", text=TEXT, token="4", layer="3", neuron_view=view)
    app.toggle(key="pick.together").set_value(False).run()
    for side, trace in both.items():
        neurons = trace.layers[2].neurons
        values = trace.layers[2].preactivation if view == "before" else neurons
        end = "" if side == "a" else "_b"
        app.selectbox(key=f"pick.neuron{end}").set_value(int(most_active(neurons, 20)[3]) + 1).run()
        of_token, of_neuron = (charts(app, side)[f"chart-{side}-{number}"]["data"][0] for number in (2, 3))
        best = strongest(values[3], 8)
        assert of_token["y"] == [f"{neuron + 1}" for neuron in best]
        assert shows(numbers(of_token["x"]), values[3, best])
        neuron = most_active(neurons, 20)[3]
        best = strongest(values[:, neuron], 8)
        assert names(of_neuron["y"]) == [trace.tokens.text[token] for token in best]
        assert shows(numbers(of_neuron["x"]), values[best, neuron])


def test_all_pictures_before_the_activation_function_are_of_before_it_and_their_axes_say_so(both):
    app = open_page("feed_forward", text=TEXT, neuron_view="before")
    for side, trace in both.items():
        heat, of_token, of_neuron, below = charts(app, side).values()
        assert heat["data"][0]["colorbar"]["title"]["text"] == "preactivation"
        for bars in (of_token, of_neuron):
            assert bars["layout"]["xaxis"]["title"]["text"] == "preactivation"
        assert below["layout"]["yaxis"]["title"]["text"] == "below zero"
        shares = [(layer.preactivation < 0).mean() for layer in trace.layers]
        assert np.allclose(numbers(below["data"][0]["y"]), shares, atol=1e-3)


def test_silent_neurons_are_counted_over_every_layer(both):
    app = open_page("feed_forward", text=TEXT, neuron_view="after")
    for side, trace in both.items():
        bars = charts(app, side)[f"chart-{side}-4"]["data"][0]
        assert np.allclose(numbers(bars["y"]), [sparsity(layer.neurons) for layer in trace.layers], atol=1e-3)
        assert bars["x"] == [f"{number + 1}" for number in range(trace.model.layers)]


@pytest.mark.parametrize(("words", "hide"), [("0", "0"), ("1", "0"), ("0", "1"), ("1", "1")])
def test_feed_forward_and_layers_count_the_same_silent_neurons(both, words, hide):
    view = {"text": TEXT, "words": words, "hide": hide}
    layers, bars = (
        open_page("layers", quantity="silent", **view),
        open_page("feed_forward", neuron_view="after", **view),
    )
    meaning = QUANTITIES["silent"].meaning
    assert meaning in said(layers)
    assert meaning in said(bars)
    means = charts(layers)["means"]["data"]
    for line, (side, trace) in zip(means, both.items(), strict=True):
        shares = silent(trace, words == "1", hide == "1")
        assert shows(drawn(charts(layers, side)[f"chart-{side}-1"]), shares)
        for shown in (line, charts(bars, side)[f"chart-{side}-4"]["data"][0]):
            assert np.allclose(numbers(shown["y"]), shares.mean(1), atol=1e-3)


# Layers


def test_every_quantity_is_shown_for_both_models_and_compared(both, scratch, minilm):
    weights = {"a": scratch.weights, "b": minilm.weights}
    app = open_page("layers", text=TEXT)
    for name, quantity in QUANTITIES.items():
        app.selectbox(key="pick.quantity").set_value(name).run()
        assert fine(app)
        assert quantity.meaning in said(app)
        lines = charts(app)["means"]["data"]
        for line, (side, trace) in zip(lines, both.items(), strict=True):
            values = quantity.of(trace, weights[side]) if quantity.inside else quantity.of(trace)
            figure = charts(app, side)[f"chart-{side}-1"]
            assert shows(drawn(figure), values)
            across = [str(number + 1) for number in range(trace.model.heads)]
            assert names(figure["data"][0]["x"]) == (list(trace.tokens.text) if quantity.across == "token" else across)
            layers = [str(number + 1) for number in range(trace.model.layers)]
            assert figure["data"][0]["y"] == (["0", *layers] if quantity.from_embedding else layers)
            below = "layer (0: the embedding)" if quantity.from_embedding else "layer"
            assert figure["layout"]["yaxis"]["title"]["text"] == below
            assert figure["layout"]["xaxis"]["title"]["text"] == quantity.across
            assert np.allclose(numbers(line["y"]), values.mean(1), atol=1e-5)
        assert [line["line"]["color"] for line in lines] == [LEFT, RIGHT]
        assert [line["name"].split(":")[0] for line in lines] == ["Left", "Right"]


# Two models of different sizes


def test_moving_together_past_a_models_last_layer_shows_its_last_one_and_says_so(both):
    app = open_page("attention", **MAPS, text=TEXT)
    app.slider(key="pick.layer_b").set_value(6).run()
    app.slider(key="pick.head_b").set_value(12).run()
    assert fine(app)
    depth = len(both["a"].layers)
    assert layers_and_heads(app) == {"layer": depth, "head": 8, "layer_b": 6, "head_b": 12}
    for side, layer, head in (("a", depth - 1, 7), ("b", 5, 11)):
        small, large = charts(app, side).values()
        attention = both[side].layers[layer].attention
        assert shows(numbers(heat_maps(small)[head]["z"]), attention[head])
        assert shows(drawn(large), attention[head])
    assert f"has {depth} layers: this is its last one." in said(half(app, "a"))
    assert "has 8 heads: this is its last one." in said(half(app, "a"))
    assert "this is its last one" not in said(half(app, "b"))


@pytest.mark.parametrize(
    ("page", "address", "choice"),
    [
        ("attention", MAPS, "layer"),
        ("attention", MAPS, "head"),
        ("feed_forward", {}, "layer"),
        ("embeddings", {"embedding_view": "similarity"}, "level"),
        ("embeddings", {"embedding_view": "map"}, "level"),
    ],
)
def test_each_column_offers_only_layers_and_heads_that_its_model_has(both, page, address, choice):
    app = open_page(page, text=TEXT, **address)
    for side, end in (("a", ""), ("b", "_b")):
        slider, model = app.slider(key=f"pick.{choice}{end}"), both[side].model
        assert slider.max == (model.heads if choice == "head" else model.layers)
        assert slider.min == (0 if choice == "level" else 1)


def test_a_smaller_model_chosen_later_leaves_the_wish_and_shows_what_it_has():
    app = open_page("attention", **MAPS | {"text": TEXT, "a": "minilm", "layer": "6", "head": "12"})
    assert layers_and_heads(app)["layer"] == 6
    app.selectbox(key="pick.a").set_value("scratch-untrained").run()
    assert fine(app)
    assert layers_and_heads(app) == {"layer": 4, "head": 4, "layer_b": 6, "head_b": 12}
    app.selectbox(key="pick.a").set_value("minilm").run()
    assert layers_and_heads(app) == {"layer": 6, "head": 12, "layer_b": 6, "head_b": 12}


@pytest.mark.parametrize(("page", "address"), OPENINGS, ids=[view_name(*way) for way in OPENINGS])
def test_the_same_model_on_both_sides_is_drawn_twice_alike(page, address):
    app = open_page(page, **address, text=TEXT, a="minilm", b="minilm")
    assert fine(app)
    assert html(app).count('<span class="name">MiniLM</span>') == 2
    one, other = charts(app, "a").values(), charts(app, "b").values()
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        assert left["data"][0].get("z") == right["data"][0].get("z")
    for one, other in zip(*(model.items() for model in explored(app)["models"].values()), strict=False):
        assert one[0] == "side" or np.array_equal(one[1], other[1])


@pytest.mark.parametrize(("page", "address"), OPENINGS, ids=[view_name(*way) for way in OPENINGS])
@pytest.mark.parametrize("name", ["first-article", "second-article"])
def test_every_page_draws_the_two_articles_encoders(page, address, name):
    app = open_page(page, **address, text=TEXT, a=name, show="a")
    assert fine(app)
    assert half(app, "a")
    assert charts(app, "a") or explored(app)["models"] or page == "side_by_side"


@pytest.mark.parametrize(("page", "address"), OPENINGS, ids=[view_name(*way) for way in OPENINGS])
def test_one_model_alone_leaves_the_other_away(page, address):
    app = open_page(page, **address, text=TEXT)
    for side, gone in (("a", "b"), ("b", "a")):
        app.button_group(key="pick.show").set_value(side).run()
        assert fine(app)
        assert half(app, side)
        assert not charts(app, gone)
        assert gone not in explored(app)["models"]
        assert f'class="model {gone}"' not in html(app)
        assert page != "layers" or len(charts(app)["means"]["data"]) == 1


# The text and how it is shown


def test_a_new_text_is_read_by_both_models(scratch, minilm):
    app = ask(open_page("attention", **MAPS, text=TEXT), "A dog barks.")
    for side, model in (("a", scratch), ("b", minilm)):
        trace = model.trace("A dog barks.")
        assert shows(drawn(charts(app, side)[f"chart-{side}-1"]), trace.layers[0].attention[0])


def test_the_text_field_for_phones_is_the_same_text():
    app = open_page("layers", text=TEXT)
    app.text_area(key="pick.text-phone").set_value("A dog barks.").run()
    assert app.text_area(key="pick.text").value == "A dog barks."
    assert "dog" in charts(app, "b")["chart-b-1"]["data"][0]["x"]


def test_a_second_sentence_is_read_with_the_first_by_both_models(scratch, minilm):
    app = open_page("attention", **MAPS, text="A dog barks.")
    app.text_input(key="pick.pair").set_value("It is loud.").run()
    for side, model in (("a", scratch), ("b", minilm)):
        trace = model.trace("A dog barks.", "It is loud.")
        figure = charts(app, side)[f"chart-{side}-1"]
        assert names(figure["data"][0]["x"]) == list(trace.tokens.text)
        assert shows(drawn(figure), trace.layers[0].attention[0])


@pytest.mark.parametrize(("page", "address"), VIEWS, ids=[view_name(*view) for view in VIEWS])
def test_every_view_draws_pairs_by_whole_words_without_special_tokens(page, address):
    app = open_page(page, text=TEXT, pair="It did, undrinkably.", words="1", hide="1", **address)
    assert fine(app)
    assert half(app, "a")
    assert half(app, "b")
    if page in ("step_by_step", "what_if") or {"three", "mix", "neuron", "nearest"} & set(address.values()):
        return  # they compute, and so show what was read
    seen = [str(figure["data"]) for figure in charts(app).values()]
    seen += [re.search('"left_text":(.*?),"right_text"', in_bertviz(frame))[1] for frame in frames(app)]
    seen += re.findall("<bdi>(.*?)</bdi>", html(app))
    if choice := explored(app)["choice"]:  # whose browser side joins and hides
        assert (choice["words"], choice["hide"]) == (True, True)
    else:
        assert len(seen) >= 2
    for each in seen:
        assert "[CLS]" not in each
        assert "##" not in each


def test_whole_words_and_hidden_special_tokens_change_the_picture_not_the_reading(left, right):
    app = open_page("attention", **MAPS, text=TEXT)
    app.toggle(key="pick.words").set_value(True).run()
    app.toggle(key="pick.hide").set_value(True).run()
    for side, trace in (("a", left), ("b", right)):
        view = without_special(whole_words(trace))
        figure = charts(app, side)[f"chart-{side}-1"]
        assert names(figure["data"][0]["x"]) == ["the", "dendrochronologist", "sat", "down", "."]
        assert shows(drawn(figure), view.layers[0].attention[0])
    app.switch_page("pages/side_by_side.py").run()
    assert f"<b>{len(right.tokens)}</b><span>tokens read" in _html_of(app, "b")


@pytest.mark.parametrize("choice", ["words", "hide"])
@pytest.mark.parametrize(
    ("page", "address", "as_read"),
    [
        ("step_by_step", {}, True),
        ("what_if", {}, True),
        ("attention", {"attention_view": "three"}, True),
        ("attention", {"attention_view": "roles"}, True),
        ("attention", {"attention_view": "maps"}, False),
        ("embeddings", {"embedding_view": "nearest"}, True),
        ("embeddings", {}, False),
        ("layers", {"quantity": "entropy"}, True),
        ("layers", {"quantity": "mix"}, True),
        ("layers", {"quantity": "size"}, False),
    ],
)
def test_a_picture_that_shows_tokens_as_they_were_read_says_so(page, address, as_read, choice):
    note = "Here the tokens are shown as the models read them"
    for wish in ({}, {choice: "1"}):
        app = open_page(page, **address, **wish)
        assert fine(app)
        assert (note in said(app.main)) == (as_read and bool(wish))


def test_what_all_heads_do_is_measured_once_for_everybody(monkeypatch):
    asked = []
    monkeypatch.setattr(heads, "measured", lambda read, found=heads.measured: asked.append(read) or found(read))
    for _ in range(2):
        assert fine(open_page("attention", attention_view="roles", text="Measured once for everybody."))
    assert len(asked) == 2  # a model each


def test_guesses_after_every_layer_say_which_mask_they_are_for():
    for text, place in (("A [MASK] sat.", "at [MASK] after"), ("A [MASK] saw a [MASK].", "at the first [MASK] after")):
        app = open_page("layers", text=text)
        assert fine(app)
        assert place in said(half(app, "a"))


def test_every_example_gives_a_picture_and_a_reason():
    app = open_page("layers")
    for example in examples():
        app.selectbox(key="example").set_value(example["title"]).run()
        assert fine(app)
        assert app.text_area(key="pick.text").value == example["text"]
        assert app.text_input(key="pick.pair").value == example["pair"]
        assert example["why"] in said(app.sidebar)
        assert len(charts(app)) == 3 + ("[MASK]" in example["text"])  # and what one of the models guesses


def test_wherever_milliseconds_are_shown_it_is_said_what_took_them():
    app = open_page("side_by_side", text=TEXT)
    for side in "ab":
        body = _html_of(app, side)
        assert re.search(r"· read in \d+\.\d ms<", body)
        assert re.search(r"<b>\d+\.\d</b><span>ms \(1/1000 s\) for one reading on this machine’s CPU</span>", body)


def test_an_example_takes_the_place_of_a_typed_text_and_a_click_brings_that_back():
    app = open_page("layers", text="A sentence of my own.", pair="And a second one.")
    examples_box = app.selectbox(key="example")
    for title in ("Two banks", "Not bad"):
        examples_box.set_value(title).run()
    back = [button for button in app.sidebar.button if button.label == "Back to “A sentence of my own\\.”"]
    assert len(back) == 1
    back[0].click().run()
    assert fine(app)
    assert app.text_area(key="pick.text").value == "A sentence of my own."
    assert app.text_input(key="pick.pair").value == "And a second one."
    assert not [button for button in app.sidebar.button if button.label.startswith("Back to")]
    examples_box.set_value("Two banks").run()
    ask(app, "Two banks, and more of my own.")  # an example that was changed is the learner's too
    examples_box.set_value("Not bad").run()
    labels = [button.label for button in app.sidebar.button if button.label.startswith("Back to")]
    assert labels == ["Back to “Two banks, and more of m …”", "Back to “A sentence of my own\\.”"]


@pytest.mark.parametrize("name", ["first-article", "second-article"])
def test_whoever_chooses_an_articles_encoder_can_read_which_article_that_is_and_what_is_ours(name):
    app = open_page("layers", a=name)
    help = app.selectbox(key="pick.a").help
    assert "article** builds a" in help
    assert "Transformer encoder from scratch" in help
    assert "our choice" in help


def test_the_sidebar_says_how_long_each_model_took_and_where():
    app = open_page("layers", text=TEXT)
    for name in ("Left", "Right"):
        took = rf"^{name}: one reading of the text took \d+\.\d ms on this machine’s CPU\.$"
        assert re.search(took, said(app.sidebar), re.MULTILINE)


def _html_of(app, side):
    return "\n".join(element.value for element in half(app, side).get("html"))
