"""What is not there yet, in a real Chromium: models that load, and models that come from the Hub with a click."""

import re
import socket

import pytest
from playwright.sync_api import expect

from tests.fake_hub import FakeHub, make_tiny_bert
from tests.screen import (
    ATTENTION,
    EXPLORER,
    HEAT,
    asked,
    chart,
    click,
    expect_both_drawn,
    expect_drawn,
    explorer,
    labels,
    pick,
    settle,
    type_text,
    unfold,
)
from tests.server import serve

pytestmark = pytest.mark.browser

TEXT, OTHER = "The cat sat on the mat.", "A dog barks."
BASE = "google-bert/bert-base-uncased"
MAPS = ATTENTION.query


# On the server's path, Python runs it at its start: importing torch then lasts until a file is there.
SITECUSTOMIZE = """
import importlib.machinery, pathlib, sys, time

class Patience:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            spec = importlib.machinery.PathFinder.find_spec(name, path)
            run = spec.loader.exec_module
            spec.loader.exec_module = lambda module: (wait(), run(module))
            return spec

def wait():
    while not pathlib.Path(__file__).with_name("go").exists():
        time.sleep(0.05)

sys.meta_path.insert(0, Patience())
"""


def test_a_fresh_server_shows_title_and_text_box_while_the_models_still_load(visitor, tmp_path, scratch, minilm):
    (tmp_path / "sitecustomize.py").write_text(SITECUSTOMIZE)
    with serve(PYTHONPATH=str(tmp_path)) as server:
        page = visitor(server.url).open("/attention-heads", text=TEXT)
        expect(page.get_by_role("heading", level=1)).to_have_text("Attention")
        expect(pick(page, "text").locator("textarea")).to_have_value(TEXT)
        waiting = page.get_by_text("Loading From scratch and the libraries that run it: a few seconds")
        expect(waiting).to_be_visible()
        expect(page.get_by_test_id("stSkeletonElement")).to_be_visible()
        assert page.locator(".explorer").count() == 0
        (tmp_path / "go").touch()
        settle(page)
        expect(waiting).to_have_count(0)
        expect_both_drawn(page, EXPLORER, scratch.trace(TEXT), minilm.trace(TEXT))
        click(page, ATTENTION.button)
        expect_both_drawn(page, ATTENTION, scratch.trace(TEXT), minilm.trace(TEXT))
        assert "Traceback" not in server.said()


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shelf")
    make_tiny_bert(folder / BASE)
    return folder


@pytest.fixture(scope="module")
def port():
    """One that nothing listens on, until a Hub does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def connected_app(tmp_path_factory, port):
    """An app that may use the network, which is our Hub alone, and has downloaded nothing yet."""
    folder = tmp_path_factory.mktemp("connected")
    environment = {"HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "0"}
    with serve(**environment) as server:
        yield server


def choose(page, label):
    unfold(pick(page, "b"))
    page.get_by_role("option", name=label, exact=True).click()


def test_a_model_of_the_hub_comes_with_a_click_and_shows_its_progress(visitor, connected_app, shelf, port, scratch):
    page = visitor(connected_app.url).open("/attention-heads", **MAPS, text=TEXT)
    settle(page)
    with FakeHub(shelf, port, bytes_per_second=700_000) as hub:
        choose(page, "BERT base")
        button = page.get_by_role("button", name="Download BERT base")
        expect(button).to_be_visible()
        expect(page.get_by_text("It needs the internet once")).to_be_visible()
        settle(page)
        expect_drawn(page, ATTENTION, "a", scratch.trace(TEXT))
        assert hub.requests == []
        button.click()
        expect(page.get_by_role("progressbar")).to_be_visible()
        expect(page.get_by_text("Downloading BERT base: ")).to_be_visible()
        expect(chart(page, "b", 1, "BERT base: attention of all heads").locator(HEAT)).to_have_count(3)
        settle(page)
        expect(page.locator(".model.b .sizes")).to_contain_text("2 layers · 3 heads · width 96")
        expect(button).to_have_count(0)
        expect_drawn(page, ATTENTION, "a", scratch.trace(TEXT))
        click(page, EXPLORER.button)
        expect_drawn(page, EXPLORER, "a", scratch.trace(TEXT))
        expect(explorer(page, "b").locator("canvas.large")).to_have_attribute("aria-label", re.compile("^BERT base: "))
    assert any("model.safetensors" in request for request in hub.requests)
    assert asked(page.url) == {"text": TEXT, "b": "bert-base-uncased"}
    assert "Traceback" not in connected_app.said()


def test_without_the_hub_a_sentence_says_so_and_the_other_column_works_on(visitor, connected_app, scratch):
    page = visitor(connected_app.url).open("/attention-heads", **MAPS, text=TEXT)
    settle(page)
    choose(page, "BERT multilingual")
    page.get_by_role("button", name="Download BERT multilingual").click()
    expect(
        page.get_by_text("The Hugging Face Hub cannot be reached from this server; is there internet?")
    ).to_be_visible()
    expect_drawn(page, ATTENTION, "a", scratch.trace(TEXT))
    type_text(page, OTHER)
    expect(page.get_by_role("button", name="Download BERT multilingual")).to_be_visible()
    expect_drawn(page, ATTENTION, "a", scratch.trace(OTHER))
    expect(chart(page, "a", 2).locator(".xtick text")).to_have_count(len(scratch.trace(OTHER).tokens))
    click(page, EXPLORER.button)
    expect_drawn(page, EXPLORER, "a", scratch.trace(OTHER))
    expect(explorer(page, "b")).to_have_count(0)
    type_text(page, TEXT)
    expect(explorer(page, "a").locator(".sentence .token")).to_have_text(labels(scratch.trace(TEXT)))
