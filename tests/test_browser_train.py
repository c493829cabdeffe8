"""The Train page in a real browser: from Start to the slider, a class in a queue, a tab that is closed, files."""

import re

import pytest
from playwright.sync_api import expect

from tests.screen import PHONE, pick

pytestmark = pytest.mark.browser

TRAIN = "/train-live"
SMALL = {"train_width": "16", "train_layers": "2", "train_heads": "2"}
SHORT, LONG = {**SMALL, "train_steps": "2000"}, {**SMALL, "train_steps": "9000"}
LEAVING = 30_000  # milliseconds: a training whose tab was closed ends within
LEARNING = 240_000  # milliseconds that 2,000 small steps may take on a busy machine: as many a step as ever


def start(page):
    page.get_by_role("button", name="Start", exact=True).click()


def news(page, words):
    expect(page.get_by_test_id("stProgress")).to_contain_text(words)


def stop(page):
    page.get_by_role("button", name=re.compile("Stop|Leave the queue")).click()
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_enabled()


def picture(page):
    """What the heat maps show now."""
    return page.locator(".heatmaplayer image").evaluate_all("images => images.map(image => image.href.baseVal)")


def test_from_start_to_the_slider(visitor):
    page = visitor().open(TRAIN, **SHORT)
    expect(page.get_by_role("heading", name="The toy language")).to_be_visible()
    start(page)
    news(page, re.compile(r"Step \d+ of 2,000"))
    expect(page.locator(".st-key-lesson-accuracy .scatterlayer .trace")).to_have_count(8)  # 4 structures, 4 guesses
    page.get_by_role("radio", name="Heads through time").click()
    expect(page.get_by_text("Snapshots up to step")).to_be_visible()
    stop(page)
    expect(page.get_by_role("button", name="Use on the left")).to_be_visible()
    expect(page.get_by_text("Snapshots up to step")).to_have_count(0)
    expect(page.locator(".st-key-lesson-heads .heatmaplayer image")).to_have_count(4)
    page.wait_for_timeout(1_000)  # the picture has moved up

    last = picture(page)
    rail, grip = (page.locator(name).bounding_box() for name in (".slider-rail-touch-rect", ".slider-grip-rect"))
    page.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2)
    page.mouse.down()
    page.mouse.move(rail["x"] + 2, grip["y"] + grip["height"] / 2, steps=4)
    expect(page.locator(".slider-label", has_text="after step 0")).to_be_visible()  # while the hand still drags
    page.wait_for_timeout(300)
    first = picture(page)
    assert first != last
    page.mouse.up()

    page.get_by_role("radio", name="What heads look at").click()
    expect(page.locator(".st-key-lesson-weights .scatterlayer .trace")).to_have_count(5)  # 4 heads, right answers
    page.get_by_role("radio", name="Map through time").click()
    expect(page.locator(".st-key-lesson-map .scatterlayer .points path")).to_have_count(10)


