"""The attention explorer in a real Chromium: what it draws, says, keeps and gives away, held against the traces."""

import base64
import csv
import io
import math
import re
import shutil
import struct
import time
from dataclasses import dataclass, replace
from xml.etree import ElementTree

import numpy as np
import pytest
from playwright.sync_api import expect
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from encoder import measures
from encoder.heads import MEASURES, ROLES, roles
from encoder.packing import codes, is_whole, message, pack, weights
from encoder.starts import start
from encoder.views import origins, whole_words, without_special
from pages.shared import choices
from pages.shared import explorer as component
from tests.screen import asked, explorer, labels, named, settle, type_text

pytestmark = pytest.mark.browser

SHORT, TEXT, PAIR = "Dogs bark.", "The dendrochronologist sat down.", "Unbelievable, she said."
# 52 tokens, none of them twice in the first part: more than a thumbnail has cells, too many for numbers in the map.
LONG = "When the old dog by the gate saw two cats, it got up, barked once at them both and lay down again. " * 2

BEAT = 0.7  # seconds a layer while it plays, as in assets/explorer
INK = {"a": (0, 114, 178), "b": (213, 94, 0)}
IN_DARK = {**INK, "a": (37, 131, 196)}
IN_DARK = {**INK, "a": (37, 131, 196)}
APART = {"together": 0, "layer": 2, "head": 3, "layer_b": 5, "head_b": 11}  # on the left and on the right
PLACES = {"a": (1, 2), "b": (4, 10)}  # the same, from 0

# What the row of lenses can be set to, one after the other on one page, and what NumPy makes of it.
LENSES = (
    {},
    {"words": True},
    {"words": False, "hide": True},
    {"renorm": True},
    {"hide": False, "renorm": False, "top": 60},
    {"top": 1},
    {"top": 100, "part": "aa"},
    {"part": "ab"},
    {"part": "ba"},
    {"part": "bb", "renorm": True},
    {"part": "all", "renorm": False, "over": "mean"},
    {"over": "max"},
    {"over": "max", "words": True, "hide": True},
    {"over": "one", "words": False, "hide": False, "weights": "norm"},
    {"weights": "norm", "over": "mean", "words": True, "hide": True, "renorm": True, "top": 75, "part": "ab"},
    {"over": "one", "hide": False, "renorm": False, "top": 100, "part": "all", "words": False, "weights": "rollout"},
    {"words": True, "hide": True},
)
FIRST = dict.fromkeys(("layer", "head", "layer_b", "head_b"), 1)
CHOICE = {**{name: choices.CHOICES[name].default for name in component.CHOICES}, **FIRST, "turn": 1, "report": 0}
USUAL = {"weights": "raw", "over": "one", "part": "all", "words": False, "hide": False, "renorm": False, "top": 100}

WORDS = ("The", "dendrochronologist", "sat", "down.")
HOSTILE = ("</script><script>window.hacked=1</script>", "<img/src=x/onerror='window.hacked=1'>", "]]>--><!--")
OF_WORDS = "a model of words"

# Remembers what is written onto canvases: [words, colour, class of the canvas].
WRITTEN = """
  const write = CanvasRenderingContext2D.prototype.fillText;
  window.written = [];
  CanvasRenderingContext2D.prototype.fillText = function (words, ...where) {
    window.written.push([words, this.fillStyle, this.canvas.className]);
    return write.call(this, words, ...where);
  };
"""


