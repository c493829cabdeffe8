"""The one test that proves everything: our walk and our encoder against transformers' own computing, box by box."""

import copy
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from encoder.bert import carry, clothe, load_bert, take_apart, walk
from encoder.catalogue import minilm_folder
from encoder.changes import Changes
from encoder.errors import ModelError
from encoder.models import load
from encoder.tokens import read_tokenizer
from encoder.trace import EMBEDDING_AXES, LAYER_AXES, OUTPUT_AXES
from tests.tiny import FAMILIES, edit_config, save_tiny, tiny_network

TEXTS = {
    "one sentence": ("The cat sat on the mat.", None),
    "a pair": ("The cat sat on the mat, unbelievable!", "It was warm there."),
    "a typed mask": ("The {mask} sat by the {mask}.", "It was {mask}."),
    "typed padding": ("The {pad} cat sat.", None),
}
PADS = {"roberta": 1, "xlm-roberta": 1, "camembert": 1}  # others' is 0
SPECIAL = {"{mask}": ("[MASK]", "<mask>"), "{pad}": ("[PAD]", "<pad>")}  # as BERT and as RoBERTa spell them


@pytest.fixture(scope="module", params=["minilm", *FAMILIES])
def pretrained(request, tmp_path_factory):
    """A model of each family, from its folder, with transformers' own network beside it."""
    family = request.param
    folder = minilm_folder() if family == "minilm" else save_tiny(tmp_path_factory.mktemp(family), family)
    network = load_bert(folder)
    return SimpleNamespace(
        family=family, network=network, tokenizer=read_tokenizer(folder), carried=carry(network),
        model=request.getfixturevalue("minilm") if family == "minilm" else load(str(folder)),
    )  # fmt: skip


@pytest.fixture(scope="module", params=TEXTS)
def reading(request, pretrained):
    """One text or pair as ids and segments, and everything transformers computes on it."""
    text, pair = TEXTS[request.param]
    for name, (of_bert, of_roberta) in SPECIAL.items():
        spelt = of_bert if pretrained.family in ("minilm", "bert", "distilbert", "electra") else of_roberta
        text, pair = (part and part.replace(name, spelt) for part in (text, pair))
    numbers, tokens = pretrained.tokenizer.encode(text, pair, 40)
    typed = sum(part.count(name) for part in TEXTS[request.param] if part for name in SPECIAL)
    assert sum(tokens.text.count(spelt) for spellings in SPECIAL.values() for spelt in spellings) == typed
    ids, segment = torch.tensor([numbers]), torch.tensor(tokens.segment[None])
    expected = reference(pretrained.network, pretrained.family, ids, segment)
    return SimpleNamespace(text=text, pair=pair, ids=ids, segment=segment, expected=expected)


def reference(network, family, ids, segment):
    """Every field of a trace by its name, from the library's own forward pass on a private copy with hooks."""
    network = copy.deepcopy(network)
    into, out = {}, {}
    for name, module in network.named_modules():
        module.register_forward_pre_hook(lambda _, given, name=name: into.update({name: given[0]}) if given else None)
        module.register_forward_hook(
            lambda _, given, result, name=name: out.update({name: result[0] if isinstance(result, tuple) else result})
        )
    kinds = getattr(network.config, "type_vocab_size", 0)
    arguments = {"token_type_ids": segment} if kinds == 2 else {}
    with torch.inference_mode():
        result = network(ids, **arguments, output_hidden_states=True, output_attentions=True)
    token, position = out["embeddings.word_embeddings"], out["embeddings.position_embeddings"]
    fields = {
        "output": result.last_hidden_state,
        "embedding.token": token,
        "embedding.position": position.expand_as(token),
        "embedding.segment": out["embeddings.token_type_embeddings"].expand_as(token)
        if kinds
        else torch.zeros_like(token),
        "embedding.output": result.hidden_states[0],
    }
    as_they_are = ("attention_output", "after_attention", "preactivation", "ffn_output")
    for number, attention in enumerate(result.attentions):
        boxes = boxes_of_distilbert(number) if family == "distilbert" else boxes_of_bert(number)
        query, key, value = (heads_of(out[boxes[name]], attention) for name in ("query", "key", "value"))
        found = {
            "query": query, "key": key, "value": value, "attention": attention,
            "value_size": sizes_of(value, network.get_submodule(boxes["attention_output"]).weight),
            "scores": query.double() @ key.double().transpose(-1, -2) / query.shape[-1] ** 0.5,
            "context": heads_of(into[boxes["attention_output"]], attention),
            "neurons": into[boxes["ffn_output"]],
            "hidden": result.hidden_states[number + 1],
            **{name: out[boxes[name]] for name in as_they_are},
        }  # fmt: skip
        fields |= {f"layers.{number}.{name}": value for name, value in found.items()}
    assert torch.equal(result.last_hidden_state, result.hidden_states[-1])
    return {name: value[0].numpy() for name, value in fields.items()}


