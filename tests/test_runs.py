"""Pretraining from the command line: runs that go on as if they had never been killed, and mistakes said in a line."""

import csv
import json
import math
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from encoder import runs
from encoder.__main__ import main, orders, parser
from encoder.catalogue import ROOT
from encoder.checkpoints import read
from encoder.models import load
from encoder.pretrain import Pretraining, checkpoints
from encoder.runs import wordpiece
from encoder.texts import paragraphs, token_row
from tests.app import until
from tests.tiny import TEN

pytestmark = pytest.mark.usefixtures("alone")

QUICK = ["--steps", "50", "--batch", "4", "--length", "12", "--width", "24", "--layers", "2", "--heads", "3",
         "--ffn-width", "48", "--positions", "12", "--save-every", "10", "--evaluate-every", "25"]  # fmt: skip


@pytest.fixture
def book(tmp_path):
    (tmp_path / "book.txt").write_text("\n".join(TEN * 20), encoding="utf-8")
    return tmp_path / "book.txt"


def started(out, book, *more, launch=()):
    command = [sys.executable, "-m", *(launch or ("encoder",)), "pretrain", str(book), "--out", str(out), *QUICK, *more]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def trained(out, book, *more):
    """The same in this process, which saves the seconds that a new one takes."""
    assert main(["pretrain", str(book), "--out", str(out), *QUICK, *more]) == 0


def finished(process):
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said.decode()
    return said.decode()


def weights(out, step=50):
    return load_file(out / f"step-{step:08d}" / "model.safetensors")


def curve(file):
    with file.open(newline="") as rows:
        return list(csv.DictReader(rows))


def test_a_run_that_was_killed_ends_as_one_that_was_not(book, tmp_path):
    long = ("--held-out", str(book), "--steps", "150")
    said = finished(started(tmp_path / "whole", book, *long))
    assert "accuracy" in said
    assert "tokens/s" in said
    killed = started(tmp_path / "killed", book, *long)
    until(lambda: checkpoints(tmp_path / "killed"))
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    step = json.loads((checkpoints(tmp_path / "killed")[-1] / "run.json").read_text())["step"]
    finished(started(tmp_path / "killed", book, *long))
    assert 0 < step < 150
    ours, theirs = weights(tmp_path / "whole", 150), weights(tmp_path / "killed", 150)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert len(load(str(tmp_path / "whole" / "model")).trace("The cat sat.").tokens) == 6
    for told in ("curve.csv", "held_out.csv"):
        assert curve(tmp_path / "whole" / told) == curve(tmp_path / "killed" / told)


def test_two_processes_learn_what_one_does(book, tmp_path):
    trained(tmp_path / "one", book, "--steps", "100")
    two = (
        "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
        "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", "-m", "encoder",
    )  # fmt: skip
    odd = started(tmp_path / "odd", book, "--batch", "3", launch=two)
    finished(started(tmp_path / "two", book, "--steps", "100", launch=two))
    assert b"2 processes cannot share 3 sequences evenly." in odd.communicate(timeout=300)[0]
    assert len(curve(tmp_path / "two" / "curve.csv")) == 2
    for alone, shared in zip(*(curve(tmp_path / name / "curve.csv") for name in ("one", "two")), strict=True):
        assert float(shared["loss"]) == pytest.approx(float(alone["loss"]), abs=1e-3)
    ours, theirs = weights(tmp_path / "one", 100), weights(tmp_path / "two", 100)
    for name, weight in ours.items():
        torch.testing.assert_close(theirs[name], weight, atol=1e-3, rtol=0)


def test_large_products_in_half_the_bits_learn_the_same(book, tmp_path):
    half = started(tmp_path / "half", book, "--precision", "bf16")
    trained(tmp_path / "full", book)
    finished(half)
    (full,), (half,) = (curve(tmp_path / name / "curve.csv") for name in ("full", "half"))
    assert full["loss"] != half["loss"]  # something was rounded
    assert float(half["loss"]) == pytest.approx(float(full["loss"]), rel=0.01)
    assert {weight.dtype for name, weight in weights(tmp_path / "half").items() if name != "head.ids"} == {
        torch.float32
    }


