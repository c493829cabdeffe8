"""The app, driven as a person would drive it: pages opened, widgets moved, then read as a person would read them."""

import base64
import json
import re
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from streamlit.components.v2.component_manager import BidiComponentManager
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block

from encoder import packing, survey
from encoder.figures.cells import WRITTEN
from encoder.lesson import LessonConfig
from encoder.workshop import Run
from pages.shared import explorer, lessons, state

APP = Path(__file__).parent.parent / "app.py"
# Where both models read the text.
PAGES = ("side_by_side", "embeddings", "attention", "feed_forward", "step_by_step", "what_if", "layers")
OWNER = "somebody"
SECONDS = 120  # the first run of a process imports torch and loads both models, on a machine that may be busy

MAPS = {"attention_view": "maps", "layer": "1", "head": "1"}  # not where the text would have it open

# Every page as it opens, and Attention as a page of charts: (page, address).
OPENINGS = [*((page, {}) for page in PAGES), ("attention", MAPS)]

# Every picture that a page can draw: (page, address).
VIEWS = [
    ("side_by_side", {}),
    *(
        ("embeddings", {"embedding_view": view})
        for view in ("sum", "similarity", "path", "nearest", "elsewhere", "corpus")
    ),
    *(("embeddings", {"embedding_view": "map", "space": space}) for space in ("2d", "3d", "tsne")),
    *(("attention", {"attention_view": view}) for view in ("all", "maps", "three", "head", "model", "neuron")),
    *(("attention", {"attention_view": "roles", "basis": basis}) for basis in ("text", "corpus")),
    *(("feed_forward", {"neuron_view": view}) for view in ("corpus", "after", "before")),
    *(("step_by_step", {"step": step}) for step in ("embedding", "score", "softmax", "context", "activation")),
    ("what_if", {"what_if_view": "each"}),
    *(("what_if", {"outcome": outcome, "off": "1.1-2.3", "off_b": "2.2"}) for outcome in ("hidden", "attention")),
    # Of tokens, of heads, and of tokens with the layer's weights.
    *(("layers", {"quantity": quantity}) for quantity in ("alike", "entropy", "mix")),
]


@contextmanager
def trained(**settings: Any) -> Iterator[Run]:
    """A visitor has trained an encoder, though a small one and not for long."""
    shop = lessons.workshop()
    config = LessonConfig(**{"steps": 40, "width": 16, "layers": 2, "heads": 2, **settings})
    with patch.object(shop, "_is_here", lambda owner: True), patch.object(lessons, "_owner", lambda: OWNER):
        run = shop.start(OWNER, config)
        until(lambda: run.over and run._process is None)  # the workshop has let go of it
        assert run.state == "done", run.why
        yield run
        shop._forget(run)


