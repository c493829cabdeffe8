"""What several test files share."""

import atexit
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

# Before any import of a library that would ask: no test needs the network.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
if "ENCODER_LENS_CORPUS" not in os.environ:  # workers and servers take it over: a few of the sentences, kept together
    folder = Path(tempfile.mkdtemp(prefix="encoder-lens-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    kinds = json.loads((Path(__file__).parents[1] / "assets/corpus.json").read_text(encoding="utf-8"))
    (folder / "few.json").write_text(json.dumps({kind: texts[:6] for kind, texts in kinds.items()}), encoding="utf-8")
    os.environ |= {"ENCODER_LENS_CORPUS": str(folder / "few.json"), "ENCODER_LENS_CACHE": str(folder)}
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # the workers share the cores already; more threads would wait for each other


@pytest.fixture
def alone():
    """Torch in one thread: tiny products on two threads of a busy machine wait for each other most of the time."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def minilm():
    """The embedded pretrained model."""
    from encoder.models import load

    return load("minilm")


@pytest.fixture(scope="session")
def scratch():
    """The encoder from scratch that comes with the app, taught by this project's own code."""
    from encoder.models import load

    return load("scratch")


@pytest.fixture
def tiny_folder(tmp_path):
    """The folder of a tiny random BERT, for the test to spoil."""
    from tests.tiny import save_tiny

    return save_tiny(tmp_path / "tiny")


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium. One for each file: Playwright's event loop would be in the way of other tests."""
    from playwright.sync_api import expect, sync_playwright

    from tests.browser import launch
    from tests.screen import PATIENCE

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        running = launch(playwright)
        yield running
        running.close()


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory):
    """Where the running app looks for a teacher's own models."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def app(models_folder):
    """The app on a free port, one for all tests."""
    from tests.server import serve

    with serve(ENCODER_LENS_MODELS=str(models_folder)) as server:
        yield server


@pytest.fixture
def visitor(browser, app):
    """Lets a person in: `visitor(phone=True).open("/all-layers")`. Any complaint of their browser fails the test."""
    from tests.screen import Visitor

    people = []

    def arrive(url=None, **wishes):
        people.append(Visitor(browser, url or app.url, **wishes))
        return people[-1]

    yield arrive
    complaints = [complaint for person in people for complaint in person.complaints]
    for person in people:
        person.close()
    assert complaints == []