def test_a_run_goes_on_from_a_finished_model_and_learns_pieces_that_it_could_not_predict(book, tmp_path, capsys):
    few = ("--steps", "0", "--predictable", "5", "--seed", "3")
    trained(tmp_path / "before", book, *few)
    before = read(tmp_path / "before" / "model")
    start, more = ("--start", str(tmp_path / "before" / "model")), ("--predictable", "500")
    trained(tmp_path / "kept", book, *start, "--steps", "0")
    assert torch.equal(read(tmp_path / "kept" / "model").head.ids, before.head.ids)
    trained(tmp_path / "same", book, *start, *more, "--steps", "0")
    same = read(tmp_path / "same" / "model")
    every = set(token_row(TEN, wordpiece()).tolist()) - {102}  # [SEP]
    assert (len(before.head.ids), set(same.head.ids.tolist())) == (5, every)
    for (name, one), other in zip(before.encoder.named_parameters(), same.encoder.parameters(), strict=True):
        assert torch.equal(one, other), name
    trained(tmp_path / "after", book, *start, *more)
    capsys.readouterr()
    assert main(["pretrain", str(book), "--out", str(tmp_path / "after"), *QUICK, *more]) == 1
    assert capsys.readouterr().err.endswith("holds a run with other settings: start.\n")
    assert float(curve(tmp_path / "after" / "curve.csv")[-1]["loss"]) < math.log(len(every))  # of guessing blindly


def test_a_run_begins_with_the_mean_of_several_models(book, tmp_path, capsys):
    for seed, layers, positions in (("1", "2", "20"), ("2", "1", "12")):
        sizes = ("--layers", layers, "--positions", positions)
        trained(tmp_path / seed, book, "--steps", "1", "--seed", seed, *sizes)
    start = [word for seed in "122" for word in ("--start", str(tmp_path / seed / "model"))]
    trained(tmp_path / "mean", book, *start, "--steps", "0", "--layers", "1")
    one, other, mean = (read(tmp_path / name / "model").state_dict() for name in ("1", "2", "mean"))
    assert torch.equal(mean["head.ids"], one["head.ids"])
    for name in set(mean) - {"head.ids"}:
        expected = (one[name][: len(other[name])] + 2 * other[name]) / 3  # of the positions those that both have
        torch.testing.assert_close(mean[name], expected, rtol=1e-3, atol=1e-4)  # as half precision holds it
    about = json.loads((tmp_path / "mean" / "model" / "config.json").read_text())["about"]
    assert about["start"].split() == [str(tmp_path / seed / "model") for seed in "122"]
    trained(tmp_path / "wide", book, "--steps", "0", "--width", "48")
    capsys.readouterr()
    assert run(book, tmp_path / "odd", *start, "--start", str(tmp_path / "wide" / "model")) == 1
    assert capsys.readouterr().err.endswith("The models to start from have other sizes or settings than one another.\n")


def test_a_run_can_divide_the_top_layer_of_the_model_it_starts_from_and_leave_layers_out(book, tmp_path):
    trained(tmp_path / "before", book, "--steps", "10")
    start = ("--start", str(tmp_path / "before" / "model"), "--optimizer", "muon")
    for layers in (1, 2, 4):
        trained(tmp_path / str(layers), book, *start, "--layers", str(layers), "--steps", "0")
    one, two, four = (read(tmp_path / str(layers) / "model").encoder for layers in (1, 2, 4))
    assert one.config == replace(two.config, layers=1)
    assert four.config == replace(two.config, layers=4)
    ids = torch.from_numpy(np.array([[101, *token_row(TEN[:1], wordpiece())]])).long()
    torch.testing.assert_close(one.layers[0](two.embeddings(ids)), two.layers[0](two.embeddings(ids)))
    for number in (1, 2, 3):
        for name, weight in two.layers[1].state_dict().items():
            part = 3 if name.startswith(("attention.output", "feed_forward.contract")) else 1
            torch.testing.assert_close(part * four.layers[number].state_dict()[name], weight, rtol=1e-3, atol=1e-4)
    trained(tmp_path / "after", book, *start, "--layers", "4")
    finished_model = read(tmp_path / "after" / "model")
    after = finished_model.encoder
    assert not torch.allclose(after.layers[2].feed_forward.expand.weight, after.layers[3].feed_forward.expand.weight)
    losses = [float(row["loss"]) for row in curve(tmp_path / "after" / "curve.csv")]
    assert losses[-1] < math.log(len(finished_model.head.ids))


def test_a_run_can_read_longer_sequences_than_the_model_it_starts_from(book, tmp_path):
    trained(tmp_path / "before", book, "--steps", "1")
    longer = ("--length", "20", "--positions", "20", "--repeat-rate", "0.5")
    trained(tmp_path / "after", book, "--start", str(tmp_path / "before" / "model"), *longer)
    assert read(tmp_path / "after" / "model").encoder.config.positions == 20