def boxes_of_bert(number):
    layer = f"encoder.layer.{number}"
    return {
        **{name: f"{layer}.attention.self.{name}" for name in ("query", "key", "value")},
        "attention_output": f"{layer}.attention.output.dense",
        "after_attention": f"{layer}.attention.output",
        "preactivation": f"{layer}.intermediate.dense",
        "ffn_output": f"{layer}.output.dense",
    }


def boxes_of_distilbert(number):
    layer = f"transformer.layer.{number}"
    return {
        "query": f"{layer}.attention.q_lin", "key": f"{layer}.attention.k_lin", "value": f"{layer}.attention.v_lin",
        "attention_output": f"{layer}.attention.out_lin", "after_attention": f"{layer}.sa_layer_norm",
        "preactivation": f"{layer}.ffn.lin1", "ffn_output": f"{layer}.ffn.lin2",
    }  # fmt: skip


def heads_of(hidden, attention):
    """[batch, token, model] → [batch, head, token, head_dim], by slicing."""
    size = hidden.shape[-1] // attention.shape[1]
    return torch.stack([hidden[..., first : first + size] for first in range(0, hidden.shape[-1], size)], dim=1)


def sizes_of(value, weight):
    """[batch, head, token] each value sent through the output matrix by itself, with zeros in place of other heads."""
    value, weight, sizes = value.double(), weight.detach().double(), []
    head_dim = value.shape[-1]
    for head in range(value.shape[1]):
        alone = torch.zeros(*value[:, head].shape[:-1], weight.shape[1], dtype=torch.float64)
        alone[..., head * head_dim : (head + 1) * head_dim] = value[:, head]
        sizes.append((alone @ weight.T).square().sum(-1).sqrt())
    return torch.stack(sizes, dim=1)


def fields_of(states):
    """The same names for what our own code returns."""
    embedding, layers = states
    fields = {f"embedding.{name}": value for name, value in embedding._asdict().items()}
    for number, layer in enumerate(layers):
        fields |= {f"layers.{number}.{name}": value for name, value in layer._asdict().items()}
    fields["output"] = layer.hidden  # BERT has no norm on top
    return {name: value[0].numpy() for name, value in fields.items()}


def assert_equal_everywhere(found, expected, bound=1e-5):
    """At most `bound` apart, or that share of a value above 1: one float32 of MiniLM's 17 holds no more digits."""
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].shape == value.shape, name
        assert (np.abs(found[name] - value) <= bound * np.maximum(1, np.abs(value))).all(), name


def test_every_field_of_a_trace_is_what_transformers_computes(pretrained, reading):
    trace = pretrained.model.trace(reading.text, reading.pair, 40)
    found = {name: array for name, array, _ in trace.arrays()}
    assert_equal_everywhere(found, reading.expected)


def test_the_walk_returns_what_transformers_computes(pretrained, reading):
    with torch.inference_mode():
        found = fields_of(walk(take_apart(pretrained.network), reading.ids, reading.segment))
    assert_equal_everywhere(found, reading.expected)


def test_sizes_of_values_are_right_to_five_digits(pretrained, reading):
    for number, layer in enumerate(pretrained.model.trace(reading.text, reading.pair, 40).layers):
        np.testing.assert_allclose(layer.value_size, reading.expected[f"layers.{number}.value_size"], rtol=1e-5)


def test_our_encoder_with_carried_weights_computes_the_same(pretrained, reading):
    with torch.inference_mode():
        found = fields_of(pretrained.carried.trace(reading.ids, reading.segment))
        last = pretrained.carried(reading.ids, reading.segment)[0].numpy()
    assert_equal_everywhere(found, reading.expected)
    assert np.abs(last - reading.expected["output"]).max() <= 1e-5


def test_in_double_precision_nothing_but_rounding_is_left(pretrained):
    ids = torch.tensor([[5, 9, 4, 7, 3, 11, 2]])
    segment = torch.tensor([[0, 0, 0, 1, 1, 1, 1]])
    network, ours = copy.deepcopy(pretrained.network).double(), copy.deepcopy(pretrained.carried).double()
    expected = reference(network, pretrained.family, ids, segment)
    with torch.inference_mode():
        assert_equal_everywhere(fields_of(walk(take_apart(network), ids, segment)), expected, 1e-10)
        assert_equal_everywhere(fields_of(ours.trace(ids, segment)), expected, 1e-10)


