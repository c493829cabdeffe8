"""Models by name: what is in the catalogue, what a trace holds, and what is said when there is none."""

import dataclasses
import gc
import shutil
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch
import transformers
from huggingface_hub import constants
from safetensors.numpy import load_file
from torch import nn

from encoder import models
from encoder.bert import take_apart, walk
from encoder.catalogue import BUILT_IN, DEFAULT_LEFT, DEFAULT_RIGHT, ROOT, catalogue, minilm_folder
from encoder.devices import accelerator
from encoder.errors import ModelError
from encoder.model import PRESETS, Encoder
from encoder.models import Model, load
from encoder.reading import Reader
from encoder.tokens import Tokenizer, read_tokenizer
from encoder.trace import EMBEDDING_AXES, LAYER_AXES, ModelCard
from tests.test_guesses import with_head
from tests.tiny import (
    FAMILIES,
    WORD_PIECES,
    edit_config,
    save_tiny,
    shaken,
    tiny_config,
    tiny_network,
    tiny_tokenizer,
    wordpiece,
)

FROM_SCRATCH = [entry.name for entry in BUILT_IN if entry.preset]
TEXT, PAIR = "The cat sat on the mat.", "It was warm there."


def scratch_model(encoder, readers=None, backend=None):
    """A Model around an encoder that the test holds."""
    card = ModelCard("tiny", "test", 2, 3, 12, 20, encoder.config.vocabulary, 0, "WordPiece")
    readers = readers or (Reader.of(encoder, "cpu"),)
    return Model(
        card, Tokenizer(backend or wordpiece()), encoder.config.positions, encoder.config.scale, readers,
        encoder=lambda: encoder,
    )  # fmt: skip


def tiny_encoder(**choices):
    return shaken(Encoder(tiny_config(vocabulary=26, positions=30, **choices)))


def pretrained_model(network):
    card = ModelCard("tiny", "test", 2, 3, 12, 20, 120, 0, "WordPiece")
    parts = take_apart(network)
    return Model(card, Tokenizer(wordpiece()), parts.positions, parts.scale, (Reader("cpu", partial(walk, parts)),))


# What a trace holds


@pytest.mark.parametrize("name", [*FROM_SCRATCH, "minilm"])
def test_the_sizes_of_a_trace_are_those_of_its_card(name, request):
    model = request.getfixturevalue("minilm") if name == "minilm" else load(name)
    trace, card = model.trace(TEXT, PAIR), model.card
    sizes = {
        "token": len(trace.tokens), "query": len(trace.tokens), "key": len(trace.tokens), "model": card.width,
        "head": card.heads, "head_dim": card.width // card.heads, "ffn": card.ffn_width,
    }  # fmt: skip
    assert trace.model is card
    assert len(trace.layers) == card.layers
    for field, array, axes in trace.arrays():
        assert array.shape == tuple(sizes[axis] for axis in axes), field
        assert array.dtype == np.float32, field
        assert np.isfinite(array).all(), field
    for layer in trace.layers:
        assert np.abs(layer.attention.sum(-1) - 1).max() <= 1e-5
        power = np.exp(layer.scores - layer.scores.max(-1, keepdims=True))
        assert np.abs(power / power.sum(-1, keepdims=True) - layer.attention).max() <= 1e-5


@pytest.mark.parametrize("name", FROM_SCRATCH)
def test_the_card_of_a_preset_is_its_configuration(name):
    model, config = load(name), PRESETS[next(entry.preset for entry in BUILT_IN if entry.name == name)]
    for size in ("layers", "heads", "width", "ffn_width", "vocabulary"):
        assert getattr(model.card, size) == getattr(config, size)
    assert model.positions == config.positions
    sines = config.positions * config.width if config.position == "sinusoidal" else 0
    assert model.card.parameters == sum(weight.numel() for weight in Encoder(config).parameters()) - sines
    assert model.trace("a cat").layers[0].scale == pytest.approx(config.scale)


