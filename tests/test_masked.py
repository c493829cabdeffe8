"""Hiding tokens and guessing them, held against transformers' own BertForMaskedLM."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from encoder import masked
from encoder.bert import carry
from encoder.masked import Masked, MaskedLanguageModel, Pieces, PredictionHead, hide, repeat, score, segments
from encoder.model import Encoder
from encoder.runs import wordpiece
from tests.tiny import shaken, tiny_config

CLS, SEP, MASK, UNK = 101, 102, 103, 100


@pytest.fixture(scope="module")
def pieces():
    return Pieces.of(wordpiece())


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_vocabulary_is_read_as_bert_means_it(pieces):
    assert (pieces.classify, pieces.separate, pieces.mask) == (CLS, SEP, MASK)
    assert pieces.special[[0, CLS, SEP, MASK, UNK]].all()
    assert not pieces.special[[1012, 1031, 1033, 1996]].any()  # . [ ] the
    assert pieces.continues[wordpiece().token_to_id("##ing")]
    assert not pieces.continues[wordpiece().token_to_id("ing")]


def test_of_those_asked_for_eight_in_ten_are_masked_one_is_changed_and_one_is_left(pieces):
    ids = torch.randint(1996, 30_000, (400, 100), generator=chance(1))
    batch = hide(ids, pieces, 0.3, chance())
    assert torch.equal(batch.truth, ids)
    count = int(batch.asked.sum())
    assert count / ids.numel() == pytest.approx(0.3, abs=0.01)
    masked, same = (batch.ids == MASK) & batch.asked, (batch.ids == ids) & batch.asked
    assert masked.sum() / count == pytest.approx(0.8, abs=0.02)
    assert same.sum() / count == pytest.approx(0.1, abs=0.02)
    assert torch.equal(batch.ids[~batch.asked], ids[~batch.asked])
    assert torch.equal(hide(ids, pieces, 0.3, chance()).ids, batch.ids)


def test_special_tokens_are_never_asked_for(pieces):
    ids = torch.tensor([[CLS, 2000, UNK, 2001, SEP, 2002, MASK, 0]])
    batch = hide(ids, pieces, 1.0, chance())
    assert batch.asked.tolist() == [[False, True, False, True, False, True, False, False]]


def test_whole_words_are_hidden_whole(pieces):
    ids = torch.where(torch.rand(50, 40, generator=chance(2)) < 0.5, 2075, 2000)  # ##ing, to
    ids[:, 0] = CLS
    asked = hide(ids, pieces, 0.4, chance(), whole_words=True).asked
    goes_on = pieces.continues[ids]
    goes_on[:, 1] = False  # what follows [CLS]
    assert torch.equal(asked[:, 1:][goes_on[:, 1:]], asked[:, :-1][goes_on[:, 1:]])
    assert 0.3 < asked.float().mean() < 0.5


@pytest.mark.parametrize("tokens", [2, 9, 100])
def test_what_is_hidden_in_a_repeated_stretch_can_be_looked_up_in_the_other(tokens):
    ids = torch.arange(50 * tokens).reshape(50, tokens)  # none stands anywhere twice
    twice = repeat(ids, 1.0, chance())
    assert torch.equal(twice[:, 0], ids[:, 0])  # [CLS]
    for before, after in zip(ids, twice, strict=True):
        assert set(after.tolist()) <= set(before.tolist())
    changed = twice != ids
    assert changed.any() == (tokens > 2)
    assert torch.equal(ids, torch.arange(50 * tokens).reshape(50, tokens))  # what was read stays as it is
    assert torch.equal(repeat(ids, 1.0, chance()), twice)
    assert torch.equal(repeat(ids, 0.0, chance()), ids)
    assert tokens < 100 or 0.2 < changed.float().mean() < 0.6
    assert changed.sum() > 1.5 * (repeat(ids, 0.3, chance()) != ids).sum() or tokens == 2


def test_segments_take_turns_at_every_sep(pieces):
    ids = torch.tensor([[CLS, 5, SEP, 6, 7, SEP, 8]])
    assert segments(ids, pieces).tolist() == [[0, 0, 0, 1, 1, 1, 0]]


def test_the_loss_and_its_gradients_are_those_of_bert_for_masked_lm_with_the_same_weights():
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(
        vocab_size=120, max_position_embeddings=40, hidden_size=12, num_hidden_layers=2, num_attention_heads=3,
        intermediate_size=20, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, attn_implementation="eager",
    )  # fmt: skip
    theirs = shaken(BertForMaskedLM(config), seed=5).train()
    ours = MaskedLanguageModel(carry(theirs.bert), torch.arange(120)).eval()  # carried with dropout
    carried = theirs.cls.predictions
    ours.head.dense.load_state_dict(carried.transform.dense.state_dict())
    ours.head.norm.load_state_dict(carried.transform.LayerNorm.state_dict())
    with torch.no_grad():
        ours.head.bias.copy_(carried.bias)
    truth = torch.randint(5, 120, (3, 9), generator=chance(3))
    asked = torch.rand(3, 9, generator=chance(4)) < 0.4
    ids, segment = torch.where(asked, 4, truth), (torch.arange(9) > 4).long().expand(3, 9)
    expected = theirs(ids, token_type_ids=segment, labels=torch.where(asked, truth, -100)).loss
    total, count = ours.loss(Masked(ids, segment, asked, truth))
    assert float((total / count).detach()) == pytest.approx(float(expected.detach()), abs=1e-5)
    expected.backward()
    (total / count).backward()
    pairs = {
        theirs.bert.embeddings.word_embeddings.weight: ours.encoder.embeddings.token.weight,
        theirs.bert.encoder.layer[0].attention.self.query.weight: ours.encoder.layers[0].attention.query.weight,
        theirs.bert.encoder.layer[1].output.dense.weight: ours.encoder.layers[1].feed_forward.contract.weight,
        carried.transform.dense.weight: ours.head.dense.weight,
        carried.bias: ours.head.bias,
    }
    for other, mine in pairs.items():
        torch.testing.assert_close(mine.grad, other.grad, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("logits", [1, 50, 1 << 21])
def test_a_loss_of_some_places_at_a_time_is_that_of_all_at_once(monkeypatch, logits):
    monkeypatch.setattr(masked, "LOGITS", logits)
    head = shaken(PredictionHead(8, 20, torch.arange(3, 20), 1e-12))
    hidden, table = (torch.randn(size, 8, generator=chance(size)).requires_grad_() for size in (13, 20))
    truth = torch.randint(3, 20, (13,), generator=chance(1))
    weights = [hidden, table, *head.parameters()]
    expected = cross_entropy(head(hidden, table), truth - 3, reduction="sum")
    found = head.loss(hidden, table, truth)
    torch.testing.assert_close(found, expected)
    for mine, theirs in zip(
        torch.autograd.grad(3 * found, weights), torch.autograd.grad(3 * expected, weights), strict=True
    ):
        torch.testing.assert_close(mine, theirs)


def test_a_loss_in_bfloat16_is_nearly_that_of_float32_and_its_gradients_are_float32():
    head = shaken(PredictionHead(8, 20, torch.arange(20), 1e-12))
    hidden = torch.randn(13, 8, generator=chance(1)).requires_grad_()
    table, truth = torch.randn(20, 8, generator=chance(2)).requires_grad_(), torch.arange(13)
    weights = [hidden, table, *head.parameters()]
    full = head.loss(hidden, table, truth)
    with torch.autocast("cpu", torch.bfloat16):
        half = head.loss(hidden, table, truth)
    torch.testing.assert_close(half, full, rtol=0.02, atol=0.0)
    for mine, theirs in zip(torch.autograd.grad(half, weights), torch.autograd.grad(full, weights), strict=True):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine, theirs, rtol=0.0, atol=0.02 * float(theirs.abs().max()))


def test_where_nothing_is_asked_there_is_no_loss_and_nothing_to_change():
    head = PredictionHead(8, 20, torch.arange(20), 1e-12)
    hidden, table = torch.zeros(0, 8), torch.ones(20, 8, requires_grad=True)
    total = head.loss(hidden, table, torch.zeros(0, dtype=torch.long))
    total.backward()
    assert (float(total.detach()), float(table.grad.abs().max())) == (0.0, 0.0)


def test_a_guess_that_is_as_wrong_as_can_be_has_a_loss_all_the_same():
    head = PredictionHead(8, 2, torch.arange(2), 1e-12)
    with torch.no_grad():
        head.bias.copy_(torch.tensor([0.0, 500.0]))
    total = head.loss(torch.zeros(1, 8), torch.zeros(2, 8), torch.tensor([0]))
    assert float(total.detach()) == pytest.approx(500.0)


def test_pieces_that_cannot_be_predicted_cost_no_loss_and_count_as_wrong():
    model = MaskedLanguageModel(shaken(Encoder(tiny_config(dropout=0.0))), torch.tensor([3, 7, 11, 16]))
    truth = torch.tensor([[1, 3, 7, 5, 11]])
    batch = Masked(truth, torch.zeros_like(truth), torch.tensor([[False, True, True, True, True]]), truth)
    total, count = model.loss(batch)
    assert count == 3
    logits = model(batch.ids, batch.segment, batch.asked)  # [place, choice]
    known = [0, 1, 3]
    expected = cross_entropy(logits[known], torch.tensor([0, 1, 2]), reduction="sum")
    assert float(total.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)
    found = score(model.eval(), [batch, batch])
    right = sum(int(logits[place].argmax() == choice) for place, choice in zip(known, (0, 1, 2), strict=True))
    assert (found.asked, found.predictable) == (8, 0.75)
    assert found.accuracy == pytest.approx(right / 4)
    assert found.perplexity == pytest.approx(math.exp(float(expected.detach()) / 3), rel=1e-5)


def test_the_head_asks_how_well_a_guess_fits_each_embedding():
    model = shaken(MaskedLanguageModel(Encoder(tiny_config(dropout=0.0)), torch.tensor([2, 5, 9])))
    ids = torch.tensor([[1, 4, 6]])
    asked = torch.tensor([[False, True, False]])
    hidden = model.encoder(ids, torch.zeros_like(ids))[0, 1].detach().numpy()
    weights = {name: value.detach().numpy().astype(float) for name, value in model.state_dict().items()}
    inner = hidden @ weights["head.dense.weight"].T + weights["head.dense.bias"]
    inner = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
    normed = (inner - inner.mean()) / np.sqrt(inner.var() + 1e-12)
    guess = normed * weights["head.norm.weight"] + weights["head.norm.bias"]
    table = weights["encoder.embeddings.token.weight"][[2, 5, 9]]
    found = model(ids, torch.zeros_like(ids), asked)[0].detach()
    np.testing.assert_allclose(found, table @ guess + weights["head.bias"], rtol=1e-4, atol=1e-5)