def test_the_reference_knows_every_field_of_the_record(reading):
    layers = {name.split(".")[1] for name in reading.expected if name.startswith("layers")}
    names = {f"embedding.{name}" for name in EMBEDDING_AXES}
    names |= {f"layers.{number}.{name}" for number in layers for name in LAYER_AXES} | OUTPUT_AXES.keys()
    assert set(reading.expected) == names
    assert all(np.abs(value).max() > 0 for name, value in reading.expected.items() if name != "embedding.segment")


def test_carried_weights_are_a_copy():
    network = tiny_network("bert")
    encoder, before = carry(network), copy.deepcopy(network.state_dict())
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.zero_()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_carried_weights_read_a_padded_batch_as_the_library_does():
    network = tiny_network("bert")
    ids = torch.tensor([[5, 9, 12, 7, 3, 2], [8, 4, 6, 0, 0, 0]])
    mask = torch.tensor([[1] * 6, [1, 1, 1, 0, 0, 0]])
    with torch.inference_mode():
        expected = network(ids, attention_mask=mask).last_hidden_state
        found = carry(network)(ids, mask=mask)
    assert (found - expected)[mask.bool()].abs().max() <= 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_padded_on_either_side_has_the_positions_that_the_library_gives_it(family):
    network = tiny_network(family)
    pad = network.config.pad_token_id
    ids = torch.tensor([[5, 9, 12, 7, 3, 2], [8, 4, 6, pad, pad, pad], [pad, pad, 8, 4, pad, 6]])
    found = {}
    network.get_submodule("embeddings.position_embeddings").register_forward_hook(
        lambda _, given, rows: found.update(rows=rows.expand(len(ids), -1, -1))
    )
    mask = (ids != pad).long()
    with torch.inference_mode():
        expected = network(ids, attention_mask=mask).last_hidden_state
        ours = carry(network)
        np.testing.assert_array_equal(ours.embeddings.trace(ids).position, found["rows"])
        walked, _ = walk(take_apart(network), ids, torch.zeros_like(ids))
        np.testing.assert_array_equal(walked.position, found["rows"])
        assert (ours(ids, mask=mask) - expected)[mask.bool()].abs().max() <= 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_where_nothing_is_changed_what_if_reads_as_the_model_does_typed_padding_too(tmp_path, family):
    model = load(str(save_tiny(tmp_path, family)))
    text = f"The {model._tokenizer.backend.id_to_token(PADS.get(family, 0))} cat sat."
    before, after = model.trace(text), model.what_if(Changes()).trace(text)
    for (name, one, _), (_, other, _) in zip(before.arrays(), after.arrays(), strict=True):
        np.testing.assert_allclose(other, one, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_relu_is_carried_too_and_other_activations_are_refused(family):
    name = "activation" if family == "distilbert" else "hidden_act"
    network = tiny_network(family, **{name: "relu"})
    ids = torch.tensor([[5, 9, 12, 7, 3]])
    with torch.inference_mode():
        assert (carry(network)(ids) - network(ids).last_hidden_state).abs().max() <= 1e-5
    with pytest.raises(ModelError, match="knows ReLU and GELU, not “silu”"):
        carry(tiny_network(family, **{name: "silu"}))


def test_other_activations_are_walked_all_the_same():
    network = tiny_network("bert", hidden_act="gelu_new")
    ids = torch.tensor([[5, 9, 12, 7, 3]])
    with torch.inference_mode():
        _, layers = walk(take_apart(network), ids, torch.zeros_like(ids))
        layers = list(layers)
        assert (layers[-1].hidden - network(ids).last_hidden_state).abs().max() <= 1e-5


def test_a_model_with_a_head_on_top_is_taken_apart_like_its_encoder():
    from transformers import BertForMaskedLM

    whole = BertForMaskedLM(tiny_network("bert").config).eval()
    ids = torch.tensor([[5, 9, 12, 7, 3]])
    with torch.inference_mode():
        _, layers = walk(take_apart(whole), ids, torch.zeros_like(ids))
        layers = list(layers)
        assert (layers[-1].hidden - whole.base_model(ids).last_hidden_state).abs().max() <= 1e-5


def test_a_folder_saved_with_a_head_loads_as_its_encoder(tmp_path):
    from transformers import BertForMaskedLM

    whole = BertForMaskedLM(tiny_network("bert").config)
    whole.save_pretrained(tmp_path)
    for name, weight in load_bert(tmp_path).base_model.state_dict().items():
        assert torch.equal(weight, whole.base_model.state_dict()[name]), name


def test_half_precision_weights_are_read_as_float32(tmp_path):
    tiny_network("bert").half().save_pretrained(tmp_path)
    assert {weight.dtype for weight in load_bert(tmp_path).parameters()} == {torch.float32}


def test_other_families_are_told_by_name_with_the_supported_ones(tmp_path):
    edit_config(save_tiny(tmp_path), model_type="gpt2")
    with pytest.raises(ModelError, match="family “gpt2” cannot be shown") as told:
        load_bert(tmp_path)
    assert all(family in str(told.value) for family in FAMILIES)


@pytest.mark.parametrize(
    ("family", "changes", "sentence"),
    [
        ("bert", {"is_decoder": True}, "is a decoder"),
        ("bert", {"position_embedding_type": "relative_key"}, "relative positions"),
        ("electra", {"embedding_size": 7}, "embeddings are narrower"),
        ("bert", {"hidden_size": 24}, "cannot be read"),
        ("bert", {"num_hidden_layers": 3}, "incomplete: 16 of its weights are missing"),
        ("bert", {"num_attention_heads": 5}, "cannot be read"),
        ("bert", {"hidden_size": "wide"}, "cannot be read"),
        ("bert", {"hidden_act": "unheard"}, "cannot be read"),
        ("distilbert", {"n_layers": 3}, "incomplete: 16 of its weights are missing"),
    ],
)
def test_a_folder_that_cannot_be_shown_truly_is_refused(tmp_path, family, changes, sentence):
    edit_config(save_tiny(tmp_path, family), **changes)
    with pytest.raises(ModelError, match=sentence):
        load_bert(tmp_path)


def test_an_electra_saved_with_narrow_embeddings_is_refused(tmp_path):
    save_tiny(tmp_path, "electra", embedding_size=6)
    with pytest.raises(ModelError, match="embeddings are narrower"):
        load_bert(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "null", '"bert"', '{"model_type": ["bert"]}', "\x00"])
