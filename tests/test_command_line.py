"""`python -m encoder trace …` writes what a model computed, for a notebook or another program."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from encoder.__main__ import main, save
from encoder.catalogue import ROOT
from encoder.trace import EMBEDDING_AXES, LAYER_AXES
from tests.tiny import save_tiny


@pytest.fixture
def tiny(tmp_path):
    return str(save_tiny(tmp_path / "tiny"))


def test_the_file_holds_every_array_with_its_axes(tiny, tmp_path, capsys):
    out = tmp_path / "trace.npz"
    assert main(["trace", "The cat sat.", "--model", tiny, "--out", str(out)]) == 0
    assert "6 tokens, 2 layers" in capsys.readouterr().out
    with np.load(out, allow_pickle=False) as file:
        axes, card = json.loads(str(file["axes"])), json.loads(str(file["model"]))
        names = {f"embedding.{name}" for name in EMBEDDING_AXES}
        names |= {f"layers.{number}.{name}" for number in (0, 1) for name in LAYER_AXES} | {"output"}
        assert set(axes) == names
        sizes = {"token": 6, "query": 6, "key": 6, "model": 12, "head": 3, "head_dim": 4, "ffn": 20}
        for name in names:
            assert file[name].shape == tuple(sizes[axis] for axis in axes[name]), name
        assert axes["layers.1.attention"] == ["head", "query", "key"]
        assert (card["name"], card["layers"], card["heads"], card["width"]) == ("tiny", 2, 3, 12)
        assert file["tokens.text"].tolist() == ["[CLS]", "the", "cat", "sat", ".", "[SEP]"]
        assert {name for name in file if name.startswith("tokens.")} == {
            f"tokens.{name}" for name in ("text", "word", "segment", "special", "span", "left_out")
        }


def test_the_numbers_in_the_file_are_the_traces_own(minilm, tmp_path):
    trace = minilm.trace("The cat sat.", "It was warm.")
    save(trace, tmp_path / "a trace")  # under the very name that was asked for
    with np.load(tmp_path / "a trace") as file:
        assert all(np.array_equal(file[name], array) for name, array, _ in trace.arrays())
        assert np.array_equal(file["tokens.segment"], trace.tokens.segment)


@pytest.mark.parametrize("arguments", [["caf\udce9"], ["coffee", "--pair", "caf\udce9"]], ids=["text", "pair"])
def test_a_text_that_is_not_utf_8_is_said_in_one_sentence(tiny, capsys, arguments):
    assert main(["trace", *arguments, "--model", tiny]) == 1
    assert capsys.readouterr().err == "The text holds bytes that are no characters: it is not UTF-8.\n"


def test_a_second_sentence_and_a_limit_are_passed_on(tiny, tmp_path, capsys):
    out = tmp_path / "trace.npz"
    command = ["trace", "the cat sat on the mat", "--pair", "it was warm", "--limit", "7", "--model", tiny]
    assert main([*command, "--out", str(out)]) == 0
    with np.load(out) as file:
        assert file["tokens.segment"].tolist() == [0, 0, 0, 0, 1, 1, 1]
        assert file["tokens.left_out"] == 5
    assert capsys.readouterr().err == "5 more tokens did not fit.\n"


@pytest.mark.parametrize("limit", ["-3", "1", "many"])
def test_a_limit_that_leaves_no_room_for_a_word_is_refused_in_a_sentence(limit, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["trace", "The cat sat.", "--limit", limit])
    assert stopped.value.code == 2
    assert f"argument --limit: a number of tokens, at least 2, is needed: {limit}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["unheard", "../../etc/passwd", "/nowhere"])
def test_an_unknown_model_is_one_sentence_and_a_failure(name, tmp_path, capsys):
    out = tmp_path / "trace.npz"
    assert main(["trace", "a cat", "--model", name, "--out", str(out)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("There is no model")
    assert shown.err.endswith(".\n")
    assert shown.err.count("\n") == 1
    assert not out.exists()


def test_a_broken_folder_is_one_sentence_and_a_failure(tiny, capsys):
    (Path(tiny) / "model.safetensors").write_bytes(b"no weights")
    assert main(["trace", "a cat", "--model", tiny]) == 1
    assert capsys.readouterr().err == ("The model “tiny” cannot be read: model.safetensors is damaged.\n")


def test_a_place_that_cannot_be_written_to_is_one_sentence_and_a_failure(tiny, tmp_path, capsys):
    out = tmp_path / "nowhere" / "trace.npz"
    assert main(["trace", "a cat", "--model", tiny, "--out", str(out)]) == 1
    assert capsys.readouterr().err == f"The trace cannot be written to {out}: No such file or directory.\n"


def test_it_runs_as_a_module(tiny, tmp_path):
    out = tmp_path / "trace.npz"
    command = [sys.executable, "-m", "encoder", "trace", "the cat", "--model", tiny, "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert out.exists()


ENCODINGS = ("cp1252", "ascii")  # of Windows in the west, and of a bare container


def run_in(encoding, *arguments):
    """What a fresh process says whose terminal, or file, has that encoding."""
    command, env = [sys.executable, "-m", "encoder", *arguments], {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, env=env)
    return done.returncode, done.stdout.decode(encoding), done.stderr.decode(encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_trace_is_told_in_any_encoding(tiny, tmp_path, encoding):
    out = tmp_path / "猫 → ‘trace’.npz"
    code, said, error = run_in(encoding, "trace", "the cat", "--model", tiny, "--out", str(out))
    assert (code, error) == (0, "")
    assert said.startswith("4 tokens, 2 layers, ")
    assert "written to" in said
    assert out.exists()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_help_and_errors_are_told_in_any_encoding(tmp_path, encoding):
    for arguments, wanted in (
        (["pretrain", "--help"], 0),
        (["trace", "猫 → “cat”", "--model", "→ 猫 “no model”"], 1),
        (["trace", "a cat", "--limit", "“→”"], 2),
        (["pretrain", str(tmp_path / "no “猫” → text.txt"), "--out", str(tmp_path / "run")], 1),
    ):
        code, said, error = run_in(encoding, *arguments)
        assert code == wanted
        assert "Traceback" not in said + error
        assert said + error


def test_the_progress_of_a_training_is_told_in_any_encoding(tmp_path):
    book = tmp_path / "book.txt"
    book.write_text("The cat sat on the mat, and it was warm there. " * 40, encoding="utf-8")
    sizes = [
        "--steps",
        "2",
        "--width",
        "16",
        "--layers",
        "1",
        "--heads",
        "2",
        "--ffn-width",
        "16",
        "--batch",
        "2",
        "--length",
        "16",
    ]
    for encoding in ("ascii", "cp1252"):
        code, said, error = run_in(encoding, "pretrain", str(book), "--out", str(tmp_path / encoding), *sizes)
        assert code == 0, error
        assert "Traceback" not in said + error


def test_what_a_library_raises_keeps_its_traceback_and_what_we_do_is_one_sentence(
    tmp_path, monkeypatch, caplog, capsys
):
    def fail(orders):
        np.zeros(3) @ np.zeros(4)

    command = ["pretrain", "book.txt", "--out", str(tmp_path)]
    monkeypatch.setattr("encoder.runs.run", fail)
    assert main(command) == 1
    assert "matmul" in capsys.readouterr().err.splitlines()[-1]
    assert caplog.records[0].exc_info
    caplog.clear()
    monkeypatch.undo()
    assert main([*command, "--evaluate-every", "0"]) == 1
    assert capsys.readouterr().err == "--evaluate-every and --save-every are numbers of steps, at least 1.\n"
    assert not caplog.records