def test_what_was_trained_is_used_downloaded_and_brought_back(visitor, tmp_path):
    page = visitor().open(TRAIN, **SHORT)
    start(page)
    news(page, re.compile(r"Step \d+ of"))
    stop(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    file = tmp_path / "mine.safetensors"
    download.value.save_as(file)
    assert download.value.suggested_filename == "training-1.safetensors"
    assert file.read_bytes()[8:9] == b"{"
    page.get_by_text("Bring a model that was downloaded here").click()
    page.locator(".st-key-lesson-file input[type=file]").set_input_files(file)
    expect(page.get_by_text("is in the lists of models")).to_be_visible()
    mine = pick(page, "text").locator("textarea")
    mine.fill("A sentence of my own.")
    mine.blur()
    page.get_by_role("button", name="Use on the left").click()
    offer = page.get_by_role("button", name="Read a sentence of the toy language")
    expect(offer).to_be_visible()
    expect(mine).to_have_value("A sentence of my own.")
    offer.click()
    expect(mine).to_have_value("the dogs near the old king [MASK] .")
    page.locator(".stMain").get_by_role("button", name="Back to “A sentence of my own.”").click()
    expect(mine).to_have_value("A sentence of my own.")
    offer.click()
    expect(mine).to_have_value("the dogs near the old king [MASK] .")
    page.get_by_role("link", name="Side by side").click()
    expect(page.locator(".model.a")).to_contain_text("Training 1")
    expect(page.locator(".token", has_text="king").first).to_be_visible()


def test_a_training_pauses_goes_on_and_comes_to_its_end(visitor):
    page = visitor().open(TRAIN, **SHORT)
    start(page)
    news(page, re.compile(r"Step \d+ of 2,000"))
    page.get_by_role("button", name="Pause").click()
    news(page, re.compile(r"Paused · Step \d+ of 2,000"))
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_enabled()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Done · Step 2,000 of 2,000")).to_be_visible(timeout=LEARNING)
    page.get_by_role("button", name="Use on the right").click()
    page.get_by_role("link", name="Side by side").click()
    expect(page.locator(".model.b")).to_contain_text("Training 1")


def test_the_training_that_was_begun_last_is_the_one_that_is_seen(visitor):
    page = visitor().open(TRAIN, **LONG)
    for number in (1, 2, 3):
        start(page)
        news(page, re.compile(r"Step \d+ of 9,000"))
        page.get_by_role("radio", name="What heads look at" if number % 2 else "Curves").click()  # one more turn
        expect(page.locator(".st-key-lesson-weights" if number % 2 else ".st-key-lesson-accuracy")).to_be_visible()
        news(page, re.compile(r"Step \d+ of 9,000"))
        if number > 1:
            picker = page.get_by_role("combobox", name="Training", exact=True)
            expect(picker).to_have_value(re.compile(f"^Training {number}:"))
        stop(page)
    expect(page.get_by_text("Stopped · Step")).to_be_visible()


def test_a_training_outlives_its_page_being_loaded_anew(visitor):
    page = visitor().open(TRAIN, **LONG)
    start(page)
    news(page, re.compile(r"Step \d+ of 9,000"))
    page.reload()
    news(page, re.compile(r"Step \d+ of 9,000"))
    stop(page)
    page.get_by_role("button", name="Use on the left").click()
    page.wait_for_url(re.compile(r"[?&]a=lesson-"))
    page.reload()
    page.get_by_role("link", name="Side by side").click()
    expect(page.locator(".model.a")).to_contain_text("Training 1")
    stranger = visitor().open(TRAIN)  # another browser sees nothing of it
    expect(stranger.get_by_role("heading", name="The toy language")).to_be_visible()


def test_five_learners_and_one_processor(visitor):
    pages = [visitor().open(TRAIN, **LONG) for _ in range(5)]
    start(pages[0])
    news(pages[0], re.compile(r"Step \d+ of 9,000"))
    for number, page in enumerate(pages[1:], 1):
        start(page)
        news(page, "one training goes before" if number == 1 else f"{number} trainings go before")
    stop(pages[2])  # leaves the queue
    news(pages[3], "2 trainings go before")
    pages[0].close()  # a tab is closed: within half a minute the next one has the processor
    expect(pages[1].get_by_test_id("stProgress")).to_contain_text(re.compile(r"Step \d+ of 9,000"), timeout=LEAVING)
    news(pages[3], "one training goes before")
    for page in (pages[4], pages[3], pages[1]):
        stop(page)


def test_on_a_phone_everything_fits(visitor):
    page = visitor(phone=True).open(TRAIN, **SHORT)
    expect(page.get_by_role("heading", name="The toy language")).to_be_visible()
    start(page)
    news(page, re.compile(r"Step \d+ of"))
    stop(page)
    for view in ("What heads look at", "Heads through time", "Map through time", "Curves"):
        page.get_by_role("radio", name=view).click()
        expect(page.locator(".main-svg").first).to_be_visible()
        wide = page.evaluate(
            """() => [document.scrollingElement, document.querySelector("[data-testid=stMain]")]
                     .map((part) => part.scrollWidth)"""
        )
        assert max(wide) <= PHONE["width"], view
