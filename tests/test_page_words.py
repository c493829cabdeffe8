"""What pages say beside their pictures: what is seen, on which scale, and where a page opens."""

import pytest

from encoder.figures.style import LEFT, RIGHT
from encoder.quantities import QUANTITIES
from encoder.starts import start as opening
from tests.app import charts, fine, half, html, open_page, said, start
from tests.tiny import save_tiny

TEXT = "She put the old guitar under the bed."
VIEWS = ("sum", "similarity", "map", "path", "nearest", "elsewhere", "corpus")


@pytest.fixture
def models_of_another_make(tmp_path, monkeypatch):
    monkeypatch.setenv("ENCODER_LENS_MODELS", str(tmp_path))
    save_tiny(tmp_path / "tiny")


# Embeddings


def test_each_view_of_embeddings_says_what_is_seen_and_has_an_explanation_of_its_own():
    captions, explanations = set(), set()
    for view in VIEWS:
        app = open_page("embeddings", embedding_view=view, text=TEXT)
        assert fine(app)
        captions.add(app.caption[1].value)  # below the page's own
        explanations.add(app.main.markdown[0].value)
    assert len(captions) == len(explanations) == len(VIEWS)
    assert all(caption.endswith(".") for caption in captions)
    assert "Drag to turn" in said(open_page("embeddings", embedding_view="map", space="3d", text=TEXT))


def test_the_sum_has_the_norm_apart_and_says_that_lengths_do_not_add_up(scratch):
    app = open_page("embeddings", text=TEXT)
    picture = charts(app, "a")["chart-a-1"]
    notes = [note["text"].partition("<br>")[0] for note in picture["layout"]["annotations"]]
    assert notes == ["token", "+ position", "+ segment", "= sum", "→ norm"]
    assert sum(trace.get("text", [""])[0] == "length" for trace in picture["data"]) == 5
    assert "Vectors add up number by number, lengths do not" in said(app)
    assert "sum, norm → embedding" in app.get("plotly_chart")[0].proto.alt


def test_a_model_without_a_norm_has_no_strip_for_one():
    app = open_page("embeddings", text=TEXT, a="second-article")
    picture = charts(app, "a")["chart-a-1"]
    notes = [note["text"].partition("<br>")[0] for note in picture["layout"]["annotations"]]
    assert "= embedding" in notes
    assert not {"= sum", "→ norm"} & set(notes)


def test_pictures_of_tokens_open_on_a_noun_and_maps_on_the_last_layer(scratch, minilm):
    for view in ("path", "nearest"):
        app = open_page("embeddings", embedding_view=view, text=TEXT)
        for side, model in (("", scratch), ("_b", minilm)):
            read = model.trace(TEXT)
            chosen = app.selectbox(key=f"pick.token{side}").value - 1
            assert chosen == opening(read).token
            assert not read.tokens.special[chosen]
    for view in ("similarity", "map"):
        app = open_page("embeddings", embedding_view=view, text=TEXT)
        assert app.slider(key="pick.level").value == scratch.card.layers
        assert app.slider(key="pick.level_b").value == minilm.card.layers


def test_bars_in_a_table_have_the_colour_of_their_side():
    app = open_page("embeddings", embedding_view="nearest", text=TEXT)
    for side, own, other in (("a", LEFT, RIGHT), ("b", RIGHT, LEFT)):
        [table] = half(app, side).get("dataframe")
        assert own in table.proto.columns
        assert other not in table.proto.columns


# Layers


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_layers_says_what_a_quantity_is_where_layer_1_lies_and_whose_scale_it_is(quantity):
    app = open_page("layers", text=TEXT, quantity=quantity)
    assert "Layer 1 is at the bottom. Both models have one colour scale." in said(app)
    ranges = {
        (heat["zmin"], heat["zmax"])
        for side in "ab"
        for heat in charts(app, side)[f"chart-{side}-1"]["data"][:1]
    }  # fmt: skip
    assert len(ranges) == 1
    if QUANTITIES[quantity].unit == "1 − cosine":
        assert "0: the same direction; 1: at right angles; 2: opposite." in said(app)
    assert "Both models have one colour scale" not in said(open_page("layers", text=TEXT, quantity=quantity, show="a"))


@pytest.mark.parametrize("show", ["both", "a", "b"])
def test_predictions_come_first_where_there_is_a_masked_token(show):
    app = open_page("layers", text="The cat sat on the [MASK].", show=show)
    assert fine(app)
    kinds = [each.type for each in app.main if each.type in ("plotly_chart", "selectbox")]
    assert kinds[0] == ("selectbox" if show == "b" else "plotly_chart")  # MiniLM has no prediction head


# Side by side


def test_side_by_side_says_nothing_of_its_models_that_is_untrue_of_others(models_of_another_make):
    for a, b in (("scratch", "minilm"), ("minilm", "tiny"), ("first-article", "second-article")):
        app = start(a=a, b=b, text=TEXT)
        assert fine(app)
        assert app.caption[0].value == "The same sentence, read by two models side by side."


def test_milliseconds_are_explained_and_small_pictures_say_what_their_rows_are_and_whose_scale_they_have():
    app = start(text=TEXT)
    for side in "ab":
        body = "\n".join(element.value for element in half(app, side).get("html"))
        assert "ms (1/1000 s) for one reading" in body
        assert 'title="ms: thousandths of a second' in body
        assert body.count("</span></div>") >= 4
        assert body.count("<span>one row per") == 4
        assert body.count("layer 1 at the bottom") == 4  # in the alternative text too
    assert "Attention has one scale in both models, from 0 to 1; every other picture has its own" in said(app)
    assert "read in " in html(app)
