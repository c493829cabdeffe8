"""What if, and what is said over the example sentences, in a real Chromium."""

import re

import pytest
from playwright.sync_api import expect

from encoder.changes import turns
from encoder.edits import Edit, edited, pairs
from tests.screen import BARS, HEAT, arrive, chart, click, pick, settle, type_text, unfold
from tests.synthetic import HOSTILE

pytestmark = pytest.mark.browser

TEXT = "The cat sat on the mat."
NOTHING = {"changed": ""}


def word(page, text, nth=0):
    return pick(page, "changed").get_by_role("button", name=text, exact=True).nth(nth)


def test_a_clicked_word_is_hidden_then_replaced_then_there_again(visitor, scratch):
    page = visitor().open("/what-if", text=TEXT, **NOTHING)
    settle(page)
    expect(page.get_by_text("Nothing is changed here").first).to_be_visible()
    word(page, "cat").click()
    expect(page.locator(".st-key-changes .said bdi")).to_have_text("The [MASK] sat on the mat.")
    expect(chart(page, "a", 1).locator(HEAT)).to_have_count(1)
    edit = edited(TEXT, Edit(frozenset({1})))
    before, after = scratch.trace(TEXT), scratch.trace(edit.text)
    turned = turns(before, after, pairs(before.tokens, after.tokens, edit.moved))
    expect(page.get_by_text(f"turned by {turned[-1].mean():.3f} on average")).to_be_visible()
    box = pick(page, "put_in").locator("input")
    box.fill("dog")
    box.press("Enter")
    arrive(page, put_in="dog")
    expect(page.locator(".st-key-changes .said bdi")).to_have_text("The dog sat on the mat.")
    word(page, "cat").click()
    expect(page.get_by_text("Nothing is changed here").first).to_be_visible()


def test_quick_clicks_on_words_are_all_heard(visitor):
    page = visitor().open("/what-if", text="One two three four five six seven eight.", **NOTHING)
    settle(page)
    for name in ("two", "four", "five", "eight"):
        word(page, name).click()
    arrive(page, changed="1-3-4-7")
    expect(page.locator(".st-key-changes .said bdi")).to_have_text("One [MASK] three [MASK] [MASK] six seven [MASK].")


def test_of_two_equal_words_the_one_that_is_clicked_is_hidden(visitor):
    page = visitor().open("/what-if", text="the cat saw the dog and the bird", **NOTHING)
    settle(page)
    words = pick(page, "changed").get_by_role("button")
    expect(words).to_have_count(8)
    words.nth(0).click()
    arrive(page, changed="0")
    expect(page.locator(".st-key-changes .said bdi")).to_have_text("[MASK] cat saw the dog and the bird")
    words.nth(3).click()
    arrive(page, changed="0-3")
    expect(page.locator(".st-key-changes .said bdi")).to_have_text("[MASK] cat saw [MASK] dog and the bird")


def test_guesses_stand_behind_the_word_that_was_hidden(visitor, scratch):
    page = visitor().open("/what-if", text="The dog chased the cat.", outcome="guesses", **NOTHING)
    settle(page)
    word(page, "cat").click()
    arrive(page, changed="4")
    [guess] = scratch.guesses(scratch.trace("The dog chased the [MASK]."))
    expect(page.locator(".guess.a bdi")).to_have_text(list(guess.tokens))
    expect(page.get_by_text("MiniLM has no prediction head")).to_be_visible()


def test_heads_are_switched_off_and_on_again(visitor):
    page = visitor().open("/what-if", text=TEXT, **NOTHING)
    settle(page)
    page.get_by_role("button", name="Heads and neurons").first.click()
    unfold(pick(page, "off"))
    page.get_by_role("option", name="layer 1, head 2", exact=True).click()
    arrive(page, off="1.2")
    expect(chart(page, "a", 1).locator(HEAT)).to_have_count(1)
    expect(chart(page, "b", 1)).to_have_count(0)
    pick(page, "off").get_by_role("button", name="Clear all").click()
    expect(chart(page, "a", 1)).to_have_count(0)
    settle(page)
    assert "off=" not in page.url


def test_without_positions_the_head_for_the_previous_token_is_lost(visitor, scratch):
    from encoder.changes import Changes

    page = visitor().open("/what-if", text=TEXT, outcome="attention", without="positions", show="a", **NOTHING)
    settle(page)
    expect(chart(page, "a", 1).locator(HEAT)).to_have_count(3)
    before = scratch.trace(TEXT).layers[0].attention[0]
    after = scratch.what_if(Changes(choices=(("position", "none"),))).trace(TEXT).layers[0].attention[0]
    assert before.diagonal(-1).mean() > 0.8 > 0.3 > after.diagonal(-1).mean()


