"""Numbers that are not finite, or that only rounding made: one sentence at every door, and nothing drawn from them."""

import copy
import re
import shutil

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from encoder import survey
from encoder.__main__ import main
from encoder.changes import Changes, everything
from encoder.errors import ModelError
from encoder.model import Encoder
from encoder.models import load
from encoder.what_if import changed
from tests.app import OPENINGS, VIEWS, charts, explored, fine, frames, half, html, open_page, said, view_name
from tests.test_guesses import with_head
from tests.test_models import pretrained_model, scratch_model
from tests.test_what_if import KINDS
from tests.tiny import FAMILIES, save_tiny, shaken, tiny_config, tiny_network

TEXT = "The cat sat on the mat."
NOT_FINITE = "holds numbers that are not finite (infinity or NaN): nothing can be drawn from them."
WRONG = {"NaN": np.nan, "∞": np.inf, "−∞": -np.inf, "1e30": 1e30, "-1e19": -1e19}


def spoil(folder, name, value, place=(0, 0)):
    """Put a value into a weight of a model folder."""
    weights = load_file(folder / "model.safetensors")
    weights[name] = weights[name].copy()
    weights[name][place[: weights[name].ndim]] = value
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Models whose numbers are not finite, and one whose scores are large and fine."""
    home = tmp_path_factory.mktemp("models")
    save_tiny(home / "good")
    for name in ("nan", "overflow", "large"):
        shutil.copytree(home / "good", home / name)
    spoil(home / "nan", "encoder.layer.1.intermediate.dense.weight", np.nan)
    for kind, factor in (("overflow", 1e20), ("large", 300.0)):  # float32 holds 3e38, float16 65,504
        weights = load_file(home / kind / "model.safetensors")
        for part in ("query", "key"):
            weights[f"encoder.layer.1.attention.self.{part}.weight"] *= factor
        save_file(weights, home / kind / "model.safetensors", metadata={"format": "pt"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENCODER_LENS_MODELS", str(home))
        yield home


@pytest.mark.parametrize("name", ["nan", "overflow"])
def test_a_reading_says_which_layer_is_not_finite(folders, name):
    model = load(str(folders / name))
    for read in (model.trace, model.what_if(Changes()).trace):
        with pytest.raises(ModelError) as told:
            read(TEXT)
        assert str(told.value) == f"Layer 2 of {name} {NOT_FINITE}"


def test_the_embedding_is_named_where_it_is_the_first_that_is_not_finite(folders, tmp_path):
    shutil.copytree(folders / "good", tmp_path / "good")
    spoil(tmp_path / "good", "embeddings.position_embeddings.weight", np.inf, (2, 3))
    model = load(str(tmp_path / "good"))
    with pytest.raises(ModelError, match=f"^The embedding of good {re.escape(NOT_FINITE)}$"):
        model.trace(TEXT)


SCRATCH = {**KINDS, "relu": {"norm": "pre", "activation": "relu", "residuals": False}}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("kind", [*SCRATCH, *FAMILIES])
def test_wherever_a_weight_is_wrong_a_reading_is_finite_or_is_refused(kind, wrong):
    """No array of a trace, the scores too, may be NaN or infinite, though what is computed from it is not."""
    if kind in SCRATCH:
        network = shaken(Encoder(tiny_config(vocabulary=26, positions=30, **SCRATCH[kind])), seed=5)
        model = scratch_model(network)
    else:
        model = pretrained_model(network := tiny_network(kind))
    refused = []
    for name, weight in network.named_parameters():
        if "pooler" in name or not weight.requires_grad:
            continue
        before = weight.detach().clone()
        with torch.no_grad():
            weight[..., 0] = WRONG[wrong]
        try:
            with np.errstate(all="ignore"):
                trace = model.trace(TEXT)
                assert all(np.isfinite(array).all() for _, array, _ in trace.arrays()), name
        except ModelError as error:
            refused.append(str(error))
        with torch.no_grad():
            weight.copy_(before)
    assert refused
    assert all(sentence.endswith(".") and sentence.count(".") == 1 for sentence in refused)


def test_a_key_that_nobody_can_read_and_a_neuron_that_relu_silences_are_not_hidden_by_it():
    """Both leave every later number finite: the smallest inputs that a look at the output alone would miss."""
    for name, value in (("attention.key.bias", -np.inf), ("feed_forward.expand.bias", -np.inf)):
        encoder = shaken(Encoder(tiny_config(vocabulary=26, positions=30, activation="relu")))
        with torch.no_grad():
            encoder.layers[1].get_parameter(name)[0] = value
        with pytest.raises(ModelError, match="Layer 2 of tiny holds"):
            scratch_model(encoder).trace(TEXT)


def test_scores_too_large_for_half_precision_are_read_truly(folders):
    trace = load(str(folders / "large")).trace(TEXT)
    scores = trace.layers[1].scores
    assert 65_504 < abs(scores).max() < np.inf
    exact = np.exp(scores.astype(np.float64) - scores.max(-1, keepdims=True))
    np.testing.assert_allclose(trace.layers[1].attention, exact / exact.sum(-1, keepdims=True), atol=0.05)


@pytest.mark.parametrize("command", [[], ["--pair", "It was warm."]])
def test_the_command_line_says_it_fails_and_writes_nothing(folders, tmp_path, capsys, command):
    out = tmp_path / "trace.npz"
    assert main(["trace", TEXT, *command, "--model", str(folders / "nan"), "--out", str(out)]) == 1
    assert capsys.readouterr() == ("", f"Layer 2 of nan {NOT_FINITE}\n")
    assert not out.exists()


@pytest.mark.parametrize(("page", "address"), VIEWS, ids=[view_name(*view) for view in VIEWS])
def test_every_view_says_it_and_draws_the_other_column(page, address, folders):
    app = open_page(page, **address, text=TEXT, a="nan", b="good")
    assert fine(app)
    assert f"Layer 2 of nan {NOT_FINITE}" in said(half(app, "a")).replace("\\", "")
    assert not charts(app, "a")
    assert set(explored(app)["models"]) <= {"b"}
    assert not any("nan’s" in frame.alt or frame.alt.endswith("of nan") for frame in frames(app))
    assert half(app, "b").get("html")


@pytest.mark.parametrize(("page", "address"), OPENINGS, ids=[view_name(*view) for view in OPENINGS])
def test_scores_too_large_for_half_precision_are_drawn_on_every_page(page, address, folders):
    app = open_page(page, **address, text=TEXT, a="large", b="good")
    assert fine(app)
    assert not app.warning
    assert "nan%" not in html(app)


def test_a_prediction_head_that_is_not_finite_says_so_and_never_is_a_choice(tmp_path):
    with_head(tmp_path, "bert")
    text = "the cat [MASK] on the mat ."
    spoil(tmp_path, "cls.predictions.bias", np.nan, (5,))
    model = load(str(tmp_path))
    trace = model.trace(text)
    same = everything(trace)
    for ask in (lambda: model.guesses(trace), lambda: model.moved(trace, trace, same), lambda: model.ablation(text)):
        with pytest.raises(ModelError, match=r"^The prediction head of .* holds numbers that are not finite"):
            ask()
    spoil(tmp_path, "cls.predictions.bias", -np.inf, (5,))
    model = load(str(tmp_path))
    [guess] = model.guesses(trace, 99)
    assert sum(guess.shares) == pytest.approx(1)
    assert guess.shares[-1] == 0
    assert model.moved(trace, trace, same) == 0
    assert np.isfinite(model.ablation(text).divergence).all()


def test_a_head_of_predictions_that_is_not_finite_takes_no_page_with_it(tmp_path, monkeypatch):
    monkeypatch.setenv("ENCODER_LENS_MODELS", str(tmp_path))
    with_head(tmp_path / "odd", "bert")
    spoil(tmp_path / "odd", "cls.predictions.bias", np.nan, (5,))
    text = "the cat [MASK] on the mat ."
    pages = ("side_by_side", {}), ("layers", {}), ("what_if", {"outcome": "guesses", "off": "1.1"})
    for page, address in pages:
        app = open_page(page, **address, text=text, a="odd", b="minilm")
        assert fine(app), page
        assert "The prediction head of odd holds" in said(half(app, "a")).replace("\\", ""), page
        assert "nan%" not in html(app), page


def test_an_embedding_table_that_is_not_finite_has_no_neighbours(folders, tmp_path):
    shutil.copytree(folders / "good", tmp_path / "good")
    spoil(tmp_path / "good", "embeddings.word_embeddings.weight", np.nan, (110, 3))  # no token of the text
    model = load(str(tmp_path / "good"))
    with pytest.raises(ModelError, match=r"^The embedding table of good holds"):
        model.neighbours(model.trace(TEXT), 1)


def test_a_survey_of_numbers_that_are_not_finite_says_so(folders, tmp_path):
    from encoder.catalogue import Entry

    job = survey.Surveying()
    job.run(Entry("nan", "nan", "", folder=folders / "nan"), lambda: load(str(folders / "nan")), tmp_path)
    assert job.survey is None
    assert job.error == f"Layer 2 of nan {NOT_FINITE}"


# Rounding

BOTH_OFF = Changes(choices=(("residuals", False), ("norm", "none")))


def test_attention_that_only_rounding_decides_is_not_shown(scratch):
    """Without residuals all tokens become nearly alike, and without norms scores go to 1e17, rounded to 1e10."""
    with pytest.raises(ModelError) as told:
        scratch.what_if(BOTH_OFF).trace(TEXT)
    assert re.fullmatch(
        r"The scores in layer \d of From scratch are so large \(1 × 10[⁰¹²³⁴⁵⁶⁷⁸⁹]+\) that rounding decides "
        r"which is the largest: its attention would be noise, so nothing is drawn from it\.",
        str(told.value),
    )


@pytest.mark.parametrize("name", ["scratch", "minilm"])
@pytest.mark.parametrize("choices", [(("norm", "none"),), BOTH_OFF.choices], ids=["no norms", "nor residuals"])
def test_attention_is_refused_just_where_double_precision_finds_another(name, choices, request):
    """Large scores that lie far apart are no noise: without norms alone they reach 5e16, and the attention is right."""
    model = request.getfixturevalue(name)
    encoder = changed(model._ours(), Changes(choices=choices))
    exact = copy.deepcopy(encoder).double()
    for text in (TEXT, "Paris is the capital of [MASK].", "?!..."):
        ids, tokens = model._tokenizer.encode(text, None, 128)
        with torch.inference_mode():
            read = (torch.tensor([ids]), torch.tensor(tokens.segment[None]))
            one, other = (each.trace(*read)[1] for each in (encoder, exact))
        off = max(float((a.attention - b.attention).abs().max()) for a, b in zip(one, other, strict=True))
        if off < 0.01:
            model.what_if(Changes(choices=choices)).trace(text)
        else:
            with pytest.raises(ModelError, match="rounding decides"):
                model.what_if(Changes(choices=choices)).trace(text)


def test_what_if_says_in_its_column_that_rounding_decides(scratch):
    for outcome in ("hidden", "attention"):
        app = open_page("what_if", text=TEXT, without="residuals-norms", outcome=outcome, changed="")
        assert fine(app)
        assert "rounding decides" in said(half(app, "a")).replace("\\", "")
        assert not charts(app, "a")
        assert charts(app, "b")
