"""What a turn sends to each of thirty phones: no more than a screen can show."""

from itertools import cycle, islice

import pytest

from tests.app import VIEWS, fine, html, open_page, sent, view_name
from tests.tiny import tiny_tokenizer

WORDS = ("the", "cat", "sat", "on", "the", "mat", ",", "it", "was", "warm", "by", "the", "river", "with", "money")
# These do not grow with the text, and a large model would take half a minute for them.
NOT_OF_THE_TEXT = {"corpus", "each"}
MOST = {128: 500_000, 512: 1_500_000}  # bytes of a turn, both models, by tokens
LONG = [
    view
    for view in VIEWS
    if view[0] != "step_by_step"  # of two tokens only
    and not {"corpus", "each", "elsewhere", "nearest", "tsne", "entropy", "mix"} & set(view[1].values())
]


@pytest.fixture(scope="module")
def base_size(tmp_path_factory):
    """A folder with a random model of BERT base's layers, heads and width."""
    from transformers import BertConfig, BertModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    models = tmp_path_factory.mktemp("models")
    sizes = {"vocab_size": 26, "num_hidden_layers": 12, "num_attention_heads": 12, "hidden_size": 768}
    BertModel(BertConfig(**sizes, intermediate_size=1024, initializer_range=0.05)).save_pretrained(models / "base-size")
    tiny_tokenizer("bert").save(str(models / "base-size" / "tokenizer.json"))
    return models


def turn(page, address, tokens):
    """A page with MiniLM on the left, a model of BERT base's size on the right and so many tokens of text."""
    models = {"a": "minilm", "b": "scratch" if NOT_OF_THE_TEXT & set(address.values()) else "base-size"}
    text = " ".join(islice(cycle(WORDS), tokens - 2))
    app = open_page(page, **models, text=text, limit=str(tokens), **address)
    assert fine(app)
    assert "MiniLM" in html(app)
    assert "From scratch" in html(app) or "base-size" in html(app)
    return app


@pytest.mark.parametrize(("page", "address"), VIEWS, ids=[view_name(*view) for view in VIEWS])
def test_no_view_sends_more_than_half_a_megabyte_at_128_tokens(page, address, base_size, monkeypatch):
    monkeypatch.setenv("ENCODER_LENS_MODELS", str(base_size))
    assert sent(turn(page, address, 128)) <= MOST[128]


@pytest.mark.parametrize(("page", "address"), LONG, ids=[view_name(*view) for view in LONG])
def test_no_view_sends_more_than_one_and_a_half_megabytes_at_512_tokens(page, address, base_size, monkeypatch):
    monkeypatch.setenv("ENCODER_LENS_MODELS", str(base_size))
    assert sent(turn(page, address, 512)) <= MOST[512]
