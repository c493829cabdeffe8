"""Step by step: every number that is shown against the model's own, in every kind of encoder."""

from functools import partial

import numpy as np
import pytest
import torch

from encoder.bert import clothe, load_bert
from encoder.catalogue import minilm_folder
from encoder.formulas import activated
from encoder.model import Encoder
from encoder.models import Model, load
from encoder.reading import Reader
from encoder.steps import TITLES, Place, walk
from encoder.tokens import Tokenizer
from encoder.trace import ModelCard
from encoder.weights import weights_of
from tests.tiny import FAMILIES, save_tiny, shaken, tiny_config, wordpiece

TEXT, PAIR = "The cat sat on the mat.", "It was warm there."
KINDS = {
    "post": {},
    "pre": {"norm": "pre", "final_norm": True},
    "pre, no norm on top": {"norm": "pre"},
    "post, a norm on top": {"final_norm": True},
    "none, a norm on top": {"norm": "none", "final_norm": True},
    "none": {"norm": "none", "embedding_norm": False, "activation": "relu"},
    "shared": {"shared_projections": True, "projection_bias": False, "score_scale": "sqrt_width", "output_bias": False},
    "sinusoidal": {"position": "sinusoidal", "segments": 0, "ffn_bias": False, "score_scale": "none"},
}
WIDE = {"vocabulary": 40, "positions": 40}


def model_of(encoder):
    config = encoder.config
    sizes = (config.layers, config.heads, config.width, config.ffn_width, config.vocabulary, 0, "WordPiece")
    card = ModelCard("tiny", "from scratch", *sizes)
    readers = (Reader.of(encoder, "cpu"),)
    return Model(card, Tokenizer(wordpiece()), config.positions, config.scale, readers, None, lambda: encoder)


@pytest.fixture(params=KINDS, scope="module")
def encoder(request):
    return shaken(Encoder(tiny_config(**WIDE, **KINDS[request.param])), seed=3)


@pytest.fixture
def read(encoder):
    return model_of(encoder).trace(TEXT, PAIR)


def strips(step):
    return {strip.label: strip.values for strip in step.strips}


@pytest.mark.parametrize("layer", [0, 1])
def test_every_step_computes_what_the_model_did(encoder, read, layer):
    for place in (Place(layer, 0, 0, 1, 0), Place(layer, 2, 5, 5, 19), Place(layer, 1, len(read.tokens) - 1, 3, 7)):
        steps = walk(read, weights_of(encoder, layer), place)
        checked = {step.name: step.difference for step in steps if step.difference is not None}
        assert {"embedding", "projections", "softmax", "context", "attention_output"} <= set(checked)
        assert "score" not in checked, "the model keeps no scores to hold it against"
        assert {"preactivation", "activation", "ffn_output"} <= set(checked)
        assert max(checked.values()) < 1e-6
        ends = {"hidden", "ffn_norm", "final_norm"} & set(checked)
        assert ends, "the end of the layer is compared too"


def test_the_steps_stand_in_the_order_in_which_the_model_takes_them(encoder, read):
    names = [step.name for step in walk(read, weights_of(encoder, 1), Place(1, 0, 0, 0, 0))]
    assert len(set(names)) == len(names)
    assert set(names) <= set(TITLES)
    if encoder.config.norm == "none":
        assert {"attention_norm", "ffn_norm"}.isdisjoint(names), "what a model does not do is no step"
    else:
        before = encoder.config.norm == "pre"
        assert (names.index("attention_norm") < names.index("projections")) == before
        assert (names.index("ffn_norm") < names.index("preactivation")) == before
    assert (names[-1] == "final_norm") == encoder.config.final_norm
    lower = [step.name for step in walk(read, weights_of(encoder, 0), Place(0, 0, 0, 0, 0))]
    assert "final_norm" not in lower