@pytest.fixture(scope="module")
def of_words(models_folder):
    """A tiny model that leaves words whole which others cut, those too that would like to be programs."""
    from encoder.models import load
    from tests.tiny import save_as_it_is, tiny_network

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: number for number, word in enumerate([*special, *WORDS, *HOSTILE])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.add_special_tokens(special)
    tiny_network("bert").save_pretrained(models_folder / OF_WORDS)
    save_as_it_is(tokenizer, models_folder / OF_WORDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENCODER_LENS_MODELS", str(models_folder))
        yield load(OF_WORDS)
    shutil.rmtree(models_folder / OF_WORDS)


# ---- pictures


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("text", [SHORT, TEXT, LONG], ids=["short", "middle", "long"])
def test_every_cell_of_the_large_map_has_the_colour_of_its_weight(visitor, scratch, minilm, text, dark):
    page = explore(visitor(dark=dark), text, **APART, pins=1, pins_b=1)
    for side, model in (("a", scratch), ("b", minilm)):
        layer, head = PLACES[side]
        attention = told(model.trace(text)).layers[layer].attention[head]
        grid = grid_of(page, side, len(attention))
        cells = [(row, column) for row in range(len(attention)) for column in range(len(attention))]
        seen = pixels(explorer(page, side).locator("canvas.large"), [grid.inside(*cell) for cell in cells])
        white = paper(page)
        assert seen == [colour(attention[cell], (IN_DARK if dark else INK)[side], white) for cell in cells]


@pytest.mark.parametrize("text", [SHORT, TEXT, LONG], ids=["short", "middle", "long"])
def test_every_cell_of_a_thumbnail_has_the_colour_of_the_largest_weight_it_stands_for(visitor, scratch, minilm, text):
    more = {"more": "1.1-4.4", "more_b": "1.1-6.12"}
    page = explore(visitor(), text, **APART, **more, layout="lines")
    for side, model, places in (
        ("a", scratch, [PLACES["a"], (0, 0), (3, 3)]),
        ("b", minilm, [PLACES["b"], (0, 0), (5, 11)]),
    ):
        rings = explorer(page, side).locator(".ring")
        expect(rings).to_have_count(3)
        for ring, (layer, head) in zip(rings.all(), places, strict=True):
            small = measures.coarse(told(model.trace(text)).layers[layer].attention[head], 24)
            x, y, tile = ring.evaluate("ring => ['left', 'top', 'width'].map((name) => parseFloat(ring.style[name]))")
            points = [(i, j) for i in inner(tile - 4, len(small)) for j in inner(tile - 4, len(small))]
            seen = pixels(explorer(page, side).locator("canvas.heads"), [(x + 2 + j, y + 2 + i) for i, j in points])
            at = [
                (int((i + 0.5) * len(small) / (tile - 4)), int((j + 0.5) * len(small) / (tile - 4))) for i, j in points
            ]
            assert seen == [colour(small[cell], INK[side], (255, 255, 255)) for cell in at]
            assert len(set(at)) > 0.6 * small.size


def test_hovering_a_cell_says_both_tokens_and_the_weight_to_the_digits_of_the_trace(visitor, scratch, minilm):
    page = explore(visitor(), TEXT, **APART, pins=1, pins_b=1)
    grids = {side: grid_of(page, side, 11) for side in "ab"}  # before hovering, which marks the other side too
    for side, model in (("a", scratch), ("b", minilm)):
        trace = model.trace(TEXT)
        layer, head = PLACES[side]
        attention, names = trace.layers[layer].attention[head], labels(trace)
        grid = grids[side]
        for row, column in ((0, 0), (0, 10), (3, 7), (10, 1), (6, 2), np.unravel_index(attention.argmin(), (11, 11))):
            hover(page, side, *grid.inside(row, column))
            words = f"from {names[row]} to {names[column]}: {digits(attention[row, column])}"
            expect(said(page, side)).to_have_text(words)
            sent = told(trace).layers[layer].attention[head]
            expect_numbers(page, side, names, sent[row], sent[:, column])
            expect(explorer(page, side).locator(".mark")).to_have_count(2)


@pytest.mark.parametrize(("layout", "along", "start", "step"), [("lines", 1, 26, 24), ("flat", 0, 10, 64)])
def test_lines_are_drawn_for_every_weight_of_a_hundredth_or_more(visitor, minilm, layout, along, start, step):
    page = explore(visitor(), TEXT, **APART, layout=layout, show="b")
    drawing = ElementTree.fromstring(save(page, "SVG").read_text())
    drawn = " ".join(path.get("d") for path in drawing.iter("{http://www.w3.org/2000/svg}path"))
    ends = np.array(re.findall(r"M(\S+) (\S+)L(\S+) (\S+?)(?=M|\s|$)", drawn), dtype=float)  # x, y, x, y
    from_to = np.rint((ends[:, [along, 2 + along]] - start) / step - 0.5).astype(int)
    layer, head = PLACES["b"]
    attention = told(minilm.trace(TEXT)).layers[layer].attention[head].astype(np.float64)
    assert sorted(from_to.tolist()) == np.argwhere(attention >= 0.01).tolist()


@pytest.mark.parametrize("layout", ["lines", "flat"])
def test_a_token_of_the_lines_that_is_pointed_at_is_lit_and_its_numbers_told(visitor, minilm, layout):
    page = explore(visitor(), TEXT, **APART, layout=layout, show="b")
    attention, names = told(minilm.trace(TEXT)).layers[4].attention[10], labels(minilm.trace(TEXT))
    canvas = explorer(page, "b").locator("canvas.large")
    with redrawn(page, canvas):  # “sat”
        canvas.hover(position={"x": 60, "y": 26 + 24 * 7.5} if layout == "lines" else {"x": 10 + 64 * 7.5, "y": 20})
    expect(picked(page, "b")).to_have_text(["sat"])
    expect_numbers(page, "b", names, attention[7], attention[:, 7])


def test_pointing_at_a_label_of_the_map_marks_its_row_or_column(visitor, minilm):
    page = explore(visitor(), TEXT, **APART, pins=1, pins_b=1, show="b")
    attention, names = told(minilm.trace(TEXT)).layers[4].attention[10], labels(minilm.trace(TEXT))
    grid, marks = grid_of(page, "b", len(names)), explorer(page, "b").locator(".mark")
    for at in ((grid.left - 12, grid.inside(7, 0)[1]), (grid.inside(0, 7)[0], grid.top - 8)):
        hover(page, "b", *at)
        expect(said(page, "b")).to_have_text("sat")
        expect(picked(page, "b")).to_have_text(["sat"])
        expect(marks).to_have_count(1)
        expect_numbers(page, "b", names, attention[7], attention[:, 7])
        page.mouse.move(5, 5)
        expect(said(page, "b")).to_have_text("[CLS]")  # it is pinned


def test_the_pictures_follow_the_theme_when_it_changes(visitor, minilm):
    guest = visitor()
    guest.context.add_init_script(WRITTEN)
    page = explore(guest, TEXT, **APART, pins=1, pins_b=1, show="b")
    light, attention = paper(page), told(minilm.trace(TEXT)).layers[4].attention[10]
    large = explorer(page, "b").locator("canvas.large")
    with redrawn(page, large), redrawn(page, explorer(page, "b").locator("canvas.heads")):
        page.emulate_media(color_scheme="dark")
    drawn(page)
    assert sum(paper(page)) < sum(light) / 2
    ink = page.locator(".explorer").evaluate("frame => getComputedStyle(frame).color.replaceAll(' ', '')")
    page.wait_for_function(
        "ink => written.at(-1)?.[1] !== undefined && written.some(([, colour]) => colour === ink)", arg=channels(ink)
    )
    cells, grid = list(np.ndindex(attention.shape)), grid_of(page, "b", len(attention))
    seen = pixels(large, [grid.inside(*cell) for cell in cells])
    assert seen == [colour(attention[cell], INK["b"], paper(page)) for cell in cells]


def test_the_explorer_opens_on_the_head_in_which_one_word_clearly_reads_another_and_says_so(visitor, scratch, minilm):
    guest = visitor()
    page = guest.open("/attention-heads")
    drawn(page)
    for side, model in (("a", scratch), ("b", minilm)):
        trace = model.trace(choices.FIRST_TEXT)
        first, names = start(trace), labels(trace)
        row = trace.layers[first.layer].attention[first.head, first.query]
        expect_at(page, side, first.layer + 1, first.head + 1)
        telling = explorer(page, side).locator(".telling")
        expect(telling).to_contain_text(f"Layer {first.layer + 1}, head {first.head + 1}: “{names[first.query]}”")
        expect(telling).to_contain_text(f"“{names[first.key]}”")
        expect(telling).to_contain_text(f"{row[first.key]:.2f}")
        assert ("reads mostly" in telling.text_content()) == (row[first.key] >= 0.5)
        expect(picked(page, side)).to_have_text([names[first.query]])
        expect(explorer(page, side).locator(".mark")).to_have_count(2)  # the row, and in it the cell
        expect(explorer(page, side).locator("li bdi").first).to_have_text(names[int(row.argmax())])
        assert explorer(page, side).locator(".token[aria-pressed=true]").count() == 0  # nobody has picked it
    assert asked(page.url) == {}
    explorer(page, "b").locator(".token").nth(2).hover()
    expect(picked(page, "b")).to_have_text(["cat"])


def test_the_sentence_of_the_opening_pair_leads_back_to_it(visitor, minilm):
    page = explore(visitor(), choices.FIRST_TEXT, show="b")
    first = start(minilm.trace(choices.FIRST_TEXT))
    expect_at(page, "b", 1, 1)
    expect(picked(page, "b")).to_have_count(0)
    explorer(page, "b").locator(".telling button").click()
    expect_at(page, "b", first.layer + 1, first.head + 1)
    expect(picked(page, "b")).to_have_count(1)


def test_the_first_layer_is_at_the_bottom_of_the_small_maps_and_they_say_so(visitor, scratch):
    page = explore(visitor(), TEXT, show="a")
    ring = explorer(page, "a").locator(".ring").first
    tops = []
    page.locator(".explorer").focus()
    for layer in range(1, scratch.card.layers + 1):
        expect_at(page, "a", layer, 1)
        tops.append(ring.evaluate("ring => parseFloat(ring.style.top)"))
        press(page, "ArrowUp")
    assert tops == sorted(tops, reverse=True)
    assert len(set(tops)) == len(tops)
    expect(explorer(page, "a").locator(".note")).to_contain_text("layer 1 at the bottom")
    expect(explorer(page, "a").locator(".note")).to_contain_text("rows sum to 1, columns need not")
    choose(page, sort="previous")
    expect(explorer(page, "a").locator(".note")).to_contain_text("comes first")


@pytest.mark.parametrize("phone", [False, True], ids=["projector", "phone"])
def test_every_thumbnail_names_its_head_and_what_it_does(visitor, minilm, phone):
    guest = visitor(phone=phone)
    guest.context.add_init_script(WRITTEN)
    page = explore(guest, TEXT, show="b")
    short = ["prev", "next", "self", "spec", "punct", "same", "broad"]
    signs = dict(zip(ROLES, ["←", "→", "↓", "[]", ".,", "=", "○"] if phone else short, strict=True))
    of_heads = [role for layer in roles(minilm.trace(TEXT)) for role in layer]
    wanted = [f"{place % 12 + 1} {signs.get(role, '')}" for place, role in enumerate(of_heads)]
    assert len(set(of_heads) - {""}) > 2
    names = page.evaluate("written.filter(([, , where]) => where === 'heads').map(([words]) => words)")[-72:]
    assert [name.replace(" ", "") for name in names] == [name.replace(" ", "") for name in wanted]


def test_on_a_phone_the_lenses_leave_the_picture_its_place_until_they_are_asked_for(visitor):
    page = explore(visitor(phone=True), TEXT)
    fold, layout = page.get_by_role("button", name="Lenses"), page.locator("select[name=layout]")
    expect(layout).to_be_hidden()
    expect(fold).to_have_attribute("aria-expanded", "false")
    fold.tap()
    expect(layout).to_be_visible()
    fold.tap()
    expect(layout).to_be_hidden()


# ---- lenses


def test_every_lens_shows_what_numpy_makes_of_the_trace(visitor, scratch, minilm):
    page = explore(visitor(), TEXT, pair=PAIR, **APART)
    lens = dict(USUAL)
    for change in LENSES:
        lens |= change
        choose(page, **change)
        expect(explorer(page, "a").locator(".stage")).to_be_visible()
        expect(explorer(page, "b").locator(".stage")).to_be_visible()
        shown = numbers(page)
        assert len(shown) == 2, lens
        for (rows, columns, found), side, model in zip(shown.values(), "ab", (scratch, minilm), strict=True):
            trace = model.trace(TEXT, PAIR)
            wanted_rows, wanted_columns, wanted = through(lens, told(trace), *PLACES[side])
            assert (rows, columns) == (wanted_rows, wanted_columns), lens
            if exact(lens):
                wanted = np.vectorize(lambda weight: float(digits(weight)))(wanted)
            close = 4e-4 if lens["weights"] == "norm" else 1.5e-4  # shares of products of two rounded numbers
            np.testing.assert_allclose(found, wanted, atol=close, err_msg=f"{side}: {lens}")
            if lens["top"] == 100:  # what is left out may be another one where two are almost alike
                _, _, true = through(lens, trace, *PLACES[side])
                close = 5.1e-4 if exact(lens) else 1e-2  # what ≈ stands for
                np.testing.assert_allclose(found, true, atol=close, err_msg=f"{side}, unrounded: {lens}")


def test_left_minus_right_is_shown_where_both_have_the_same_tokens(visitor, of_words, minilm):
    page = explore(visitor(), TEXT, a=OF_WORDS, together=0, layer=2, head=3, layer_b=5, head_b=11, minus=1)
    left = told(of_words.trace(TEXT)).layers[1].attention[2]  # [CLS] The dendrochronologist sat down. [SEP]
    right = told(minilm.trace(TEXT)).layers[4].attention[10]  # [CLS] the den ##dro … sat down . [SEP]
    ((rows, columns, found),) = numbers(page).values()
    assert rows == columns == ["[CLS]", "The", "sat", "[SEP]"]
    mine, theirs = np.ix_([0, 1, 3, 5], [0, 1, 3, 5]), np.ix_([0, 1, 7, 10], [0, 1, 7, 10])
    np.testing.assert_allclose(found, left[mine] - right[theirs], atol=1.5e-4)
    choose(page, words=True)
    expect(page.locator(".between canvas")).to_be_visible()
    ((rows, _, found),) = numbers(page).values()
    assert rows == ["[CLS]", "The", "dendrochronologist", "sat", "[SEP]"]
    _, _, right = through(USUAL | {"words": True}, told(minilm.trace(TEXT)), 4, 10)
    mine, theirs = np.ix_([0, 1, 2, 3, 5], [0, 1, 2, 3, 5]), np.ix_([0, 1, 2, 3, 6], [0, 1, 2, 3, 6])
    np.testing.assert_allclose(found, left[mine] - right[theirs], atol=1.5e-4)


def test_the_colours_of_left_minus_right_are_centred_on_zero_and_pointing_says_the_number(visitor, scratch, minilm):
    page = explore(visitor(), SHORT, **APART, minus=1)
    (layer, head), (layer_b, head_b) = PLACES["a"], PLACES["b"]
    left, right = told(scratch.trace(SHORT)).layers[layer], told(minilm.trace(SHORT)).layers[layer_b]
    apart = left.attention[head] - right.attention[head_b]
    canvas, names = page.locator(".between canvas"), labels(minilm.trace(SHORT))
    across = canvas.evaluate("canvas => parseFloat(canvas.style.width)")
    grid = Grid(
        across - 24 - 34 * len(names), canvas.evaluate("c => parseFloat(c.style.height)") - 4 - 34 * len(names), 34
    )
    assert apart.min() < -0.1 < 0.1 < apart.max()
    for cell in np.ndindex(apart.shape):
        (seen,) = pixels(canvas, [grid.inside(*cell)])
        # The ramps are even here: twice the difference is twice as far from the paper.
        wanted = colour(apart[cell] ** 2, INK["a" if apart[cell] > 0 else "b"], paper(page))
        assert seen == wanted
    x, y = grid.inside(1, 2)
    canvas.hover(position={"x": x, "y": y})
    expect(page.locator(".between p").last).to_have_text(
        f"from {names[1]} to {names[2]}: ≈ {apart[1, 2]:.2f}".replace("-", "−")
    )


def test_without_a_second_sentence_no_part_of_a_pair_is_asked_for(visitor, minilm):
    page = explore(visitor(), TEXT, part="ab", **APART)
    names = labels(minilm.trace(TEXT))
    rows, columns, found = numbers(page)["MiniLM"]
    assert rows == columns == names
    np.testing.assert_allclose(found, minilm.trace(TEXT).layers[4].attention[10], atol=1e-3)


def test_renormalised_numbers_say_that_they_are_about(visitor, minilm):
    page = explore(visitor(), TEXT, **APART, pins=1, pins_b=1, renorm=1, hide=1)
    attention = minilm.trace(TEXT).layers[4].attention[10][1:-1, 1:-1]
    attention = attention / attention.sum(-1, keepdims=True)
    explorer(page, "b").locator(".token").nth(2).hover()
    shown = explorer(page, "b").locator("ol").first.locator("li span").all_text_contents()
    assert all(re.fullmatch(r"≈ \d\.\d\d", number) for number in shown)
    np.testing.assert_allclose([float(number[2:]) for number in shown], -np.sort(-attention[2])[:5], atol=0.011)


def test_shares_of_the_little_that_special_tokens_leave_are_those_of_the_trace(visitor, minilm):
    page = explore(visitor(), choices.FIRST_TEXT, show="b", layer_b=1, head_b=3, together=0, hide=1, renorm=1)
    attention = minilm.trace(choices.FIRST_TEXT).layers[0].attention[2][1:-1, 1:-1]
    assert attention[0].sum() < 5e-5  # the first "the" reads [CLS]
    wanted = attention / attention.sum(-1, keepdims=True)
    _, _, found = numbers(page)["MiniLM"]
    np.testing.assert_allclose(found, wanted, atol=0.01)
    explorer(page, "b").locator(".token").first.hover()
    most = explorer(page, "b").locator("ol").first.locator("li").first
    expect(most).to_have_text("the (2)≈ 0.99")


def test_left_minus_right_is_offered_for_two_models_only(visitor):
    page = explore(visitor(), TEXT, show="b", minus=1)
    expect(page.locator("input[name=minus]")).to_be_hidden()
    expect(page.locator("canvas.large")).to_be_visible()


def test_of_a_long_text_a_layer_comes_when_it_is_asked_for(visitor, minilm):
    page = explore(visitor(), LONG * 5, show="b", limit=400, layer_b=2, head_b=3, together=0)
    trace = minilm.trace(LONG * 5, None, 400)
    names = labels(trace)
    assert not is_whole(trace)
    expect(explorer(page, "b").locator(".token")).to_have_text(names)
    for layer in (2, 3):
        expect_at(page, "b", layer, 3)
        expect(page.locator("canvas.large")).to_be_visible()
        rows, columns, found = numbers(page)["MiniLM"]
        assert rows == columns == names
        np.testing.assert_allclose(found, trace.layers[layer - 1].attention[2], atol=6e-4)
        page.locator(".explorer").focus()
        press(page, "ArrowUp")
    expect(explorer(page, "b").locator(".note")).to_contain_text("small maps show plain attention")
    expect_at(page, "b", 4, 3)
    for lens, words in (
        ({"weights": "rollout"}, "rollout up to layer 4"),
        ({"weights": "norm", "over": "mean"}, "mean of"),
    ):
        choose(page, **lens)
        expect(explorer(page, "b").locator(".title")).to_contain_text(words)
        expect(page.locator("canvas.large")).to_be_visible()
        np.testing.assert_allclose(numbers(page)["MiniLM"][2], through(USUAL | lens, trace, 3, 2)[2], atol=1e-3)


def test_the_svg_of_a_long_text_holds_its_map_as_an_image(visitor, minilm):
    from PIL import Image

    text = LONG * 3
    page = explore(visitor(), text, show="b", limit=512, together=0, layer_b=2, head_b=3)
    attention = told(minilm.trace(text, None, 512)).layers[1].attention[2]
    assert attention.size > 16_384
    drawing = ElementTree.fromstring(save(page, "SVG").read_text())
    (inside,) = drawing.iter("{http://www.w3.org/2000/svg}image")
    picture = Image.open(io.BytesIO(base64.b64decode(inside.get("href").partition(",")[2]))).convert("RGB")
    assert picture.size == attention.shape
    for cell in ((0, 0), (5, 100), (100, 5), (140, 140)):
        assert picture.getpixel(cell[::-1]) == colour(attention[cell], INK["b"], (255, 255, 255))


def test_sorting_by_a_measure_puts_the_head_with_the_most_of_it_first(visitor, minilm):
    page = explore(visitor(), TEXT)
    choose(page, sort="previous")
    values = MEASURES["previous"].of(minilm.trace(TEXT))
    layer, head = (int(place) + 1 for place in np.unravel_index(values.argmax(), values.shape))
    canvas = explorer(page, "b").locator("canvas.heads")
    canvas.hover(position={"x": 8, "y": 8})
    expect(canvas).to_have_attribute("title", re.compile(rf"^layer {layer}, head {head}\b.* · {values.max():.3f}$"))
    canvas.click(position={"x": 8, "y": 8})
    expect_at(page, "b", layer, head)


def test_heads_with_less_of_a_measure_than_asked_for_fade(visitor, minilm):
    trace = minilm.trace(SHORT)
    page = explore(visitor(), SHORT, show="b", sort="special", least=60)
    values = MEASURES["special"].of(trace)
    order = sorted(np.ndindex(values.shape), key=lambda place: -np.rint(values[place] * 1000))
    assert 5 < sum(values[place] < 0.6 for place in order) < 67
    canvas, tile = explorer(page, "b").locator("canvas.heads"), 56  # pixels: a small map on a wide page
    across = int(canvas.evaluate("canvas => parseFloat(canvas.style.width)") // (tile + 4))
    at = [(i % across * (tile + 4) + 3, i // across * (tile + 14) + 1 + 3) for i in range(len(order))]
    strength = [round(255 * (0.15 if np.rint(values[place] * 1000) < 600 else 1)) for place in order]
    assert pixels(canvas, at, opacity=True) == [(each,) for each in strength]


# ---- keys, pointer, touch


def test_arrows_move_through_layers_and_heads_of_both_models_and_wrap_around(visitor, scratch):
    page = explore(visitor(), TEXT)
    page.locator(".explorer").focus()
    press(page, "ArrowUp", "ArrowRight", "ArrowRight")
    expect_at(page, "a", 2, 3)
    expect_at(page, "b", 2, 3)
    press(page, "ArrowLeft", "ArrowDown", "ArrowDown")
    expect_at(page, "a", scratch.card.layers, 2)
    expect_at(page, "b", 6, 2)
    press(page, "ArrowLeft", "ArrowLeft", "ArrowUp")
    expect_at(page, "a", 1, 8)
    expect_at(page, "b", 1, 12)


def test_space_plays_through_the_layers_until_it_is_pressed_again(visitor):
    page = explore(visitor(), TEXT)
    page.locator(".explorer").focus()
    press(page, "Space")
    for layer in (2, 3, 4):
        expect_at(page, "b", layer, 1)
    press(page, "Space")
    shown = explorer(page, "b").locator(".title").text_content()
    page.wait_for_timeout(900)  # longer than a layer stays while it plays
    assert explorer(page, "b").locator(".title").text_content() == shown


def test_the_server_hears_of_the_layer_only_when_playing_stops(visitor):
    guest, heard = visitor(), []

    def hear(words):  # Playwright cannot call a list's own method
        heard.append(words)

    page = guest.context.new_page()
    page.on("websocket", lambda socket: socket.on("framesent", hear))
    page.goto(f"{guest.url}/attention-heads?layer=1&head=1")
    drawn(page)
    page.locator(".explorer").focus()
    before = len(heard)
    press(page, "Space")
    for layer in (2, 3):
        expect_at(page, "b", layer, 1)
    assert len(heard) == before
    press(page, "Space")
    page.wait_for_url(lambda url: int(asked(url).get("layer", 1)) >= 3)


def test_what_is_picked_while_playing_is_in_the_address_at_once(visitor):
    page = explore(visitor(), TEXT)
    page.locator(".explorer").focus()
    press(page, "Space")
    expect_at(page, "b", 2, 1)
    explorer(page, "b").locator(".token").nth(3).click()
    page.wait_for_url(lambda url: asked(url).get("pins_b") == "4")


def test_of_a_long_text_layers_come_while_it_plays_and_keys_go_on_working(visitor):
    page = explore(visitor(), LONG * 5, show="b", limit=400)
    explorer(page, "b").locator(".token").nth(3).click()
    for layer in (2, 3):
        press(page, "ArrowUp")
        expect_at(page, "b", layer, 1)
        expect(page.locator("canvas.large")).to_be_visible()
    press(page, "Space")
    for layer in (4, 5):
        expect_at(page, "b", layer, 1)
        expect(page.locator("canvas.large")).to_be_visible()


def test_where_the_pointer_rests_the_number_follows_the_layer(visitor, minilm):
    page = explore(visitor(), TEXT, **APART, pins=1, pins_b=1, show="b")
    layers, names = told(minilm.trace(TEXT)).layers, labels(minilm.trace(TEXT))
    hover(page, "b", *grid_of(page, "b", len(names)).inside(3, 7))
    page.locator(".explorer").focus()
    for layer in (5, 4):
        press(page, "ArrowUp" if layer == 5 else "ArrowDown")
        expect(said(page, "b")).to_have_text(
            f"from {names[3]} to {names[7]}: {digits(layers[layer].attention[10, 3, 7])}"
        )


def test_on_a_phone_a_touched_cell_tells_its_weight(visitor, minilm):
    page = explore(visitor(phone=True), TEXT, pins=1, pins_b=1)
    attention, names = told(minilm.trace(TEXT)).layers[0].attention[0], labels(minilm.trace(TEXT))
    x, y = grid_of(page, "b", len(names)).inside(3, 7)
    explorer(page, "b").locator("canvas.large").tap(position={"x": x, "y": y})
    expect(said(page, "b")).to_have_text(f"[CLS] + ##dro, summed · from ##dro to sat: {digits(attention[3, 7])}")


def test_the_other_side_tells_its_own_weight_between_the_same_words(visitor, of_words, minilm):
    page = explore(visitor(), TEXT, a=OF_WORDS, pins=1, pins_b=1)
    attention = told(minilm.trace(TEXT)).layers[0].attention[0].astype(np.float64)
    hover(page, "a", *grid_of(page, "a", 6).inside(2, 1))
    summed = f"≈ {attention[2:7, 1].sum():.2f}"
    expect(said(page, "b")).to_have_text(f"from den + ##dro + ##ch + ##ron + ##ologist to the: {summed}")


def test_a_pointer_that_moves_before_the_new_picture_is_there_harms_nothing(visitor):
    guest = visitor()
    page = explore(guest, TEXT)
    for layout in ("lines", "map", "flat"):
        page.locator(".explorer").evaluate(
            """(frame, layout) => {
              const select = frame.querySelector("[name=layout]");
              select.value = layout;
              select.dispatchEvent(new Event("change"));
              const move = () => new PointerEvent("pointermove", { pointerType: "mouse" });
              for (const canvas of frame.querySelectorAll("canvas.large")) canvas.dispatchEvent(move());
            }""",
            layout,
        )
        drawn(page)
    assert guest.complaints == []


def test_keys_with_alt_control_or_command_are_the_browsers_own(visitor):
    page = explore(visitor(), TEXT)
    page.locator(".explorer").focus()
    press(page, "Control+ArrowRight", "Meta+ArrowUp", "Alt+ArrowUp", "ArrowRight")
    expect_at(page, "b", 1, 2)


def test_a_question_mark_lists_the_keys_and_escape_closes_the_list(visitor):
    page = explore(visitor(), TEXT, pins=2)
    page.locator(".explorer").focus()
    press(page, "?")
    expect(page.get_by_role("dialog")).to_contain_text("play through the layers")
    press(page, "Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(picked(page, "a")).to_have_count(1)
    press(page, "Escape")
    expect(picked(page, "a")).to_have_count(0)


def test_keys_go_on_working_after_a_click_into_the_controls(visitor):
    page = explore(visitor(), TEXT)
    page.locator(".explorer button.help").click()
    press(page, "ArrowUp")
    expect_at(page, "b", 2, 1)


def test_picked_tokens_are_summed_until_they_are_let_go(visitor, minilm):
    page = explore(visitor(), TEXT, **APART)
    attention = told(minilm.trace(TEXT)).layers[4].attention[10]
    names = labels(minilm.trace(TEXT))
    chips = explorer(page, "b").locator(".token")
    chips.nth(7).click()
    expect_numbers(page, "b", names, attention[7], attention[:, 7])
    chips.nth(2).click()
    page.mouse.move(5, 5)
    expect(said(page, "b")).to_have_text("den + sat, summed")
    expect_numbers(page, "b", names, attention[[2, 7]].sum(0), attention[:, [2, 7]].sum(1), summed=True)
    expect(picked(page, "a")).to_have_count(0)  # they do not move together
    chips.nth(7).click()
    page.mouse.move(5, 5)
    expect(said(page, "b")).to_have_text("den")
    page.locator(".explorer").focus()
    press(page, "Escape")
    expect(picked(page, "b")).to_have_count(0)
    expect(explorer(page, "b").locator("li")).to_have_count(0)


def test_clicking_into_the_map_picks_the_row_and_again_lets_it_go(visitor):
    page = explore(visitor(), TEXT, pins=1, pins_b=1)
    grid = grid_of(page, "b", 11)
    x, y = grid.inside(7, 3)
    large = explorer(page, "b").locator("canvas.large")
    large.click(position={"x": x, "y": y})
    page.mouse.move(5, 5)
    expect(picked(page, "b")).to_have_text(["[CLS]", "sat"])
    expect(picked(page, "a")).to_have_text(["[CLS]", "sat"])
    large.click(position={"x": x, "y": y})
    page.mouse.move(5, 5)
    expect(picked(page, "b")).to_have_text(["[CLS]"])


def test_a_token_pointed_at_lights_the_same_word_on_the_other_side_however_it_is_cut(visitor, of_words):
    page = explore(visitor(), TEXT, a=OF_WORDS)
    left, right = explorer(page, "a").locator(".token"), explorer(page, "b").locator(".token")
    expect(left).to_have_text(labels(of_words.trace(TEXT)))
    left.nth(2).hover()
    expect(picked(page, "b")).to_have_text(["den", "##dro", "##ch", "##ron", "##ologist"])
    right.nth(4).hover()
    expect(picked(page, "a")).to_have_text(["dendrochronologist"])
    right.last.hover()
    expect(picked(page, "a")).to_have_text(["[SEP]"])
    page.mouse.move(5, 5)
    expect(picked(page, "a")).to_have_count(0)
    left.nth(2).click()
    page.mouse.move(5, 5)
    expect(picked(page, "b")).to_have_text(["den", "##dro", "##ch", "##ron", "##ologist"])


def test_a_shift_click_adds_a_head_to_the_lines_and_to_the_legend(visitor):
    page = explore(visitor(), TEXT)
    side = explorer(page, "b")
    for layer, head in ((1, 3), (2, 9)):
        x, y = tile(page, layer, head)
        side.locator("canvas.heads").click(position={"x": x, "y": y}, modifiers=["Shift"])
    expect(side.locator(".ring")).to_have_count(3)
    expect(page.locator("select[name=layout]")).to_have_value("lines")
    drawing = ElementTree.fromstring(save(page, "SVG").read_text())
    legend = {
        text.text: text.get("fill") for text in drawing.iter("{http://www.w3.org/2000/svg}text") if "●" in text.text
    }
    assert list(legend) == ["● 1·1", "● 1·3", "● 2·9"]
    assert len(set(legend.values())) == 3
    assert set(legend.values()) <= {path.get("stroke") for path in drawing.iter("{http://www.w3.org/2000/svg}path")}
    side.locator("canvas.heads").click(position={"x": x, "y": y}, modifiers=["Shift"])
    expect(side.locator(".ring")).to_have_count(2)


def test_on_a_phone_taps_add_heads_to_the_lines_while_that_is_ticked(visitor):
    page = explore(visitor(phone=True), TEXT)
    expect(page.locator(".adds")).to_be_hidden()
    choose(page, layout="lines")
    atlas, added = explorer(page, "b").locator("canvas.heads"), explorer(page, "b").locator(".ring")
    x, y = tile(page, 2, 5)
    page.locator(".adds").tap()
    atlas.tap(position={"x": x, "y": y})
    expect(added).to_have_count(2)
    atlas.tap(position={"x": x, "y": y})
    expect(added).to_have_count(1)
    expect_at(page, "b", 1, 1)


def test_on_a_phone_a_tap_chooses_a_head_and_picks_tokens(visitor, minilm):
    page = explore(visitor(phone=True), TEXT)
    side = explorer(page, "b")
    x, y = tile(page, 2, 9)
    side.locator("canvas.heads").tap(position={"x": x, "y": y})
    expect_at(page, "b", 2, 9)
    attention, names = told(minilm.trace(TEXT)).layers[1].attention[8], labels(minilm.trace(TEXT))
    side.locator(".token").nth(7).tap()
    expect(said(page, "b")).to_have_text("sat")
    expect_numbers(page, "b", names, attention[7], attention[:, 7])
    grid = grid_of(page, "b", 11)
    x, y = grid.inside(1, 4)
    side.locator("canvas.large").tap(position={"x": x, "y": y})
    expect(picked(page, "b")).to_have_text(["the", "sat"])
    expect(picked(page, "a")).to_have_text(["the", "sat"])
    side.locator(".token").nth(7).tap()
    expect(picked(page, "b")).to_have_text(["the"])


# ---- without the server, and back from it


def test_everything_is_drawn_while_nothing_comes_from_the_server(visitor):
    guest, cut, asked_for = visitor(), [], []

    def connect(here):
        server = here.connect_to_server()
        here.on_message(lambda message: asked_for.append(message) if cut else server.send(message))
        server.on_message(lambda message: None if cut else here.send(message))

    guest.context.route_web_socket(re.compile(r".*"), connect)
    page = explore(guest, TEXT, pair=PAIR)
    cut.append(True)
    large, small = (explorer(page, "b").locator(f"canvas.{name}") for name in ("large", "heads"))
    page.locator(".explorer").focus()
    for key in ("ArrowUp", "ArrowRight"):
        with redrawn(page, large):
            press(page, key)
    changes = (
        {"words": True}, {"hide": True}, {"renorm": True}, {"top": 50}, {"over": "mean"}, {"over": "max"},
        {"weights": "norm"}, {"part": "ab"}, {"weights": "rollout"}, {"layout": "lines"}, {"layout": "flat"},
    )  # fmt: skip
    for change in changes:
        with redrawn(page, large):
            choose(page, **change)
    with redrawn(page, large):
        explorer(page, "b").locator(".token").nth(2).hover()
    with redrawn(page, small):
        choose(page, sort="entropy")
    with redrawn(page, small):
        choose(page, least=70)
    for _ in range(100):  # what was chosen goes out once it has settled, and no answer comes
        if not asked_for:
            page.wait_for_timeout(50)
    assert asked_for


def test_a_choice_stands_in_the_address_which_opens_exactly_the_same_for_somebody_else(visitor):
    page = explore(visitor(), TEXT, pair=PAIR)
    page.locator(".explorer").focus()
    press(page, "ArrowUp", "ArrowRight")
    choose(page, words=True, renorm=True, top=80, weights="norm", layout="lines", sort="entropy", least=30)
    explorer(page, "a").locator(".token").nth(2).click()
    wanted = {
        "text": TEXT, "pair": PAIR, "layer": "2", "head": "2", "words": "1", "renorm": "1", "top": "80",
        "weights": "norm", "layout": "lines", "sort": "entropy", "least": "30",
    }  # fmt: skip
    page.wait_for_url(lambda url: wanted.items() <= asked(url).items() and "pins_b" in asked(url))
    assert asked(page.url)["pins"] == asked(page.url)["pins_b"] == "3.4.5.6.7"
    page.mouse.move(5, 5)
    other = explore(visitor(), **asked(page.url))
    expect(picked(other, "b")).to_have_text(["dendrochronologist"])
    assert look(other) == look(page)


def test_another_page_follows_the_choice_and_coming_back_keeps_it(visitor):
    page = explore(visitor(), TEXT)
    page.locator(".explorer").focus()
    press(page, "ArrowUp", "ArrowUp")
    choose(page, renorm=True, over="max")
    explorer(page, "b").locator(".token").nth(3).click()
    page.wait_for_url(lambda url: asked(url).get("pins") == "4" and asked(url).get("over") == "max")
    settle(page)
    page.mouse.move(5, 5)
    before = look(page)
    page.get_by_test_id("stTopNavLink").get_by_text("Feed-forward", exact=True).click()
    settle(page)
    for name in ("layer", "layer_b"):
        expect(page.locator(f".st-key-pick-{name} input[type=range]")).to_have_value("3")
    page.get_by_test_id("stTopNavLink").get_by_text("Attention", exact=True).click()
    drawn(page)
    expect(picked(page, "b")).to_have_text(["##dro"])
    assert look(page) == before


@pytest.mark.parametrize("keys", [["ArrowUp"], ["Space"]])
def test_another_picture_of_the_page_shows_what_was_chosen_a_moment_before(visitor, keys):
    page = explore(visitor(), TEXT)
    page.locator(".explorer").focus()
    begun = time.monotonic()
    press(page, *keys)
    expect_at(page, "b", 2, 1)
    page.get_by_text("Heat maps", exact=True).click()
    slider = page.locator(".st-key-pick-layer input[type=range]")
    # While it plays time goes on, and on a slow machine it has gone round to the first layer.
    round_again = keys == ["Space"] and time.monotonic() - begun > 6 * BEAT
    expect(slider).to_have_value(re.compile("[1-6]" if round_again else "[2-6]"))
    layer = slider.input_value()
    page.get_by_text("All heads", exact=True).click()
    drawn(page)
    expect_at(page, "b", layer, 1)


@pytest.mark.parametrize("pause", [0, 280, 320])  # milliseconds: it is reported after 300
def test_a_choice_made_just_before_a_page_link_is_not_lost(visitor, pause):
    page = explore(visitor(), TEXT)
    page.locator(".explorer").focus()
    press(page, "ArrowUp", "ArrowUp")
    page.wait_for_timeout(pause)
    page.get_by_test_id("stTopNavLink").get_by_text("Feed-forward", exact=True).click()
    expect(page.locator(".st-key-pick-layer input[type=range]")).to_have_value("3")


def test_another_text_lets_go_of_the_picked_tokens_here_and_in_the_address(visitor):
    page = explore(visitor(), TEXT, layer=2, layer_b=2)
    explorer(page, "b").locator(".token").nth(3).click()
    page.wait_for_url(lambda url: asked(url).get("pins") == "4")
    page.get_by_role("radio", name="Right", exact=True).click()
    page.wait_for_url(lambda url: asked(url).get("show") == "b")
    settle(page)
    expect(picked(page, "b")).to_have_text(["##dro"])
    type_text(page, SHORT)
    page.wait_for_url(lambda url: asked(url) == {"text": SHORT, "show": "b", "layer": "2", "head": "1", "token": "4"})
    expect(picked(page, "b")).to_have_count(0)


def test_back_and_forward_lead_through_texts_with_their_own_pins(visitor):
    page = explore(visitor(), SHORT)
    explorer(page, "b").locator(".token").nth(1).click()
    page.wait_for_url(lambda url: asked(url).get("pins") == "2")
    type_text(page, TEXT)
    page.wait_for_url(lambda url: asked(url).get("text") == TEXT and "pins" not in asked(url))
    drawn(page)
    page.mouse.move(5, 5)
    expect(picked(page, "b")).to_have_count(0)
    for step, text, pins in ((page.go_back, SHORT, ["dogs"]), (page.go_forward, TEXT, [])):
        step()
        page.wait_for_url(lambda url, text=text: asked(url).get("text") == text)
        drawn(page)
        expect(picked(page, "b")).to_have_text(pins)
        assert ("pins" in asked(page.url)) == bool(pins)


def test_two_tabs_with_different_texts_do_not_mix(visitor, minilm):
    guest = visitor()
    one, other = explore(guest, TEXT), explore(guest, SHORT)
    for page, text, layer in ((one, TEXT, 2), (other, SHORT, 2), (one, TEXT, 3)):
        page.bring_to_front()
        page.locator(".explorer").focus()
        press(page, "ArrowUp")
        expect_at(page, "b", layer, 1)
        rows, _, found = numbers(page)["MiniLM"]
        assert rows == labels(minilm.trace(text))
        np.testing.assert_allclose(found, minilm.trace(text).layers[layer - 1].attention[0], atol=1e-3)


def test_an_answer_that_a_newer_one_has_overtaken_is_dropped(visitor, browser, tmp_path, minilm):
    copy = copied(explore(visitor(), TEXT, show="b"), browser, tmp_path)
    answers = [list(message([pack("b", minilm.trace(text))], {**CHOICE, "turn": 2})) for text in (SHORT, PAIR)]
    for last in (SHORT, PAIR):
        copy.evaluate(
            """([one, other, last]) => {
              const shown = start(document.getElementById("here"));
              const [first, second] = [Uint8Array.from(one), Uint8Array.from(other)];
              return shown.show(first).then(() => Promise.all([shown.show(second), shown.show(last ? first : second)]));
            }""",
            [*answers, last == SHORT],
        )
        expect(copy.locator(".explorer").last.locator(".token")).to_have_text(labels(minilm.trace(last)))
    copy.close()


def test_a_token_picked_while_another_text_is_on_its_way_is_not_picked_in_that(visitor, browser, tmp_path, minilm):
    copy = copied(explore(visitor(), TEXT, show="b"), browser, tmp_path)
    first, second = (list(message([pack("b", minilm.trace(text))], {**CHOICE, "turn": 2})) for text in (SHORT, TEXT))
    copy.evaluate("bytes => (window.own = start(document.getElementById('here'))).show(Uint8Array.from(bytes))", first)
    token = copy.locator(".explorer").last.locator(".token")
    expect(token).to_have_text(labels(minilm.trace(SHORT)))
    token.nth(1).click()
    copy.mouse.move(5, 5)
    expect(picked(copy, "b").last).to_have_text("dogs")
    copy.evaluate("bytes => window.own.show(Uint8Array.from(bytes))", second)
    expect(token).to_have_text(labels(minilm.trace(TEXT)))
    expect(copy.locator(".explorer").last.locator(".token.picked")).to_have_count(0)
    copy.close()


# ---- to take away


def test_the_csv_names_the_models_heads_and_tokens_of_every_weight(visitor, scratch, minilm):
    page = explore(visitor(), 'Say "yes, no".', **APART)
    rows = csv_of(page)
    for side, model in (("a", scratch), ("b", minilm)):
        trace = model.trace('Say "yes, no".')
        layer, head = PLACES[side]
        attention, names = told(trace).layers[layer].attention[head], labels(trace)
        mine = [row for row in rows if row["model"] == trace.model.name]
        assert [(row["layer"], row["head"]) for row in mine] == [(str(layer + 1), str(head + 1))] * len(names) ** 2
        for row in mine:
            i, j = int(row["from"]) - 1, int(row["to"]) - 1
            assert (row["from token"], row["to token"]) == (names[i], names[j])
            assert float(row["weight"]) == pytest.approx(float(digits(attention[i, j])), abs=6e-5)
            assert row["exactly"] == "true"
    assert '"' in names


def test_what_top_share_leaves_out_is_told_as_that_and_not_as_zero(visitor, minilm):
    page = explore(visitor(), TEXT, **APART, top=50, pins=1, pins_b=1)
    rows = csv_of(page)
    assert {row["lens"] for row in rows} == {"attention, top 50 %"}
    attention = minilm.trace(TEXT).layers[4].attention[10]
    cells = {(int(row["from"]) - 1, int(row["to"]) - 1): row for row in rows if row["model"] == "MiniLM"}
    without = [cell for cell, row in cells.items() if not row["weight"]]
    assert all(cells[cell]["exactly"] == "" for cell in without)
    kept = attention.copy()
    kept[tuple(np.transpose(without))] = 0
    assert kept.sum(-1).min() > 0.49
    assert len(without) > 0.6 * attention.size
    cell = max(without, key=lambda cell: attention[cell])
    assert attention[cell] > 0.05
    hover(page, "b", *grid_of(page, "b", len(attention)).inside(*cell))
    expect(said(page, "b")).to_contain_text(": left out by Top share")


def test_the_csv_of_left_minus_right_names_the_two_heads_that_it_is_made_of(visitor):
    page = explore(visitor(), TEXT, **APART, minus=1, layout="lines", more="2.4", renorm=1, hide=1)
    rows = csv_of(page)
    said = {tuple(row[name] for name in ("model", "layer", "head", "lens")) for row in rows}
    assert said == {("From scratch − MiniLM", "2 − 5", "3 − 11", "attention, renormalised")}


def test_the_svg_has_a_rectangle_for_every_cell_that_is_not_paper(visitor, scratch, minilm):
    page = explore(visitor(), "A < B & C.", **APART)
    drawing = ElementTree.fromstring(save(page, "SVG").read_text())
    fills = [rectangle.get("fill") for rectangle in drawing.iter("{http://www.w3.org/2000/svg}rect")]
    white = (255, 255, 255)
    wanted = [white]
    for side, model in (("a", scratch), ("b", minilm)):
        layer, head = PLACES[side]
        cells = told(model.trace("A < B & C.")).layers[layer].attention[head].ravel()
        wanted += [found for weight in cells if (found := colour(weight, INK[side], white)) != white]
    assert fills == ["rgb({},{},{})".format(*found) for found in wanted]
    words = [text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a", "<", "b", "&", "c", "[CLS]"} <= set(words)


def test_the_png_is_twice_as_large_and_has_the_same_colours(visitor, minilm):
    from PIL import Image

    page = explore(visitor(), TEXT, show="b", layer_b=5, head_b=11, together=0, pins_b=1)
    drawing = ElementTree.fromstring(save(page, "SVG").read_text())
    file = save(page, "PNG")
    size = struct.unpack(">II", file.read_bytes()[16:24])
    assert size == tuple(pytest.approx(2 * float(drawing.get(name)), abs=1) for name in ("width", "height"))
    grid, picture = grid_of(page, "b", 11), Image.open(file).convert("RGB")
    attention = told(minilm.trace(TEXT)).layers[4].attention[10]
    for cell in ((0, 0), (0, 10), (3, 7), (10, 1), (6, 2)):
        x, y = grid.inside(*cell)
        assert picture.getpixel((2 * x, 2 * (y + 24))) == colour(attention[cell], INK["b"], (255, 255, 255))


def test_titles_in_saved_pictures_do_not_run_into_each_other(visitor):
    page = explore(visitor(), "Hi", over="max", weights="norm")
    drawing = ElementTree.fromstring(save(page, "SVG").read_text())
    groups = [group.get("transform") for group in drawing.iter("{http://www.w3.org/2000/svg}g")]
    second = float(re.search(r"translate\((\S+) ", groups[1])[1])
    titles = [text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text") if text.get("font-size") == "13"]
    assert titles[0].endswith("maximum of its heads, norm-weighted")
    assert second > 5 * len(titles[0])  # letters of 13 pixels are wider than that
    assert float(drawing.get("width")) > second + 5 * len(titles[1])


def test_the_html_file_draws_and_answers_without_any_network(visitor, browser, tmp_path, minilm):
    page = explore(visitor(), TEXT, pair=PAIR, **APART, pins=1, pins_b=1)
    file = save(page, "HTML, works offline")
    shutil.copy(file, tmp_path / "attention.html")
    with browser.new_context(offline=True, viewport={"width": 1280, "height": 720}) as alone:
        requests, complaints = [], []
        alone.on("request", lambda request: requests.append(request.url))
        alone.on("weberror", lambda error: complaints.append(str(error.error)))
        alone.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        copy = alone.new_page()
        copy.goto((tmp_path / "attention.html").as_uri())
        drawn(copy)
        trace = minilm.trace(TEXT, PAIR)
        expect_at(copy, "b", 5, 11)
        expect(explorer(copy, "b").locator(".token")).to_have_text(labels(trace))
        attention, grid = trace.layers[4].attention[10], grid_of(copy, "b", len(trace.tokens))
        for row, column in ((0, 0), (2, 5), (9, 1)):
            hover(copy, "b", *grid.inside(row, column))
            names = named(trace)
            words = f"from {names[row]} to {names[column]}: {digits(attention[row, column])}"
            expect(said(copy, "b")).to_have_text(words)
            seen = pixels(explorer(copy, "b").locator("canvas.large"), [grid.inside(row, column)])
            assert seen == [colour(told(trace).layers[4].attention[10][row, column], INK["b"], paper(copy))]
        copy.locator(".explorer").focus()
        press(copy, "ArrowUp")
        expect_at(copy, "b", 6, 11)
        assert save(copy, "HTML, works offline").read_text().count("</script>") == 1  # a copy can copy itself
        assert [url for url in requests if not url.startswith(("file:", "blob:"))] == []
        assert complaints == []


@pytest.mark.parametrize("layout", ["map", "lines"])
def test_hostile_tokens_are_text_in_the_explorer_and_in_all_that_it_saves(visitor, browser, tmp_path, of_words, layout):
    text = " ".join(HOSTILE)
    trace = of_words.trace(text, HOSTILE[1])
    assert set(HOSTILE) <= set(trace.tokens.text)
    page = explore(visitor(), text, pair=HOSTILE[1], a=OF_WORDS, b=OF_WORDS, layout=layout)
    shutil.copy(save(page, "HTML, works offline"), tmp_path / "hostile.html")
    with browser.new_context(offline=True) as alone:
        copy = alone.new_page()
        copy.goto((tmp_path / "hostile.html").as_uri())
        for where in (page, copy):
            drawn(where)
            chips = explorer(where, "a").locator(".token")
            expect(chips).to_have_text(labels(trace))
            chips.nth(1).hover()
            chips.nth(1).click()
            where.mouse.move(1, 1)
            expect(said(where, "a")).to_have_text(labels(trace)[1])
            expect(explorer(where, "a").locator("li")).not_to_have_count(0)
            assert where.evaluate("window.hacked") is None
            assert where.locator("[onerror], img[src=x]").count() == 0
    drawing = ElementTree.fromstring(save(page, "SVG").read_text())
    assert {part.tag.split("}")[1] for part in drawing.iter()} <= {"svg", "g", "rect", "text", "path"}


# ---- what the tests do


def explore(guest, text, **choices):
    """The explorer's page at the first layer and head, or where the `choices` say, with everything drawn."""
    page = guest.open("/attention-heads", text=text, **{"layer": 1, "head": 1, **choices})
    drawn(page)
    return page


def drawn(page):
    """Wait until all thumbnails are there."""
    both = page.locator(".explorer[data-ready] .side")
    expect(page.locator(".explorer canvas.heads[data-drawn]").first).to_be_visible()
    expect(page.locator(".explorer canvas.heads[data-drawn]")).to_have_count(both.count())
    if not page.url.startswith("file:"):
        settle(page)


def choose(page, **lens):
    """Set lenses in their row, as a person would."""
    fold = page.get_by_role("button", name="Lenses")
    if fold.is_visible() and fold.get_attribute("aria-expanded") == "false":
        fold.click()
    for name, value in lens.items():
        field = page.locator(f".explorer .controls [name={name}]")
        if isinstance(value, bool):
            field.set_checked(value)
        elif isinstance(value, int):
            field.fill(str(value))
        else:
            field.select_option(value)


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def save(page, kind):
    """The file that the Save menu gives."""
    page.locator(".save summary").click()
    with page.expect_download() as download:
        page.locator(".save").get_by_role("button", name=kind, exact=True).click()
    page.mouse.move(5, 5)  # the menu has closed, and what lies under it would be pointed at
    return download.value.path()


def csv_of(page):
    """The rows of the CSV, by the names of their columns."""
    return list(csv.DictReader(io.StringIO(save(page, "CSV").read_text("utf-8-sig"), newline="")))


def copied(page, browser, folder):
    """The explorer as a file, opened in a page of its own."""
    shutil.copy(save(page, "HTML, works offline"), folder / "attention.html")
    copy = browser.new_page()
    copy.goto((folder / "attention.html").as_uri())
    drawn(copy)
    return copy


def hover(page, side, x, y):
    explorer(page, side).locator("canvas.large").hover(position={"x": x, "y": y})


def said(page, side):
    return explorer(page, side).locator(".caption:not(.title)")


def picked(page, side):
    return explorer(page, side).locator(".token.picked")


def tile(page, layer, head):
    """A point within the small map of a head on the right, from where the chosen one is: layer and head from 1."""
    ring = explorer(page, "b").locator(".ring").first
    x, y, width = ring.evaluate("ring => ['left', 'top', 'width'].map((name) => parseFloat(ring.style[name]))")
    expect_at(page, "b", 1, 1)
    return x + (head - 1) * width + 5, y - (layer - 1) * (width + 10) + 8  # layer 1 is at the bottom


def expect_at(page, side, layer, head):
    """That head is the large one."""
    expect(explorer(page, side).locator(".title")).to_have_text(re.compile(rf": layer {layer}, head {head}\b"))


def expect_numbers(page, side, names, reads, is_read, summed=False):
    """The two lists of five, what is read and who reads; sums of several are said to be about so."""
    items = explorer(page, side).locator("li")
    lists = [[(names[i], sums[i]) for i in np.argsort(-sums, kind="stable")[:5]] for sums in (reads, is_read)]
    expect(items).to_have_count(sum(map(len, lists)))
    expect(items.locator("bdi")).to_have_text([name for part in lists for name, _ in part])
    shown = items.locator("span").all_text_contents()
    wanted = [weight for part in lists for _, weight in part]
    about = [text.startswith("≈ ") for text in shown]
    assert about == [summed] * len(shown)
    np.testing.assert_allclose([float(text.strip("≈ ")) for text in shown], wanted, atol=6e-3 if summed else 6e-4)


class redrawn:  # noqa: N801 - it reads as a word: with redrawn(page, canvas)
    """Within it the canvas gets another picture."""

    def __init__(self, page, canvas):
        self.page, self.canvas = page, canvas

    def __enter__(self):
        self.before = self.canvas.evaluate("canvas => canvas.toDataURL()")

    def __exit__(self, *error):
        if error == (None, None, None):
            changed = "([canvas, before]) => canvas.toDataURL() !== before"
            self.page.wait_for_function(changed, arg=[self.canvas.element_handle(), self.before])


def look(page):
    """All pictures of the explorer, and all its words."""
    return page.locator(".explorer").evaluate(
        "frame => [frame.innerText, ...[...frame.querySelectorAll('canvas')].map((canvas) => canvas.toDataURL())]"
    )


@dataclass(frozen=True)
class Grid:
    """Where the cells of a large map are on its canvas."""

    left: float
    top: float
    cell: float

    def inside(self, row, column):
        """A point of a cell, beside the number that stands in the middle of a large one."""
        part = 0.12 if self.cell > 20 else 0.5
        return math.floor(self.left + self.cell * (column + part)), math.floor(self.top + self.cell * (row + part))


def grid_of(page, side, count):
    """Of a map where a token is picked: the mark over its row ends with the last column."""
    mark = explorer(page, side).locator(".mark").first
    place = mark.evaluate("mark => ['width', 'top', 'height'].map((name) => parseFloat(mark.style[name]))")
    row = explorer(page, side).locator(".token").evaluate_all("all => all.findIndex((one) => one.matches('.picked'))")
    width, top, cell = place
    return Grid(width - cell * count, top - cell * row, cell)


def inner(tile, count):
    """Pixels of a thumbnail that lie well within one cell."""
    return [pixel for pixel in range(int(tile)) if 0.15 < (pixel + 0.5) * count / tile % 1 < 0.85]


def pixels(canvas, points, opacity=False):
    """Colours of a canvas, or how opaque they are, from 0 to 255."""
    read = """([canvas, points, first, last]) => {
      const pen = canvas.getContext("2d");
      const { data, width } = pen.getImageData(0, 0, canvas.width, canvas.height);
      return points.map(([x, y]) => [...data.slice(4 * (y * width + x) + first, 4 * (y * width + x) + last)]);
    }"""
    found = canvas.page.evaluate(read, [canvas.element_handle(), points, *((3, 4) if opacity else (0, 3))])
    return [tuple(each) for each in found]


def paper(page):
    """The background of the page."""
    colour = page.locator(".explorer").evaluate("frame => getComputedStyle(frame).backgroundColor")
    return tuple(map(int, re.findall(r"\d+", colour)))


def colour(weight, ink, paper):
    """From the paper to the ink, as far as the root of the weight, in 255 steps."""
    way = math.floor(255 * math.sqrt(weight) + 0.5) / 255
    return tuple(math.floor(low + (high - low) * way + 0.5) for low, high in zip(paper, ink, strict=True))


def channels(colour):
    """A colour of CSS as canvases tell it."""
    return "#{:02x}{:02x}{:02x}".format(*map(int, re.findall(r"\d+", colour)[:3]))


def digits(weight):
    return f"{weight:.4f}" if weight < 0.00995 else f"{weight:.3f}"


def exact(lens):
    """Whether the numbers are the server's own."""
    return lens["weights"] == "raw" and lens["over"] != "mean" and not lens["words"] and not lens["renorm"]


def told(trace):
    """The trace with weights as the browser gets them: rounded to the digits shown (tests/test_packing.py)."""
    layers = [replace(layer, attention=weights(codes(layer.attention, trace.tokens))) for layer in trace.layers]
    return replace(trace, layers=tuple(layers))


def numbers(page):
    """What a CSV holds: for each model its tokens from and to, and the [from, to] weights shown."""
    found = {}
    for row in csv_of(page):
        rows, columns, values = found.setdefault(row["model"], ({}, {}, []))
        rows[int(row["from"])], columns[int(row["to"])] = row["from token"], row["to token"]
        values.append(float(row["weight"] or 0))  # nothing where Top share leaves it out
    return {
        model: (list(rows.values()), list(columns.values()), np.reshape(values, (len(rows), len(columns))))
        for model, (rows, columns, values) in found.items()
    }


def through(lens, trace, layer, head):
    """Labels from and to and [from, to] what a lens shows of a head, made of measures and views."""
    attention = np.stack([each.attention for each in trace.layers])
    if lens["weights"] == "rollout":
        attention, head = measures.rollout(attention)[:, None], 0
    elif lens["weights"] == "norm":
        attention = measures.norm_weighted(attention, np.stack([each.value_size for each in trace.layers]))
        attention = attention / attention.sum(-1, keepdims=True)
    over = "one" if lens["weights"] == "rollout" else lens["over"]
    one = {"one": attention[layer, head], "mean": attention[layer].mean(0), "max": attention[layer].max(0)}[over]
    seen = replace(trace, layers=(replace(trace.layers[layer], attention=one[None]),))
    seen = whole_words(seen) if lens["words"] else seen
    seen = without_special(seen) if lens["hide"] else seen
    rows, columns = (
        [i for i in range(len(seen.tokens)) if lens["part"] == "all" or seen.tokens.segment[i] == "ab".index(letter)]
        for letter in lens["part"][:2]
    )
    values = seen.layers[0].attention[0][np.ix_(rows, columns)].astype(np.float64)
    if lens["renorm"]:
        values = values / values.sum(-1, keepdims=True)
    descending = -np.sort(-values, -1)
    held = np.cumsum(descending, -1) - descending  # by the larger ones
    needed = held < lens["top"] / 100 * values.sum(-1, keepdims=True) - 1e-6
    least = np.where(needed, descending, np.inf).min(-1, keepdims=True)
    names = labels(seen)
    assert len(names) == len(origins(trace.tokens, lens["words"], lens["hide"]))
    return [names[i] for i in rows], [names[i] for i in columns], np.where(values >= least, values, 0)
