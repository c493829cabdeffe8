"""What if: every change against a forward by hand in NumPy, in every kind of encoder, and its page."""

import numpy as np
import pytest
import torch

from encoder.changes import Changes, apart, strongest, turns
from encoder.errors import ModelError
from encoder.formulas import activated, applied, normed
from encoder.measures import turn
from encoder.model import Encoder
from encoder.models import load
from encoder.weights import weights_of
from encoder.what_if import MOST_TOKENS, changed, each_head_off
from tests.app import charts, fine, half, numbers, open_page, said
from tests.test_guesses import with_head
from tests.tiny import FAMILIES, save_tiny, shaken, tiny_config

KINDS = {
    "post": {},
    "pre": {"norm": "pre", "final_norm": True},
    "none": {"norm": "none", "embedding_norm": False, "activation": "relu"},
    "shared": {"shared_projections": True, "projection_bias": False, "score_scale": "sqrt_width"},
    "no biases": {"segments": 0, "ffn_bias": False, "output_bias": False},
}
IDS, SEGMENT = torch.tensor([[3, 1, 4, 1, 5, 9]]), torch.tensor([[0, 0, 0, 1, 1, 1]])
TEXT = "The cat sat on the mat."


@pytest.fixture(params=KINDS, scope="module")
def encoder(request):
    return shaken(Encoder(tiny_config(**KINDS[request.param])), seed=5)


def by_hand(encoder, changes):
    """The last hidden states [token, model] by the paper's formulas, in NumPy."""
    with torch.no_grad():
        hidden = encoder.embeddings(IDS, SEGMENT)[0].numpy()
    config = encoder.config
    for number in range(config.layers):
        weights = weights_of(encoder, number)
        x = normed(hidden, weights.attention_norm) if weights.pre_norm else hidden
        joined = np.zeros_like(hidden)
        for head in range(config.heads):
            query, key, value = (
                x @ each.weight[head] + each.bias[head] for each in (weights.query, weights.key, weights.value)
            )
            scores = query @ key.T * config.scale
            share = np.exp(scores - scores.max(-1, keepdims=True))
            share /= share.sum(-1, keepdims=True)
            if (number, head) not in changes.heads_off:
                joined[:, head * config.head_dim : (head + 1) * config.head_dim] = share @ value
        hidden = hidden + applied(joined, weights.output)
        if not weights.pre_norm:
            hidden = normed(hidden, weights.attention_norm)
        x = normed(hidden, weights.ffn_norm) if weights.pre_norm else hidden
        neurons = activated(applied(x, weights.expand), weights.activation)
        for layer, neuron, factor in changes.neurons:
            if layer == number:
                neurons[:, neuron] *= factor
        hidden = hidden + applied(neurons, weights.contract)
        if not weights.pre_norm:
            hidden = normed(hidden, weights.ffn_norm)
        last = weights.final_norm
    return normed(hidden, last)


def forward(encoder):
    with torch.inference_mode():
        return encoder(IDS, SEGMENT)[0].numpy()