def test_minilm_is_the_model_its_paper_says(minilm):
    card = minilm.card
    assert (card.layers, card.heads, card.width, card.ffn_width, card.vocabulary) == (6, 12, 384, 1_536, 30_522)
    assert (minilm.positions, card.tokenizer, card.source) == (512, "WordPiece", "pretrained")
    assert card.parameters == 22_565_376  # the published 22.7 million without the pooler


def test_the_shipped_encoder_is_of_the_size_that_the_list_and_the_readme_tell(scratch):
    card = scratch.card  # other tests ask it how deep it is
    assert (card.layers, card.heads, card.width, card.ffn_width, card.vocabulary) == (5, 8, 256, 1_024, 30_522)
    assert (scratch.positions, card.tokenizer, card.source) == (256, "WordPiece", "from scratch")
    size = f"({card.layers} layers, {card.heads} heads, width {card.width}"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Our own encoder {size})" in catalogue()["scratch"].about
    assert f"our encoder {size}," in readme


def test_both_default_models_cut_a_text_into_the_same_tokens(scratch, minilm):
    left, right = scratch.trace(TEXT, PAIR).tokens, minilm.trace(TEXT, PAIR).tokens
    assert left.text == right.text
    assert (DEFAULT_LEFT in catalogue(), DEFAULT_RIGHT in catalogue()) == (True, True)


def test_an_untrained_encoder_is_the_same_for_everybody_in_the_room():
    one_room, another = load("scratch-untrained").trace(TEXT), load("scratch-untrained").trace(TEXT)
    for (name, one, _), (_, other, _) in zip(one_room.arrays(), another.arrays(), strict=True):
        assert np.array_equal(one, other), name


def test_arrays_of_a_trace_cannot_be_written_to(minilm):
    trace = minilm.trace("a cat")
    stored = [getattr(trace.embedding, name) for name in EMBEDDING_AXES]
    stored += [getattr(layer, name) for layer in trace.layers for name in LAYER_AXES if name != "scores"]
    stored.append(trace.output)
    assert len(stored) == 4 + 6 * 12 + 1
    for array in stored:
        assert type(array) is np.ndarray
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    assert trace.nbytes == sum(array.nbytes for array in stored) + sum(
        getattr(trace.tokens, name).nbytes for name in ("word", "segment", "special", "span")
    )


@pytest.mark.parametrize("kind", ["post", "pre", "none", "sinusoidal", *FAMILIES])
def test_a_trace_keeps_its_numbers_when_the_weights_move_on(kind):
    if kind in FAMILIES:
        network = tiny_network(kind)
        model = pretrained_model(network)
    else:
        choices = {"position": kind} if kind == "sinusoidal" else {"norm": kind}
        network = tiny_encoder(**choices)
        model = scratch_model(network)
    trace = model.trace("the cat sat", "it was")
    before = {name: array.copy() for name, array, _ in trace.arrays()}
    weights = [weight.detach().numpy() for weight in network.parameters()]
    assert not any(np.shares_memory(array, weight) for _, array, _ in trace.arrays() for weight in weights)
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(99.0)
    assert all(np.array_equal(array, before[name]) for name, array, _ in trace.arrays())


def test_a_trace_does_not_keep_its_model_alive():
    encoder = tiny_encoder()
    model, alive = scratch_model(encoder), weakref.ref(encoder)
    trace = model.trace("the cat")
    del encoder, model
    gc.collect()
    assert alive() is None
    assert len(trace.layers) == 2


def test_traces_record_no_gradient_and_leave_the_weights_alone():
    encoder = tiny_encoder()
    before = {name: weight.clone() for name, weight in encoder.state_dict().items()}
    scratch_model(encoder).trace("the cat")
    assert all(weight.grad is None for weight in encoder.parameters())
    assert all(torch.equal(weight, before[name]) for name, weight in encoder.state_dict().items())


