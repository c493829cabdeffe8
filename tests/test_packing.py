"""Weights in few bytes: what a browser unpacks is the trace, rounded as it is shown."""

import json
import zlib
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from encoder import heads, measures
from encoder.packing import (
    FINE,
    FINER,
    MOST,
    MOST_OF_A_LAYER,
    SMALL,
    STEPS,
    THUMBNAIL,
    Packed,
    Part,
    Wish,
    codes,
    finer,
    is_whole,
    message,
    pack,
    part,
    weights,
)
from encoder.starts import start
from encoder.views import origins
from pages.shared.sidebar import examples
from tests.synthetic import HEADS, HOSTILE, LAYERS, attention, reading

PIECES = ("The dendrochronologist sat down unbelievably.", "Unbelievable, she said.")  # words of many pieces
LONG = ("so", "it", "goes", ",") * 62  # with [CLS] and [SEP] 250 tokens: too many for 2 layers of 3 heads at once
LONGER = (*LONG, *LONG)  # 498 tokens: too many for 3 heads at once


@pytest.fixture(scope="module")
def long():
    """A reading of which the browser gets a layer at a time."""
    return reading(*LONG)


@pytest.fixture(scope="module")
def longer():
    """A reading of which the browser gets a head at a time."""
    return reading(*LONGER)


def test_a_weight_comes_back_within_half_a_step():
    sent = np.concatenate([spread(), attention(40, tokens=21).ravel()])
    step = np.where(sent < 0.00995, 1e-4, 1e-3)
    assert (abs(weights(codes(sent)) - sent) <= step / 2 + 1e-7).all()


def test_a_weight_is_shown_with_exactly_the_digits_of_the_trace():
    sent = np.concatenate([spread(), attention(40, tokens=21).ravel()])
    assert [digits(weight) for weight in weights(codes(sent))] == [digits(weight) for weight in sent]


def test_a_weight_in_a_cell_is_rounded_once():
    sent = np.concatenate([spread(), attention(40, tokens=21).ravel(), np.arange(45, 10_000, 100) / 1e5 + 4e-5])
    sent = sent[sent >= 0.004].astype(np.float32)
    border = abs(sent * 100 % 1 - 0.5) < 1e-4  # float32 itself cannot tell
    sent = sent[~border]
    assert [f"{weight:.2f}" for weight in weights(codes(sent))] == [f"{weight:.2f}" for weight in sent]


def test_every_code_stands_for_a_weight_of_its_own_and_larger_codes_for_larger_weights():
    every = np.arange(FINER, dtype=np.uint16)
    assert (np.diff(weights(every)) > 0).all()
    np.testing.assert_array_equal(codes(weights(every)), every)
    assert weights(every)[[0, FINE - 1, FINE, -1]].tolist() == pytest.approx([0, 0.0099, 0.01, 1])


def test_a_finer_code_holds_three_digits_of_a_weight_however_small_and_shows_the_same():
    sent = np.concatenate([np.geomspace(1e-37, 0.0999, 9_001), np.arange(5, 1_000, 10) / 1e5]).astype(np.float32)
    code = finer(sent, codes(sent))
    np.testing.assert_allclose(weights(code), sent, rtol=0.005)
    assert [digits(weight) for weight in weights(code).tolist()] == [digits(weight) for weight in sent.tolist()]
    every = np.arange(FINER, FINER + 36 * STEPS, dtype=np.uint16)  # below 1e-37 float32 has fewer digits itself
    np.testing.assert_array_equal(finer(weights(every), every), every)
    tiny = np.float32([1e-45, 3e-42])
    np.testing.assert_allclose(weights(finer(tiny, codes(tiny))), tiny, rtol=0.005)


def test_a_weight_that_is_nothing_or_large_has_no_finer_code():
    sent = np.float32([0, 0.1, 0.1644, 0.5, 1])
    np.testing.assert_array_equal(finer(sent, codes(sent)), codes(sent))


@pytest.mark.parametrize("scale", [1, 5, 20, 60])
@pytest.mark.parametrize("pair", [(), ("yes", "no", "##pe")], ids=["one sentence", "two"])
def test_every_share_of_what_a_browser_unpacks_is_within_a_hundredth_however_little_is_shared(scale, pair):
    trace = reading("un", "##believ", "##ably", "many", "cats", pair=pair)
    count = len(trace.tokens)
    for seed in range(12):
        scores = np.random.default_rng(seed).normal(size=(LAYERS, HEADS, count, count)) * scale
        scores[..., trace.tokens.special] += scale / 2
        spread = np.exp(scores - scores.max(-1, keepdims=True))
        sent = (spread / spread.sum(-1, keepdims=True)).astype(np.float32)
        layers = (replace(layer, attention=each) for layer, each in zip(trace.layers, sent, strict=True))
        expect_shares(replace(trace, layers=tuple(layers)))


