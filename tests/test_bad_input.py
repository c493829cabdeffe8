"""Whatever is typed, asked for in the address or put in the models folder: a sentence, never a stack trace."""

import json
import re
from html import unescape

import pytest
import streamlit as st
import torch
from huggingface_hub import constants
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import encoder.models
import encoder.reading
from encoder import hub
from encoder.labels import visible
from tests.app import (
    MAPS,
    OPENINGS,
    PAGES,
    VIEWS,
    ask,
    charts,
    explored,
    fine,
    frames,
    half,
    html,
    in_bertviz,
    layers_and_heads,
    markdown,
    names,
    open_page,
    said,
    told,
    view_name,
)
from tests.fake_hub import FakeHub, make_tiny_bert
from tests.tiny import save_as_it_is, tiny_network

# What can be read, however odd.
READABLE = {
    "one 5,000-letter word": "x" * 5_000,
    "only emoji": "🎉😂👩‍👩‍👧🏳️‍🌈",
    "right to left, with an override": "שלום עולם القطة \u202eevil\u202c.",
    "combining characters": "e\u0301\u0300\u0323 z\u0351\u036b\u0343\u036a\u0302 cafe\u0301",
    "control characters and NUL": "a\x00b\x07\x1b[31m c\x7f\x85",
    "line ends and tabs": "a\n\nb\r\nc\td",
    "one token": "cat",
    "one character without a picture for it": "\ufffd a",
    "special tokens": "[CLS] [SEP] [PAD] [UNK]",
    "numbers and dates, which are no places on an axis": "7 7 1984 2020-01-01 1e5 ٣٤٥",
    "signs of a template": "%{x} {0} ${y} %s \\u0041 &amp; &lt;",
}
EMPTY = ("", " \t\n \u00a0\u3000", "\x00", "\u200d\u200b", "\u0301")  # the last three show nothing by themselves
SCRIPT, IMAGE = "<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>"
MARKDOWN = "**bold** $x^2$ [link](http://x) :red[red] `code` # title"
every_opening = pytest.mark.parametrize(("page", "address"), OPENINGS, ids=[view_name(*way) for way in OPENINGS])
QUICK = [view for view in VIEWS if view[1].get("space") != "tsne"]  # t-SNE of many tokens takes a minute
ENDS = "--></style></textarea></title><svg/onload=alert(1)>{{x}}"


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr("encoder.devices.accelerator", lambda: None)


def read_by_both(app):
    """Whether both columns are there with their pictures and the page is whole."""
    return fine(app) and all(half(app, side).get("html") and (_pictures(app, side)) for side in "ab")


def sentences(app):
    """What the page says in its boxes: notes and warnings."""
    return [box.value for box in [*app.info, *app.warning]]


# Typed text


@every_opening
def test_what_can_be_read_is_read_by_both_models_on_every_page(page, address):
    app = open_page(page, **address)
    for name, text in READABLE.items():
        ask(app, text)
        assert read_by_both(app), name
        assert not sentences(app), name
        assert app.text_area(key="pick.text").value == text


@every_opening
def test_an_empty_text_asks_for_one_and_nothing_is_lost(page, address):
    address = {**address, "layer": "3", "head": "2"}
    app = open_page(page, **address)
    for text in EMPTY:
        ask(app, text)
        assert fine(app)
        assert not charts(app)
        assert not told(app)
        assert sentences(app)
        for sentence in sentences(app):
            assert re.match("Type a sentence|This text holds nothing that .* can read", sentence)
    ask(app, "A dog barks.")
    assert read_by_both(app)
    assert app.query_params == {**address, "text": "A dog barks."}


@every_opening
def test_an_empty_text_with_a_second_sentence_still_asks_for_the_first(page, address):
    app = open_page(page, **address, text=" ", pair="It is loud.")
    assert fine(app)
    assert sentences(app)


