"""The first visit to a fresh server, in a real browser: when the frame is there, when the picture."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from encoder.catalogue import minilm_folder
from tests.bench.clock import milliseconds
from tests.bench.report import Row
from tests.browser import launch
from tests.server import APP, ECHO, ROOT, serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TRIALS = int(os.environ.get("BENCH_VISITS", "5"))
PATIENCE = 60_000  # milliseconds until a picture that does not come counts as missing
FRAME = ("h1", "[data-testid=stSidebar] textarea")
PICTURE = "() => document.querySelector('.st-key-ready') && !document.querySelector('[data-testid^=stSkeleton]')"

# What nobody can do without: both models' libraries and weights, in a process that does nothing else.
BARE = """
import sys, torch
from transformers import BertModel
from tokenizers import Tokenizer
from safetensors.torch import load_file
folder, *checkpoints = sys.argv[1:]
BertModel.from_pretrained(folder, attn_implementation="eager", local_files_only=True)
Tokenizer.from_file(folder + "/tokenizer.json")
for checkpoint in checkpoints:
    load_file(checkpoint)
print("loaded", flush=True)
"""


def rows() -> Iterator[Row]:
    """Frame ÷ the echo app's frame, and full picture ÷ merely importing and loading both models."""
    from playwright.sync_api import sync_playwright

    taken: dict[str, list[float]] = {"frame": [], "picture": [], "echo": [], "bare": []}  # seconds
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for trial in range(TRIALS + 1):
            moments: dict[str, float] = {}
            for ours in (True, False) if trial % 2 else (False, True):  # neither always comes first
                moments |= _visit(browser, APP, full=True) if ours else {"echo": _visit(browser, ECHO)["frame"]}
            moments["bare"] = _load_only()
            if trial:  # the very first only warms the disk and the browser
                for name, seconds in moments.items():
                    taken[name].append(seconds)
        browser.close()
    took = {name: milliseconds(values) for name, values in taken.items()}
    note = f"{TRIALS} fresh servers"
    yield Row("first visit", "frame visible ÷ echo", took["frame"], took["echo"], target=1.5, note=note)
    name = "full picture ÷ importing and loading the models"
    yield Row("first visit", name, took["picture"], took["bare"], target=1.3, note=note)


def _visit(browser: "Browser", app: Path, full: bool = False) -> dict[str, float]:
    """Seconds from the address to the frame and, if wanted, to the full picture; a fresh server, nothing cached."""
    moments: dict[str, float] = {}
    with serve(app) as server:
        context = browser.new_context(viewport={"width": 1280, "height": 720})
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        start = time.perf_counter()
        page.goto(server.url, wait_until="commit")
        for selector in FRAME:
            page.wait_for_selector(selector)
        moments["frame"] = time.perf_counter() - start
        if full:
            page.wait_for_function(PICTURE)
            moments["picture"] = time.perf_counter() - start
        context.close()
    return moments


def _load_only() -> float:
    """Seconds from starting a Python process until it has imported and loaded what both models need."""
    checkpoints = sorted((ROOT / "assets").rglob("*.safetensors"))
    command = [sys.executable, "-c", BARE, str(minilm_folder()), *map(str, checkpoints)]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with process:
        line = process.stdout.readline() if process.stdout else ""
        taken = time.perf_counter() - start
    if line != "loaded\n":
        raise RuntimeError("the models could not be loaded by themselves")
    return taken