def test_what_cannot_be_is_said_in_one_sentence(tmp_path, capsys):
    assert main(["pretrain", "nowhere.txt", "--out", str(tmp_path / "run")]) == 1
    assert capsys.readouterr().err == "There is no file or folder nowhere.txt.\n"
    (tmp_path / "short.txt").write_text("Hello.")
    assert main(["pretrain", str(tmp_path / "short.txt"), "--out", str(tmp_path / "other")]) == 1
    assert capsys.readouterr().err == "3 tokens of text are too few for one sequence of 128.\n"
    assert main(["pretrain", str(tmp_path / "short.txt"), "--out", str(tmp_path / "third"), "--start", "nowhere"]) == 1
    assert capsys.readouterr().err == "The config of “nowhere” is missing, or describes no encoder.\n"
    every = "--evaluate-every and --save-every are numbers of steps, at least 1.\n"
    for wrong, said in {
        ("--save-every", "0"): every,
        ("--length", "1"): "The length has to be at least 2, and is 1.\n",
    }.items():  # fmt: skip
        assert main(["pretrain", str(tmp_path / "short.txt"), "--out", str(tmp_path / "fourth"), *wrong]) == 1
        assert capsys.readouterr().err == said


def run(book, out, *more):
    return main(["pretrain", str(book), "--out", str(out), *QUICK, "--steps", "2", "--save-every", "1", *more])


