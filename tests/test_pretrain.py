"""Pretraining: true gradients, runs that go on to the bit after they were killed, processes that share a batch."""

import csv
import gc
import json
import math
import os
import signal
import subprocess
import sys
import time
import weakref
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch._dynamo.testing import CompileCounter

from encoder.__main__ import main
from encoder.catalogue import ROOT
from encoder.checkpoints import read
from encoder.masked import MaskedLanguageModel, Pieces, hide, score
from encoder.model import Encoder
from encoder.models import load
from encoder.pretrain import PretrainConfig, Pretraining, checkpoints, commonest
from encoder.runs import SMALL, wordpiece
from encoder.texts import Sequences, token_row
from tests.bench import pretrain as benchmark
from tests.tiny import tiny_config

pytestmark = pytest.mark.usefixtures("alone")

SENTENCES = (
    "The cat sat on the mat.", "A dog barked at the moon.", "We walked home in the rain.", "She sings every morning.",
    "The train was late again.", "Nobody knew the answer.", "He put the key under the stone.", "Birds fly south.",
    "My brother paints old ships.", "The soup is too hot to eat.",
)  # fmt: skip
TINY = replace(SMALL, width=24, layers=2, heads=3, ffn_width=48, positions=12)
QUICK = ["--steps", "50", "--batch", "4", "--length", "12", "--width", "24", "--layers", "2", "--heads", "3",
         "--ffn-width", "48", "--positions", "12", "--save-every", "10", "--evaluate-every", "25"]  # fmt: skip


@pytest.fixture(scope="module")
def pieces():
    return Pieces.of(wordpiece())


@pytest.fixture(scope="module")
def row():
    return token_row(SENTENCES * 20, wordpiece())


@pytest.fixture
def book(tmp_path):
    (tmp_path / "book.txt").write_text("\n".join(SENTENCES * 20), encoding="utf-8")
    return tmp_path / "book.txt"


def pretraining(row, pieces, more=None, dropout=0.0, **settings):
    config = PretrainConfig(**{"steps": 20, "batch": 4, "length": 12, **settings})
    texts = Sequences(row, config.length, pieces.classify, config.seed)
    sizes = replace(TINY, dropout=dropout, attention_dropout=dropout)
    model = MaskedLanguageModel(Encoder(sizes), commonest(row, pieces, 500))
    return Pretraining(model, config, pieces, texts, **(more or {}))


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_gradients_equal_those_of_torchs_own_encoder_with_the_same_weights(norm):
    ours = Encoder(tiny_config(norm=norm, dropout=0.0, attention_dropout=0.0)).train()
    theirs = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(12, 3, 20, 0.0, "gelu", 1e-12, batch_first=True, norm_first=norm == "pre"),
        num_layers=2, enable_nested_tensor=False,
    )  # fmt: skip
    pairs = []
    for other, mine in zip(theirs.layers, ours.layers, strict=True):
        parts = (mine.attention.query, mine.attention.key, mine.attention.value)
        boxes = {
            other.self_attn.out_proj: mine.attention.output, other.linear1: mine.feed_forward.expand,
            other.linear2: mine.feed_forward.contract, other.norm1: mine.attention_norm, other.norm2: mine.ffn_norm,
        }  # fmt: skip
        for target, source in boxes.items():
            target.load_state_dict(source.state_dict())
            pairs += [(target.weight, [source.weight]), (target.bias, [source.bias])]
        with torch.no_grad():
            other.self_attn.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
            other.self_attn.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        pairs.append((other.self_attn.in_proj_weight, [part.weight for part in parts]))
        pairs.append((other.self_attn.in_proj_bias, [part.bias for part in parts]))
    ids = torch.randint(17, (2, 5), generator=torch.Generator().manual_seed(1))
    weight = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(2))
    (ours(ids) * weight).sum().backward()
    (theirs(ours.embeddings(ids).detach()) * weight).sum().backward()
    for other, mine in pairs:
        torch.testing.assert_close(torch.cat([part.grad for part in mine]), other.grad, atol=1e-5, rtol=1e-4)


