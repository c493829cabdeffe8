"""Trained encoders in folders: written, read, traced; and bad ones refused with the reason."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece

from encoder import checkpoints
from encoder.errors import ModelError
from encoder.masked import MaskedLanguageModel
from encoder.model import Encoder
from encoder.models import load
from tests.tiny import WORD_PIECES, save_tiny, shaken, tiny_config

CONFIG = tiny_config(vocabulary=30_522, norm="pre", final_norm=True, dropout=0.0)


@pytest.fixture
def model():
    return shaken(MaskedLanguageModel(Encoder(CONFIG), torch.tensor([1996, 2000, 30_521])))


@pytest.fixture
def folder(model, tmp_path):
    checkpoints.save(model, tmp_path / "mine", {"steps": 3})
    return tmp_path / "mine"


@pytest.fixture
def own(tmp_path):
    """A model with a tokenizer of its own, as lessons leave it."""
    return save_own(tmp_path / "own", WORD_PIECES)


def save_own(folder, pieces, **sizes):
    config = tiny_config(vocabulary=len(pieces), dropout=0.0, **sizes)
    backend = Tokenizer(WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    checkpoints.save(shaken(MaskedLanguageModel(Encoder(config), torch.arange(5, len(pieces)))), folder, {}, backend)
    return folder


def never(*given, **named):
    raise AssertionError("It was done all the same.")


def change(folder, **choices):
    config = json.loads((folder / "config.json").read_text())
    config["encoder"] |= choices
    (folder / "config.json").write_text(json.dumps(config))


def test_a_model_comes_back_as_it_was_to_half_precision(folder, model):
    again = checkpoints.read(folder)
    assert again.encoder.config == CONFIG
    assert not again.training
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], weight, atol=1e-3, rtol=1e-3)
    assert torch.equal(again.head.place, model.head.place)
    assert json.loads((folder / "config.json").read_text())["about"] == {"steps": 3}


def test_a_model_is_written_beside_its_place_and_can_be_read_by_whom_the_system_lets(folder, model):
    usual = folder / "usual"
    usual.touch()
    checkpoints.save(model, folder, {"steps": 4})
    assert {file.stat().st_mode for file in folder.iterdir()} == {usual.stat().st_mode}
    assert usual.exists()
    assert [each.name for each in folder.parent.iterdir()] == [folder.name]


def test_a_folder_of_ours_is_a_model_like_any_other(folder):
    assert checkpoints.is_ours(folder)
    loaded = load(str(folder))
    trace = loaded.trace("The cat sat.")
    assert (trace.model.name, trace.model.layers, trace.model.heads) == ("mine", CONFIG.layers, CONFIG.heads)
    assert trace.tokens.text == ("[CLS]", "the", "cat", "sat", ".", "[SEP]")
    ids = torch.tensor([[101, 1996, 4937, 2938, 1012, 102]])
    expected = checkpoints.read(folder).encoder(ids, torch.zeros_like(ids))[0].detach()
    np.testing.assert_allclose(trace.output, expected, atol=1e-5)
    assert loaded.positions == CONFIG.positions


def test_other_folders_are_not_ours(tmp_path):
    save_tiny(tmp_path / "bert")
    assert not checkpoints.is_ours(tmp_path / "bert")
    assert not checkpoints.is_ours(tmp_path / "nowhere")
    for number, text in enumerate(("", "[]", "{}", '{"model_type": ["encoder-lens"]}', "\x00")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "config.json").write_text(text)
        assert not checkpoints.is_ours(tmp_path / str(number))


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        ({"width": 24}, "encoder.embeddings.token.weight should be 30522 × 24 by its config, and is 30522 × 12"),
        ({"layers": 3}, "has 2 layers, and 3 by its config"),
        ({"layers": 10**12}, "has 2 layers"),
        ({"ffn_width": 10**12}, "should be 1000000000000 × 12"),
        ({"positions": 8}, "encoder.embeddings.position.weight should be 8 × 12 by its config, and is 7 × 12"),
        ({"final_norm": 1}, "describes no encoder"),
        ({"norm": "batch"}, "describes no encoder"),
        ({"heads": 5}, "describes no encoder"),
        ({"width": "12"}, "describes no encoder"),
        ({"vocabulary": 2_000}, "does not say which pieces it can predict"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(folder, choices, reason):
    change(folder, **choices)
    with pytest.raises(ModelError, match=reason) as refused:
        checkpoints.read(folder)
    assert str(refused.value).count(". ") == 0


def test_damaged_weights_are_refused_with_the_reason(folder):
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    state = {name: weight.clone() for name, weight in load_file(file).items()}  # not of the file, which changes
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="missing or damaged"):
        checkpoints.read(folder)
    save_file({name: weight for name, weight in state.items() if name != "head.ids"}, file)
    with pytest.raises(ModelError, match="which pieces it can predict"):
        checkpoints.read(folder)
    save_file({name: weight for name, weight in state.items() if name != "head.bias"}, file)
    with pytest.raises(ModelError, match=r"head\.bias should be 3 by its config, and is missing"):
        checkpoints.read(folder)
    save_file(state | {"head.bias": state["head.bias"] + float("inf")}, file)
    with pytest.raises(ModelError, match="weights that are no numbers"):
        checkpoints.read(folder)
    file.unlink()
    with pytest.raises(ModelError, match="missing or damaged"):
        checkpoints.read(folder)


def test_a_tokenizer_with_more_pieces_than_embeddings_is_refused(tmp_path):
    few = tiny_config(dropout=0.0)
    checkpoints.save(MaskedLanguageModel(Encoder(few), torch.tensor([3])), tmp_path / "few", asdict(few))
    with pytest.raises(ModelError, match="knows more pieces than its model has embeddings"):
        load(str(tmp_path / "few"))


def test_a_brought_model_may_have_bert_larges_sizes_and_reads_few_tokens(tmp_path, monkeypatch):
    pieces = [*WORD_PIECES, *map(str, range(30_522 - len(WORD_PIECES)))]
    file = checkpoints.pack(save_own(tmp_path / "large", pieces, layers=24, positions=512))
    forward, read = Encoder.forward, []
    monkeypatch.setattr(Encoder, "forward", lambda encoder, ids: read.append(ids.shape) or forward(encoder, ids))
    checkpoints.unpack(file, tmp_path / "brought")
    assert read == [(1, 64)]
    assert load(str(tmp_path / "brought")).card.layers == 24


@pytest.mark.parametrize(
    "sizes",
    [{"positions": 513}, {"vocabulary": 30_523}, {"layers": 25}, {"heads": 17, "width": 34}, {"ffn_width": 4_097},
     {"width": 1_026}],
    ids=str,
)  # fmt: skip
def test_a_brought_model_that_is_too_large_is_refused_before_anything_is_read(own, tmp_path, monkeypatch, sizes):
    change(own, **sizes)
    monkeypatch.setattr(checkpoints, "read", never)
    name, size = next(iter(sizes.items()))
    with pytest.raises(ModelError, match=f"{name.replace('_', ' ')}: {size:,}, at most") as refused:
        checkpoints.unpack(checkpoints.pack(own), tmp_path / "brought")
    assert str(refused.value).endswith(").")


def test_thousands_of_empty_layers_are_refused_before_anything_is_built(own, tmp_path, monkeypatch):
    change(own, layers=8_000)
    empty = {f"encoder.layers.{layer}.nothing": torch.zeros(0) for layer in range(8_000)}
    save_file(load_file(own / "model.safetensors") | empty, own / "model.safetensors")
    monkeypatch.setattr(checkpoints, "MaskedLanguageModel", never)
    with pytest.raises(ModelError, match="layers: 8,000, at most 24"):
        checkpoints.unpack(checkpoints.pack(own), tmp_path / "brought")


def test_a_header_beyond_any_model_is_refused_before_it_is_taken_apart(own, tmp_path, monkeypatch):
    with (own / "tokenizer.json").open("a") as file:
        file.write(" " * 2**23)
    monkeypatch.setattr(checkpoints, "_rebuilt", never)
    with pytest.raises(ModelError, match=r"header .* is longer"):
        checkpoints.unpack(checkpoints.pack(own), tmp_path / "brought")


@pytest.mark.parametrize("trouble", [RuntimeError("DefaultCPUAllocator: can't allocate memory"), MemoryError()])
def test_a_brought_model_without_memory_to_compute_it_is_refused_in_a_sentence(own, tmp_path, monkeypatch, trouble):
    def forward(encoder, ids):
        raise trouble

    monkeypatch.setattr(Encoder, "forward", forward)
    with pytest.raises(ModelError, match=r"more memory than is left\.$"):
        checkpoints.unpack(checkpoints.pack(own), tmp_path / "brought")