CHANGES = {
    "nothing": Changes(),
    "a head": Changes(frozenset({(0, 2)})),
    "a layer's attention and a head": Changes(frozenset({(0, 0), (1, 0), (1, 1), (1, 2)})),
    "a neuron off, another doubled": Changes(neurons=((0, 7, 0.0), (1, 19, 2.0), (1, 3, -1.5))),
    "both": Changes(frozenset({(1, 1)}), ((0, 0, 0.0),)),
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_a_changed_encoder_computes_what_is_computed_by_hand(encoder, changes):
    before = forward(encoder)
    np.testing.assert_allclose(forward(changed(encoder, changes)), by_hand(encoder, changes), atol=2e-5)
    assert np.array_equal(forward(encoder), before), "the encoder itself stays as it is"
    assert bool(changes) == (not np.allclose(by_hand(encoder, changes), before, atol=1e-4))


def test_each_head_off_in_one_pass_is_each_head_off_by_hand(encoder):
    as_it_is, off = each_head_off(encoder, IDS, SEGMENT)
    np.testing.assert_allclose(as_it_is, by_hand(encoder, Changes()), atol=2e-5)
    assert off.shape == (2, 3, 6, 12)
    for layer in range(2):
        for head in range(3):
            expected = by_hand(encoder, Changes(frozenset({(layer, head)})))
            np.testing.assert_allclose(off[layer, head], expected, atol=2e-5)


def test_a_pass_in_portions_is_the_same_pass(encoder, monkeypatch):
    whole = each_head_off(encoder, IDS, SEGMENT)[1]
    monkeypatch.setattr("encoder.what_if.MOST_TOKENS", 13)
    assert MOST_TOKENS > 13
    torch.testing.assert_close(each_head_off(encoder, IDS, SEGMENT)[1], whole, atol=1e-5, rtol=0)


def test_a_changed_encoder_shares_the_weights_that_are_not_changed(encoder):
    other = changed(encoder, Changes(frozenset({(0, 1)})))
    ours, theirs = encoder.state_dict(), other.state_dict()
    apart = {name for name in ours if ours[name].data_ptr() != theirs[name].data_ptr()}
    assert apart == {"layers.0.attention.output.weight"}


@pytest.mark.parametrize(
    "wrong", [Changes(frozenset({(2, 0)})), Changes(frozenset({(0, 3)})), Changes(neurons=((0, 20, 0.0),))]
)
def test_what_is_not_there_cannot_be_changed(encoder, wrong):
    with pytest.raises(IndexError):
        changed(encoder, wrong)


# Models


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_computed_by_our_encoder_and_changed(tmp_path, family):
    save_tiny(tmp_path, family)
    model = load(str(tmp_path))
    read = model.trace(TEXT)
    assert apart(read, model.what_if(Changes()).trace(TEXT)) < 1e-5
    changes = Changes(frozenset({(0, 1)}))
    after = model.what_if(changes).trace(TEXT)
    moved = turns(read, after)
    assert moved.shape == (2, len(read.tokens))
    assert moved.min() > 0
    found = model.ablation(TEXT)
    assert found.divergence is None
    np.testing.assert_allclose(
        found.change[0, 1], turn(read.layers[-1].hidden, after.layers[-1].hidden).mean(), atol=1e-5
    )


def test_below_the_head_that_is_off_nothing_changes(minilm):
    read = minilm.trace(TEXT)
    moved = turns(read, minilm.what_if(Changes(frozenset({(3, 5)}))).trace(TEXT))
    assert moved[:3].max() < 1e-5
    assert moved[3:].max() > 1e-4


@pytest.mark.parametrize("name", ["scratch", "minilm"])
def test_with_no_change_our_encoder_is_the_model(name):
    model = load(name)
    assert apart(model.trace(TEXT), model.what_if(Changes()).trace(TEXT)) < 1e-5


@pytest.mark.parametrize("family", ["bert", "distilbert", "electra"])  # of others, two tokens can be shown alike
def test_the_divergence_is_that_of_the_guesses(tmp_path, family):
    with_head(tmp_path, family)
    model = load(str(tmp_path))
    text = "the cat [MASK] on the mat ."
    found = model.ablation(text)
    for layer, head in ((0, 0), (1, 2)):
        after = model.what_if(Changes(frozenset({(layer, head)})))
        [before], [now] = model.guesses(model.trace(text), 999), after.guesses(after.trace(text), 999)
        shares = dict(zip(now.tokens, now.shares, strict=True))
        assert len(shares) == len(now.tokens)
        kl = sum(p * np.log(p / shares[token]) for token, p in zip(before.tokens, before.shares, strict=True))
        assert found.divergence[layer, head] == pytest.approx(kl, abs=1e-5)


def test_a_model_without_our_encoder_says_so(minilm):
    bare = type(minilm)(minilm.card, minilm._tokenizer, 512, 1.0, minilm._readers)
    for ask in (lambda: bare.ablation(TEXT), lambda: bare.what_if(Changes()), lambda: bare.weights(0)):
        with pytest.raises(ModelError, match="cannot be followed"):
            ask()


def test_the_strongest_heads_come_first():
    assert strongest(np.array([[0.1, 0.4], [0.3, 0.2]]), 3) == [(0, 1), (1, 0), (1, 1)]


# The page


def test_heads_that_are_off_change_the_reading_in_their_own_column_only(both_models):
    scratch, minilm = both_models
    app = open_page("what_if", what_if_view="off", text=TEXT, off_b="4.6-6.1")
    assert fine(app)
    assert "Nothing is off yet" in said(half(app, "a"))
    assert app.multiselect(key="pick.off_b").value == ["4.6", "6.1"]
    expected = turns(minilm.trace(TEXT), minilm.what_if(Changes(frozenset({(3, 5), (5, 0)}))).trace(TEXT))
    assert np.allclose(numbers(charts(app)["chart-b-1"]["data"][0]["z"]), expected, atol=1e-5)
    app.multiselect(key="pick.off").set_value(["2.3"]).run()
    assert fine(app)
    assert app.query_params["off"] == "2.3"
    expected = turns(scratch.trace(TEXT), scratch.what_if(Changes(frozenset({(1, 2)}))).trace(TEXT))
    assert np.allclose(numbers(charts(app)["chart-a-1"]["data"][0]["z"]), expected, atol=1e-5)
    app.multiselect(key="pick.off").set_value([]).run()
    assert "off" not in app.query_params
    assert "Nothing is off yet" in said(half(app, "a"))


def test_the_table_of_all_heads_is_the_ablation(both_models):
    app = open_page("what_if", text="The cat [MASK] on the mat.")
    assert fine(app)
    for side, model, pictures in (("a", both_models[0], 2), ("b", both_models[1], 1)):
        found = model.ablation("The cat [MASK] on the mat.")
        drawn = list(charts(app, side).values())
        assert len(drawn) == pictures
        assert np.allclose(numbers(drawn[0]["data"][0]["z"]), found.change, atol=1e-5)
        layer, head = strongest(found.change, 1)[0]
        assert f"Most: layer {layer + 1}, head {head + 1} " in said(half(app, side)).replace("\\", "")


def test_heads_that_a_smaller_model_does_not_have_are_left_out():
    app = open_page("what_if", what_if_view="off", text=TEXT, off="9.9-2.1")
    assert fine(app)
    assert app.multiselect(key="pick.off").value == ["2.1"]
    app = open_page("what_if", what_if_view="off", text=TEXT, off="nonsense")
    assert app.info[0].value.startswith("The address asks for something that is not there")


def test_guesses_are_shown_as_they_were_and_as_they_are():
    app = open_page("what_if", what_if_view="off", text="She opened the [MASK].", off="1.1-1.6")
    assert fine(app)
    shown = [each.proto.body for each in app.get("html") if 'class="guess a"' in each.proto.body]
    assert len(shown) == 2
    assert "[MASK], changed" in shown[1]
    assert shown[0] != shown[1].replace(", changed", "")


@pytest.fixture(scope="module")
def both_models(scratch, minilm):
    return scratch, minilm
