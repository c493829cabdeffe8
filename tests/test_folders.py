"""Model folders that are incomplete, damaged or not what they seem: one sentence that says why and what to do."""

import json
import shutil
import tracemalloc

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from encoder import checkpoints, folders, hub
from encoder.catalogue import catalogue
from encoder.errors import ModelError
from encoder.models import load
from tests.test_guesses import with_head
from tests.tiny import edit_config, save_tiny

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:53aa51172d142c89d9012cce15ae4d6c\nsize 90868376\n"


def told(folder):
    with pytest.raises(ModelError) as error:
        load(str(folder))
    sentence = str(error.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert folder.name in sentence
    return sentence


def never(*given, **named):
    raise AssertionError("It was done all the same.")


def header_only(tensors, **first):
    """A safetensors file of so many tensors that hold nothing, after the metadata given."""
    header = {"__metadata__": first} | {
        f"t{number}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for number in range(tensors)
    }
    data = json.dumps(header, separators=(",", ":")).encode()
    return len(data).to_bytes(8, "little") + data


# What is missing or something else


def test_a_config_without_a_family_says_what_it_lacks(tiny_folder):
    config = json.loads((tiny_folder / "config.json").read_text())
    del config["model_type"]
    (tiny_folder / "config.json").write_text(json.dumps(config))
    assert 'needs a “model_type”, such as "bert"' in told(tiny_folder)


def test_a_config_that_is_not_there_and_one_that_is_damaged_are_told_apart(tiny_folder):
    (tiny_folder / "config.json").write_text("{")
    assert told(tiny_folder).endswith("its config.json cannot be read.")
    (tiny_folder / "config.json").write_text("[" * 200_000)
    assert told(tiny_folder).endswith("its config.json cannot be read.")
    (tiny_folder / "config.json").write_text('["bert"]')
    assert told(tiny_folder).endswith("its config.json describes none.")
    (tiny_folder / "config.json").unlink()
    assert told(tiny_folder).endswith("its config.json is missing.")


@pytest.mark.parametrize("names", [("pytorch_model.bin",), ("model.h5", "pytorch_model.bin"), ("flax_model.msgpack",)])
def test_weights_of_another_kind_are_named_with_what_to_do(tiny_folder, names):
    (tiny_folder / "model.safetensors").unlink()
    for name in (*names, "training_args.bin"):
        (tiny_folder / name).write_bytes(b"\x80\x02.")
    sentence = told(tiny_folder)
    assert f"has its weights only as {' and '.join(names)}, which is not opened here" in sentence
    assert sentence.endswith("save it again as model.safetensors.")


def test_weights_that_are_missing_are_not_called_damaged(tiny_folder):
    (tiny_folder / "model.safetensors").unlink()
    assert told(tiny_folder).endswith("its weights are missing (model.safetensors).")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_pointer_of_git_lfs_is_called_that_with_what_to_do(tiny_folder, name):
    (tiny_folder / name).write_text(POINTER)
    assert f"{name} is only a pointer of Git LFS: run “git lfs pull”" in told(tiny_folder)


def in_shards(folder):
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    halves = dict.fromkeys(state, names[0]) | dict.fromkeys(list(state)[20:], names[1])
    for name in names:
        save_file({key: state[key] for key in state if halves[key] == name}, folder / name, metadata={"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": halves}))
    return names


def test_weights_in_several_files_are_read_and_what_one_of_them_lacks_is_told(tiny_folder):
    expected = load(str(tiny_folder)).trace("the cat").output
    _, second = in_shards(tiny_folder)
    np.testing.assert_array_equal(load(str(tiny_folder)).trace("the cat").output, expected)
    (tiny_folder / second).write_text(POINTER)
    assert f"{second} is only a pointer" in told(tiny_folder)
    (tiny_folder / second).unlink()
    assert told(tiny_folder).endswith(f"{second} is missing.")
    (tiny_folder / "model.safetensors.index.json").write_text('{"weight_map": 3}')
    assert told(tiny_folder).endswith("model.safetensors.index.json is damaged.")


def test_a_model_folder_named_as_the_folder_of_models_is_that_model(tiny_folder, monkeypatch):
    shutil.copytree(tiny_folder, tiny_folder / "1_Pooling")  # a part of it, and no model
    monkeypatch.setenv("ENCODER_LENS_MODELS", str(tiny_folder))
    offered = [entry for entry in catalogue().values() if entry.about == "From this machine's models folder."]
    assert [(entry.name, entry.folder) for entry in offered] == [("tiny", tiny_folder)]
    assert load("tiny").card.width == 12
    monkeypatch.chdir(tiny_folder)
    monkeypatch.setenv("ENCODER_LENS_MODELS", ".")
    assert catalogue()["tiny"].folder == tiny_folder


# Sizes