def test_another_text_lets_the_chosen_words_go(visitor):
    page = visitor().open("/what-if", text=TEXT, changed="1-5")
    settle(page)
    type_text(page, "Rain fell.")
    arrive(page, changed="")  # and no other word is masked: the learner has chosen
    expect(page.locator(".st-key-changes .said bdi")).to_have_count(0)


def test_the_page_opens_on_one_change_and_says_which_and_a_head_is_not_mixed_with_it(visitor):
    page = visitor().open("/what-if", text=TEXT)
    settle(page)
    undo = page.locator("[class*=st-key-undo-] button:visible")
    expect(undo).to_have_text([re.compile("“cat” masked")])
    page.get_by_role("button", name="Heads and neurons").first.click()
    unfold(pick(page, "off"))
    page.get_by_role("option", name="layer 1, head 2", exact=True).click()
    arrive(page, off="1.2")
    expect(undo).to_have_text([re.compile("Left: layer 1, head 2 off")])
    expect(page.locator(".st-key-changes .said bdi")).to_have_count(0)
    page.keyboard.press("Escape")
    undo.first.click()
    expect(undo).to_have_count(0)
    expect(page.get_by_text("Nothing is changed here")).to_have_count(2)


def test_names_of_tokens_never_lie_on_a_map(visitor):
    address = {"changed": "1", "put_in": "unbelievably", "outcome": "attention"}
    for phone in (False, True):
        text = "The dendrochronologist photographed an uncharacteristically twisted pine."
        page = visitor(phone=phone).open("/what-if", text=text, show="b", **address)
        settle(page)
        picture = chart(page, "b", 1)
        expect(picture.locator(HEAT)).to_have_count(3)
        maps = [each.bounding_box() for each in picture.locator(HEAT).all()]
        names = [each.bounding_box() for each in picture.locator(".ytick text, .y3tick text").all()]
        assert len(names) > 20
        for name in names:
            for one in maps:
                assert name["x"] + name["width"] <= one["x"] + 1 or one["x"] + one["width"] <= name["x"] + 1
        assert min(one["width"] for one in maps) > 40


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_are_shown_as_they_are(visitor, text):
    page = visitor().open("/what-if", text=f"A {text} b.", changed="0")
    settle(page)
    expect(page.locator(".st-key-changes .said bdi")).to_contain_text("[MASK]")
    assert (
        page.locator(".st-key-changes .said bdi *, .st-key-pick-changed script, .st-key-pick-changed img").count() == 0
    )


@pytest.mark.parametrize("query", [{"limit": "512", "text": "word " * 600}, {"pair": "It was tired."}, {"text": "cat"}])
def test_long_paired_and_short_texts_are_changed_too(visitor, query):
    page = visitor().open("/what-if", **{"text": TEXT, "changed": "0", **query})
    settle(page)
    for side in "ab":
        expect(chart(page, side, 1).locator(HEAT)).to_have_count(1)


def test_the_example_sentences_are_read_with_progress_and_then_known(visitor, scratch):
    page = visitor().open("/attention-heads", attention_view="roles", text=TEXT)
    settle(page)
    click(page, "Example sentences")
    arrive(page, basis="corpus")
    for side in "ab":
        expect(chart(page, side, 1, part="what each head mostly does").locator(HEAT)).to_have_count(1)
    expect(page.get_by_test_id("stDataFrame")).to_have_count(2)
    expect(page.get_by_text(re.compile(r"most often in the \d+ example sentences")).first).to_be_visible()
    with page.expect_download() as downloading:
        page.locator(".st-key-roles-csv-a button").click()
    lines = downloading.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert lines[0].startswith("Layer,Head,Role,Of the sentences,Previous token,")
    assert len(lines) == 1 + scratch.card.layers * scratch.card.heads


def test_a_neurons_sentences_have_its_words_marked(visitor, scratch, minilm):
    page = visitor().open("/feed-forward", text=TEXT)
    settle(page)
    for side, model in (("a", scratch), ("b", minilm)):
        expect(page.locator(f".found.{side} .row")).to_have_count(10)
        expect(page.locator(f".found.{side} mark")).to_have_count(10)
        expect(chart(page, side, 1, part="silent").locator(BARS)).to_have_count(model.card.layers)
    expect(page.get_by_text("Neurons of MiniLM that are active at the same words")).to_be_visible()


def test_a_word_in_several_sentences_is_compared(visitor):
    page = visitor().open("/token-embeddings", embedding_view="elsewhere")
    settle(page)
    expect(chart(page, "b", 1).locator(".ytick text")).to_have_count(4)
    box = pick(page, "word").locator("input")
    box.fill("unicorn")
    box.press("Enter")
    arrive(page, word="unicorn")
    expect(page.get_by_text("at least two sentences with")).to_be_visible()