THAI = "แมวนั่งบนเสื่อเพราะมันเหนื่อย\n" * 10
NOT_FOR_ENGLISH_PIECES = {
    "Thai": (THAI.encode(), "10 tokens, 100.00% of them [UNK]"),
    "Thai as Windows writes it": (THAI.encode("cp874"), "of them [UNK]"),
    "a .docx": (b"PK\x03\x04" + bytes(range(256)) * 9, "a Word, OpenDocument, EPUB or ZIP file"),
    "noise": (bytes(range(256)) * 9, "no plain text"),
}


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize(("data", "why"), NOT_FOR_ENGLISH_PIECES.values(), ids=NOT_FOR_ENGLISH_PIECES)
def test_a_text_that_cannot_be_read_or_spelled_is_refused_in_a_sentence(book, tmp_path, capsys, data, why, held_out):
    other = tmp_path / "other.txt"
    other.write_bytes(data)
    texts = [str(book), "--held-out", str(other)] if held_out else [str(other)]
    assert main(["pretrain", *texts, "--out", str(tmp_path / "out"), *QUICK]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"{other}: " in error
    assert why in error
    assert error.endswith(".")
    assert not (tmp_path / "out" / "model").exists()


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_a_text_in_another_encoding_is_learned_from_as_it_was_meant_and_that_is_said(tmp_path, capsys, encoding):
    text = "\n".join(f"{line} It’s a naïve café." for line in TEN)
    for name, data in (("plain", text.encode()), ("other", text.encode(encoding))):
        (tmp_path / f"{name}.txt").write_bytes(data)
        trained(tmp_path / name, tmp_path / f"{name}.txt", "--steps", "1")
        said = capsys.readouterr().out
        assert re.search(rf"{name}\.txt: \d+ tokens, 0\.00% of them \[UNK\]\.", said)
        assert ("read as" in said) is (name == "other")
    rows = [next((tmp_path / name).glob("tokens-*")).read_bytes() for name in ("plain", "other")]
    assert rows[0] == rows[1]


def test_a_mistake_in_the_command_can_be_mended_and_the_command_given_again(book, tmp_path, capsys):
    out = tmp_path / "run"
    assert run(book, tmp_path / "before") == 0
    assert run(book, out, "--start", "nowhere") == 1
    whole = book.read_text(encoding="utf-8")
    book.write_text("The cat.", encoding="utf-8")
    capsys.readouterr()
    assert run(book, out) == 1
    assert capsys.readouterr().err == "4 tokens of text are too few for one sequence of 12.\n"
    book.write_text(whole, encoding="utf-8")
    before = ("--start", str(tmp_path / "before" / "model"))
    assert run(book, out, *before, "--width", "48") == 1
    assert capsys.readouterr().err.endswith("The width of the model to start from is 24, not 48.\n")
    assert run(book, out, *before) == 0
    assert json.loads((out / "model" / "config.json").read_text())["about"]["start"].endswith("before/model")


def test_a_run_does_not_go_on_with_another_text(book, tmp_path, capsys):
    assert run(book, tmp_path / "run") == 0
    other = tmp_path / "other.txt"
    other.write_text("\n".join(TEN[:3] * 40), encoding="utf-8")
    capsys.readouterr()
    assert run(other, tmp_path / "run") == 1
    assert capsys.readouterr().err.endswith("holds a run with other settings: texts.\n")
    moved = book.rename(tmp_path / "moved.txt")
    assert run(moved, tmp_path / "run") == 0


def test_held_out_texts_are_looked_at_before_the_training(book, tmp_path, capsys):
    (tmp_path / "short.txt").write_text("The cat.", encoding="utf-8")
    assert run(book, tmp_path / "one", "--held-out", str(tmp_path / "short.txt")) == 1
    said = f"{tmp_path / 'short.txt'}: 4 tokens are too few for one sequence of 12.\n"
    assert capsys.readouterr().err == said
    twin = tmp_path / "twin" / "book.txt"
    twin.parent.mkdir()
    twin.write_text(book.read_text(encoding="utf-8"), encoding="utf-8")
    assert run(book, tmp_path / "two", "--held-out", str(book), str(twin)) == 0
    assert [asked["text"] for asked in curve(tmp_path / "two" / "held_out.csv")] == [str(book), str(twin)]


def test_what_is_told_along_the_way_is_in_tensorboard_too(book, tmp_path):
    trained(tmp_path / "run", book, "--held-out", str(book))
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    board.Reload()
    [told], asked = curve(tmp_path / "run" / "curve.csv"), curve(tmp_path / "run" / "held_out.csv")
    for name in ("loss", "gradient", "learning_rate", "mask_rate"):
        assert [event.value for event in board.Scalars(name)] == pytest.approx([float(told[name])], abs=1e-5)
    for name in ("accuracy", "loss", "perplexity"):
        events = board.Scalars(f"{name}/book")
        assert [event.step for event in events] == [25, 50]
        assert [event.value for event in events] == pytest.approx([float(each[name]) for each in asked], rel=1e-4)


def test_a_model_that_no_step_follows_is_asked_as_it_is(book, tmp_path):
    trained(tmp_path / "run", book, "--held-out", str(book))
    start = ("--start", str(tmp_path / "run" / "model"), "--steps", "0")
    trained(tmp_path / "same", book, *start, "--held-out", str(book))
    (*_, last), [asked] = (curve(tmp_path / name / "held_out.csv") for name in ("run", "same"))
    assert asked["step"] == "0"
    assert float(asked["loss"]) == pytest.approx(float(last["loss"]), rel=1e-2)  # as half precision holds it


def test_whole_words_can_be_asked_for(book, tmp_path):
    options = ["pretrain", str(book), "--out", str(tmp_path / "run")]
    assert not orders(parser().parse_args(options)).training.whole_words
    assert orders(parser().parse_args([*options, "--whole-words"])).training.whole_words


def test_a_text_that_is_read_more_than_once_is_cut_once(book, tmp_path, monkeypatch):
    other, cut = tmp_path / "other.txt", []
    other.write_text("Unbelievable mats!\n\nIt was warm there.", encoding="utf-8")
    monkeypatch.setattr(runs, "paragraphs", lambda source, tell: cut.append(source) or paragraphs(source))
    sources = [str(each) for each in (book, other, book, other, other)]
    asked = orders(parser().parse_args(["pretrain", *sources, "--out", str(tmp_path / "run")]))
    row = runs.tokens(asked)
    expected = [token_row(paragraphs(source), wordpiece()) for source in sources]
    np.testing.assert_array_equal(row, np.concatenate(expected))
    np.testing.assert_array_equal(row, runs.tokens(asked))
    assert cut == sources[:2]


@pytest.mark.parametrize(
    ("trouble", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "Stopped; the same command goes on from the last checkpoint, if there is one."),
        (RuntimeError("CUDA out of memory.\n  Tried to allocate"), 1, "CUDA out of memory. Tried to allocate"),
        (MemoryError(), 1, "MemoryError"),
    ],
)
def test_a_run_that_is_stopped_or_fails_says_so_in_a_line(book, tmp_path, monkeypatch, capsys, trouble, code, said):
    def broken(_):
        raise trouble

    monkeypatch.setattr(Pretraining, "advance", broken)
    assert run(book, tmp_path / "run") == code
    assert capsys.readouterr().err.splitlines()[-1] == said