@pytest.mark.parametrize("name", ["scratch", "minilm"])
def test_every_share_of_the_example_texts_is_within_a_hundredth_of_the_traces(name, request):
    model = request.getfixturevalue(name)
    for text, pair in [*((example["text"], example["pair"]) for example in examples()), PIECES]:
        expect_shares(model.trace(text, pair or None))


@pytest.mark.parametrize("name", ["scratch", "minilm"])
def test_shares_cost_few_bytes(name, request, monkeypatch):
    model = request.getfixturevalue(name)
    traces = [model.trace(example["text"], example["pair"] or None) for example in examples()]
    finely = sum(pack("a", trace).nbytes for trace in traces)
    monkeypatch.setattr("encoder.packing.codes", lambda attention, tokens=None: codes(attention))
    assert finely < 1.1 * sum(pack("a", trace).nbytes for trace in traces)


@pytest.mark.parametrize("pair", [(), ("yes", "no", "##pe")], ids=["one sentence", "two"])
def test_a_browser_unpacks_every_weight_of_every_head(pair):
    trace = reading(pair=pair)
    packed = pack("a", trace)
    (all_heads,), sizes = unpacked(packed)
    sent = np.stack([layer.attention for layer in trace.layers])
    np.testing.assert_array_equal(all_heads.reshape(sent.shape), weights(codes(sent, trace.tokens)))
    expected = np.stack([layer.value_size for layer in trace.layers])
    longest = expected.max(-1, keepdims=True)
    np.testing.assert_allclose(sizes.reshape(expected.shape) / 65_535, expected / longest, atol=1 / 65_535)


def test_large_weights_stand_in_a_list_of_their_own():
    trace = reading()
    sent = np.stack([layer.attention for layer in trace.layers])
    packed = pack("a", trace)
    (block,) = packed.header["blocks"]
    large = codes(sent, trace.tokens) >= SMALL
    assert block == {"count": LAYERS * HEADS, "side": 5, "larges": int(large.sum())}
    assert 0 < block["larges"] < sent.size
    small = np.frombuffer(zlib.decompress(packed.body), np.uint8)[-sent.size :]
    np.testing.assert_array_equal(small == SMALL, large.ravel())


def test_the_header_says_who_read_what():
    trace = reading(*HOSTILE, pair=("yes",))
    header = pack("b", trace).header
    count = len(trace.tokens)
    assert (header["side"], header["layers"], header["heads"], header["shown"]) == ("b", LAYERS, HEADS, None)
    assert (header["word"], header["segment"]) == (trace.tokens.word.tolist(), trace.tokens.segment.tolist())
    assert header["special"] == [int(special) for special in trace.tokens.special]
    assert header["span"] == trace.tokens.span.ravel().tolist()
    assert len(header["tokens"]) == count
    assert all(name.isprintable() and 1 <= len(name) <= 24 for name in header["tokens"])
    assert header["roles"] == tuple(role for layer in heads.roles(trace) for role in layer)
    for name, measure in heads.MEASURES.items():
        np.testing.assert_allclose(np.array(header["measures"][name]) / 1000, measure.of(trace).ravel(), atol=0.0006)


