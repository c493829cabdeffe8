"""The attention explorer: its bytes beside BertViz's, its first picture beside the echo app's, and its frames."""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from encoder import packing
from tests.bench import texts
from tests.bench.clock import milliseconds, percentile, spread
from tests.bench.report import Row
from tests.browser import launch
from tests.server import ECHO, serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page

    from encoder.models import Model
    from encoder.trace import Trace

TURNS = 9  # texts typed
TIMES = 20  # each act
PATIENCE = 90_000  # milliseconds
LARGE = "twelve-by-twelve"  # a random model with as many layers and heads as BERT base

# Types a text as the browser would, presses Ctrl+Enter (or waits for the pause), and counts until it is painted.
ASK = """async ([box, text, enter, painted]) => {
  const area = document.querySelector(box);
  const isPainted = new Function("text", `return ${painted}`);
  Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(area, text);
  area.dispatchEvent(new Event("input", { bubbles: true }));
  await new Promise((done) => setTimeout(done, enter ? 30 : 0));
  const start = performance.now();
  if (enter) area.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", ctrlKey: true, bubbles: true }));
  while (!isPainted(text)) await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  return performance.now() - start;
}"""
EXPLORER = (
    "[...document.querySelectorAll('[data-testid=stBidiComponentIsolated]')]"
    ".find((one) => one.shadowRoot?.querySelector('.explorer'))?.shadowRoot"
)
# Both sentences end in the text's last words, and both atlases have been drawn for them.
ATLASES = f"""(() => {{
  const root = {EXPLORER};
  if (!root) return false;
  const words = text.toLowerCase().replace(/[^a-z]/g, "");
  const said = [...root.querySelectorAll(".sentence")].map((one) => one.textContent.replace(/[^a-z]/g, ""));
  const drawn = [...root.querySelectorAll("canvas.heads")].map((one) => Boolean(one.dataset.drawn));
  return said.length === 2 && said.every((one) => one.includes(words)) && drawn.every(Boolean);
}})()"""
# The one atlas shown has been drawn for the text.
ATLAS = ATLASES.replace("said.length === 2", "said.length === 1")
ECHOED = "[...document.querySelectorAll('[data-testid=stText]')].some((one) => one.textContent === text)"


def rows() -> Iterator[Row]:
    """Bytes ÷ BertViz's, Enter → painted ÷ the echo app's, script a frame, and a text of 512 tokens."""
    from playwright.sync_api import sync_playwright

    from encoder.models import load

    yield from _bytes(load("minilm"))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        _save_large(Path(folder) / LARGE)
        browser = launch(playwright)
        with serve(ENCODER_LENS_MODELS=folder) as ours, serve(ECHO) as echo:
            yield from _painted(browser, ours.url, echo.url)
            yield from _frames(browser, ours.url)
            yield from _long(browser, ours.url)
        browser.close()


def _bytes(model: "Model") -> Iterator[Row]:
    for tokens in (32, 64, 128):
        trace = model.trace(texts.of_tokens(tokens), None, tokens)
        ours = len(packing.message([packing.pack("a", trace)], {})) / 1e3
        name = f"one model's attention, {tokens} tokens ÷ BertViz's head view"
        yield Row("explorer", name, ours, _bertviz(trace) / 1e3, unit="kB", target=0.025)


def _bertviz(trace: "Trace") -> int:
    """Bytes of the HTML that BertViz itself makes of a trace."""
    import torch
    from bertviz import head_view

    attention = [torch.tensor(layer.attention)[None] for layer in trace.layers]
    return len(head_view(attention, list(trace.tokens.text), html_action="return").data.encode())


