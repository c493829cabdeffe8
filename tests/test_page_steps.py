"""The Step by step page: both models' steps, each in its own order, with the numbers of their traces."""

import dataclasses
import re

import numpy as np
import pytest

from encoder import starts, steps
from encoder.models import load
from encoder.numerals import number
from pages.shared import traces
from pages.shared.choices import FIRST_TEXT
from tests.app import charts, fine, half, html, numbers, open_page, said
from tests.tiny import save_tiny

TEXT = "The dendrochronologist sat down."


def shows(picture, values):
    """The same numbers, up to what a pool of threads may add in another order."""
    return picture.shape == values.shape and np.allclose(picture, values, atol=1e-5)


def shown_step(app, side):
    """The number, the count and the title of a column's step; None where it has a gap."""
    found = re.search(r"\*\*Step (\d+) of (\d+): (.*?)\.\*\*", said(half(app, side)))
    return found and (int(found[1]), int(found[2]), found[3])


@pytest.mark.parametrize(("a", "b"), [("scratch", "minilm"), ("second-article", "minilm"), ("minilm", "scratch")])
def test_on_goes_through_each_models_steps_in_its_own_order(a, b):
    app = open_page("step_by_step", text=TEXT, a=a, b=b, step="embedding", layer="5")
    assert app.button(key="step-Back").disabled
    walked, both = {"a": [], "b": []}, 0
    while True:
        assert fine(app)
        seen = {side: shown_step(app, side) for side in "ab"}
        both += all(seen.values())
        if all(seen.values()):
            assert seen["a"][2] == seen["b"][2]
        for side, step in seen.items():
            if step:
                walked[side].append(step)
            else:
                assert "has no step here: it" in said(half(app, side))
        if app.button(key="step-On").disabled:
            break
        app.button(key="step-On").click().run()
    for name, side in ((a, "a"), (b, "b")):
        model = load(name)
        place = steps.Place(min(5, model.card.layers) - 1, 0, 0, 0, 0)
        own = [step.title for step in steps.walk(model.trace(TEXT), model.weights(place.layer), place)]
        assert walked[side] == [(number, len(own), title) for number, title in enumerate(own, 1)]
    assert both >= 11  # all but norms correspond
    app.button(key="step-Back").click().run()
    assert not app.button(key="step-On").disabled


def test_a_norm_that_one_model_takes_before_and_the_other_after_has_a_row_at_each_place():
    app = open_page("step_by_step", text=TEXT, step="attention_norm")
    assert shown_step(app, "a") == (2, 13, "Norm around attention")
    assert "MiniLM has no step here: it normalises after the sum around attention, in its step 8." in said(
        half(app, "b")
    )
    app = open_page("step_by_step", text=TEXT, step="attention_norm_b")
    assert shown_step(app, "b") == (8, 13, "Norm around attention")
    assert "From scratch has no step here: it normalises before attention, in its step 2." in said(half(app, "a"))
    app = open_page("step_by_step", text=TEXT, step="attention_norm_b", show="b")
    assert fine(app)
    assert shown_step(app, "b") == (8, 13, "Norm around attention")


@pytest.mark.parametrize("step", steps.TITLES)
def test_every_address_of_a_step_opens_it(step):
    app = open_page("step_by_step", text=TEXT, step=step, layer="5", a="scratch")
    assert fine(app)
    assert steps.TITLES[step] in {(shown_step(app, side) or ("", "", ""))[2] for side in "ab"}


def test_the_page_opens_on_the_softmax_where_one_word_reads_another():
    app = open_page("step_by_step")
    for side, model in (("a", "scratch"), ("b", "minilm")):
        assert shown_step(app, side)[2] == "Softmax"
        start = starts.start(load(model).trace(FIRST_TEXT))
        (table,) = half(app, side).get("dataframe")
        assert list(table.value.columns) == ["Token", "Score", "e^(score − largest)", "Share"]
        share = table.value["Share"][start.key]
        [bars] = charts(app, side)[f"chart-{side}-1"]["data"]
        assert [text for text in bars["text"] if text] == [f"{share:.2f}"]
        assert share > 0.5


