"""What if: every change against a forward by hand in NumPy, in every kind of encoder, and its page."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from encoder.changes import (
    Changes,
    apart,
    difference,
    everything,
    sentence_similarity,
    strongest,
    turns,
)
from encoder.edits import Edit, Pairs, edited, pairs
from encoder.errors import ModelError
from encoder.formulas import Affine, Norm, activated, applied, normed
from encoder.labels import visible
from encoder.measures import cosine, turn
from encoder.model import Encoder
from encoder.models import load
from encoder.reading import _divergence
from encoder.steps import Place, walk
from encoder.weights import weights_of
from encoder.what_if import MOST_TOKENS, changed, each_head_off
from tests.app import charts, drawn, fine, half, heat_maps, html, names, numbers, open_page, said
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
    made = dict(changes.choices)
    past = 1.0 if made.get("residuals", True) else 0.0
    if made.get("position") == "none":
        with torch.no_grad():
            token, _, segment = encoder.embeddings.look_up(IDS, SEGMENT)
            hidden = encoder.embeddings.norm(token + segment)[0].numpy()
    for number in range(config.layers):
        weights = made_otherwise(weights_of(encoder, number), made, config)
        x = normed(hidden, weights.attention_norm) if weights.pre_norm else hidden
        joined = np.zeros_like(hidden)
        for head in range(config.heads):
            query, key, value = (
                x @ each.weight[head] + each.bias[head] for each in (weights.query, weights.key, weights.value)
            )
            scores = query @ key.T * replace(config, score_scale=made.get("score_scale", config.score_scale)).scale
            share = np.exp(scores - scores.max(-1, keepdims=True))
            share /= share.sum(-1, keepdims=True)
            if (number, head) not in changes.heads_off:
                joined[:, head * config.head_dim : (head + 1) * config.head_dim] = share @ value
        hidden = past * hidden + applied(joined, weights.output)
        if not weights.pre_norm:
            hidden = normed(hidden, weights.attention_norm)
        x = normed(hidden, weights.ffn_norm) if weights.pre_norm else hidden
        neurons = activated(applied(x, weights.expand), weights.activation)
        for layer, neuron, factor in changes.neurons:
            if layer == number:
                neurons[:, neuron] *= factor
        hidden = past * hidden + applied(neurons, weights.contract)
        if not weights.pre_norm:
            hidden = normed(hidden, weights.ffn_norm)
        last = weights.final_norm
    return normed(hidden, last)


def made_otherwise(weights, made, config):
    """The weights of a layer with other choices in its making, by hand."""
    size, heads = config.head_dim, config.heads
    if "norm" in made:
        plain = Norm(np.ones(config.width), np.zeros(config.width), config.norm_eps)
        norms = [
            None if made["norm"] == "none" else each or plain for each in (weights.attention_norm, weights.ffn_norm)
        ]
        weights = replace(weights, attention_norm=norms[0], ffn_norm=norms[1], pre_norm=made["norm"] == "pre")
    if "activation" in made:
        weights = replace(weights, activation=made["activation"])
    if made.get("shared_projections", config.shared_projections) and not config.shared_projections:
        for name in ("query", "key", "value"):
            old = getattr(weights, name)  # [head, model, head_dim]
            own = [slice(head * size, (head + 1) * size) for head in range(heads)]
            matrix = sum(old.weight[head, own[head]] for head in range(heads)) / heads
            new = np.zeros_like(old.weight)
            for head in range(heads):
                new[head, own[head]] = matrix
            weights = replace(weights, **{name: Affine(new, np.tile(old.bias.mean(0), (heads, 1)))})
    return weights


def forward(encoder):
    with torch.inference_mode():
        return encoder(IDS, SEGMENT)[0].numpy()


CHANGES = {
    "nothing": Changes(),
    "a head": Changes(frozenset({(0, 2)})),
    "a layer's attention and a head": Changes(frozenset({(0, 0), (1, 0), (1, 1), (1, 2)})),
    "a neuron off, another doubled": Changes(neurons=((0, 7, 0.0), (1, 19, 2.0), (1, 3, -1.5))),
    "both": Changes(frozenset({(1, 1)}), ((0, 0, 0.0),)),
    "no positions": Changes(choices=(("position", "none"),)),
    "no residuals": Changes(choices=(("residuals", False),)),
    "divided by √width": Changes(choices=(("score_scale", "sqrt_width"),)),
    "divided by √head_dim": Changes(choices=(("score_scale", "sqrt_head_dim"),)),
    "norm after": Changes(choices=(("norm", "post"),)),
    "norm before": Changes(choices=(("norm", "pre"),)),
    "no norm": Changes(choices=(("norm", "none"),)),
    "ReLU": Changes(choices=(("activation", "relu"),)),
    "GELU": Changes(choices=(("activation", "gelu"),)),
    "one matrix for all heads": Changes(choices=(("shared_projections", True),)),
    "a matrix for each head": Changes(choices=(("shared_projections", False),)),
    "many at once": Changes(
        frozenset({(0, 1)}), ((1, 5, 2.0),), (("norm", "none"), ("position", "none"), ("shared_projections", True))
    ),
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_a_changed_encoder_computes_what_is_computed_by_hand(encoder, changes):
    before, expected = forward(encoder), by_hand(encoder, changes)
    # Without norms the states grow to 18, and float32 rounds a sum by its largest term.
    largest = max(1, float(abs(expected).max()))
    np.testing.assert_allclose(forward(changed(encoder, changes)), expected, rtol=1e-5, atol=1e-5 * largest)
    assert np.array_equal(forward(encoder), before), "the encoder itself stays as it is"
    if not changes.choices:  # an encoder may have been made so
        assert bool(changes) == (not np.allclose(expected, before, atol=1e-4))


@pytest.mark.parametrize(
    "choice",
    [("position", "none"), ("residuals", False), ("score_scale", "sqrt_width"), ("norm", "pre"), ("norm", "none"),
     ("activation", "relu"), ("shared_projections", True)],
)  # fmt: skip
def test_every_choice_of_bert_makes_a_difference(choice):
    encoder = shaken(Encoder(tiny_config()), seed=5)
    assert not np.allclose(forward(changed(encoder, Changes(choices=(choice,)))), forward(encoder), atol=1e-3)


def test_one_matrix_for_all_heads_told_for_each_computes_the_same():
    encoder = shaken(Encoder(tiny_config(shared_projections=True)), seed=5)
    other = changed(encoder, Changes(choices=(("shared_projections", False),)))
    assert other.layers[0].attention.query.weight.shape == (12, 12)
    np.testing.assert_allclose(forward(other), forward(encoder), atol=1e-5)


def test_each_head_off_in_one_pass_is_each_head_off_by_hand(encoder):
    with torch.inference_mode():
        as_it_is, off = map(encoder.final_norm, each_head_off(encoder, IDS, SEGMENT))
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


def test_no_divergence_is_below_zero():
    logits = torch.randn(200, 500, generator=torch.Generator().manual_seed(0))
    assert _divergence(logits, logits + 1e-4 * logits.flip(0)).min() >= 0
    assert _divergence(logits, logits.flip(0)).min() > 0


def test_how_far_a_guess_has_moved_is_what_the_table_of_heads_says(tmp_path):
    with_head(tmp_path, "bert")
    model = load(str(tmp_path))
    text = "the cat [MASK] on the mat ."
    before, after = model.trace(text), model.what_if(Changes(frozenset({(1, 2)}))).trace(text)
    same = everything(before)
    assert model.moved(before, after, same) == pytest.approx(float(model.ablation(text).divergence[1, 2]), abs=1e-5)
    assert model.moved(before, before, same) == pytest.approx(0, abs=1e-6)
    assert model.moved(model.trace("the cat sat on the mat ."), after, same) is None


def test_the_same_hidden_token_is_compared_though_another_comes_before_it(tmp_path):
    with_head(tmp_path, "bert")
    model, text = load(str(tmp_path)), "the cat [MASK] on the mat ."
    edit = edited(text, Edit(frozenset({0})))
    before, after = model.trace(text), model.trace(edit.text)
    [one], [_, other] = model.guesses(before, 99), model.guesses(after, 99)
    shares = dict(zip(other.tokens, other.shares, strict=True))
    kl = sum(p * np.log(p / shares[token]) for token, p in zip(one.tokens, one.shares, strict=True))
    assert model.moved(before, after, pairs(before.tokens, after.tokens, edit.moved)) == pytest.approx(kl, abs=1e-5)


def test_a_model_without_our_encoder_says_so(minilm):
    bare = type(minilm)(minilm.card, minilm._tokenizer, 512, 1.0, minilm._readers)
    for ask in (lambda: bare.ablation(TEXT), lambda: bare.what_if(Changes()), lambda: bare.weights(0)):
        with pytest.raises(ModelError, match="cannot be followed"):
            ask()


def test_the_strongest_heads_come_first():
    assert strongest(np.array([[0.1, 0.4], [0.3, 0.2]]), 3) == [(0, 1), (1, 0), (1, 1)]


# Before and after


def test_a_hidden_word_turns_its_own_token_and_all_that_read_it(minilm):
    edit = edited(TEXT, Edit(frozenset({1})))
    before, after = minilm.trace(TEXT), minilm.trace(edit.text)
    assert edit.text == "The [MASK] sat on the mat."
    matching = pairs(before.tokens, after.tokens, edit.moved)
    turned = turns(before, after, matching)
    assert turned.shape == (6, len(before.tokens))
    assert turned[-1].argmax() == 2
    for place in range(len(before.tokens)):
        one, other = before.layers[3].hidden[place], after.layers[3].hidden[place]
        expected = 1 - one @ other / np.linalg.norm(one) / np.linalg.norm(other)
        assert turned[3, place] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["scratch", "minilm"])
@pytest.mark.parametrize(
    "choice",
    [("score_scale", "sqrt_width"), ("norm", "none"), ("norm", "pre"), ("norm", "post"), ("shared_projections", True),
     ("activation", "relu"), ("residuals", False), ("position", "none")],
)  # fmt: skip
def test_a_model_made_otherwise_can_be_followed_step_by_step(name, choice):
    other = load(name).what_if(Changes(choices=(choice,)))
    read = other.trace(TEXT)
    for layer in range(len(read.layers)):
        for step in walk(read, other.weights(layer), Place(layer, 1, 3, 2, 7)):
            assert step.difference is None or step.difference < 1e-5, step.name


def test_a_token_without_a_partner_has_no_difference(minilm):
    edit = edited(TEXT, Edit(frozenset({1}), "unbelievably dendrochronological"))
    before, after = minilm.trace(TEXT), minilm.trace(edit.text)
    matching = pairs(before.tokens, after.tokens, edit.moved)
    turned = turns(before, after, matching)
    assert np.isnan(turned[:, 2]).all()
    assert not np.isnan(np.delete(turned, 2, 1)).any()
    one, other = before.layers[1].attention[4], after.layers[1].attention[4]
    found = difference(one, other, matching)
    assert np.isnan(found[2]).all()
    assert np.isnan(found[:, 2]).all()
    last = len(after.tokens) - 1
    assert found[-1, 1] == pytest.approx(other[last, 1] - one[-1, 1], abs=1e-6)


def test_what_is_not_changed_is_alike(minilm):
    read = minilm.trace(TEXT)
    assert sentence_similarity(read, read) == pytest.approx(1, abs=1e-6)
    assert abs(turns(read, read)).max() < 1e-6
    assert isinstance(everything(read), Pairs)
    other = minilm.trace("Stock markets fell sharply on Monday.")
    means = np.stack([read.layers[-1].hidden.mean(0), other.layers[-1].hidden.mean(0)])
    assert sentence_similarity(read, other) == pytest.approx(float(cosine(means)[0, 1]))
    assert sentence_similarity(read, other) < 0.5


# The page


def test_heads_that_are_off_change_the_reading_in_their_own_column_only(both_models):
    scratch, minilm = both_models
    app = open_page("what_if", text=TEXT, changed="", off_b="4.6-6.1")
    assert fine(app)
    assert "Nothing is changed here" in said(half(app, "a"))
    assert app.multiselect(key="pick.off_b").value == ["4.6", "6.1"]
    expected = turns(minilm.trace(TEXT), minilm.what_if(Changes(frozenset({(3, 5), (5, 0)}))).trace(TEXT))
    assert np.allclose(numbers(charts(app)["chart-b-1"]["data"][0]["z"]), expected, atol=1e-5)
    app.multiselect(key="pick.off").set_value(["2.3"]).run()
    assert fine(app)
    assert app.query_params["off"] == "2.3"
    expected = turns(scratch.trace(TEXT), scratch.what_if(Changes(frozenset({(1, 2)}))).trace(TEXT))
    assert np.allclose(numbers(charts(app)["chart-a-1"]["data"][0]["z"]), expected, atol=1e-5)
    assert len({charts(app)[f"chart-{side}-1"]["data"][0]["zmax"] for side in "ab"}) == 1  # colours compare
    app.multiselect(key="pick.off").set_value([]).run()
    assert "off" not in app.query_params
    assert "Nothing is changed here" in said(half(app, "a"))


def test_three_maps_are_a_heads_attention_before_and_after_and_the_difference(both_models):
    address = {"changed": "1", "put_in": "unbelievably", "off_b": "1.1", "layer": "2", "head": "3"}
    app = open_page("what_if", text=TEXT, outcome="attention", **address)
    assert fine(app)
    edit = edited(TEXT, Edit(frozenset({1}), "unbelievably"))
    scratch, minilm = both_models
    scales = set()
    for side, model, other in (("a", scratch, scratch), ("b", minilm, minilm.what_if(Changes(frozenset({(0, 0)}))))):
        reads = before, after = model.trace(TEXT), other.trace(edit.text)
        one, two = (read.layers[1].attention[2] for read in reads)
        change = difference(one, two, pairs(before.tokens, after.tokens, edit.moved))
        assert np.isnan(change).any()
        assert np.nanmax(abs(change)) > 0.01
        three = heat_maps(charts(app, side)[f"chart-{side}-1"])
        for picture, values, read in zip(three, (one, change, two), (before, before, after), strict=True):
            np.testing.assert_allclose(numbers(picture["z"]), values, atol=1e-5)
            short = [visible(token, 9) for token in read.tokens.text]
            assert names(picture["x"]) == names(picture["y"]) == short
        scales.add((three[1]["zmin"], three[1]["zmax"]))
    [(low, high)] = scales  # one on both sides
    assert low == -high


def test_the_table_of_all_heads_is_the_ablation(both_models):
    app = open_page("what_if", what_if_view="each", text="The cat [MASK] on the mat.")
    assert fine(app)
    columns = ("1 − cosine", "KL of the guess, nats")
    for side, model, shown in (("a", both_models[0], columns), ("b", both_models[1], columns[:1])):
        found = model.ablation("The cat [MASK] on the mat.")
        maps = [drawn(chart) for chart in charts(app, side).values()]
        [table] = (each.value for each in half(app, side).get("dataframe"))
        assert table.columns.tolist() == ["Layer", "Head", *shown]
        order = table["Layer"].to_numpy() - 1, table["Head"].to_numpy() - 1
        assert set(zip(*order, strict=True)) == set(np.ndindex(found.change.shape))
        assert np.all(np.diff(table[shown[0]]) <= 0)
        for name, picture, values in zip(shown, maps, (found.change, found.divergence), strict=False):
            np.testing.assert_allclose(picture, values, atol=1e-5)
            np.testing.assert_allclose(table[name], values[order], atol=1e-5)
        assert len(maps) == len(shown)
        layer, head = strongest(found.change, 1)[0]
        assert f"Most: layer {layer + 1}, head {head + 1} " in said(half(app, side)).replace("\\", "")


def test_heads_that_a_smaller_model_does_not_have_are_left_out():
    app = open_page("what_if", text=TEXT, off="9.9-2.1")
    assert fine(app)
    assert app.multiselect(key="pick.off").value == ["2.1"]
    app = open_page("what_if", text=TEXT, off="nonsense")
    assert app.info[0].value.startswith("The address asks for something that is not there")


def test_guesses_are_shown_as_they_were_and_as_they_are():
    app = open_page("what_if", outcome="guesses", text="She opened the [MASK].", changed="", off="1.1-1.6")
    assert fine(app)
    shown = [each.proto.body for each in app.get("html") if 'class="guess a"' in each.proto.body]
    assert len(shown) == 2
    assert "[MASK], changed" in shown[1]
    assert shown[0] != shown[1].replace(", changed", "")


@pytest.fixture(scope="module")
def both_models(scratch, minilm):
    return scratch, minilm


def test_the_word_that_was_hidden_is_guessed_first_and_others_keep_their_names():
    app = open_page("what_if", outcome="guesses", text="The [MASK] sat on the [MASK] with me.", changed="0", show="a")
    assert fine(app)
    shown = re.findall(r'class="what">(.*?)</span>', html(app))
    assert shown == [
        "Behind the first [MASK]", "Behind the second [MASK]",
        "Behind “the”, hidden now", "Behind the first [MASK], changed",
    ]  # fmt: skip


def test_of_two_equal_words_the_one_that_was_clicked_is_hidden():
    app = open_page("what_if", text="the cat saw the dog and the bird", changed="")
    labels = [each for group in app.get("button_group") if group.key == "pick.changed" for each in group.options]
    assert len(set(labels)) == len(labels) == 8
    app = open_page("what_if", text="the cat saw the dog and the bird", changed="3")
    assert "the cat saw [MASK] dog and the bird" in html(app)


def test_parts_can_be_left_out_of_a_reading_without_words():
    app = open_page("what_if", text="?!...", without="norms")
    assert fine(app)
    assert app.multiselect(key="pick.without").value == ["norms"]
    assert "This text has no word to click." in said(app)
    assert [button.label for button in app.button if button.key.startswith("undo")] == ["without norms in the layers"]


def test_a_neuron_named_twice_in_an_address_counts_once():
    app = open_page("what_if", text=TEXT, changed="", scaled_b="1.7-1.7-1.07", factor_b="5.0", show="b")
    assert fine(app)
    assert app.multiselect(key="pick.scaled_b").value == ["1.7"]
    assert "Heads and neurons (1 changed)" in str([each.proto for each in app.main])


def test_a_word_hidden_in_a_text_that_hid_none_is_guessed():
    app = open_page("what_if", outcome="guesses", text="The dog chased the cat.", changed="4", show="a")
    assert fine(app)
    assert re.findall(r'class="what">(.*?)</span>', html(app)) == ["Behind “cat”, hidden now"]
