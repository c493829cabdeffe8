"""BertViz's three views: the numbers they carry, the text they must not run, and what a real browser draws of them."""

import base64
import json
import re
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import Browser, Frame

from encoder.figures import bertviz
from encoder.figures.bertviz import LIMITS, View, fits, head_view, model_view, neuron_view
from encoder.figures.style import LEFT, NEGATIVE, POSITIVE, RIGHT
from encoder.trace import EmbeddingTrace, LayerTrace, ModelCard, Tokens, Trace

LAYERS, HEADS, WIDTH, FFN = 2, 3, 12, 7
HEAD_DIM = WIDTH // HEADS
SINGLE = ("[CLS]", "play", "##ing", "cats", "[SEP]")
HOSTILE = (
    "<!--</script><img src=x>",
    "<img src=x onerror=a()>",
    "'\"&amp;${view}PYTHON",
    "\u2028p\u2029b\u202e\x00\t",
    "##ü漢🙂",
)
HOSTILE_SHOWN = (*(token.replace(" ", "␣") for token in HOSTILE[:3]), "U+2028pU+2029bU+202E␀␉", HOSTILE[4])
VIEWS = {"head": head_view, "model": model_view, "neuron": neuron_view}


def trace_of(text: tuple[str, ...] = SINGLE, second: int | None = None, layers: int = LAYERS) -> Trace:
    """A trace of random numbers; `second` is the index at which a second sentence starts."""
    random, count = np.random.default_rng(7), len(text)

    def array(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    weights = np.exp(array(layers, HEADS, count, count))
    weights /= weights.sum(axis=-1, keepdims=True)
    vectors, model, ffn = (HEADS, count, HEAD_DIM), (count, WIDTH), (count, FFN)
    segment = np.zeros(count, dtype=np.int64)
    segment[count if second is None else second :] = 1
    return Trace(
        model=ModelCard("tiny", "test", layers, HEADS, WIDTH, FFN, 100, 1000, "WordPiece"),
        tokens=Tokens(
            text, np.arange(count), segment, np.zeros(count, dtype=bool), np.zeros((count, 2), dtype=np.int64)
        ),
        embedding=EmbeddingTrace(*(array(*model) for _ in range(4))),
        layers=tuple(
            LayerTrace(
                *(array(*vectors) for _ in range(4)),
                array(HEADS, count),
                weights[layer],
                *(array(*model) for _ in range(2)),
                *(array(*ffn) for _ in range(2)),
                *(array(*model) for _ in range(2)),
                scale=HEAD_DIM**-0.5,
            )
            for layer in range(layers)
        ),
        output=array(*model),
        seconds=0.0,
        device="cpu",
    )


def attention_of(trace: Trace) -> np.ndarray:
    return np.round(np.stack([layer.attention for layer in trace.layers]).astype(np.float64), 3)


def params_of(view: View) -> dict:
    packed = re.search(r'<script type="text/plain" id="params">(.*?)</script>', view.html)[1]
    return json.loads(zlib.decompress(base64.b64decode(packed)))


def carried_by(name: str, trace: Trace) -> np.ndarray:
    """What a view of the first layer and head carries of the attention: [layer, head, query, key]."""
    every = attention_of(trace)
    return {"head": every[:1], "model": every[::-1], "neuron": every[:1, :1]}[name]


@pytest.mark.parametrize("name", VIEWS)
def test_every_view_carries_the_attention_that_it_draws_rounded_to_three_decimals(name: str) -> None:
    trace = trace_of()
    whole = params_of(VIEWS[name](trace))["attention"]["all"]
    np.testing.assert_array_equal(whole["attn"], carried_by(name, trace))
    assert whole["left_text"] == whole["right_text"] == list(SINGLE)


def test_the_neuron_view_carries_one_heads_queries_and_keys_rounded_to_three_decimals() -> None:
    trace = trace_of()
    whole = params_of(neuron_view(trace, layer=1, head=2))["attention"]["all"]
    for name, field in (("queries", "query"), ("keys", "key")):
        assert np.shape(whole[name]) == (1, 1, len(SINGLE), HEAD_DIM)
        np.testing.assert_allclose(whole[name][0][0], getattr(trace.layers[1], field)[2], atol=0.0005 + 1e-6)


def test_views_show_the_layer_and_heads_asked_for() -> None:
    trace = trace_of()
    head, neuron = params_of(head_view(trace, layer=1, heads=(0, 2))), params_of(neuron_view(trace, layer=1, head=2))
    np.testing.assert_array_equal(head["attention"]["all"]["attn"], attention_of(trace)[1:])
    np.testing.assert_array_equal(neuron["attention"]["all"]["attn"], attention_of(trace)[1:, 2:])
    assert head["heads"] == [0, 2]
    assert params_of(head_view(trace))["heads"] is None


@pytest.mark.parametrize("name", VIEWS)
def test_no_view_has_a_choice_of_layer_or_head_of_its_own_that_could_contradict_the_pages(name: str) -> None:
    assert "<select" not in VIEWS[name](trace_of()).html


def test_the_model_view_has_the_first_layer_at_the_bottom() -> None:
    trace = trace_of()
    view = params_of(model_view(trace))
    assert view["include_layers"] == [1, 0]
    np.testing.assert_array_equal(view["attention"]["all"]["attn"], attention_of(trace)[::-1])
    assert "layer 1 at the bottom" in model_view(trace).html


@pytest.mark.parametrize("colour", [LEFT, RIGHT])
def test_a_view_is_drawn_in_its_models_colour_and_signed_values_in_those_that_mean_no_model(colour: str) -> None:
    trace = trace_of()
    head, model, neuron = (
        params_of(view)
        for view in (
            head_view(trace, heads=(1,), colour=colour), model_view(trace, colour=colour),
            neuron_view(trace, colour=colour),
        )
    )  # fmt: skip
    assert [number for number, each in enumerate(head["colours"]) if each in (LEFT, RIGHT)] == [1]
    assert head["colours"][1] == colour
    assert set(model["colours"]) == {colour}
    assert neuron["palette"]["attn"] == neuron["palette"]["connector"] == colour
    assert (neuron["palette"]["neg"], neuron["palette"]["pos"]) == (NEGATIVE, POSITIVE)


def test_a_document_of_two_models_at_the_most_tokens_is_small() -> None:
    documents = [VIEWS[name](trace_of(("token",) * LIMITS[name], layers=12)).html for name in VIEWS]
    assert max(map(len, documents)) < 350_000  # of either model; the libraries alone were 330 kB


@pytest.mark.parametrize(("layer", "head"), [(LAYERS, 0), (-1, 0), (0, HEADS), (0, -1)])
def test_a_layer_or_head_that_the_model_lacks_is_refused(layer: int, head: int) -> None:
    with pytest.raises(IndexError, match="tiny has"):
        head_view(trace_of(), layer, (head,))
    with pytest.raises(IndexError, match="tiny has"):
        neuron_view(trace_of(), layer, head)


@pytest.mark.parametrize("name", VIEWS)
def test_only_a_pair_offers_a_choice_of_sentences(name: str) -> None:
    single, pair = VIEWS[name](trace_of()), VIEWS[name](trace_of(second=3))
    assert '<select id="filter">' not in single.html
    assert params_of(single)["second_sentence"] is None
    assert re.findall(r'<option value="(\w+)">', pair.html) == ["all", "aa", "bb", "ab", "ba"]
    assert params_of(pair)["second_sentence"] == 3


@pytest.mark.parametrize("name", VIEWS)
def test_hostile_tokens_stay_inside_the_json(name: str) -> None:
    calm, hostile = VIEWS[name](trace_of(SINGLE)), VIEWS[name](trace_of(HOSTILE))
    assert params_of(hostile)["attention"]["all"]["left_text"] == list(HOSTILE_SHOWN)
    for mark in ("<script", "</script", "<!--", "<img"):
        assert hostile.html.lower().count(mark) == calm.html.lower().count(mark), mark
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", re.search(r'id="params">(.*?)</script>', hostile.html)[1])


@pytest.mark.parametrize("name", VIEWS)
def test_no_script_of_a_view_ends_its_own_element(name: str) -> None:
    for script in bertviz._scripts(name):
        assert "</script" not in script.lower()
        assert "<!--" not in script


@pytest.mark.parametrize("name", VIEWS)
def test_a_document_names_no_remote_source(name: str) -> None:
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?https?:""", VIEWS[name](trace_of()).html)


@pytest.mark.parametrize("name", VIEWS)
def test_a_text_at_the_limit_fits_and_one_token_more_is_told_so_in_one_sentence(name: str) -> None:
    assert fits(trace_of(("a",) * LIMITS[name]), name) is None
    message = fits(trace_of(("a",) * (LIMITS[name] + 1)), name)
    assert message is not None
    assert f"at most {LIMITS[name]} tokens" in message
    assert f"has {LIMITS[name] + 1}" in message
    assert message.count(".") == 1


def test_more_layers_take_fewer_tokens_where_all_are_drawn() -> None:
    assert fits(trace_of(("a",) * LIMITS["model"], layers=150), "model") is not None
    assert fits(trace_of(("a",) * LIMITS["head"], layers=150), "head") is None


def test_views_are_drawn_without_importing_bertviz_torch_or_ipython() -> None:
    script = (
        "import sys; from encoder.figures import bertviz; [bertviz._scripts(name) for name in bertviz.LIMITS]; "
        "print(*{'bertviz', 'torch', 'IPython', 'streamlit', 'mpld3'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("", "")


Open = Callable[..., Frame]


@pytest.fixture
def page_for(browser: Browser) -> Iterator[Open]:
    """Open a view as Streamlit does, in a sandboxed frame, with the network cut; any complaint fails the test."""
    complaints: list[str] = []

    def open_view(view: View, width: int = 600) -> Frame:
        page = browser.new_page(viewport={"width": width, "height": view.height}, offline=True)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: complaints.append(request.url))
        page.set_content(
            "<body style='margin: 0'><iframe sandbox='allow-same-origin allow-scripts' style='border: 0'></iframe>"
        )
        page.evaluate(
            """([html, width, height]) => new Promise((done) => {
                 const frame = document.querySelector("iframe");
                 Object.assign(frame, { onload: done, width, height, srcdoc: html });
               })""",
            [view.html, width, view.height],
        )
        frame = page.frames[1]
        frame.wait_for_selector("svg")
        return frame

    yield open_view
    for context in browser.contexts:
        context.close()
    assert complaints == []


# Lines that a view draws at first: [head][query][key], the same in each layer, and one head alone.
LINES = {
    "head": ("#attention line", HEADS * 25),
    "model": ("line", LAYERS * HEADS * 25),
    "neuron": ("#collapsed .attn-line-group line", 25),
}


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", VIEWS)
def test_a_view_draws_a_line_for_every_weight_offline(page_for: Open, name: str, dark: bool) -> None:
    frame = page_for(VIEWS[name](trace_of(), dark=dark))
    selector, count = LINES[name]
    assert frame.locator(selector).count() == count


@pytest.mark.browser
@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("width", [360, 600])
def test_the_height_given_shows_a_view_without_a_vertical_scroll_bar(page_for: Open, name: str, width: int) -> None:
    view = VIEWS[name](trace_of(second=3))
    frame = page_for(view, width)
    assert frame.evaluate("document.documentElement.scrollHeight") <= view.height
    assert frame.evaluate("document.documentElement.scrollWidth") <= width
    assert frame.evaluate("document.querySelector('svg').getBoundingClientRect().bottom") > view.height - 90


@pytest.mark.browser
@pytest.mark.parametrize("name", VIEWS)
def test_tokens_are_text_in_the_browser_however_hostile(page_for: Open, name: str) -> None:
    frame = page_for(VIEWS[name](trace_of(HOSTILE)))
    if name == "model":
        frame.locator("svg > g > rect:last-child").first.click(force=True)
    drawn = frame.locator("svg text").all_text_contents()
    assert set(HOSTILE_SHOWN) <= set(drawn)
    assert frame.locator("img, iframe, object").count() == 0


@pytest.mark.browser
@pytest.mark.parametrize("name", VIEWS)
def test_the_filters_of_a_pair_cut_the_attention_by_sentence(page_for: Open, name: str) -> None:
    trace = trace_of(("[CLS]", "cat", "[SEP]", "dog", "[SEP]"), second=3)
    frame = page_for(VIEWS[name](trace))
    whole, sides = carried_by(name, trace), {"a": slice(0, 3), "b": slice(3, None)}
    for option in ("aa", "bb", "ab", "ba"):
        left, right = sides[option[0]], sides[option[1]]
        part = frame.evaluate(f"window.bertviz_params.attention.{option}")
        np.testing.assert_array_equal(part["attn"], whole[:, :, left, right])
        assert part["left_text"] == list(trace.tokens.text[left])
        assert part["right_text"] == list(trace.tokens.text[right])
        if name == "neuron":
            layer = trace.layers[0]
            np.testing.assert_allclose(part["queries"][0], layer.query[:1, left], atol=0.001)
            np.testing.assert_allclose(part["keys"][0], layer.key[:1, right], atol=0.001)
        frame.locator("#filter").select_option(option)
        selector, count = LINES[name]
        assert frame.locator(selector).count() * 25 == count * len(part["left_text"]) * len(part["right_text"])


@pytest.mark.browser
def test_the_head_view_shows_the_layer_and_head_asked_for_and_switches_heads(page_for: Open) -> None:
    trace = trace_of()
    frame = page_for(head_view(trace, layer=1, heads=(2,)))

    def strength(head: int) -> np.ndarray:
        lines = frame.locator(f"#attention > g:nth-child({head + 1}) line")
        values = lines.evaluate_all("lines => lines.map(line => +line.getAttribute('stroke-opacity'))")
        return np.reshape(values, (len(SINGLE), len(SINGLE)))

    assert strength(0).max() == 0
    np.testing.assert_allclose(strength(2), attention_of(trace)[1, 2])
    frame.locator("#vis svg > g:last-child > rect").first.click(force=True)
    np.testing.assert_allclose(strength(0), attention_of(trace)[1, 0] / 2)  # two heads share the ink


@pytest.mark.browser
def test_the_model_view_counts_from_1_with_the_first_layer_at_the_bottom(page_for: Open) -> None:
    frame = page_for(model_view(trace_of()))
    texts = frame.locator("svg text").all_text_contents()
    assert texts[-LAYERS:] == ["2", "1"]  # from the top
    assert set(texts) >= {str(number + 1) for number in range(HEADS)}
    assert "0" not in texts
    frame.locator("svg > g > rect:last-child").last.click(force=True)
    assert f"Layer 1, Head {HEADS}" in frame.locator("svg text").all_text_contents()


@pytest.mark.browser
@pytest.mark.parametrize("scale", [HEAD_DIM**-0.5, WIDTH**-0.5])
def test_the_neuron_view_opens_to_queries_keys_and_products(page_for: Open, scale: float) -> None:
    trace = trace_of()
    trace = replace(trace, layers=tuple(replace(layer, scale=scale) for layer in trace.layers))
    frame = page_for(neuron_view(trace, layer=1, head=2))
    row = frame.locator("#collapsed #leftText > g").nth(3)
    row.locator("text").hover()
    row.locator("rect").nth(1).click(force=True)
    frame.locator("#expanded #leftText text").nth(3).hover()
    for part in ("queries", "keys", "product"):
        assert frame.locator(f"#expanded #{part} .element").count() == len(SINGLE) * HEAD_DIM
    products = frame.locator(".dotproduct").evaluate_all("cells => cells.map(cell => +cell.dataset.value)")
    np.testing.assert_allclose(products, trace.layers[1].scores[2, 3], atol=0.01)
    last = frame.locator("#expanded #rightText text").first.bounding_box()
    assert last is not None
    assert last["x"] + last["width"] < 600


@pytest.mark.browser
def test_the_detail_of_the_model_view_scrolls_into_sight_on_a_phone(page_for: Open) -> None:
    frame = page_for(model_view(trace_of()), width=360)
    frame.locator("svg > g > rect:last-child").nth(HEADS - 1).click(force=True)
    box = frame.locator("rect.detail").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 361


@pytest.mark.browser
@pytest.mark.parametrize(("width", "fits_in"), [(916, True), (358, False)], ids=["projector", "phone"])
@pytest.mark.parametrize("name", ["model", "neuron"])
def test_a_wide_view_fits_a_page_at_a_projector_and_says_on_a_phone_that_it_scrolls(
    page_for: Open, name: str, width: int, fits_in: bool
) -> None:
    frame = page_for(VIEWS[name](trace_of()), width)
    if name == "neuron":
        row = frame.locator("#collapsed #leftText > g").nth(3)
        row.locator("text").hover()
        row.locator("rect").nth(1).click(force=True)
    frame.wait_for_function(
        "fits => document.documentElement.classList.contains('wide') !== fits", arg=fits_in, timeout=10_000
    )
    vis = frame.locator("#vis")
    assert (vis.evaluate("vis => vis.scrollWidth <= vis.clientWidth + 1")) == fits_in
    assert frame.evaluate("getComputedStyle(document.querySelector('p'), '::after').content") == (
        "none" if fits_in else '" Scroll sideways for the rest."'
    )
