"""Text that would like to be a program, on every view: it stays text, and nothing that it asks for happens."""

import shutil

import pytest
from playwright.sync_api import expect
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from tests.screen import (
    PAGES,
    chart,
    click,
    expect_both_drawn,
    expect_ticks,
    explorer,
    frames,
    labels,
    named,
    pick,
    settle,
    unfold,
    walk,
)

pytestmark = pytest.mark.browser

TEXT = '</script><img src=x onerror="window.hacked=1">'
PAIR = "$z$"  # with so few tokens that BertViz's model view takes them

# MiniLM cuts such a text at every bracket. A model can be made that leaves these words whole, and is called so too.
WORDS = (
    "</script><script>window.hacked=1</script>",
    "<img/src=x/onerror='window.hacked=1'>",
    "<b>x</b>",
    "**y**",
    "$z$",
)
NAME = "<img src=x onerror='window.hacked=1'> **y** $z$"


@pytest.fixture(scope="module")
def gullible(models_folder):
    """A tiny model of hostile words under a hostile name, in the running app's catalogue."""
    from encoder.models import load
    from tests.tiny import save_as_it_is, tiny_network

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate([*special, *WORDS])}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.add_special_tokens(special)
    tiny_network("bert").save_pretrained(models_folder / NAME)
    save_as_it_is(tokenizer, models_folder / NAME)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENCODER_LENS_MODELS", str(models_folder))
        yield load(NAME)
    shutil.rmtree(models_folder / NAME)


def test_hostile_text_in_both_boxes_is_drawn_on_every_view_of_attention_and_does_nothing(visitor, scratch, minilm):
    page = visitor().open("/attention-heads", text=TEXT, pair=PAIR)
    for view in walk(page, "/attention-heads"):
        expect_both_drawn(page, view, scratch.trace(TEXT, PAIR), minilm.trace(TEXT, PAIR))
        _expect_boxes_hold(page, TEXT, PAIR)
        _expect_nothing_done(page)


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_hostile_tokens_and_model_names_are_shown_as_text_on_every_view(visitor, path, gullible, minilm):
    text, pair = " ".join(WORDS), " ".join(WORDS[2:4])
    trace = gullible.trace(text, pair)
    assert trace.model.name == NAME
    assert set(WORDS) <= set(trace.tokens.text)
    # Of MiniLM's many pieces of such a text BertViz's views hold too few.
    right, other = (trace, NAME) if path == "/attention-heads" else (minilm.trace(text, pair), "minilm")
    page = visitor().open(path, text=text, pair=pair, a=NAME, b=other)
    for view in walk(page, path):
        expect_both_drawn(page, view, trace, right)
        _expect_boxes_hold(page, text, pair)
        expect(page.locator(".model.a .name")).to_have_text(NAME)
        expect(pick(page, "a").get_by_role("combobox")).to_have_value(NAME)
        if view.path == "/":
            expect(page.locator(".tokens").first.locator(".token")).to_have_text(labels(trace))
        elif view.explorer:
            _expect_explorer_says(page, trace)
        elif view.query.get("attention_view") == "maps":
            expect_ticks(chart(page, "a", 2), "x", labels(trace))
            expect_ticks(chart(page, "b", 2), "y", labels(trace))
        elif view.frame and view.query["attention_view"] != "model":  # that one's tokens appear with a click
            drawn = frames(page).first.content_frame.locator("svg text").all_text_contents()
            assert set(labels(trace)) <= set(drawn)
        for drawing in page.get_by_test_id("stPlotlyChart").all()[:2]:
            drawing.hover()
        _expect_nothing_done(page)


def test_hostile_tokens_stay_text_in_the_lists_and_the_detail_that_a_click_opens(visitor, gullible):
    page = visitor().open("/feed-forward", text=" ".join(WORDS), a=NAME, b=NAME, neuron_view="after")
    settle(page)
    unfold(pick(page, "token"))
    trace = gullible.trace(" ".join(WORDS))
    names = [f"{number}  {label}" for number, label in enumerate(labels(trace), 1)]
    expect(page.get_by_role("option")).to_have_text(names)
    page.keyboard.press("Escape")
    page.get_by_test_id("stTooltipIcon").first.hover()
    expect(page.get_by_test_id("stTooltipContent")).to_be_visible()
    _expect_nothing_done(page)
    page.get_by_test_id("stTopNavLink").get_by_text("Attention", exact=True).click()
    click(page, "BertViz model")
    frame = frames(page).first.content_frame
    frame.locator("svg > g > rect:last-child").first.click(force=True)
    expect(frame.locator("rect.detail")).to_be_visible()
    assert set(labels(trace)) <= set(frame.locator("svg text").all_text_contents())
    _expect_nothing_done(page)


def _expect_explorer_says(page, trace):
    """Everything that the explorer writes of a token that is pointed at: its name, what it reads, a head's tooltip."""
    part = explorer(page, "a")
    for chip, label in zip(part.locator(".sentence .token").all(), named(trace), strict=True):
        chip.hover()
        expect(part.locator(".caption").last).to_have_text(label)
        expect(part.locator(".numbers bdi").first).to_be_visible()
    assert set(part.locator(".numbers bdi").all_text_contents()) <= set(named(trace))
    expect(part.locator(".title")).to_contain_text(NAME)
    for canvas in ("canvas.heads", "canvas.large"):
        part.locator(canvas).hover()


def _expect_boxes_hold(page, text, pair):
    expect(pick(page, "text").locator("textarea")).to_have_value(text)
    expect(pick(page, "pair").locator("input")).to_have_value(pair)


def _expect_nothing_done(page):
    """Nothing ran, and nothing that was typed became an element, in the page and in its frames."""
    for frame in page.frames:
        assert frame.evaluate("window.hacked") is None
        assert frame.locator("img[src=x], [onerror], b:text-is('x'), main .katex:has-text('z')").count() == 0