def test_ten_sentences_are_learned_by_heart(pieces):
    ids = [[101, *wordpiece().encode(text, add_special_tokens=False).ids, 102] for text in SENTENCES]
    row = np.concatenate([np.array((one + [102] * 12)[1:12], dtype=np.int32) for one in ids])
    run = pretraining(row, pieces, steps=600, batch=10, learning_rate=5e-3, mask_rate=0.4, last_mask_rate=0.15)
    while run.step < 600:
        run.advance()
    everything = torch.from_numpy(np.stack([np.array((one + [102] * 12)[:12]) for one in ids])).long()
    asked = hide(everything, pieces, 0.15, torch.Generator().manual_seed(8))
    found = score(run.model.eval(), [asked])
    assert found.asked > 5
    assert found.accuracy == 1.0


def test_the_learning_rate_rises_then_falls_and_fewer_tokens_are_hidden_towards_the_end():
    config = PretrainConfig(steps=100, warm_up=0.1, learning_rate=2.0)
    rates = [config.learning_rate_at(step) for step in range(100)]
    assert rates[:3] == pytest.approx([0.2, 0.4, 0.6])
    assert max(rates) == rates[9] == rates[10] == 2.0
    assert all(later < earlier for earlier, later in pairwise(rates[10:]))
    assert rates[-1] < 0.01
    assert [config.mask_rate_at(step) for step in (0, 99)] == pytest.approx([0.6, 0.2])


def test_sequences_repeat_stretches_at_the_beginning_of_a_run_and_none_at_its_end(row, pieces):
    plain, run = (pretraining(row, pieces, repeat_rate=rate, steps=20) for rate in (0.0, 1.0))
    assert [run.config.repeat_rate_at(step) for step in (0, 19)] == [1.0, 0.0]
    assert replace(run.config, last_repeat_rate=0.5).repeat_rate_at(19) == 0.5
    assert not torch.equal(run.batch(0).truth, plain.batch(0).truth)
    for part, other in zip(run.batch(19), plain.batch(19), strict=True):
        assert torch.equal(part, other)


@pytest.mark.parametrize(("optimizer", "dropout"), [("adamw", 0.0), ("adamw", 0.3), ("muon", 0.0)])
def test_a_resumed_run_goes_on_as_if_it_had_never_stopped(row, pieces, tmp_path, optimizer, dropout):
    whole, first = (pretraining(row, pieces, dropout=dropout, optimizer=optimizer) for _ in range(2))
    before = [first.advance() for _ in range(7)]
    first.save(tmp_path)
    again = pretraining(row, pieces, dropout=dropout, optimizer=optimizer)
    assert again.resume(tmp_path)
    assert again.step == 7
    after = [again.advance() for _ in range(7)]
    assert [whole.advance() for _ in range(14)] == before + after
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, again.model.state_dict()[name]), name


def test_muon_gives_every_direction_of_a_matrix_a_step_of_one_length_and_leaves_embeddings_to_adamw(row, pieces):
    steps = {}
    for optimizer in ("adamw", "muon"):
        run = pretraining(row, pieces, optimizer=optimizer, warm_up=0.05, weight_decay=0.0, learning_rate=1e-2)
        before = {name: weight.clone() for name, weight in run.model.named_parameters()}
        run.advance()
        steps[optimizer] = {name: weight.detach() - before[name] for name, weight in run.model.named_parameters()}
    matrix = "encoder.layers.1.feed_forward.expand.weight"  # [48, 24]
    lengths = {optimizer: torch.linalg.svdvals(step[matrix].detach()) for optimizer, step in steps.items()}
    assert lengths["muon"].max() == pytest.approx(0.2 * 1e-2 * 48**0.5, rel=0.3)  # Newton and Schulz come close
    assert lengths["muon"].median() > 0.5 * lengths["muon"].max()
    assert lengths["adamw"].median() < 0.5 * lengths["adamw"].max()
    for name in ("encoder.embeddings.token.weight", "encoder.layers.0.ffn_norm.weight", "head.bias"):
        assert torch.equal(steps["muon"][name], steps["adamw"][name]), name