def test_a_long_text_gives_small_maps_of_all_heads_and_one_layer_whole(long):
    assert not is_whole(long)
    packed = pack("a", long, wanted=part(long, Wish(layer=1, head=2)))
    assert packed.header["shown"] == ((1, 0), (1, 1), (1, 2))
    (small, whole), sizes = unpacked(packed)
    assert sizes.shape == (HEADS, len(long.tokens))
    sent = np.stack([layer.attention for layer in long.layers])
    np.testing.assert_array_equal(whole, weights(codes(sent[1], long.tokens)))
    heads_of, edge = sent.reshape(-1, *whole.shape[1:]), [cell * len(long.tokens) // THUMBNAIL for cell in range(25)]
    for row, column in ((0, 0), (7, 23), (11, 12), (23, 23)):
        block = heads_of[:, edge[row] : edge[row + 1], edge[column] : edge[column + 1]]
        np.testing.assert_array_equal(small[:, row, column], weights(codes(block.max((-1, -2)))))


def test_a_text_is_whole_up_to_the_most_weights_that_go_at_once():
    trace = reading()
    assert MOST_OF_A_LAYER < MOST
    many = MOST // 25
    assert is_whole(replace(trace, model=replace(trace.model, layers=1, heads=many)))
    assert not is_whole(replace(trace, model=replace(trace.model, layers=1, heads=many + 1)))


@pytest.mark.parametrize(
    ("wish", "wanted"),
    [
        (Wish(1, 2), Part(((1, 2),))),
        (Wish(1, 2, "norm"), Part(((1, 2),))),
        (Wish(1, 2, "rollout", "max"), Part(made=Wish(1, 0, "rollout"))),
        (Wish(1, 2, "norm", "mean"), Part(made=Wish(1, 0, "norm", "mean"))),
    ],
    ids=str,
)
def test_of_a_still_longer_text_only_what_is_looked_at_is_sent(longer, wish, wanted):
    assert part(longer, wish) == wanted
    packed = pack("a", longer, wanted=wanted)
    _, one = unpacked(packed)[0]
    assert len(one) == 1
    np.testing.assert_array_equal(one[0], weights(codes(made(longer, wish), longer.tokens)))
    assert packed.header["shown"] == wanted.heads


def test_of_a_long_text_a_rollout_is_made_where_all_layers_are(long):
    assert part(long, Wish(1, 2, "rollout")) == Part(made=Wish(1, 0, "rollout"))
    packed = pack("a", long, wanted=part(long, Wish(1, 2, "rollout")))
    assert packed.header["made"] == {"layer": 1, "head": 0, "weights": "rollout", "over": "one"}


@pytest.mark.parametrize(("tokens", "most"), [(128, 500_000), (512, 700_000)])
def test_two_models_of_a_long_text_fit_into_few_bytes_even_one_of_the_size_of_bert_base(minilm, tokens, most):
    trace = minilm.trace(
        "When the old dog saw two cats, it got up, barked at them both and lay down again. " * 40, limit=tokens
    )
    assert len(trace.tokens) == tokens
    twelve = replace(trace, model=replace(trace.model, layers=12), layers=trace.layers * 2)
    sent = message([pack("a", trace), pack("b", twelve)], {})
    assert len(sent) <= most


def test_the_header_says_where_to_look_first():
    trace = reading("cat", "sat", "mat")
    found = start(trace)
    row = trace.layers[found.layer].attention[found.head, found.query]
    told = pack("a", trace, found).header["start"]
    assert (told["layer"], told["head"]) == (found.layer, found.head)
    assert (told["query"], told["key"]) == (found.query, found.key)
    assert told["weight"] == pytest.approx(row[found.key], abs=6e-5)
    assert told["most"] == (row.argmax() == found.key)
    assert pack("a", reading("?"), start(reading("?"))).header["start"] is None


@pytest.mark.parametrize("count", [1, 23, 24, 25, 40, 131])
def test_each_cell_of_a_small_map_is_the_largest_weight_of_its_block(count):
    whole = attention(2, 3, tokens=count)
    small = measures.coarse(whole, THUMBNAIL)
    side = min(count, THUMBNAIL)
    assert small.shape == (2, 3, side, side)
    edge = [cell * count // side for cell in range(side + 1)]
    for row in range(side):
        for column in range(side):
            block = whole[:, :, edge[row] : edge[row + 1], edge[column] : edge[column + 1]]
            np.testing.assert_array_equal(small[:, :, row, column], block.max((-1, -2)))


def test_a_message_holds_a_length_a_header_and_the_bodies():
    models = [pack("a", reading()), pack("b", reading("one", "two", seed=1))]
    choice = {"layer": 3, "pins": "1.2", "words": True}
    sent = message(models, choice)
    end = 4 + int.from_bytes(sent[:4], "little")
    header = json.loads(sent[4:end])
    assert header["choice"] == choice
    assert header["roles"] == heads.ROLES
    assert [measure["key"] for measure in header["measures"]] == list(heads.MEASURES)
    for model, said in zip(models, header["models"], strict=True):
        body = sent[end : end + said["bytes"]]
        end += said["bytes"]
        assert body == model.body
        assert said == json.loads(json.dumps({**model.header, "bytes": len(body)}))
    assert end == len(sent)


def test_an_equal_reading_gives_an_equal_message():
    assert message([pack("a", reading())], {}) == message([pack("a", reading())], {})


def test_the_size_that_a_cache_counts_is_about_what_a_packed_reading_takes(minilm):
    packed = pack("a", minilm.trace("The cat sat on the mat. " * 8))
    assert len(packed.body) <= packed.nbytes <= 1.2 * len(message([packed], {}))


@pytest.mark.parametrize("count", [32, 64])
def test_all_attention_takes_less_than_a_fortieth_of_bertviz_head_view(minilm, count):
    torch, bertviz = pytest.importorskip("torch"), pytest.importorskip("bertviz")
    text = "When the old dog by the gate saw two cats, it got up, barked once at them both and lay down again. " * 6
    trace = minilm.trace(text, limit=count)
    assert len(trace.tokens) == count
    tensors = [torch.from_numpy(layer.attention.copy())[None] for layer in trace.layers]
    page = bertviz.head_view(tensors, list(trace.tokens.text), html_action="return").data
    assert len(message([pack("a", trace)], {})) < 0.025 * len(page.encode())


def made(trace, wish):
    """[query, key] what a wish shows."""
    layer = trace.layers[wish.layer]
    if wish.weights == "rollout":
        return measures.rollout(np.stack([each.attention for each in trace.layers[: wish.layer + 1]]))[-1]
    if wish.over == "one":
        return layer.attention[wish.head]
    brought = measures.norm_weighted(layer.attention, layer.value_size)
    return (brought / brought.sum(-1, keepdims=True)).mean(0)


def spread():
    """[4001] float32 weights from 0 to 1, most of them small, with the edges of the codes among them."""
    return np.concatenate([np.geomspace(1e-6, 1, 3995), [0, 0.00994, 0.00996, 0.1644, 0.1646, 1]]).astype(np.float32)


def expect_shares(trace):
    """Of each row, all or some columns as shares of their sum, by tokens and by words, of heads and of their mean."""
    sent = np.stack([layer.attention for layer in trace.layers]).astype(np.float64)
    [(all_heads,)] = (unpacked(packed)[0] for packed in received(message([pack("a", trace)], {})))
    told = all_heads.reshape(sent.shape).astype(np.float64)
    for which, hide, words in product(("ab", "a", "b"), (False, True), (False, True)):
        for one, other in ((sent, told), (sent.mean(1), told.mean(1))):
            wanted, found = (shares(heads, trace.tokens, which, hide, words) for heads in (one, other))
            np.testing.assert_allclose(found, wanted, atol=0.01, err_msg=f"{trace.tokens.text} {which} {hide} {words}")


def shares(attention, tokens, part, hide, words):
    """[..., query, key] what the browser's lenses make of a head: some columns, as shares of their sum."""
    starts = origins(tokens, words, hide=False)
    kept = np.isin(starts, [start for start in origins(tokens, words, hide) if "ab"[tokens.segment[start]] in part])
    of_word = np.searchsorted(starts, np.arange(len(tokens)), side="right") - 1
    columns = measures.merge_words(attention, of_word)[..., kept]
    return columns / np.maximum(columns.sum(-1, keepdims=True), 1e-300)  # where nothing is shared, shares of 0


def received(sent):
    """The models of a message, as `pack` gave them."""
    end = 4 + int.from_bytes(sent[:4], "little")
    for header in json.loads(sent[4:end])["models"]:
        yield Packed(header, sent[end : end + header["bytes"]])
        end += header["bytes"]


def digits(weight):
    """A weight as the browser writes it."""
    return f"{weight:.4f}" if weight < 0.00995 else f"{weight:.3f}"


def unpacked(packed):
    """The blocks, [head, query, key] weights each, and the lengths of values [head, token], like payload.js."""
    body, header = zlib.decompress(packed.body), packed.header
    here = header["layers"] * header["heads"] if header["shown"] is None else len(header["shown"])
    shape = here, len(header["tokens"])
    sizes, body = np.frombuffer(body[: 2 * np.prod(shape)], "<u2").reshape(shape), body[2 * np.prod(shape) :]
    large = []
    for block in header["blocks"]:
        large.append(np.frombuffer(body[: 2 * block["larges"]], "<u2"))
        body = body[2 * block["larges"] :]
    found = []
    for block, far in zip(header["blocks"], large, strict=True):
        count = block["count"] * block["side"] ** 2
        code, body = np.frombuffer(body[:count], np.uint8).astype(np.uint16), body[count:]
        code[code == SMALL] = far
        found.append(weights(code).reshape(block["count"], block["side"], block["side"]))
    assert not body
    return found, sizes