@every_opening
def test_a_second_sentence_of_nothing_leaves_the_first(page, address):
    app = open_page(page, **address, text="A dog barks.")
    for pair in (" ", "\x00", "\u200d", "[SEP]"):
        app.text_input(key="pick.pair").set_value(pair).run()
        assert read_by_both(app), pair


@every_opening
def test_a_hundred_thousand_characters_say_how_much_was_read_and_left_out(page, address):
    app = ask(open_page(page, **address, a="scratch-untrained"), "cat dog mat " * 8_333)
    assert read_by_both(app)
    # 3 × 8,333 words, and 126 of them fit between [CLS] and [SEP].
    note = "128 tokens were read and 24,873 left out. This model holds 512; "
    note += "“Longest text” in the sidebar says how many are read."
    for side in "ab":
        assert note in said(half(app, side))
    app.number_input(key="pick.limit").set_value(512).run()
    assert read_by_both(app)
    for side in "ab":
        assert "512 tokens were read and 24,489 left out. This model cannot hold more." in said(half(app, side))
    app.number_input(key="pick.limit").set_value(8).run()
    assert read_by_both(app)
    assert "8 tokens were read and 24,993 left out." in said(half(app, "a"))


@every_opening
def test_of_a_text_that_only_a_program_would_send_the_beginning_is_looked_at(page, address):
    app = ask(open_page(page, **address, a="scratch-untrained"), "cat dog mat " * 10_000)
    assert read_by_both(app)
    note = "Texts are read up to 100,000 characters: the last 20,000 were not looked at."
    for side in "ab":
        assert note in said(half(app, side))
        assert "128 tokens were read and 24,874 left out." in said(half(app, side))


@every_opening
def test_two_sentences_too_long_are_both_cut(page, address):
    app = open_page(page, **address, text="cat " * 100, pair="dog " * 100)
    assert read_by_both(app)
    assert "128 tokens were read and 75 left out." in said(half(app, "b"))


@pytest.mark.parametrize(("page", "address"), QUICK, ids=[view_name(*view) for view in QUICK])
def test_every_view_can_take_512_tokens_and_only_one(page, address):
    app = open_page(page, text="cat mat " * 300, limit="512", **address)
    assert fine(app)
    assert half(app, "a")
    assert half(app, "b")
    app = open_page(page, text="cat", hide="1", words="1", **address)
    assert fine(app)
    assert half(app, "b")


@every_opening
def test_a_typed_mask_is_the_mask_token(page, address):
    app = open_page(page, **address, text="The [MASK] sat.")
    assert read_by_both(app)
    chosen_from = [box.options for box in app.selectbox if page == "step_by_step"]
    seen = html(app) if page == "side_by_side" else json.dumps([charts(app), _texts(app), chosen_from])
    if page not in ("feed_forward", "what_if"):  # which name it only if it is among the strongest, or no token at all
        assert seen.count("[MASK]") >= 2
    words = ["[CLS]", "the", "[MASK]", "sat", ".", "[SEP]"]
    app = open_page("attention", text="The [MASK] sat.", **address)
    if address == MAPS:
        assert [names(charts(app)[f"chart-{side}-1"]["data"][0]["x"]) for side in "ab"] == [words, words]
    else:
        assert _texts(app) == {"a": words, "b": words}


# Text that would like to be code


@pytest.mark.parametrize(("page", "address"), QUICK, ids=[view_name(*view) for view in QUICK])
def test_code_in_the_text_is_shown_as_text_everywhere(page, address):
    app = open_page(page, text=IMAGE, pair=SCRIPT, **address)
    assert_only_text(app, IMAGE, SCRIPT)
    app.text_input(key="pick.pair").set_value(ENDS)
    ask(app, MARKDOWN)
    assert_only_text(app, MARKDOWN, ENDS)