def _painted(browser: "Browser", ours: str, echo: str) -> Iterator[Row]:
    fresh = texts.never_seen(seed=5, words=61)  # 64 tokens with the full stop, [CLS] and [SEP]
    here, there = _page(browser, f"{ours}/attention-heads"), _page(browser, echo)
    _ready(here)
    there.wait_for_selector("textarea")
    took: dict[str, list[float]] = {"ours": [], "echo": [], "typed": []}  # seconds
    for _ in range(TURNS + 1):
        box = ".st-key-pick-text textarea"
        took["ours"].append(here.evaluate(ASK, [box, next(fresh), True, ATLASES]) / 1e3)
        took["echo"].append(there.evaluate(ASK, ["textarea", next(fresh), True, ECHOED]) / 1e3)
        took["typed"].append(here.evaluate(ASK, [box, next(fresh), False, ATLASES]) / 1e3)
    took = {name: some[1:] for name, some in took.items()}  # the first ones fetch scripts
    mine, theirs = milliseconds(took["ours"]), milliseconds(took["echo"])
    note = spread(took["ours"], took["echo"])
    yield Row("explorer", "Enter → both atlases painted, 64 tokens ÷ echo", mine, theirs, target=3, note=note)
    yield Row("explorer", "last key → the same, with the pause of 250 ms", milliseconds(took["typed"]))
    here.context.close()
    there.context.close()


def _frames(browser: "Browser", url: str) -> Iterator[Row]:
    text = texts.of_tokens(128).replace(" ", "+")
    page = _page(
        browser,
        f"{url}/attention-heads?a={LARGE}&b={LARGE}&more=2.1-3.2-4.3-5.4-6.5&more_b=2.1-3.2-4.3-5.4-6.5&text={text}",
    )
    turn = 0  # every act is another choice than the one before: nothing is found prepared
    _ready(page)

    def select(name: str, *values: str) -> Callable[[], Any]:
        return lambda: page.locator(f"select[name={name}]").select_option(values[turn % len(values)])

    page.wait_for_timeout(1_500)
    acts: dict[str, Callable[[], Any]] = {
        "head": lambda: page.keyboard.press("ArrowRight"),
        "layer": lambda: page.keyboard.press("ArrowUp"),
        "hover": lambda: page.locator("canvas.large").first.hover(position={"x": 150, "y": 150 + 7 * turn}),
        "mean or maximum": select("over", "max", "mean"),
        "layer of means": lambda: page.keyboard.press("ArrowUp"),
        "norm-weighted": select("weights", "norm", "raw"),
        "whole words": lambda: page.locator("input[name=words]").click(),
        "hide special": lambda: page.locator("input[name=hide]").click(),
        "renormalise": lambda: page.locator("input[name=renorm]").click(),
        "threshold": lambda: page.locator("input[name=top]").fill(str(90 - 3 * turn)),
        "sort": select("sort", "entropy", "previous", "distance"),
        "left − right": lambda: page.locator("input[name=minus]").click(),
        "rollout": select("weights", "rollout", "raw"),
        "lines of six heads": select("layout", "flat", "lines", "map"),  # the last one of TIMES: lines
        "hover over them": lambda: page.locator("canvas.large").first.hover(position={"x": 250, "y": 80 + 12 * turn}),
    }
    page.locator(".explorer").focus()
    for name, act in acts.items():
        if "layer" in name:
            page.locator(".explorer").focus()
        longest = []
        for turn in range(TIMES):  # noqa: B007 - the acts read it
            browser.start_tracing(page=page, categories=["devtools.timeline"])
            act()
            page.wait_for_timeout(250)
            frames = _script(browser.stop_tracing())
            if not frames:
                raise RuntimeError(f"nothing was drawn: {name}")
            longest.append(max(frames))
        script, clock = ([getattr(frame, what) for frame in longest] for what in ("script", "clock"))
        note = f"median {percentile(script, 0.5):.1f}, by the clock {percentile(clock, 0.95):.1f} ms"
        name = f"an act's longest frame, script, 128 × 12 × 12, both sides: {name}, p95 of {TIMES}"
        yield Row("explorer", name, percentile(script, 0.95), target=16, note=note)
    page.context.close()


class Frame(NamedTuple):
    """Milliseconds that the explorer takes of a frame: of its thread, and by the clock, where others work too."""

    script: float
    clock: float