def test_no_more_tokens_are_read_than_asked_for_or_than_there_are_positions():
    model = scratch_model(tiny_encoder())
    for limit, read in ((9, 9), (30, 30), (400, 30)):
        trace = model.trace("the cat " * 50, limit=limit)
        assert (len(trace.tokens), trace.tokens.left_out) == (read, 102 - read)
        assert trace.layers[0].attention.shape == (3, read, read)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pretrained_model_reads_to_its_last_position(tmp_path, family):
    model = load(str(save_tiny(tmp_path / family, family)))
    # RoBERTa and its kin begin to count after their padding row.
    assert model.positions == (40 if family in ("bert", "distilbert", "electra") else 38)
    trace = model.trace("the cat " * 50, limit=10_000)
    assert len(trace.tokens) == model.positions
    assert np.isfinite(trace.layers[-1].hidden).all()


@pytest.mark.parametrize("text", ["", " ", "\x00", "😀", "שלום", "x" * 5_000, "</script>", "the cat " * 12_500])
def test_every_model_reads_everything(scratch, minilm, text):
    for model in (scratch, minilm):
        trace = model.trace(text, text)
        assert 2 <= len(trace.tokens) <= 128
        assert all(np.isfinite(array).all() for _, array, _ in trace.arrays())


# The nearest of the vocabulary


def test_neighbours_are_the_nearest_rows_of_the_embedding_table(minilm):
    table = load_file(minilm_folder() / "model.safetensors")["embeddings.word_embeddings.weight"]
    backend, read = read_tokenizer(minilm_folder()).backend, minilm.trace(TEXT)
    for token in ("cat", "sat"):
        row = table[backend.token_to_id(token)]
        cosines = table @ row / np.linalg.norm(table, axis=1) / np.linalg.norm(row)
        nearest = np.argsort(-cosines)[1:8]  # without itself
        names, found = zip(*minilm.neighbours(read, read.tokens.text.index(token), 7), strict=True)
        assert names == tuple(map(backend.id_to_token, nearest.tolist()))
        np.testing.assert_allclose(found, cosines[nearest], atol=1e-5)


def test_neither_a_token_itself_nor_an_unused_piece_is_among_its_neighbours():
    backend, encoder = wordpiece(), shaken(Encoder(tiny_config(vocabulary=28, positions=30)))
    backend.add_tokens(["[unused0]", "[unused93]"])
    cat = backend.token_to_id("cat")
    with torch.no_grad():
        table = encoder.embeddings.token.weight
        table[26:] = 2 * table[cat] + 0.01 * table[:2]
    model = scratch_model(encoder, backend=backend)
    others = set(WORD_PIECES) - {"cat"}
    found = [name for name, _ in model.neighbours(model.trace("the cat"), 2, len(others))]
    assert set(found) == others
    assert [name for name, _ in model.neighbours(model.trace("the cat"), 2, 3)] == found[:3]


# Many readers at once


@pytest.mark.parametrize("name", ["minilm", "scratch"])
def test_threads_reading_through_one_model_get_their_own_results(name, request):
    model = request.getfixturevalue(name)
    texts = ["The cat sat on the mat.", "Dogs bark.", "It was warm there, by the river bank, all day."]
    alone = [model.trace(text) for text in texts]
    start, found = threading.Barrier(len(texts)), {}

    def read(place):
        traces = []
        for _ in range(15):
            start.wait(timeout=60)
            traces.append(model.trace(texts[place]))
        found[place] = traces

    threads = [threading.Thread(target=read, args=(place,)) for place in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place, expected in enumerate(alone):
        assert len(found[place]) == 15
        for trace in found[place]:
            assert trace.tokens.text == expected.tokens.text
            for (field, one, _), (_, other, _) in zip(trace.arrays(), expected.arrays(), strict=True):
                assert np.abs(one - other).max() <= 1e-5, field


# Devices


class FullDevice:
    """A reader whose memory is full. "cpu:0" is another name of the CPU, so that no accelerator is needed."""

    def __init__(self, error):
        self.error, self.asked = error, 0

    def __call__(self, ids, segment):
        self.asked += 1
        raise self.error


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("MPS backend out of memory (…)")], ids=repr
)
def test_out_of_memory_on_an_accelerator_leaves_the_work_to_the_cpu(error):
    encoder, full = tiny_encoder(), FullDevice(error)
    model = scratch_model(encoder, (Reader("cpu:0", full), Reader("cpu", encoder.trace)))
    trace, expected = model.trace("the cat sat"), scratch_model(encoder).trace("the cat sat")
    assert (trace.device, full.asked) == ("cpu", 1)
    assert np.array_equal(trace.layers[-1].hidden, expected.layers[-1].hidden)
    model.trace("the cat")
    assert full.asked == 2  # a shorter text may fit again