def test_only_the_newest_checkpoint_is_kept_and_a_half_written_one_is_none(row, pieces, tmp_path):
    run = pretraining(row, pieces)
    for _ in range(2):
        run.advance()
        run.save(tmp_path)
    (tmp_path / ".coming-9").mkdir()
    assert [found.name for found in checkpoints(tmp_path)] == ["step-00000002"]
    assert {file.suffix for file in checkpoints(tmp_path)[0].iterdir()} == {".safetensors", ".json"}


def test_another_runs_folder_is_refused(row, pieces, tmp_path):
    run = pretraining(row, pieces)
    run.save(tmp_path)
    with pytest.raises(ValueError, match=r"holds a run with other settings: training\.$"):
        pretraining(row, pieces, learning_rate=1e-4).resume(tmp_path)
    with pytest.raises(ValueError, match=r": texts\.$"):
        pretraining(row, pieces, {"origin": {"texts": "others"}}).resume(tmp_path)
    assert not pretraining(row, pieces).resume(tmp_path / "nowhere")


def test_processes_that_do_not_see_one_folder_are_stopped_before_they_mix_their_weights(row, pieces, tmp_path):
    run = pretraining(row, pieces)
    run.save(tmp_path)
    run.accelerator.gather = lambda steps: torch.tensor([*steps.tolist(), 7])  # as another process would tell
    with pytest.raises(ValueError, match="has to be shared"):
        run.resume(tmp_path)


def test_a_loss_that_is_no_number_ends_the_run_and_leaves_its_weights_as_they_were(row, pieces):
    run = pretraining(row, pieces, learning_rate=1e30, warm_up=0.0)
    run.advance()
    before = {name: weight.clone() for name, weight in run.model.state_dict().items()}
    with pytest.raises(ValueError, match=r"^After 1 steps the loss is no number any more: the learning rate"):
        run.advance()
    assert run.step == 1
    assert all(torch.equal(weight, before[name]) for name, weight in run.model.state_dict().items())


def test_a_checkpoint_that_cannot_be_written_is_said_and_the_last_one_stays(row, pieces, tmp_path, monkeypatch):
    run = pretraining(row, pieces)
    run.save(tmp_path)
    run.advance()
    monkeypatch.setattr("encoder.pretrain.save_file", full)
    with pytest.raises(OSError, match=r"^Step 1 cannot be kept in .*: No space left"):
        run.save(tmp_path)
    assert [found.name for found in tmp_path.iterdir()] == ["step-00000000"]


def full(*_):
    raise SafetensorError("No space left on device")