def test_a_broken_config_is_told_in_one_sentence(tmp_path, content):
    save_tiny(tmp_path)
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ModelError) as told:
        load_bert(tmp_path)
    assert re.fullmatch(r"[^.]+config\.json[^.]+\.|Models of the family .+\.", str(told.value))


def test_text_that_is_no_utf8_is_a_broken_config(tmp_path):
    save_tiny(tmp_path)
    (tmp_path / "config.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ModelError, match=r"its config\.json cannot be read\.$"):
        load_bert(tmp_path)


def test_pickled_weights_are_refused(tmp_path):
    network = tiny_network("bert")
    save_tiny(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(
        ModelError, match=r"has its weights only as pytorch_model\.bin, .* save it again as model\.safetensors\.$"
    ):
        load_bert(tmp_path)


@pytest.mark.parametrize("kept", [0, 5, 200, -1])
def test_truncated_weights_are_refused(tmp_path, kept):
    weights = save_tiny(tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(ModelError, match="cannot be read"):
        load_bert(tmp_path)


def test_a_model_with_a_weight_missing_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    weights = save_tiny(tmp_path) / "model.safetensors"
    state = load_file(weights)
    state.pop(next(name for name in state if "attention.self.query.weight" in name))
    save_file(state, weights, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="incomplete: 1 of its weights are missing"):
        load_bert(tmp_path)


def test_code_in_a_folder_is_never_run(tmp_path):
    save_tiny(tmp_path)
    (tmp_path / "sneaky.py").write_text("raise SystemExit('run')")
    edit_config(tmp_path, auto_map={"AutoModel": "sneaky.Model", "AutoConfig": "sneaky.Config"})
    assert load_bert(tmp_path).config.hidden_size == 12


def test_carrying_leaves_the_model_alone_and_makes_copies_on_the_cpu_in_full_precision():
    network = tiny_network("bert").to(torch.bfloat16).requires_grad_(False)
    encoder = carry(network)
    assert not any(weight.requires_grad for weight in network.parameters())
    assert {weight.dtype for weight in encoder.parameters()} == {torch.float32}
    theirs = {weight.data_ptr() for weight in network.parameters()}
    assert not theirs & {weight.data_ptr() for weight in encoder.parameters()}
    own = {weight.data_ptr() for weight in clothe(network).parameters()}
    assert own <= theirs, "clothed, it takes no memory"