@pytest.mark.parametrize("final_norm", [True, False])
def test_the_norm_on_top_is_in_what_the_model_hands_on_and_in_no_layer(final_norm):
    encoder = tiny_encoder(norm="pre", final_norm=final_norm)
    trace = scratch_model(encoder).trace(TEXT)
    last = trace.layers[-1]
    np.testing.assert_allclose(last.hidden, last.after_attention + last.ffn_output, atol=1e-5)
    with torch.inference_mode():
        expected = encoder.final_norm(torch.tensor(last.hidden)).numpy()
    np.testing.assert_allclose(trace.output, expected, atol=1e-5)
    assert (abs(trace.output - last.hidden).max() > 0.1) == final_norm


def test_other_errors_of_an_accelerator_are_not_hidden():
    encoder = tiny_encoder()
    model = scratch_model(encoder, (Reader("cpu:0", FullDevice(RuntimeError("lost"))), Reader("cpu", encoder.trace)))
    with pytest.raises(RuntimeError, match="lost"):
        model.trace("the cat")


def test_a_model_that_does_not_fit_an_accelerator_stays_on_the_cpu(monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(models, "accelerator", lambda: "cuda")
    monkeypatch.setattr(nn.Module, "to", full)
    assert load("scratch-untrained", "cuda").trace("a cat").device == "cpu"


def test_a_model_that_fits_but_cannot_work_on_an_accelerator_stays_on_the_cpu(monkeypatch):
    readings, trace = [], Encoder.trace

    def once(self, *arguments):
        readings.append(arguments)
        if len(readings) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return trace(self, *arguments)

    monkeypatch.setattr(models, "accelerator", lambda: "cpu:0")
    monkeypatch.setattr(Encoder, "trace", once)
    assert load("scratch-untrained", "cpu:0").trace("a cat").device == "cpu"
    assert len(readings) == 3


def test_an_accelerator_is_asked_first_and_named(monkeypatch):
    monkeypatch.setattr(models, "accelerator", lambda: "cpu:0")
    assert load("scratch-untrained", "cpu:0").trace("a cat").device == "cpu:0"


@pytest.mark.parametrize("device", ["cuda", "mps", "toaster"])
def test_a_device_that_is_not_there_is_told_in_one_sentence(monkeypatch, device):
    monkeypatch.setattr(models, "accelerator", lambda: None)
    assert f"no “{device}” device" in told("scratch-untrained", device)


@pytest.mark.skipif(accelerator() is None, reason="no accelerator on this machine")
@pytest.mark.parametrize("name", ["scratch-untrained", "minilm"])
def test_an_accelerator_computes_what_the_cpu_does(name):
    found, expected = load(name, accelerator()).trace(TEXT, PAIR), load(name).trace(TEXT, PAIR)
    assert found.device == accelerator()
    for (field, one, _), (_, other, _) in zip(found.arrays(), expected.arrays(), strict=True):
        assert np.abs(one - other).max() <= 1e-3 * max(1, np.abs(other).max()), field


# Names, folders, and what is said when there is nothing


def told(name, device="cpu"):
    """What a learner is told instead of a model: one plain sentence."""
    with pytest.raises(ModelError) as error:
        load(name, device, download=False)
    sentence = str(error.value)
    assert sentence.endswith(".")
    assert not {"\n", "Traceback", "Error"} & {*sentence, *sentence.split()}
    return sentence


@pytest.mark.parametrize(
    "name", ["unheard", "../../etc/passwd", "/etc/passwd", "a/b/c", "\x00", "x" * 5_000, "models/\x00", "<script>"]
)
def test_an_unknown_name_is_told_with_the_names_there_are(name):
    sentence = told(name)
    assert "There is no model" in sentence
    assert all(known in sentence for known in catalogue())


def test_a_missing_or_empty_folder_is_told(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("ENCODER_LENS_MODELS", str(tmp_path))
    assert "config.json is missing" in told("empty")
    entry = dataclasses.replace(catalogue()["empty"], folder=tmp_path / "gone")
    monkeypatch.setattr(models, "catalogue", lambda: {"gone": entry})
    assert told("gone") == "There is no model folder “gone”."


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "config.json").write_text("{"), "config.json"),
        (lambda folder: edit_config(folder, model_type="gpt2"), "supported are bert, roberta"),
        (lambda folder: edit_config(folder, is_decoder=True), "decoder"),
        (lambda folder: (folder / "model.safetensors").unlink(), "weights are missing"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\x08"), "damaged"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "holds no tokenizer"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "holds no tokenizer"),
    ],
    ids=["config", "family", "decoder", "no weights", "truncated", "no tokenizer", "broken tokenizer"],
)
def test_a_spoilt_folder_is_told_and_not_loaded(tiny_folder, spoil, said):
    assert len(load(str(tiny_folder)).trace("the cat").layers) == 2
    spoil(tiny_folder)
    assert said in told(str(tiny_folder))


