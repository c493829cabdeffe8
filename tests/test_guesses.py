"""Guesses: what stands behind [MASK], in each model's own view."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from encoder import checkpoints, hub
from encoder.catalogue import ROOT, catalogue
from encoder.masked import MaskedLanguageModel
from encoder.measures import offset_share
from encoder.model import Encoder
from encoder.models import load
from tests.app import charts, fine, numbers, open_page, said
from tests.tiny import shaken, tiny_config, tiny_tokenizer, wordpiece

EXAMPLES = json.loads((ROOT / "assets/examples.json").read_text(encoding="utf-8"))

WITH_HEADS = {
    "bert": "BertForMaskedLM", "roberta": "RobertaForMaskedLM", "xlm-roberta": "XLMRobertaForMaskedLM",
    "camembert": "CamembertForMaskedLM", "distilbert": "DistilBertForMaskedLM", "electra": "ElectraForMaskedLM",
}  # fmt: skip
TEXT = "the cat sat on the [MASK] ."


def with_head(folder, family):
    """A tiny random model with its prediction head, as transformers saves it."""
    import transformers

    from tests.tiny import tiny_network

    config = tiny_network(family, vocab_size=tiny_tokenizer(family).get_vocab_size()).config
    network = getattr(transformers, WITH_HEADS[family])(config)
    shaken(network, seed=3).save_pretrained(folder)
    tiny_tokenizer(family).save(str(folder / "tokenizer.json"))
    return network


@pytest.mark.parametrize("family", WITH_HEADS)
def test_guesses_are_those_of_transformers(tmp_path, family):
    network = with_head(tmp_path, family)
    model = load(str(tmp_path))
    trace = model.trace(TEXT)
    [guess] = model.guesses(trace, 4)
    backend = tiny_tokenizer(family)
    ids = torch.tensor([backend.encode(TEXT.replace("[MASK]", model._tokenizer.mask)).ids])
    with torch.inference_mode():
        shares = network(ids).logits[0].softmax(-1)[guess.place]
    expected, found = shares.topk(4)
    assert trace.tokens.text[guess.place] == model._tokenizer.mask
    np.testing.assert_allclose(guess.shares, expected, atol=1e-5)
    assert [backend.token_to_id(token) for token in guess.tokens if family != "roberta"] == (
        found.tolist() if family != "roberta" else []  # which shows bytes as what they mean
    )


def test_our_own_checkpoint_guesses_as_it_was_trained_to(tmp_path):
    backend = wordpiece()
    config = tiny_config(vocabulary=backend.get_vocab_size(), positions=20, norm="pre", final_norm=True)
    choices = torch.tensor([5, 8, 9, 12, 17, 22])
    network = shaken(MaskedLanguageModel(Encoder(config), choices)).half().float()
    checkpoints.save(network, tmp_path, {}, backend)
    model = load(str(tmp_path))
    [guess] = model.guesses(model.trace(TEXT), 6)
    ids = torch.tensor([backend.encode(TEXT).ids])
    asked = ids == backend.token_to_id("[MASK]")
    with torch.inference_mode():
        shares, order = network.eval()(ids, torch.zeros_like(ids), asked).softmax(-1)[0].sort(descending=True)
    np.testing.assert_allclose(guess.shares, shares, atol=1e-5)
    assert [backend.token_to_id(token) for token in guess.tokens] == choices[order].tolist()
    assert sum(guess.shares) == pytest.approx(1)


def test_without_a_head_or_without_a_hidden_token_nothing_is_guessed(minilm, tmp_path):
    assert minilm.guesses(minilm.trace("the [MASK] sat .")) == ()
    with_head(tmp_path, "bert")
    model = load(str(tmp_path))
    assert model.guesses(model.trace("the cat sat .")) == ()
    assert model.hidden_places(model.trace("the cat sat .").tokens) == []
    assert len(model.guesses(model.trace("[MASK] [MASK] sat ."))) == 2


def test_a_folder_with_half_a_head_has_none(tmp_path):
    from safetensors.torch import load_file, save_file

    with_head(tmp_path, "bert")
    weights = load_file(tmp_path / "model.safetensors")
    del weights["cls.predictions.transform.dense.weight"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    model = load(str(tmp_path))
    assert model.guesses(model.trace(TEXT)) == ()


def test_both_names_of_a_hidden_token_are_read_alike_with_spans_that_fit_the_text(tmp_path):
    with_head(tmp_path, "roberta")
    model = load(str(tmp_path))
    one, other = model.trace("the [MASK] sat"), model.trace("the <mask> sat")
    assert one.tokens.text == other.tokens.text
    assert one.tokens.span.tolist() == other.tokens.span.tolist()


def test_the_first_page_shows_five_words_and_their_shares(tmp_path, monkeypatch):
    with_head(tmp_path / "headed", "bert")
    monkeypatch.setenv("ENCODER_LENS_MODELS", str(tmp_path))
    app = open_page("side_by_side", text="the <b>cat</b> sat on the [MASK] .", a="headed")
    assert fine(app)
    [html] = [element.proto.body for element in app.get("html") if 'class="guess a"' in element.proto.body]
    assert html.count('class="row"') == 5
    assert html.count("%</b>") == 5
    assert [caption.value for caption in app.caption if "no prediction head" in caption.value] == [
        "MiniLM has no prediction head: it does not guess hidden tokens."
    ]


@pytest.mark.published
@pytest.mark.skipif(not hub.cached("google-bert/bert-base-uncased"), reason="its weights are not on this machine")
def test_bert_base_gives_the_published_shares():
    model = load("bert-base-uncased")
    [guess] = model.guesses(model.trace("The author talked to Sara about [MASK] book"), 50)
    shares = dict(zip(guess.tokens, guess.shares, strict=True))
    assert shares["his"] == pytest.approx(0.0700, abs=5e-4)
    assert shares["her"] == pytest.approx(0.1019, abs=5e-4)


# The shipped checkpoint


def test_the_shipped_encoder_has_heads_that_read_the_token_before_and_the_one_after(scratch):
    text = "The old man walked slowly down the narrow street, and his dog ran in front of him to the door of the house."
    attention = np.stack([layer.attention for layer in scratch.trace(text).layers])
    assert offset_share(attention, -1).max() > 0.5
    assert offset_share(attention, 1).max() > 0.5


@pytest.mark.parametrize(
    ("text", "sensible"),
    [
        ("the dog chased the [MASK] .", {"cat", "cats", "wolf", "fox", "rabbit", "hare", "chickens"}),
        ("She opened the [MASK] and walked in.", {"door", "gate", "window", "curtain", "doors"}),
        ("He looked at her and [MASK] his head.", {"shook", "nodded", "bowed", "raised", "turned", "lifted"}),
        ("They sat down at the [MASK].", {"table", "window", "fire", "door", "desk"}),
        ("I do not [MASK] what you mean.", {"know", "understand", "see", "care"}),
    ],
)
def test_the_shipped_encoder_guesses_words_that_make_sense(scratch, text, sensible):
    (guess,) = scratch.guesses(scratch.trace(text))
    assert set(guess.tokens) & sensible, guess.tokens
    assert sum(guess.shares) <= 1


@pytest.mark.parametrize("text", [each["text"] for each in EXAMPLES if "[MASK]" in each["text"]])
def test_behind_the_mask_of_an_example_stands_a_word_that_fits_and_none_of_the_sentence(scratch, text):
    (guess,) = scratch.guesses(scratch.trace(text))
    assert guess.tokens[0] in {"door", "sing"}
    assert guess.shares[0] > 0.3
    assert not set(guess.tokens) & set(text.lower().rstrip(".").split())


# After every layer


@pytest.mark.parametrize("family", WITH_HEADS)
def test_after_the_last_layer_it_guesses_as_ever_and_before_as_its_head_says(tmp_path, family):
    with_head(tmp_path, family)
    model = load(str(tmp_path))
    read = model.trace("the cat [MASK] on the mat .")
    assert model.guesses(read, after=len(read.layers)) == model.guesses(read)
    one, two = model.guesses(read, 4, after=1), model.guesses(read, 4)
    assert one != two
    assert model.guesses(dataclasses.replace(read, layers=read.layers[:1]), 4) == one


def test_a_pre_norm_encoders_lower_layers_get_the_norm_that_its_head_knows(scratch):
    read = scratch.trace("She opened the [MASK] and walked in.")
    place = scratch.hidden_places(read.tokens)[0]
    trained = checkpoints.read(catalogue()["scratch"].folder)
    with torch.inference_mode():
        hidden = torch.from_numpy(read.layers[1].hidden[[place]])
        shares = trained.logits(trained.encoder.final_norm(hidden)).softmax(-1)[0].topk(5).values
    (guess,) = scratch.guesses(read, after=2)
    np.testing.assert_allclose(guess.shares, shares, rtol=1e-4)
    assert read.layers[1].hidden[place].std() > 2, "without the norm the numbers are of another size"


def test_the_layers_page_begins_with_what_is_predicted_after_every_layer(scratch):
    app = open_page("layers", text="She opened the [MASK] and <b>walked</b> in.")
    assert fine(app)
    picture, through_the_layers = charts(app, "a").values()
    kinds = [each.type for each in app.main if each.type in ("plotly_chart", "selectbox")]
    assert kinds == ["plotly_chart", "selectbox", "plotly_chart", "plotly_chart", "plotly_chart"]
    assert "predictions" in app.get("plotly_chart")[0].proto.alt
    for each in (picture, through_the_layers):
        assert (each["layout"]["yaxis"]["title"]["text"], each["layout"]["yaxis"].get("autorange")) == ("layer", None)
    read = scratch.trace("She opened the [MASK] and <b>walked</b> in.")
    [last] = scratch.guesses(read)
    assert picture["data"][0]["text"][-1][0] == last.tokens[0]
    shares = numbers(picture["data"][0]["z"])
    assert shares.shape == (scratch.card.layers, 5)
    np.testing.assert_allclose(shares[-1], last.shares, rtol=1e-5)
    assert len(charts(app, "b")) == 1
    assert "MiniLM has no prediction head" in said(app.main)
    assert len(charts(open_page("layers", text="She opened the door."), "a")) == 1