def _script(trace: bytes) -> list[Frame]:
    """What Chromium's own record says of the frames in which the explorer ran."""
    frames, script, clock, end = [], 0, 0, 0
    for event in sorted(_on_main_thread(trace), key=lambda event: event["ts"]):
        if event["name"] == "Layerize" and clock:
            frames.append(Frame(script / 1e3, clock / 1e3))
            script = clock = 0
        called = event["args"].get("data", {}).get("url", "") if event["name"] == "FunctionCall" else ""
        if "bidi-explorer" in called and event["ts"] >= end:  # one that another has called is part of it
            script, clock, end = script + event["tdur"], clock + event["dur"], event["ts"] + event["dur"]
    return frames


def _long(browser: "Browser", url: str) -> Iterator[Row]:
    page, wire = _page(browser, "about:blank"), list[int]()
    page.on("websocket", lambda socket: socket.on("framereceived", lambda data: wire.append(len(data))))
    page.goto(f"{url}/attention-heads?b={LARGE}&show=b&limit=512")
    _ready(page)
    page.wait_for_timeout(3_000)
    text, box = texts.of_tokens(512), ".st-key-pick-text textarea"
    wire.clear()
    longest = {}  # milliseconds of the main thread, whoever's script it is
    acts: dict[str, Callable[[], Any]] = {
        "opening": lambda: page.evaluate(ASK, [box, text, True, ATLAS]),
        "another layer": lambda: _another_layer(page),
        "saving an SVG": lambda: _save(page, "SVG"),
    }
    for name, act in acts.items():
        browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline"])
        act()
        page.wait_for_timeout(500)
        longest[name] = _longest_task(browser.stop_tracing())
    session = page.context.new_cdp_session(page)
    yield Row("explorer", "512 × 12 × 12: sent, two layers", sum(wire) / 1e6, unit="MB", target=60)
    yield Row("explorer", "512 × 12 × 12: heap of the tab", _heap(session), unit="MB", target=250)
    for name, took in longest.items():
        yield Row("explorer", f"512 × 12 × 12: the tab's longest task, {name}", took, target=100)
    page.context.close()


def _another_layer(page: "Page") -> None:
    page.locator(".explorer").focus()
    page.keyboard.press("ArrowUp")
    page.locator(".stage:visible").wait_for(state="detached")  # its weights are on their way…
    page.locator(".stage:visible").wait_for()


def _save(page: "Page", kind: str) -> None:
    page.locator(".save summary").click()
    with page.expect_download():
        page.locator(".save").get_by_role("button", name=kind, exact=True).click()


def _longest_task(trace: bytes) -> float:
    """Milliseconds of the longest task of the tab's main thread: as long nothing else can happen there."""
    tasks = [event for event in _on_main_thread(trace) if event["name"].endswith("RunTask")]
    return max(event.get("tdur", 0) for event in tasks) / 1e3


def _on_main_thread(trace: bytes) -> Iterator[dict[str, Any]]:
    """What Chromium's record says of the thread of a tab where its scripts run, each with a beginning and an end."""
    events = json.loads(trace)["traceEvents"]
    mains = {event["pid"]: event["tid"] for event in events if event.get("args", {}).get("name") == "CrRendererMain"}
    return (event for event in events if event["ph"] == "X" and mains.get(event["pid"]) == event["tid"])


def _heap(session: "CDPSession") -> float:
    """Megabytes of the tab's JavaScript and of the arrays that it holds, after a collection."""
    session.send("HeapProfiler.collectGarbage")
    usage = session.send("Runtime.getHeapUsage")
    return float(usage["usedSize"] + usage.get("embedderHeapUsedSize", 0) + usage.get("backingStorageSize", 0)) / 1e6


def _page(browser: "Browser", address: str) -> "Page":
    page = browser.new_context(viewport={"width": 1280, "height": 720}).new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    return page


def _ready(page: "Page") -> None:
    page.wait_for_selector("canvas.heads[data-drawn]")


def _save_large(folder: Path) -> None:
    """A random BERT of 12 layers and 12 heads, narrow, as the explorer sees only its attention."""
    from transformers import BertConfig, BertModel

    from encoder.catalogue import minilm_folder

    config = BertConfig(num_hidden_layers=12, num_attention_heads=12, hidden_size=192, intermediate_size=192)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((minilm_folder() / "tokenizer.json").read_bytes())