def test_sides_whose_colours_reach_elsewhere_say_so():
    app = open_page("step_by_step", text=TEXT, step="embedding")
    ends = {side: charts(app, side)[f"chart-{side}-1"]["data"][0]["zmax"] for side in "ab"}
    assert ends["a"] != pytest.approx(ends["b"], rel=0.05)
    for side, other, name in (("a", "b", "right"), ("b", "a", "left")):
        here, there = number(ends[side], 2), number(ends[other], 2)
        assert f"a scale of their own: here ±{here}, on the {name} ±{there}." in said(half(app, side))
    app = open_page("step_by_step", text=TEXT, step="embedding", b="scratch")
    assert "scale of their own" not in said(app.main)
    app = open_page("step_by_step", text=TEXT, step="activation")
    curves = [charts(app, side)[f"chart-{side}-1"]["data"][0]["x"] for side in "ab"]
    assert numbers(curves[0]).tolist() == numbers(curves[1]).tolist()


def test_a_step_shows_the_numbers_of_the_trace_in_both_columns(scratch, minilm):
    both = {"a": scratch.trace(TEXT), "b": minilm.trace(TEXT)}
    app = open_page("step_by_step", text=TEXT, step="score", layer="2", head="3", token="4", to="2")
    for side in "ab":
        layer = both[side].layers[1]
        query, key, products = numbers(charts(app)[f"chart-{side}-1"]["data"][0]["z"])
        assert shows(query, layer.query[2, 3])
        assert shows(key, layer.key[2, 1])
        assert shows(products, layer.query[2, 3] * layer.key[2, 1])
        assert f"<b>{number(layer.scores[2, 3, 1])}</b><span>score</span>" in html(half(app, side))
        assert "equals what" not in said(half(app, side)), "the model keeps no scores"
    app = open_page("step_by_step", text=TEXT, step="softmax", layer="2", head="3", token="4")
    for side in "ab":
        whose = "our forward pass" if side == "a" else "transformers"
        assert f"equals what {whose} did" in said(half(app, side))
        (table,) = half(app, side).get("dataframe")
        assert shows(table.value["Share"].to_numpy(), both[side].layers[1].attention[2, 3])


def test_a_step_that_only_one_of_the_models_has_is_said_beside_it(scratch):
    app = open_page("step_by_step", text=TEXT, step="final_norm", layer=str(scratch.card.layers))
    assert fine(app)
    assert "Final norm (left only)" in app.selectbox(key="pick.step").options
    assert shown_step(app, "a") == (14, 14, "Final norm")
    assert "MiniLM has no step here: it has no norm after this layer." in said(half(app, "b"))
    app.slider(key="pick.layer").set_value(2).run()  # which is not the last: the learner stays at the step
    assert fine(app)
    assert app.query_params["step"] == "final_norm"
    for side in "ab":
        assert "has no step here: it has no norm after this layer." in said(half(app, side))
    app = open_page("step_by_step", text=TEXT, step="ffn_norm", a="second-article")
    assert "has no step here: it has no norms inside its layers." in said(half(app, "a"))


def test_the_two_tokens_of_a_step_are_those_that_were_read_whatever_is_hidden():
    app = open_page("step_by_step", text="unbelievable cats", words="1", hide="1", token="1", to="6")
    assert fine(app)
    assert app.selectbox(key="pick.token").value == 1
    assert [name.split()[1] for name in app.selectbox(key="pick.to").options][:2] == ["[CLS]", "unbelievable"]


def test_a_difference_that_rounding_does_not_make_is_said(monkeypatch):
    def wrong(side, place, changes):
        step = real(side, place, changes)[0]
        return (dataclasses.replace(step, difference=apart),)

    real = traces.walk
    monkeypatch.setattr(traces, "walk", wrong)
    for apart in (0.57, float("nan"), float("inf")):  # noqa: B007 (`wrong` takes it)
        app = open_page("step_by_step", text=TEXT, step="embedding")
        assert fine(app)
        assert "differs from what transformers computed" in said(half(app, "b"))
        assert "equals what" not in said(half(app, "b"))


def test_two_quick_presses_go_two_steps_on():
    app = open_page("step_by_step", text=TEXT, step="embedding")
    button = app.button(key="step-On")
    button.click().run()
    button.click().run()  # as it was drawn before the first
    assert app.query_params["step"] == "projections"


def test_a_model_that_cannot_be_followed_says_so_once(tmp_path, monkeypatch):
    save_tiny(tmp_path / "odd", "bert", hidden_act="gelu_new")
    monkeypatch.setenv("ENCODER_LENS_MODELS", str(tmp_path))
    for page in ("step_by_step", "what_if"):
        app = open_page(page, text="the cat sat", b="odd", without="norms")
        assert fine(app)
        assert "knows ReLU and GELU" in said(half(app, "b")).replace("\\", "")
        assert "no step here" not in said(half(app, "b"))