def test_a_tokenizer_that_knows_more_than_its_model_is_told(tmp_path):
    save_tiny(tmp_path, vocab_size=20)
    assert "knows more pieces than its model has embeddings" in told(str(tmp_path))


@pytest.mark.parametrize(("name", "label"), [("minilm", "MiniLM"), ("scratch", "From scratch")])
def test_weights_that_are_not_the_published_ones_are_refused(tmp_path, monkeypatch, name, label):
    known = catalogue()[name]
    folder = shutil.copytree(known.folder, tmp_path / "model")
    monkeypatch.setattr(models, "catalogue", lambda: {name: dataclasses.replace(known, folder=folder)})
    weights = folder / "model.safetensors"
    with weights.open("r+b") as file:
        file.seek(20_000_000)
        byte = file.read(1)[0]
        file.seek(20_000_000)
        file.write(bytes([byte ^ 1]))
    assert told(name) == f"The weights of {label} are not the published ones: their SHA-256 differs."
    weights.unlink()
    assert f"weights of {label} are missing; install" in told(name)


def test_folders_put_beside_the_built_in_models_are_on_offer(tmp_path, monkeypatch):
    monkeypatch.setenv("ENCODER_LENS_MODELS", str(tmp_path))
    save_tiny(tmp_path / "our-electra", "electra")
    save_tiny(tmp_path / "a-roberta", "roberta")
    (tmp_path / "notes.txt").write_text("no model")
    assert list(catalogue()) == [*(entry.name for entry in BUILT_IN), "a-roberta", "our-electra"]
    model = load("our-electra")
    assert (model.card.name, model.card.width, model.card.heads) == ("our-electra", 12, 3)
    assert len(model.trace("the cat").layers) == 2


def test_a_folder_cannot_take_the_name_of_a_built_in_model(tmp_path, monkeypatch):
    monkeypatch.setenv("ENCODER_LENS_MODELS", str(tmp_path))
    save_tiny(tmp_path / "minilm")
    assert catalogue()["minilm"] == next(entry for entry in BUILT_IN if entry.name == "minilm")
    assert len(catalogue()) == len(BUILT_IN)


