"""Pretraining: true gradients, runs that go on to the bit after they were killed, processes that share a batch."""

import gc
import math
import weakref
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors import SafetensorError
from torch import nn
from torch._dynamo.testing import CompileCounter

from encoder.masked import Masked, MaskedLanguageModel, Pieces, score, segments
from encoder.model import Encoder
from encoder.pretrain import PretrainConfig, Pretraining, checkpoints, commonest
from encoder.runs import SMALL, wordpiece
from encoder.texts import Sequences, token_row
from tests.bench import pretrain as benchmark
from tests.tiny import TEN, tiny_config

pytestmark = pytest.mark.usefixtures("alone")

TINY = replace(SMALL, width=24, layers=2, heads=3, ffn_width=48, positions=12)


@pytest.fixture(scope="module")
def pieces():
    return Pieces.of(wordpiece())


@pytest.fixture(scope="module")
def row():
    return token_row(TEN * 20, wordpiece())


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
    ids = [[101, *wordpiece().encode(text, add_special_tokens=False).ids, 102] for text in TEN]
    row = np.concatenate([np.array((one + [102] * 12)[1:12], dtype=np.int32) for one in ids])
    run = pretraining(row, pieces, steps=600, batch=10, learning_rate=5e-3, mask_rate=0.4, last_mask_rate=0.15)
    while run.step < 600:
        run.advance()
    everything = torch.from_numpy(np.stack([np.array((one + [102] * 12)[:12]) for one in ids])).long()
    asked = (~pieces.special[everything]).nonzero()  # [place, sentence and token]: every one, each by itself
    truth = everything[asked[:, 0]]
    only = torch.zeros_like(truth, dtype=torch.bool)
    only[torch.arange(len(asked)), asked[:, 1]] = True
    hidden = Masked(truth.masked_fill(only, pieces.mask), segments(truth, pieces), only, truth)
    found = score(run.model.eval(), [hidden])
    assert found.asked == sum(len(one) - 2 for one in ids) > 60
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


def test_a_gradient_is_no_longer_than_it_may_be(row, pieces, monkeypatch):
    taken = {}
    for clip in (100.0, 1e-3):
        run = pretraining(row, pieces, clip=clip)
        weights = list(run.model.parameters())
        monkeypatch.setattr(
            run._optimizers[0], "step", lambda clip=clip, weights=weights: taken.setdefault(clip, flat(weights).clone())
        )
        run.advance()
    free, clipped = taken.values()
    assert free.norm() > 0.1
    torch.testing.assert_close(clipped, free * 1e-3 / free.norm(), rtol=1e-2, atol=1e-9)


def flat(weights):
    return torch.cat([weight.grad.flatten() for weight in weights])


def test_matrices_decay_and_norms_and_biases_do_not(row, pieces):
    runs = [pretraining(row, pieces, weight_decay=decay, warm_up=0.05, learning_rate=1e-2) for decay in (0.0, 0.5)]
    before = {name: weight.detach().clone() for name, weight in runs[0].model.named_parameters()}
    for run in runs:
        run.advance()
    for (name, free), decayed in zip(runs[0].model.named_parameters(), runs[1].model.parameters(), strict=True):
        lost = before[name] * 0.5 * 1e-2 if free.ndim > 1 else torch.zeros_like(free)
        torch.testing.assert_close(free - decayed, lost, rtol=1e-3, atol=1e-6)


def test_a_run_can_hide_whole_words(pieces):
    row = token_row(["Unbelievable disbelievers rebelled unbearably."] * 40, wordpiece())
    asked = {}
    for whole in (False, True):
        batch = pretraining(row, pieces, whole_words=whole).batch(0)
        goes_on = pieces.continues[batch.truth[:, 2:]]  # of a word whose beginning is there: [CLS] may stand before
        asked[whole] = bool((batch.asked[:, 2:] == batch.asked[:, 1:-1])[goes_on].all())
    assert asked == {False: False, True: True}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_a_gpu_learns_and_goes_on_from_a_checkpoint(row, pieces, tmp_path, precision):
    run, again = (pretraining(row, pieces, {"precision": precision}, steps=60) for _ in range(2))
    losses = [run.advance()["loss"] for _ in range(40)]
    assert run.model.head.bias.is_cuda
    assert losses[-1] < losses[0] - 1
    run.save(tmp_path)
    assert again.resume(tmp_path)
    assert again.advance()["loss"] == pytest.approx(run.advance()["loss"], rel=1e-3)


def test_a_damaged_checkpoint_is_said(row, pieces, tmp_path):
    run = pretraining(row, pieces)
    run.advance()
    run.save(tmp_path)
    file = checkpoints(tmp_path)[0] / "optimizer-0.safetensors"
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(ValueError, match=r"^The checkpoint .*step-00000001 is damaged: "):
        pretraining(row, pieces).resume(tmp_path)


def test_figures_are_means_since_the_last_time_also_after_a_checkpoint(row, pieces, tmp_path):
    run = pretraining(row, pieces)
    losses = [run.advance()["loss"] for _ in range(3)]
    assert run.take_mean()["loss"] == pytest.approx(np.mean(losses))
    losses = [run.advance()["loss"] for _ in range(2)]
    run.save(tmp_path)
    again = pretraining(row, pieces)
    again.resume(tmp_path)
    losses.append(again.advance()["loss"])
    assert again.take_mean()["loss"] == pytest.approx(np.mean(losses))


def test_another_runs_folder_is_refused(row, pieces, tmp_path):
    run = pretraining(row, pieces)
    run.save(tmp_path)
    differs = r"holds a run with other settings: learning rate \(there 0\.0015, here 0\.0001\)\.$"
    with pytest.raises(ValueError, match=differs):
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
    ("clip", math.inf), ("clip", 0.0), ("mask_rate", 0.0), ("learning_rate", 0.0), ("warm_up", 2),
    ("weight_decay", -1),
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


@pytest.mark.parametrize("at_once", [2, 1 << 24])
def test_the_commonest_pieces_are_counted_without_special_tokens(pieces, monkeypatch, at_once):
    monkeypatch.setattr("encoder.pretrain.AT_ONCE", at_once)
    row = np.array([102, 102, 102, 2000, 2000, 1996, 1996, 1996, 3000, 100], dtype=np.int32)
    assert commonest(row, pieces, 2).tolist() == [1996, 2000]
    assert commonest(row, pieces, 99).tolist() == [1996, 2000, 3000]


# ---- beginning as other models


def test_a_piece_that_a_model_learns_anew_begins_as_its_rarest(pieces):
    before = MaskedLanguageModel(Encoder(TINY, seed=1), torch.tensor([2000, 2003, 3000]))
    before.head.bias.data = torch.tensor([0.5, -2.0, 1.0])
    after = MaskedLanguageModel(Encoder(TINY, seed=2), torch.tensor([1999, 2000, 3000]))
    after.begin_as(before)
    assert after.head.bias.tolist() == [-2.0, 0.5, 1.0]
    ids = torch.tensor([[101, 2000, 103, 102]])
    ours, theirs = (model(ids, torch.zeros_like(ids), ids == pieces.mask) for model in (after, before))
    torch.testing.assert_close(ours[:, 1:], theirs[:, [0, 2]])


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