def until(so: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait for something to be so."""
    end = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < end, "It took too long."
        time.sleep(0.05)


def view_name(page: str, address: dict[str, str]) -> str:
    return "-".join([page, *address.values()])


def start(**address: str) -> AppTest:
    """A new visitor, on the first page."""
    app = AppTest.from_file(APP, default_timeout=SECONDS)
    app._bidi_component_manager = _components()
    app.query_params.update(address)
    return app.run()


def open_page(page: str, **address: str) -> AppTest:
    """A new visitor who goes to a page by its address."""
    # A cold AppTest does not know st.navigation's pages yet and would draw one without the frame around it. So the
    # page is the visitor's second, come to as by the browser's Back.
    app = start()
    app.query_params.update(address)
    app = back(app.switch_page(f"pages/{page}.py"))
    return surveyed(app)


def surveyed(app: AppTest) -> AppTest:
    """The same once the example sentences have been read, where the page waits for them."""
    under_way = [each for each in survey._surveys.values() if not each.finished]
    for each in under_way:
        each.join(SECONDS)
    return app.run() if under_way else app


def back(app: AppTest) -> AppTest:
    """To the address that stands in `app.query_params`, as by the browser's Back, which AppTest does not have."""
    with patch.object(state, "_went_back", return_value=True):
        return app.run()


def go(app: AppTest, page: str) -> AppTest:
    """To another page by the navigation, which leaves the address empty."""
    app.query_params.clear()
    return surveyed(app.switch_page(f"pages/{page}.py").run())


def ask(app: AppTest, text: str) -> AppTest:
    return app.text_area(key="pick.text").set_value(text).run()


def fine(app: AppTest) -> bool:
    """Whether the page was drawn to its end, without a stack trace, Streamlit's red box or what nobody foresaw."""
    whole = not app.exception and not app.error and "every number on this page" in said(app.main)
    return whole and "something unexpected" not in said(app.main).lower()


def half(app: AppTest, side: str) -> Block:
    """The column of the left ("a") or right ("b") model."""
    for node in app.main:
        if isinstance(node, Block) and any(
            child.type == "html" and f'class="model {side}"' in child.value for child in node.children.values()
        ):
            return node
    raise KeyError(f"There is no column {side}.")


def said(part: AppTest | Block) -> str:
    """All captions, notes and warnings, one a line."""
    kinds = ("caption", "markdown", "info", "warning", "error")
    return "\n".join(element.value for kind in kinds for element in part.get(kind))


def charts(app: AppTest, side: str = "") -> dict[str, dict[str, Any]]:
    """Plotly's JSON of every chart, or of one column's, by key: chart-a-1, chart-a-2, …"""
    found = {str(chart.key): json.loads(chart.proto.spec) for chart in app.get("plotly_chart")}
    return {key: spec for key, spec in found.items() if key.startswith(f"chart-{side}") or not side}


def heat_maps(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The heat maps of a chart, without the numbers written on or beside them."""
    return [trace for trace in spec["data"] if trace["type"] == "heatmap"]


def drawn(spec: dict[str, Any]) -> np.ndarray:
    """The numbers of a chart's first heat map."""
    return cells(heat_maps(spec)[0])


def cells(trace: dict[str, Any]) -> np.ndarray:
    """The numbers of a heat map, of which some are sent as thousandths."""
    return numbers(trace["z"]) / (1_000 if WRITTEN in trace.get("hovertemplate", "") else 1)


def sent(app: AppTest) -> int:
    """The bytes of all elements that a turn sends to the browser, without the page's style: that comes once a visit."""
    nodes = [node for part in (app.main, app.sidebar) for node in part if node.type not in ("main", "sidebar")]
    drawn = [node for node in nodes if node.type != "html" or not node.value.startswith("<style>")]
    return sum(node.proto.ByteSize() for node in drawn if node.proto is not None)


def numbers(packed: Any) -> np.ndarray:
    """An array as Plotly sends it: a list, or base64 with a type and a shape."""
    if not isinstance(packed, dict):
        return np.array(packed, dtype=float)
    array = np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"])
    return array.reshape([int(size) for size in packed["shape"].split(",")]) if "shape" in packed else array


def names(labels: list[str]) -> list[str]:
    """Axis labels without the invisible spaces that keep equal ones apart."""
    return [label.rstrip("\u200b") for label in labels]


def markdown(app: AppTest) -> str:
    """Everything that the browser reads as Markdown: bodies, labels, tooltips; not values, HTML, figures or frames."""
    nodes = [node for part in (app.main, app.sidebar) for node in part]
    read = [node.proto for node in nodes if node.type not in ("html", "iframe", "plotly_chart", "main", "sidebar")]
    return "\n".join(text for proto in read if proto is not None for text in _markdown_of(proto))


def html(app: AppTest) -> str:
    return "\n".join(element.value for element in app.get("html"))


def frames(app: AppTest) -> list[Any]:
    """BertViz's documents, each with `.srcdoc`, `.alt`."""
    return [frame.proto for frame in app.get("iframe")]


def told(app: AppTest) -> bytes:
    """What the page sends to the attention explorer, b"" where there is none."""
    return next((bytes(part.proto.bytes) for part in app.get("bidi_component") if part.key == explorer.KEY), b"")


def in_bertviz(frame: Any) -> str:
    """What a frame of BertViz's is told, as JSON."""
    [packed] = re.findall(r'id="params">(.*?)</script>', frame.srcdoc)
    return zlib.decompress(base64.b64decode(packed)).decode()


def explored(app: AppTest) -> dict[str, Any]:
    """What the page tells the explorer: "choice", and "models" by side, each with the weights of its first block."""
    sent = told(app)
    if not sent:
        return {"choice": {}, "models": {}}
    length = int.from_bytes(sent[:4], "little")
    header, body = json.loads(sent[4 : 4 + length]), sent[4 + length :]
    for model in header["models"]:
        model["attention"] = _attention(model, zlib.decompress(body[: model["bytes"]]))
        body = body[model["bytes"] :]
    return {"choice": header["choice"], "models": {model["side"]: model for model in header["models"]}}


def choose(app: AppTest, choice: Any) -> AppTest:
    """Let the explorer's browser side tell what was chosen there; AppTest has no browser."""
    [component] = (part.proto for part in app.get("bidi_component") if part.key == explorer.KEY)
    widgets = app._tree.get_widget_states()
    widgets.widgets.append(WidgetState(id=component.id, json_value=json.dumps({"choice": choice})))
    return app._run(widgets)


def layers_and_heads(app: AppTest) -> dict[str, int]:
    """The sliders on the page, by choice: layer, head, layer_b, …"""
    return {str(slider.key).removeprefix("pick."): slider.value for slider in app.slider}


def _markdown_of(message: Any) -> Iterator[str]:
    """The strings that Markdown may stand in, of a protobuf message and those inside it."""
    for field, value in message.ListFields():
        if isinstance(value, str):
            if field.name in ("body", "label", "help", "content", "text", "caption", "placeholder"):
                yield value
        elif field.message_type:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from _markdown_of(part)


def _attention(model: dict[str, Any], body: bytes) -> np.ndarray:
    """[head of a block, query, key]"""
    first, larges = model["blocks"][0], sum(block["larges"] for block in model["blocks"])
    here = model["layers"] * model["heads"] if model["shown"] is None else len(model["shown"])
    start = 2 * here * len(model["tokens"])
    large = np.frombuffer(body, "<u2", first["larges"], start)
    codes = np.frombuffer(body, np.uint8, first["count"] * first["side"] ** 2, start + 2 * larges).astype(np.uint16)
    codes[codes == packing.SMALL] = large
    return packing.weights(codes.reshape(first["count"], first["side"], first["side"]))


@cache
def _components() -> BidiComponentManager:
    """Looking through all installed packages for components takes half a second; one server does it once too."""
    manager = BidiComponentManager()
    manager.discover_and_register_components(start_file_watching=False)
    return manager