def test_a_models_folder_that_is_not_there_offers_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("ENCODER_LENS_MODELS", str(tmp_path / "gone"))
    assert list(catalogue()) == [entry.name for entry in BUILT_IN]


@pytest.mark.parametrize("name", ["bert-base-uncased", "school/unheard", "../etc"])
def test_a_hub_model_that_is_not_on_this_machine_says_what_it_needs(tmp_path, monkeypatch, name):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert "has to be downloaded once, with internet" in told(name)


def test_a_download_without_internet_is_told_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"^This server is set to work without internet .*\.$"):
        load("school/unheard")


def test_a_hub_model_that_is_on_this_machine_is_loaded_without_asking(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    home = tmp_path / "models--school--tiny"
    save_tiny(home / "snapshots" / "abc", "distilbert")
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("abc")
    model = load("school/tiny", download=False)
    assert (model.card.name, model.card.source) == ("school/tiny", "school/tiny")
    assert len(model.trace("the cat").layers) == 2


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "config.json").write_text("{"), "The folder “BERT base” holds no model"),
        (lambda folder: edit_config(folder, hidden_size=24), "The model “BERT base” cannot be read"),
        (lambda folder: edit_config(folder, num_hidden_layers=3), "The model “BERT base” is incomplete"),
        (lambda folder: save_tiny(folder, vocab_size=20), "The tokenizer of “BERT base” knows more pieces"),
    ],
    ids=["config", "weights", "incomplete", "tokenizer"],
)
def test_a_hub_model_that_cannot_be_read_is_called_by_its_label(tmp_path, monkeypatch, spoil, said):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    home = tmp_path / "models--google-bert--bert-base-uncased"
    spoil(save_tiny(home / "snapshots" / "86b5e0"))
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("86b5e0")
    with pytest.raises(ModelError, match=said):
        load("bert-base-uncased", download=False)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_card_of_a_pretrained_model_is_its_configuration(tmp_path, family):
    card = load(str(save_tiny(tmp_path / "tiny", family))).card
    assert (card.name, card.source, card.layers, card.heads, card.width) == ("tiny", "pretrained", 2, 3, 12)
    assert (card.ffn_width, card.vocabulary) == (20, 120)
    assert card.tokenizer == type(tiny_tokenizer(family).model).__name__


def test_models_that_are_loaded_at_once_have_their_prediction_heads(tmp_path, monkeypatch):
    with_head(tmp_path, "bert")
    expected, build = guesses_of(tmp_path), transformers.BertModel.__init__
    begun, both = threading.Event(), threading.Event()

    def building(network, *arguments, **choices):
        # Here transformers ties no weights, in no thread, until it puts back what it has found as it began.
        build(network, *arguments, **choices)
        if begun.is_set():
            both.set()
            one.result()
        begun.set()
        both.wait(1)  # in vain: who loads has it alone

    monkeypatch.setattr(transformers.BertModel, "__init__", building)
    monkeypatch.setattr(transformers.PreTrainedModel, "tie_weights", transformers.PreTrainedModel.tie_weights)
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(guesses_of, tmp_path)
        begun.wait(60)
        other = pool.submit(guesses_of, tmp_path)
    assert one.result() == other.result() == guesses_of(tmp_path) == expected
    assert expected


def guesses_of(folder):
    model = load(str(folder))
    return model.guesses(model.trace("the cat [MASK] on the mat ."))


def test_a_short_reading_leaves_no_tensor_for_the_garbage_collector_to_visit(minilm, scratch):
    gc.collect()
    before = {id(thing) for thing in gc.get_objects() if type(thing) is torch.Tensor}
    readings = [model.trace("The cat sat on the mat.") for model in (minilm, scratch)]
    left = [thing for thing in gc.get_objects() if type(thing) is torch.Tensor and id(thing) not in before]
    assert all(readings)
    assert not left
