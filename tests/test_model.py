"""The encoder from scratch: equal to torch's layer, to the two articles' formulas, and to itself on both its paths."""

import itertools
import math
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from encoder.model import (
    PRESETS,
    Attention,
    Encoder,
    EncoderConfig,
    Layer,
    attend,
    position_rows,
    projected_size,
    sinusoids,
)
from tests.tiny import TINY, shaken, tiny_config

IDS = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])
SEGMENT = torch.tensor([[0, 0, 0, 1, 1], [0, 1, 1, 1, 1]])
PADDING = torch.tensor([[True] * 5, [True, True, True, False, False]])

VARIANTS = [
    pytest.param(tiny_config(**dict(zip(names, values, strict=True))), id=" ".join(map(str, values)))
    for names, values in (
        (("norm", "activation", "score_scale", "shared_projections", "position"), values)
        for values in itertools.product(
            ("post", "pre", "none"), ("gelu", "relu"), ("sqrt_head_dim", "sqrt_width", "none"), (False, True),
            ("learned", "sinusoidal"),
        )
    )
]  # fmt: skip
EXTREMES = [
    tiny_config(),
    tiny_config(norm="pre", final_norm=True, segments=0),
    tiny_config(norm="none", shared_projections=True, projection_bias=False, output_bias=False, ffn_bias=False),
]


@pytest.mark.parametrize("padding", [None, PADDING], ids=["whole", "padded"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_a_layer_equals_torchs_own_with_the_same_weights(norm, activation, padding):
    ours = shaken(Layer(tiny_config(norm=norm, activation=activation, norm_eps=1e-5)))
    theirs = torchs_layer(ours, activation, norm_first=norm == "pre")
    hidden = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(1))
    mask = None if padding is None else padding[:, None, None, :]
    expected = theirs(hidden, src_key_padding_mask=None if padding is None else ~padding)
    assert close(ours(hidden, mask), expected)
    assert close(ours.trace(hidden, mask).hidden, expected)


def torchs_layer(ours, activation, norm_first):
    theirs = nn.TransformerEncoderLayer(
        12, 3, 20, dropout=0.0, activation=activation, batch_first=True, norm_first=norm_first
    )
    attention = ours.attention
    pairs = {
        theirs.self_attn.out_proj: attention.output, theirs.linear1: ours.feed_forward.expand,
        theirs.linear2: ours.feed_forward.contract, theirs.norm1: ours.attention_norm, theirs.norm2: ours.ffn_norm,
    }  # fmt: skip
    for target, source in pairs.items():
        target.load_state_dict(source.state_dict())
    with torch.no_grad():
        projections = (attention.query, attention.key, attention.value)
        theirs.self_attn.in_proj_weight.copy_(torch.cat([part.weight for part in projections]))
        theirs.self_attn.in_proj_bias.copy_(torch.cat([part.bias for part in projections]))
    return theirs.train()  # in evaluation mode torch takes a shortcut of its own; without dropout both are the same


@pytest.mark.parametrize("padding", [None, PADDING], ids=["whole", "padded"])
def test_the_first_article_is_computed_as_it_is_written(padding):
    config = replace(PRESETS["first-article"], vocabulary=17, width=12, layers=2, heads=3, ffn_width=20, positions=7)
    encoder = shaken(Encoder(config)).double()
    for row in range(2):
        visible = None if padding is None else padding[row].numpy()
        expected = first_article(weights_of(encoder), IDS[row].numpy(), visible)
        assert close(encoder(IDS, mask=padding)[row], expected)
        assert close(traced(encoder, IDS, mask=padding)[row], expected)


def first_article(w, ids, visible):
    """One 4 × 4 matrix each for query, key and value, shared by all 3 heads, without bias; scores over √12."""
    x = w["embeddings.token.weight"][ids] + w["embeddings.position.weight"][: len(ids)]
    for layer in ("layers.0", "layers.1"):
        heads = []
        for first in (0, 4, 8):
            part = x[:, first : first + 4]
            q = part @ w[f"{layer}.attention.query.weight"].T
            k = part @ w[f"{layer}.attention.key.weight"].T
            v = part @ w[f"{layer}.attention.value.weight"].T
            energy = q @ k.T
            if visible is not None:
                energy = np.where(visible, energy, -1e20)
            heads.append(softmax(energy / 12**0.5) @ v)
        attended = affine(np.concatenate(heads, axis=1), w, f"{layer}.attention.output")
        x = layer_norm(attended + x, w, f"{layer}.attention_norm")
        inner = np.maximum(0, affine(x, w, f"{layer}.feed_forward.expand"))
        x = layer_norm(affine(inner, w, f"{layer}.feed_forward.contract") + x, w, f"{layer}.ffn_norm")
    return x


@pytest.mark.parametrize("final_norm", [False, True])
@pytest.mark.parametrize("padding", [None, PADDING], ids=["whole", "padded"])
def test_the_second_article_is_computed_as_it_is_written(padding, final_norm):
    sizes = {"vocabulary": 17, "width": 12, "layers": 2, "heads": 3, "ffn_width": 20, "positions": 7}
    encoder = shaken(Encoder(replace(PRESETS["second-article"], **sizes, final_norm=final_norm))).double()
    for row in range(2):
        visible = None if padding is None else padding[row].numpy()
        expected = second_article(weights_of(encoder), IDS[row].numpy(), visible, final_norm)
        # Without a norm the values grow to hundreds.
        assert close(encoder(IDS, mask=padding)[row], expected, 1e-5 * max(1, np.abs(expected).max()))
        assert close(traced(encoder, IDS, mask=padding)[row], expected, 1e-5 * np.abs(expected).max())


def second_article(w, ids, visible, final_norm):
    """Full projections with bias, plain residual sums, sines and cosines for positions."""
    x = w["embeddings.token.weight"][ids].copy()
    for place in range(len(ids)):
        for pair in range(6):
            angle = place / 10_000 ** (2 * pair / 12)
            x[place, 2 * pair] += np.sin(angle)
            x[place, 2 * pair + 1] += np.cos(angle)
    for layer in ("layers.0", "layers.1"):
        q, k, v = (affine(x, w, f"{layer}.attention.{name}") for name in ("query", "key", "value"))
        heads = []
        for first in (0, 4, 8):
            one = slice(first, first + 4)
            energy = q[:, one] @ k[:, one].T / 4**0.5
            if visible is not None:
                energy = np.where(visible, energy, -1e20)
            heads.append(softmax(energy) @ v[:, one])
        x = x + affine(np.concatenate(heads, axis=1), w, f"{layer}.attention.output")
        inner = np.maximum(0, affine(x, w, f"{layer}.feed_forward.expand"))
        x = x + affine(inner, w, f"{layer}.feed_forward.contract")
    return layer_norm(x, w, "final_norm") if final_norm else x


def traced(encoder, *inputs, **named):
    """What the encoder returns, from its trace."""
    return encoder.final_norm(encoder.trace(*inputs, **named)[1][-1].hidden)


def weights_of(network):
    return {name: weight.detach().numpy() for name, weight in network.named_parameters()}


def affine(x, w, name):
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def softmax(energy):
    power = np.exp(energy - energy.max(axis=-1, keepdims=True))
    return power / power.sum(axis=-1, keepdims=True)


def layer_norm(x, w, name):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]