@pytest.mark.parametrize(
    ("page", "address"),
    [
        ("embeddings", {"embedding_view": "elsewhere", "word": "<img", "elsewhere": f"{IMAGE} A\n{SCRIPT}<img src=x>"}),
        ("what_if", {"changed": "1", "put_in": IMAGE, "outcome": "attention"}),
    ],
    ids=["elsewhere", "put_in"],
)
def test_code_in_a_views_own_boxes_is_shown_as_text(page, address):
    app = open_page(page, text="The cat sat.", **address)
    assert_only_text(app, IMAGE, SCRIPT)
    for side in "ab":
        assert "&lt;" in json.dumps(charts(app, side))


@pytest.mark.parametrize(("page", "address"), QUICK, ids=[view_name(*view) for view in QUICK])
def test_code_in_one_token_or_in_the_name_of_a_model_is_shown_as_text_everywhere(page, address, code_model):
    name, tokens = code_model
    last = dict.fromkeys(("layer", "head", "level"), "99")  # which the page says, with the model's name
    app = open_page(page, text=" ".join(tokens), a=name, b=name, **last, **address)
    assert not sentences(app)
    assert_only_text(app, name, *tokens)
    assert unescape(html(app)).count(name) >= 2
    if page == "side_by_side":
        chips = "".join(part.value for part in app.get("html") if 'class="tokens"' in part.value)
        assert [unescape(token) for token in re.findall(r"<bdi>(.*?)</bdi>", chips)] == [
            *("[CLS]", *tokens, "[SEP]") * 2,
        ]  # fmt: skip
    for frame in frames(app):
        # JSON for BertViz, in letters that cannot end the script.
        assert '"</script><img"' in in_bertviz(frame)
        assert "</script><img" not in frame.srcdoc


def test_code_in_the_name_of_a_model_is_text_where_bertviz_declines(code_model):
    name, tokens = code_model
    app = open_page("attention", text=" ".join(tokens * 5), b=name, show="b", attention_view="model")
    assert "takes at most" in sentences(app)[0]
    assert_only_text(app, name, *tokens)


def assert_only_text(app, *typed):
    """What was typed is in no Markdown, opens no HTML element, no element of a frame, and no tag in a figure."""
    assert fine(app)
    read = re.sub(r"\\.", "", markdown(app))  # what a backslash stands before is itself and nothing more
    for text in (*typed, "**bold**", "$x^2$", "[link](", ":red[", "`code`", "# title", "<script", "<img", "<svg"):
        assert text not in read
    [ours] = (part.value for part in app.main.get("html") if part.value.endswith("</script>"))
    tags = re.findall(r"<[^>]*>", html(app).replace(ours, ""))
    known = {"a", "b", "bdi", "div", "img", "mark", "span", "table", "tbody", "td", "th", "thead", "tr"}
    assert {re.match(r"</?\s*(\w+)", tag)[1] for tag in tags} <= known
    assert not [tag for tag in tags if re.search(r"\bon\w+\s*=", tag)]
    for figure in charts(app).values():
        for text in _strings([figure["data"], figure["layout"].get("annotations", [])]):
            assert set(re.findall(r"<\s*/?\s*([a-z]+)", text, re.IGNORECASE)) <= {"b", "br", "extra"}, text
    for frame in frames(app):
        # Without its own scripts and style, each up to whatever ends it first.
        document = re.sub(r"(?s)<(script|style)\b.*?</\1>", "", frame.srcdoc)
        assert not re.search(r"alert\(1\)|<(script|img|svg)", document)