def test_what_is_compiled_is_what_is_trained(row, pieces, monkeypatch):
    counter = CompileCounter()
    monkeypatch.setattr(Encoder, "compile", lambda encoder: nn.Module.compile(encoder, backend=counter))
    plain, compiled = (pretraining(row, pieces, {"compiled": wish}) for wish in (False, True))
    assert compiled.advance() == pytest.approx(plain.advance())
    assert counter.frame_count > 0
    assert plain.model.state_dict().keys() == compiled.model.state_dict().keys()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_processes_share_the_sequences_of_a_batch_between_them(row, pieces, count):
    batch = pretraining(row, pieces, batch=6).batch(0)
    shares = [batch.share(number, count) for number in range(count)]
    assert {len(share.ids) for share in shares} == {6 // count}
    for part, *parts in zip(batch, *shares, strict=True):
        assert sorted(part.tolist()) == sorted(torch.cat(parts).tolist())


@pytest.mark.parametrize("number", [0, 1])
def test_each_of_two_processes_trains_on_its_half_of_the_sequences(row, pieces, monkeypatch, number):
    run, seen = pretraining(row, pieces), []
    trained, batch = run._trained, run.batch(0)
    monkeypatch.setattr(run, "_trained", lambda share: seen.append(share) or trained(share))
    monkeypatch.setattr(Accelerator, "num_processes", 2)
    monkeypatch.setattr(Accelerator, "process_index", number)
    run.advance()
    [half] = seen
    assert len(half.ids) == 2
    for mine, whole in zip(half, batch, strict=True):
        assert mine.tolist() == whole.tolist()[number::2]


@pytest.mark.parametrize(("name", "value"), [
    ("steps", -1), ("batch", 0), ("length", 1), ("predictable", 0), ("seed", -1), ("mask_rate", 1.5),
    ("last_mask_rate", -0.1), ("repeat_rate", 1.1), ("last_repeat_rate", -1), ("learning_rate", math.nan),
    ("clip", math.inf), ("warm_up", 2), ("weight_decay", -1),
])  # fmt: skip
def test_a_setting_that_no_run_can_have_is_refused(name, value):
    with pytest.raises(ValueError, match=f"^The {name.replace('_', ' ')} has to be .*, and is {value}\\.$"):
        PretrainConfig(**{name: value})


def test_the_benchmark_makes_room_for_the_peer_whose_memory_it_measures(monkeypatch):
    ours, bert, kept, alive = benchmark._ours, benchmark._bert, [], []

    def remembered():
        run = ours()
        kept.extend(map(weakref.ref, [*run.model.parameters(), *run._optimizers]))
        return run

    def peer(run):
        step = bert(run)  # is not taken, but holds whatever it would
        return lambda: alive.append((step, gc.collect(), sum(each() is not None for each in kept)))

    monkeypatch.setattr(benchmark, "_ours", remembered)
    monkeypatch.setattr(benchmark, "_bert", peer)
    benchmark._measure("bert")
    assert kept
    assert [left for *_, left in alive] == [0] * benchmark.STEPS


def test_the_commonest_pieces_are_counted_without_special_tokens(pieces):
    row = np.array([102, 102, 102, 2000, 2000, 1996, 1996, 1996, 3000, 100], dtype=np.int32)
    assert commonest(row, pieces, 2).tolist() == [1996, 2000]
    assert commonest(row, pieces, 99).tolist() == [1996, 2000, 3000]


# ---- from the command line


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
    said = finished(started(tmp_path / "whole", book, "--held-out", str(book)))
    assert "accuracy" in said
    killed = started(tmp_path / "killed", book, "--held-out", str(book))
    for _ in range(3_000):
        if checkpoints(tmp_path / "killed"):
            break
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    step = json.loads((checkpoints(tmp_path / "killed")[-1] / "run.json").read_text())["step"]
    finished(started(tmp_path / "killed", book, "--held-out", str(book)))
    assert 0 < step < 50
    ours, theirs = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert len(load(str(tmp_path / "whole" / "model")).trace("The cat sat.").tokens) == 6
    assert curve(tmp_path / "whole" / "held_out.csv") == curve(tmp_path / "killed" / "held_out.csv")


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
    trained(tmp_path / "same", book, "--start", str(tmp_path / "before" / "model"), "--steps", "0")
    same = read(tmp_path / "same" / "model")
    every = set(token_row(SENTENCES, wordpiece()).tolist()) - {102}  # [SEP]
    assert (len(before.head.ids), set(same.head.ids.tolist())) == (5, every)
    for (name, one), other in zip(before.encoder.named_parameters(), same.encoder.parameters(), strict=True):
        assert torch.equal(one, other), name
    trained(tmp_path / "after", book, "--start", str(tmp_path / "before" / "model"))
    capsys.readouterr()
    assert main(["pretrain", str(book), "--out", str(tmp_path / "after"), *QUICK]) == 1
    assert capsys.readouterr().err.endswith("holds a run with other settings: start.\n")
    assert float(curve(tmp_path / "after" / "curve.csv")[-1]["loss"]) < math.log(len(every))  # of guessing blindly


def test_a_piece_that_a_model_learns_anew_begins_as_its_rarest(pieces):
    before = MaskedLanguageModel(Encoder(TINY, seed=1), torch.tensor([2000, 2003, 3000]))
    before.head.bias.data = torch.tensor([0.5, -2.0, 1.0])
    after = MaskedLanguageModel(Encoder(TINY, seed=2), torch.tensor([1999, 2000, 3000]))
    after.begin_as(before)
    assert after.head.bias.tolist() == [-2.0, 0.5, 1.0]
    ids = torch.tensor([[101, 2000, 103, 102]])
    ours, theirs = (model(ids, torch.zeros_like(ids), ids == pieces.mask) for model in (after, before))
    torch.testing.assert_close(ours[:, 1:], theirs[:, [0, 2]])


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


def test_in_a_mean_only_models_that_can_predict_a_piece_say_how_often_it_comes():
    models = [
        MaskedLanguageModel(Encoder(TINY, seed=seed), torch.tensor(ids))
        for seed, ids in ((1, [2000, 3000]), (2, [2000, 4000]))
    ]
    for model, bias in zip(models, ([1.0, 2.0], [3.0, -4.0]), strict=True):
        model.head.bias.data = torch.tensor(bias)
    after = MaskedLanguageModel(Encoder(TINY, seed=3), torch.tensor([1999, 2000, 3000, 4000]))
    after.begin_as(*models)
    assert after.head.bias.tolist() == [-4.0, 2.0, 2.0, -4.0]  # none, both, the first, the second


def test_a_run_can_divide_the_top_layer_of_the_model_it_starts_from_and_leave_layers_out(book, tmp_path):
    trained(tmp_path / "before", book, "--steps", "10")
    start = ("--start", str(tmp_path / "before" / "model"), "--optimizer", "muon")
    for layers in (1, 2, 4):
        trained(tmp_path / str(layers), book, *start, "--layers", str(layers), "--steps", "0")
    one, two, four = (read(tmp_path / str(layers) / "model").encoder for layers in (1, 2, 4))
    assert one.config == replace(two.config, layers=1)
    assert four.config == replace(two.config, layers=4)
    ids = torch.from_numpy(np.array([[101, *token_row(SENTENCES[:1], wordpiece())]])).long()
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


@torch.no_grad()
def test_several_steps_of_a_divided_layer_lead_as_far_as_its_one_the_nearer_the_shorter_they_are():
    before, after, without = (
        MaskedLanguageModel(Encoder(replace(TINY, norm="pre", layers=layers), seed), torch.arange(9)).eval()
        for seed, layers in ((1, 2), (2, 4), (3, 1))
    )
    ids = torch.arange(2000, 2009)[None]
    off = []  # ÷ what the layer adds
    for shorter in (1, 10, 10):
        for block in (before.encoder.layers[1].attention.output, before.encoder.layers[1].feed_forward.contract):
            block.weight /= shorter
        after.begin_as(before)
        without.begin_as(before)
        whole, divided, none = (model.encoder(ids) for model in (before, after, without))
        off.append(float((divided - whole).norm() / (whole - none).norm()))
    assert off[1] < 0.5 * off[0]
    assert off[2] < 0.2 * off[1]


@pytest.mark.parametrize("position", ["learned", "sinusoidal"])
def test_a_model_with_more_positions_than_the_one_it_begins_as_reads_short_texts_alike(position):
    config = replace(TINY, position=position, positions=12)
    before, after = (
        MaskedLanguageModel(Encoder(replace(config, positions=positions), seed), torch.arange(1996, 2010)).eval()
        for seed, positions in ((1, 12), (2, 30))
    )
    own = after.encoder.embeddings.position.weight.clone()
    after.begin_as(before)
    first, table = before.encoder.embeddings.position.weight, after.encoder.embeddings.position.weight
    assert torch.equal(table, torch.cat([first, first, first[:6]]) if position == "learned" else own)
    ids = torch.arange(2000, 2012)[None]
    torch.testing.assert_close(after.encoder(ids), before.encoder(ids))


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
    assert capsys.readouterr().err == "The config.json in “nowhere” is missing, or describes no encoder.\n"
    every = "--evaluate-every and --save-every are numbers of steps, at least 1.\n"
    for wrong, said in {
        ("--save-every", "0"): every,
        ("--length", "1"): "The length has to be at least 2, and is 1.\n",
    }.items():  # fmt: skip
        assert main(["pretrain", str(tmp_path / "short.txt"), "--out", str(tmp_path / "fourth"), *wrong]) == 1
        assert capsys.readouterr().err == said


def run(book, out, *more):
    return main(["pretrain", str(book), "--out", str(out), *QUICK, "--steps", "2", "--save-every", "1", *more])


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
    other.write_text("\n".join(SENTENCES[:3] * 40), encoding="utf-8")
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