def test_every_number_of_a_step_is_the_hand_made_one(encoder, read):
    """Against PyTorch's own modules, one token at a time."""
    layer, head, reads, is_read, neuron = 1, 2, 4, 1, 11
    box, config = encoder.layers[layer], encoder.config
    shown = {
        step.name: step for step in walk(read, weights_of(encoder, layer), Place(layer, head, reads, is_read, neuron))
    }
    with torch.no_grad():
        x = torch.from_numpy(read.layers[layer - 1].hidden.copy())[None]
        inside = box.attention_norm(x) if box.pre_norm else x
        query, key, value = box.attention.project(inside)
        q, k, v = query[0, head, reads], key[0, head, is_read], value[0, head]
        scores = key[0, head] @ q * config.scale
        share = scores.softmax(-1)
        attended = box.attention(inside)[0, reads]
        middle = x[0, reads] + attended
        middle = middle if box.pre_norm else box.attention_norm(middle)
        z = box.feed_forward.expand(box.ffn_norm(middle) if box.pre_norm else middle)
        n = box.feed_forward.activation(z)
        fed = box.feed_forward.contract(n)
    same = partial(torch.testing.assert_close, atol=2e-5, rtol=1e-5)

    def equals(name, label, expected):
        same(torch.from_numpy(np.array(strips(shown[name])[label])), expected)

    for label, expected in (("query", q), ("key", k), ("value", v[is_read])):
        equals("projections", label, expected)
    equals("score", "products", q * k)
    same(dict(shown["score"].facts)["score"], float(scores[is_read]))
    same(dict(shown["score"].facts)["divided by"], 1 / config.scale)
    row = shown["softmax"].shares
    same(torch.from_numpy(row.score.copy()), scores)
    same(torch.from_numpy(row.exponential), (scores - scores.max()).exp())
    same(torch.from_numpy(row.share), share)
    equals("context", "sum of all", share @ v)
    largest = int(share.argmax())
    equals("context", f"{share[largest]:.3f} × {largest + 1} {read.tokens.text[largest]}", share[largest] * v[largest])
    equals("attention_output", "output", attended)
    equals("after_attention", "sum", x[0, reads] + attended)
    equals("preactivation", "z", z)
    bend = shown["activation"].bend
    same(torch.from_numpy(bend.before.copy()), z)
    same(torch.from_numpy(bend.after.copy()), n)
    equals("ffn_output", "output", fed)
    equals(
        "ffn_output", f"neuron {neuron + 1} writes", n[neuron] * box.feed_forward.contract.weight[:, neuron].detach()
    )
    equals("hidden", "sum", middle + fed)
    if config.norm != "none":
        r = x[0, reads] if box.pre_norm else x[0, reads] + attended
        equals("attention_norm", "after the norm", box.attention_norm(r).detach())
        equals("attention_norm", "mean 0, variance 1", (r - r.mean()) / (r.var(correction=0) + config.norm_eps).sqrt())
        same(dict(shown["attention_norm"].facts)["variance"], float(r.var(correction=0)))


def test_other_weights_than_the_models_are_found_out(encoder, read):
    other = shaken(Encoder(encoder.config), seed=4)
    steps = walk(read, weights_of(other, 1), Place(1, 0, 2, 3, 5))
    apart = {step.name: step.difference for step in steps if step.difference is not None}
    for name in ("projections", "attention_output", "preactivation", "ffn_output"):
        assert apart[name] > 1e-2, name


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_can_be_followed_with_its_own_weights(tmp_path, family):
    save_tiny(tmp_path, family)
    model = load(str(tmp_path))
    read = model.trace(TEXT)
    for layer in (0, 1):
        steps = walk(read, model.weights(layer), Place(layer, 2, 3, 1, 4))
        assert max(step.difference for step in steps if step.difference is not None) < 1e-6


@pytest.mark.parametrize("name", ["scratch", "minilm", "first-article", "second-article"])
def test_the_models_of_the_app_can_be_followed_in_every_layer(name):
    model = load(name)
    read = model.trace("The cat sat on the mat because it was tired.")
    for layer in range(len(read.layers)):
        steps = walk(read, model.weights(layer), Place(layer, 1, 9, 2, 3))
        assert max(step.difference for step in steps if step.difference is not None) < 1e-6


def test_weights_cannot_be_written_to_and_are_the_models_own():
    network = load_bert(minilm_folder())
    weights = weights_of(clothe(network), 2)
    with pytest.raises(ValueError, match="read-only"):
        weights.contract.weight[0, 0] = 1
    theirs = network.base_model.encoder.layer[2].output.dense.weight.detach().numpy()
    assert np.shares_memory(weights.contract.weight, theirs)


def test_one_token_reads_itself(scratch):
    read = scratch.trace("")
    steps = walk(read, scratch.weights(0), Place(0, 0, 1, 1, 0))
    assert max(step.difference for step in steps if step.difference is not None) < 1e-6


@pytest.mark.parametrize(("name", "own"), [("gelu", torch.nn.functional.gelu), ("relu", torch.relu)])
def test_the_activation_functions_are_torchs(name, own):
    x = torch.linspace(-6, 6, 101)
    assert abs(activated(x.numpy(), name) - own(x).numpy()).max() < 1e-6