@pytest.fixture(scope="module")
def code_model(tmp_path_factory):
    """A model whose tokenizer keeps code in one piece, in a folder with a name that is code."""
    folder = tmp_path_factory.mktemp("models")
    name = "<img src=x onerror=alert(1)> **bold** $x^2$ [link](x)"
    tokens = ["<script>alert(1)<", "</script><img", "**bold**", "$x^2$", "[link](http:x)", ":red[red]", "`code`"]
    assert [visible(token) for token in tokens] == tokens
    vocabulary = {token: number for number, token in enumerate(["[UNK]", "[CLS]", "[SEP]", *tokens])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer.add_special_tokens(["[UNK]", "[CLS]", "[SEP]"])
    tiny_network("bert").save_pretrained(folder / name)
    save_as_it_is(tokenizer, folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENCODER_LENS_MODELS", str(folder))
        yield name, tokens


# The address


@every_opening
def test_nonsense_in_the_address_falls_back_with_a_note(page, address, no_gpu, scratch):
    nonsense = {"layer": "99", "head": "-1", "a": "../../etc/passwd", "token": "0", "limit": "abc", "show": "x"}
    app = open_page(page, **address | nonsense, gpu="1")
    assert read_by_both(app)
    [note] = sentences(app)
    for name in ("head", "a", "token", "limit", "show"):
        assert re.search(rf"\b{name}\b", note)
    assert "etc/passwd" not in html(app) + markdown(app)
    assert "From scratch" in html(app)
    assert "both models run on the CPU" in said(app.sidebar)
    asked = {
        name: value for name, value in app.query_params.items() if not name.startswith("head")
    }  # goes with a layer
    assert asked == {name: value for name, value in address.items() if name != "head"} | {"layer": "99", "gpu": "1"}
    if page == "feed_forward" or address == MAPS:
        assert layers_and_heads(app)["layer"] == scratch.card.layers
        assert layers_and_heads(app)["layer_b"] == 6
        assert f"has {scratch.card.layers} layers: this is its last one." in said(half(app, "a"))
        assert "has 6 layers: this is its last one." in said(half(app, "b"))


@pytest.mark.parametrize(("page", "address"), VIEWS, ids=[view_name(*view) for view in VIEWS])
def test_numbers_far_beyond_every_model_draw_its_last_one(page, address):
    far = dict.fromkeys(("layer", "head", "level", "token", "to", "neuron"), "1000000")
    app = open_page(page, **far, **address)
    assert read_by_both(app)
    for figure in charts(app).values():
        assert "1000000" not in json.dumps(figure["data"])


@every_opening
def test_a_gpu_asked_for_where_there_is_none_is_explained(page, address, no_gpu):
    app = open_page(page, **address, gpu="1")
    assert read_by_both(app)
    toggle = next(each for each in app.toggle if each.label == "GPU")
    assert toggle.disabled
    assert "This machine has no GPU that PyTorch can use" in said(app.sidebar)


def test_a_full_gpu_leaves_the_reading_to_the_cpu_and_says_so_on_every_page(full_gpu):
    app = open_page("layers", text="A full house.")
    next(toggle for toggle in app.toggle if toggle.label == "GPU (CUDA)").set_value(True).run()
    assert full_gpu == ["cuda", "cuda"]
    for page in PAGES:
        app.switch_page(f"pages/{page}.py").run()
        assert read_by_both(app)
        assert app.query_params["gpu"] == "1"
        for side in "ab":
            assert "The CUDA memory was full: the CPU did this reading." in said(half(app, side))
        assert said(app.sidebar).count(" ms on this machine’s CPU") == 2


@pytest.fixture
def full_gpu(monkeypatch, forget_models):
    """A machine with a GPU that has no memory left; the list grows by its name with every reading that it tries."""
    tried, readers, read = [], encoder.models._readers, encoder.models.Model._read

    def with_gpu(network, walk_of, device):
        cpu = readers(network, walk_of, "cpu")
        return cpu if device == "cpu" else (encoder.reading.Reader(device, cpu[0].walk), *cpu)

    def full(model, reader, *question):
        if reader.device == "cpu":
            return read(model, reader, *question)
        tried.append(reader.device)
        raise torch.OutOfMemoryError("CUDA out of memory.")

    for module in ("encoder.devices", "encoder.models"):
        monkeypatch.setattr(f"{module}.accelerator", lambda: "cuda")
    monkeypatch.setattr("encoder.models._readers", with_gpu)
    monkeypatch.setattr("encoder.models.Model._read", full)
    return tried


@pytest.fixture
def forget_models():
    """Afterwards no session shall find what a test put in place of a model."""
    yield
    st.cache_resource.clear()


# Models folder

BROKEN = "broken **bold** $x^2$ <img src=x>"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    make_tiny_bert(folder / "good")
    (folder / "empty").mkdir()
    (folder / BROKEN).mkdir()
    (folder / BROKEN / "config.json").write_text("{")
    (folder / "generator").mkdir()
    (folder / "generator" / "config.json").write_text('{"model_type": "gpt2"}')
    (folder / "cut").mkdir()
    for path in (folder / "good").iterdir():
        content = path.read_bytes()
        (folder / "cut" / path.name).write_bytes(content[:1000] if path.suffix == ".safetensors" else content)
    (folder / "a file, not a folder.txt").write_text("x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENCODER_LENS_MODELS", str(folder))
        yield folder


@every_opening
def test_a_folder_that_is_no_model_gets_a_sentence_and_the_other_column_goes_on(page, address, folders):
    app = open_page(page, **address)
    for name, reason in {
        "empty": "holds no model",
        BROKEN: "holds no model",
        "generator": "cannot be shown; supported are",
        "cut": "cannot be read",
    }.items():
        app.selectbox(key="pick.a").set_value(name).run()
        assert fine(app)
        [warning] = app.warning
        assert reason in warning.value.replace("\\", "")
        assert_only_text(app)
        assert warning in list(half(app, "a").warning)
        assert _pictures(app, "b")
        assert not _pictures(app, "a")
        assert app.query_params["a"] == name
    app.selectbox(key="pick.a").set_value("good").run()
    assert read_by_both(app)
    assert not app.warning
    assert "2 layers · 3 heads · width 96" in html(app)


@every_opening
def test_both_models_broken_leave_the_page_standing(page, address, folders):
    app = open_page(page, **address, a="empty", b=BROKEN)
    assert fine(app)
    assert len(app.warning) == 2
    assert not charts(app)
    assert not told(app)


@every_opening
def test_a_model_that_holds_fewer_tokens_than_the_limit_says_so(page, address, folders):
    app = open_page(page, **address, text="cat " * 200, a="scratch-untrained", b="good", limit="512")
    assert read_by_both(app)
    assert "80 tokens were read and 122 left out. This model cannot hold more." in said(half(app, "b"))
    assert "left out" not in said(half(app, "a"))


@every_opening
def test_a_folder_that_vanishes_is_missed_in_a_sentence(page, address, folders, tmp_path, monkeypatch):
    app = open_page(page, **address | {"b": "good", "layer": "2"})
    assert read_by_both(app)
    monkeypatch.setenv("ENCODER_LENS_MODELS", str(tmp_path))
    app.run()
    assert read_by_both(app)
    assert "“good” is not there any more" in said(half(app, "b")).replace("\\", "")
    assert app.query_params["layer"] == "2"
    monkeypatch.setenv("ENCODER_LENS_MODELS", str(folders))
    app.run()
    assert "2 layers · 3 heads · width 96" in html(app), "it came back, and so does the choice"


@every_opening
def test_a_model_that_the_catalogue_does_not_have_is_not_looked_for_elsewhere(page, address, folders):
    for name in ("../good", str(folders / "good"), "google-bert/bert-base-uncased", "good\x00"):
        app = open_page(page, **address, b=name)
        assert read_by_both(app)
        assert "(b)" in sentences(app)[0]
        assert '<span class="name">MiniLM</span>' in html(app)


# Models that are not here yet


@pytest.fixture
def bare_machine(tmp_path, monkeypatch):
    """Nothing has been downloaded, and nothing can be."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "_downloads", {})
    return tmp_path / "cache"


@every_opening
def test_a_model_that_is_not_here_says_what_it_needs_and_waits_for_a_click(page, address, bare_machine):
    app = open_page(page, **address)
    app.selectbox(key="pick.b").set_value("bert-base-uncased").run()
    assert fine(app)
    column = half(app, "b")
    assert "is not on this machine yet" in said(column)
    assert "440 MB" in said(column)
    assert "It needs the internet once" in said(column)
    [button] = column.button
    assert button.label == "Download BERT base"
    assert not _pictures(app, "b")
    assert _pictures(app, "a")
    assert hub._downloads == {}
    assert not bare_machine.exists()


def test_an_address_never_starts_a_download(bare_machine):
    for page in PAGES:
        app = open_page(page, a="bert-base-multilingual-cased", b="bert-base-uncased")
        assert fine(app)
        buttons = [button.label for button in app.button if button.label.startswith("Download")]
        assert buttons == ["Download BERT multilingual", "Download BERT base"]
    assert hub._downloads == {}
    assert not bare_machine.exists()


def test_a_download_without_internet_says_why_and_can_be_tried_again(bare_machine):
    app = open_page("layers", b="bert-base-uncased")
    for _ in range(2):
        half(app, "b").button[0].click().run()
        hub.running("google-bert/bert-base-uncased").join(20)
        app.run()
        assert fine(app)
        assert "work without internet" in half(app, "b").warning[0].value
        assert half(app, "b").button[0].label == "Download BERT base"
        assert _pictures(app, "a")


def test_a_click_brings_the_model_and_every_page_draws_it(tmp_path, monkeypatch, bare_machine, forget_models):
    make_tiny_bert(tmp_path / "shelf" / "google-bert" / "bert-base-uncased")
    with FakeHub(tmp_path / "shelf") as fake:
        monkeypatch.setattr(constants, "ENDPOINT", fake.url)
        url = fake.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        app = open_page("layers", b="bert-base-uncased")
        assert fake.requests == []
        half(app, "b").button[0].click().run()
        hub.running("google-bert/bert-base-uncased").join(30)
    for page in PAGES:
        app.switch_page(f"pages/{page}.py").run()
        assert read_by_both(app)
        assert not half(app, "b").get("button")
        assert "2 layers · 3 heads · width 96" in html(app)


def _pictures(app, side):
    """How many pictures a column has: charts, explorer, small ones, frames, tables, or words why there is none."""
    column = half(app, side)
    small = sum(element.value.count("<img ") for element in column.get("html"))
    large = len(charts(app, side)) + (side in explored(app)["models"])
    none = len(re.findall("BertViz’s|Heat maps hold|is for texts of up to|Nothing is changed yet", said(column)))
    return small + large + len(column.get("iframe")) + len(column.get("dataframe")) + none


def _texts(app):
    """The tokens that the explorer was sent, by side."""
    return {side: model["tokens"] for side, model in explored(app)["models"].items()}


def _strings(part):
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict):
        for key, value in part.items():
            if key not in ("bdata", "colorscale"):
                yield from _strings(value)
    elif isinstance(part, list):
        for value in part:
            yield from _strings(value)


def test_a_neuron_that_the_model_does_not_have_is_said_and_another_shown():
    app = open_page("feed_forward", neuron="1500", neuron_b="1500")
    assert fine(app)
    assert "has 1,024 neurons a layer." in said(half(app, "a"))
    assert "neurons a layer" not in said(half(app, "b"))
    assert app.selectbox(key="pick.neuron").value in range(1, 1_025)
    assert app.selectbox(key="pick.neuron_b").value == 1500


@pytest.mark.parametrize(("text", "known"), [("The cat sat.", True), ("a" * 3_000, False), ("👍🏽 sat", False)])
def test_words_that_no_piece_can_spell_are_said(text, known):
    app = open_page("layers", text=text)
    for side in ("a", "b"):
        assert ("[UNK] stands for a word or sign" in said(half(app, side)).replace("\\", "")) is not known