@pytest.mark.parametrize("config", VARIANTS)
def test_the_fast_path_equals_the_traced_path(config):
    encoder = shaken(Encoder(config))
    for segment, mask in ((None, None), (SEGMENT, PADDING)):
        fast = encoder(IDS, segment, mask)
        assert close(fast, traced(encoder, IDS, segment, mask), 1e-5 * max(1, fast.abs().max().item()))


@pytest.mark.parametrize("config", VARIANTS)
def test_padding_never_changes_what_real_tokens_compute(config):
    encoder = shaken(Encoder(config))
    alone = encoder(IDS[1:, :3], SEGMENT[1:, :3])[0]
    bound = 1e-5 * max(1, alone.abs().max().item())
    for filler in (0, 7):
        padded = torch.where(PADDING, IDS, filler)
        assert close(encoder(padded, SEGMENT, PADDING)[1, :3], alone, bound)
        assert close(traced(encoder, padded, SEGMENT, PADDING)[1, :3], alone, bound)


@pytest.mark.parametrize("config", EXTREMES, ids=lambda config: config.norm)
def test_a_mask_may_say_for_each_query_which_keys_it_reads(config):
    encoder = shaken(Encoder(config))
    causal = torch.ones(5, 5).tril().bool().expand(2, 5, 5)
    whole = encoder(IDS, SEGMENT, causal)
    bound = 1e-5 * max(1, whole.abs().max().item())
    assert close(whole[:, 0], encoder(IDS[:, :1], SEGMENT[:, :1])[:, 0], bound)
    assert not close(whole[:, 1], encoder(IDS, SEGMENT)[:, 1], bound)
    _, layers = encoder.trace(IDS, SEGMENT, causal)
    assert close(encoder.final_norm(layers[-1].hidden), whole, bound)
    assert (layers[0].attention.triu(1) == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("config", EXTREMES, ids=lambda config: config.norm)
def test_a_token_that_may_read_nothing_gets_zeros_and_never_nan(config, dtype):
    encoder = shaken(Encoder(replace(config, norm_eps=1e-5))).to(dtype)
    nothing = torch.tensor([[True] * 5, [False] * 5])
    one_row = torch.ones(2, 5, 5, dtype=torch.bool)
    one_row[1, 2] = False
    for mask, blind in ((nothing, (1, slice(None), slice(None))), (one_row, (1, slice(None), 2))):
        fast = encoder(IDS, SEGMENT, mask)
        _, layers = encoder.trace(IDS, SEGMENT, mask)
        assert torch.isfinite(fast).all()
        for states in layers:
            assert all(torch.isfinite(value).all() for value in states)
            assert (states.attention[blind] == 0).all()
            assert (states.context[blind] == 0).all()
            assert (states.attention[0].float().sum(-1) - 1).abs().max() < 0.02
        tolerance = 1e-5 if dtype == torch.float32 else 0.05 * fast.abs().max().item()
        assert close(fast.float(), encoder.final_norm(layers[-1].hidden).float(), tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("config", EXTREMES, ids=lambda config: config.norm)
def test_the_gradient_through_a_token_that_may_read_nothing_is_finite(config, dtype):
    nothing = torch.tensor([[True] * 5, [False] * 5])
    for path in (Encoder.forward, traced):
        encoder = shaken(Encoder(replace(config, norm_eps=1e-5))).to(dtype)
        path(encoder, IDS, SEGMENT, nothing).float().mean().backward()
        for name, weight in encoder.named_parameters():
            assert weight.grad is not None or not weight.requires_grad, name
            assert weight.grad is None or torch.isfinite(weight.grad).all(), name


@pytest.mark.parametrize("mixed", [False, True])
def test_attention_of_half_the_bits_is_computed_in_full_on_a_cpu(mixed):
    generator = torch.Generator().manual_seed(3)
    parts = [torch.randn(2, 3, 5, 4, generator=generator).bfloat16().requires_grad_() for _ in range(3)]
    mask = torch.rand(2, 1, 5, 5, generator=generator) < 0.7
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        context = attend(*parts, 0.5, mask)
    context.float().square().sum().backward()
    whole = [part.detach().float().requires_grad_() for part in parts]
    full = attend(*whole, 0.5, mask)
    full.bfloat16().float().square().sum().backward()
    assert torch.equal(context, full.bfloat16())  # rounded once, at the end
    for part, other in zip(parts, whole, strict=True):
        assert torch.equal(part.grad, other.grad.bfloat16())


@pytest.mark.parametrize("config", VARIANTS)
def test_attention_rows_sum_to_one_even_with_padding(config):
    _, layers = shaken(Encoder(config)).trace(IDS, SEGMENT, PADDING)
    for states in layers:
        assert states.attention.shape == (2, 3, 5, 5)
        assert close(states.attention.sum(-1), torch.ones(2, 3, 5))
        assert (states.attention[1, :, :, 3:] == 0).all()


@pytest.mark.parametrize("config", EXTREMES, ids=lambda config: config.norm)
def test_every_state_follows_from_the_ones_before_it(config):
    encoder = shaken(Encoder(config))
    embedding, layers = encoder.trace(IDS, SEGMENT)
    assert close(embedding.output, encoder.embeddings.norm(embedding.token + embedding.position + embedding.segment))
    below = embedding.output
    for states, layer in zip(layers, encoder.layers, strict=True):
        again = layer.trace(below)
        for name, value in states._asdict().items():
            assert torch.equal(value, getattr(again, name)), name
        scale = encoder.config.scale
        assert close(states.scores, states.query @ states.key.mT * scale)
        assert close(states.attention, states.scores.softmax(-1))
        assert close(states.context, states.attention @ states.value)
        contract = layer.feed_forward.contract
        bias = 0 if contract.bias is None else contract.bias
        assert close(states.ffn_output, states.neurons @ contract.weight.T + bias)
        below = states.hidden


def test_shapes_follow_the_axes_of_the_record():
    embedding, layers = Encoder(TINY).eval().trace(IDS, SEGMENT)
    assert {tuple(value.shape) for value in embedding} == {(2, 5, 12)}
    shapes = {name: tuple(value.shape) for name, value in layers[0]._asdict().items()}
    assert shapes == {
        **dict.fromkeys(("query", "key", "value", "context"), (2, 3, 5, 4)),
        "value_size": (2, 3, 5),
        **dict.fromkeys(("scores", "attention"), (2, 3, 5, 5)),
        **dict.fromkeys(("attention_output", "after_attention", "ffn_output", "hidden"), (2, 5, 12)),
        **dict.fromkeys(("preactivation", "neurons"), (2, 5, 20)),
    }


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("shared", [True, False], ids=["shared", "one for each head"])
def test_the_size_of_a_value_is_its_length_after_its_heads_part_of_the_output(shared, bias):
    attention = shaken(Attention(tiny_config(shared_projections=shared, projection_bias=bias)))
    hidden = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(1))
    found = attention.trace(hidden)["value_size"]
    assert found.shape == (2, 3, 5)
    w, x = weights_of(attention.double()), hidden.double().numpy()
    for head, first in enumerate((0, 4, 8)):
        one = slice(first, first + 4)
        given, rows = (x[..., one], slice(None)) if shared else (x, one)
        value = given @ w["value.weight"][rows].T + (w["value.bias"][rows] if bias else 0)
        expected = np.linalg.norm(value @ w["output.weight"][:, one].T, axis=-1)
        np.testing.assert_allclose(found[:, head].detach(), expected, rtol=1e-5)


def test_what_the_heads_write_is_never_longer_than_the_sizes_of_the_values_they_read():
    attention = shaken(Attention(tiny_config(output_bias=False)))
    states = attention.trace(torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(1)))
    longest = (states["attention"] @ states["value_size"][..., None]).sum(1)[..., 0]  # [batch, token]
    assert (states["attention_output"].norm(dim=-1) <= longest + 1e-5).all()