@pytest.mark.parametrize(
    ("family", "changes", "said"),
    [
        ("bert", {"num_hidden_layers": 0}, "num_hidden_layers: 0"),
        ("distilbert", {"n_layers": 0}, "num_hidden_layers: 0"),
        ("bert", {"vocab_size": 0}, "vocab_size: 0"),
        ("bert", {"hidden_size": 0}, "hidden_size: 0"),
        ("bert", {"hidden_size": -12}, "hidden_size: -12"),
        ("bert", {"num_attention_heads": 0}, "num_attention_heads: 0"),
        ("bert", {"max_position_embeddings": 0}, "max_position_embeddings: 0"),
        ("bert", {"num_attention_heads": 5}, "12 numbers for 5 heads, which cannot share them"),
        ("bert", {"vocab_size": 50_000}, "word embeddings are 120 × 12, and 50,000 × 12 by its config.json"),
        ("bert", {"vocab_size": 10**12}, "word embeddings are 120 × 12"),
        ("bert", {"hidden_size": 24}, "word embeddings are 120 × 12, and 120 × 24 by its config.json"),
        ("bert", {"max_position_embeddings": 512}, "position embeddings are 40 × 12, and 512 × 12 by its config.json"),
        ("bert", {"num_hidden_layers": 10**7}, "has 10,000,000 layers by its config.json, and 39 weights"),
        ("bert", {"num_hidden_layers": 3}, "incomplete: 16 of its weights are missing"),
        ("bert", {"intermediate_size": 0}, "its weights are damaged, or do not fit"),
        ("bert", {"intermediate_size": 10**12}, "its weights are damaged, or do not fit"),
        ("bert", {"type_vocab_size": 0}, "its weights are damaged, or do not fit"),
        ("bert", {"vocab_size": 120.0}, "config.json describes none"),
        ("bert", {"hidden_size": True}, "config.json describes none"),
        ("roberta", {"pad_token_id": None}, "pad_token_id: None"),
        ("roberta", {"pad_token_id": -1}, "pad_token_id: -1"),
        ("roberta", {"pad_token_id": 39}, "pad_token_id: 39, and its 40 positions are counted from there on"),
        ("roberta", {"pad_token_id": 36}, "has 3 positions, too few for 4 special tokens"),
    ],
)
def test_sizes_of_nothing_and_sizes_that_do_not_fit_are_told_before_anything_is_built(tmp_path, family, changes, said):
    folder = save_tiny(tmp_path / "tiny", family)
    edit_config(folder, **changes)
    assert said in told(folder)


def test_embeddings_that_are_missing_are_told_before_others_take_their_place(tiny_folder, monkeypatch):
    state = load_file(tiny_folder / "model.safetensors")
    save_file({name: state[name] for name in state if "word" not in name}, tiny_folder / "model.safetensors")
    edit_config(tiny_folder, vocab_size=10**12)
    monkeypatch.setattr(transformers.BertForMaskedLM, "from_pretrained", never)
    assert told(tiny_folder).endswith("its word embeddings are missing.")


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_what_has_no_token_is_never_predicted_and_nobodys_neighbour(tmp_path, family):
    network = with_head(tmp_path, family)
    tokens = network.config.vocab_size
    network.resize_token_embeddings(tokens + 500)
    table = network.get_input_embeddings().weight
    with torch.no_grad():  # what has no token is likelier, and nearer to all, than anything else
        table[tokens:] = table[:tokens].mean(0)
        network.get_output_embeddings().bias[tokens:] = 50
        network.get_output_embeddings().bias[:tokens] = 45
    network.save_pretrained(tmp_path)
    model = load(str(tmp_path))
    trace = model.trace("the cat sat on the [MASK] .")
    [guess] = model.guesses(trace, tokens + 100)
    assert len(guess.tokens) == tokens
    assert all(guess.tokens)
    assert 0 < sum(guess.shares) < 0.5  # of the model's own softmax: the rest went to what has no name
    near = model.neighbours(trace, 1, 5)
    assert len(near) == 5
    assert all(name for name, _ in near)


# Limits before parsing


def test_weights_that_are_all_header_are_refused_before_it_is_taken_apart(tiny_folder, monkeypatch):
    monkeypatch.setattr(folders, "safe_open", never)
    for data in (header_only(20_000), header_only(0, filler=" " * 2**23)):
        (tiny_folder / "model.safetensors").write_bytes(data)
        assert told(tiny_folder).endswith("the header of model.safetensors is longer than that of any model.")


def test_our_own_models_that_are_all_header_are_refused_before_it_is_taken_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "safe_open", never)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "encoder-lens", "encoder": {}}))
    (tmp_path / "model.safetensors").write_bytes(header_only(20_000))
    assert "header of model.safetensors is longer" in told(tmp_path)


@pytest.mark.parametrize("tensors", [20_000, 300_000])
def test_a_brought_file_that_is_all_header_is_refused_before_it_is_taken_apart(tmp_path, monkeypatch, tensors):
    data = header_only(tensors, config="{}", tokenizer="{}")
    monkeypatch.setattr(checkpoints, "safe_open", never)
    tracemalloc.start()
    with pytest.raises(ModelError, match=r"^The header of this file is longer .*\.$"):
        checkpoints.unpack(data, tmp_path / "brought")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2 * folders.LARGEST_HEADER
    assert not (tmp_path / "brought").exists()


def test_a_repository_of_the_hub_that_is_all_header_is_not_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "safe_open", never)
    (tmp_path / "model.safetensors").write_bytes(header_only(20_000))
    assert not hub._is_whole(tmp_path / "model.safetensors")


def test_a_file_whose_header_would_be_longer_than_itself_is_damaged(tiny_folder):
    (tiny_folder / "model.safetensors").write_bytes(b"<!DOCTYPE html>")
    assert told(tiny_folder).endswith("model.safetensors is damaged.")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json", "tokenizer_config.json"])
def test_a_file_beyond_any_models_is_refused_before_it_is_parsed(tiny_folder, name, monkeypatch):
    if "index" in name:
        in_shards(tiny_folder)
    else:
        (tiny_folder / name).touch()
    with (tiny_folder / name).open("r+b") as file:
        file.truncate(2**26 + 1)
    monkeypatch.setattr(json, "loads", never if name == "config.json" else json.loads)
    assert f"{name} is larger than that of any model" in told(tiny_folder)


def test_why_a_folder_could_not_be_read_is_in_the_log(tiny_folder, caplog):
    edit_config(tiny_folder, intermediate_size=21)
    sentence = told(tiny_folder)
    [record] = [record for record in caplog.records if record.getMessage() == sentence]
    assert record.exc_info
    assert "Traceback" in caplog.text