def test_a_value_that_the_output_leaves_nothing_of_has_size_0_and_never_nan():
    output = nn.Linear(12, 12)
    with torch.no_grad():
        output.weight.copy_(torch.randn(12, 1, generator=torch.Generator().manual_seed(0)).expand(12, 12))
    value = torch.randn(1, 3, 500, 4, generator=torch.Generator().manual_seed(1))
    value -= value.mean(-1, keepdim=True)  # at right angles to every row of the output
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        sizes = projected_size(value.to(dtype), output.to(dtype)).float()
        assert 0 <= sizes.min() <= sizes.max() < (0.01 if dtype == torch.float32 else 1)
    assert not projected_size(torch.zeros(1, 3, 5, 4), output.float()).any()


def test_scores_are_divided_by_what_the_configuration_says():
    assert tiny_config(score_scale="sqrt_head_dim").scale == pytest.approx(4**-0.5)
    assert tiny_config(score_scale="sqrt_width").scale == pytest.approx(12**-0.5)
    assert tiny_config(score_scale="none").scale == 1.0


def test_sinusoids_are_those_of_the_paper():
    table = sinusoids(9, 6).numpy()
    for place in range(9):
        for channel in range(6):
            angle = place / 10_000 ** (2 * (channel // 2) / 6)
            assert table[place, channel] == pytest.approx(np.cos(angle) if channel % 2 else np.sin(angle), abs=1e-6)
    assert torch.isfinite(sinusoids(3, 5)).all()  # an odd width has one sine more than cosines


@pytest.mark.parametrize("width", [64, 128, 250])
def test_sinusoids_far_into_a_text_are_those_of_float64_rounded_once(width):
    table = sinusoids(512, width).numpy()
    for place in (1, 100, 508, 511):
        for channel in range(width):
            angle = place / 10_000.0 ** (2 * (channel // 2) / width)
            expected = np.float32(math.cos(angle) if channel % 2 else math.sin(angle))
            assert table[place, channel] == pytest.approx(expected, abs=1e-7), (place, channel)


PADDED = [
    ([5, 9, 12, 7, 3], [1, 2, 3, 4, 5]),
    ([5, 9, 12, 1, 1], [1, 2, 3, 0, 0]),  # a batch, padded on the right
    ([1, 1, 5, 9, 12], [0, 0, 1, 2, 3]),  # and on the left
    ([5, 1, 9, 1, 12], [1, 0, 2, 0, 3]),  # padding that somebody typed
]


@pytest.mark.parametrize(("ids", "rows"), PADDED)
def test_padding_takes_no_position_where_the_model_says_so(ids, rows):
    encoder = shaken(Encoder(tiny_config(padding=1)))
    table = encoder.embeddings.position.weight
    assert len(table) == TINY.positions + 1
    given = torch.tensor([ids])
    assert torch.equal(encoder.embeddings.trace(given).position[0], table[rows])
    one, other = encoder.embeddings(given), encoder.embeddings.trace(given).output
    assert torch.equal(one, other)


def test_a_padded_batch_has_the_positions_of_each_of_its_texts():
    rows = position_rows(torch.tensor([ids for ids, _ in PADDED]), 1)
    assert rows.tolist() == [rows for _, rows in PADDED]
    assert position_rows(torch.tensor([ids for ids, _ in PADDED]), None).tolist() == [0, 1, 2, 3, 4]


def test_sinusoidal_positions_are_not_learned():
    encoder = Encoder(tiny_config(position="sinusoidal"))
    assert torch.equal(encoder.embeddings.position.weight, sinusoids(7, 12))
    assert not encoder.embeddings.position.weight.requires_grad


def test_too_many_tokens_are_refused_with_both_numbers():
    encoder = Encoder(TINY).eval()
    for read in (encoder, encoder.trace):
        with pytest.raises(ValueError, match=r"8 tokens .* 7 positions"):
            read(torch.zeros(1, 8, dtype=torch.long))


def test_a_width_that_the_heads_cannot_share_is_refused():
    with pytest.raises(ValueError, match=r"width \(13\) must be a multiple of the number of heads \(3\)"):
        tiny_config(width=13)


@pytest.mark.parametrize("name", ["vocabulary", "width", "layers", "heads", "ffn_width", "positions"])
def test_an_encoder_without_size_is_refused(name):
    with pytest.raises(ValueError, match="at least 1"):
        tiny_config(**{name: 0})


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    one, same, other = (Encoder(TINY, seed=seed).state_dict() for seed in (5, 5, 6))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_the_same_seed_gives_the_same_weights_when_threads_build_at_once():
    config = EncoderConfig(vocabulary=300, width=24, layers=3, heads=3, ffn_width=40, positions=20)
    expected = {seed: Encoder(config, seed).state_dict() for seed in range(4)}
    built, start = {}, threading.Barrier(4)

    def build(seed):
        start.wait()
        built[seed] = [Encoder(config, seed).state_dict() for _ in range(10)]

    threads = [threading.Thread(target=build, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, weights in expected.items():
        assert len(built[seed]) == 10
        assert all(torch.equal(state[name], weights[name]) for state in built[seed] for name in weights)


@pytest.mark.parametrize("place", ["dropout", "attention_dropout", "ffn_dropout"])
def test_training_drops_out_and_evaluation_does_not(place):
    none = {"dropout": 0.0, "attention_dropout": 0.0, "ffn_dropout": 0.0}
    encoder = shaken(Encoder(tiny_config(**none | {place: 0.5})))
    still = encoder(IDS, SEGMENT)
    assert torch.equal(encoder(IDS, SEGMENT), still)
    torch.manual_seed(0)
    first, second = encoder.train()(IDS, SEGMENT), encoder(IDS, SEGMENT)
    assert not close(first, still)
    assert not close(first, second)
    assert close(traced(encoder, IDS, SEGMENT), still)  # a trace shows how it reads, not how it trains


def test_training_without_dropout_computes_what_evaluation_does():
    encoder = shaken(Encoder(tiny_config(dropout=0.0, attention_dropout=0.0)))
    still = encoder(IDS, SEGMENT, PADDING)
    assert close(encoder.train()(IDS, SEGMENT, PADDING), still)


def test_one_sentence_is_read_as_the_first_segment():
    encoder = shaken(Encoder(TINY))
    assert torch.equal(encoder(IDS), encoder(IDS, torch.zeros_like(IDS)))
    assert not close(encoder(IDS), encoder(IDS, SEGMENT))


def close(found, expected, bound=1e-5):
    found, expected = (np.asarray(x.detach() if torch.is_tensor(x) else x) for x in (found, expected))
    return found.shape == expected.shape and np.abs(found - expected).max() <= bound
