"""What a visitor's browser shows: a person's own browser, every view with its pictures, and what counts as drawn."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Dialog,
    Locator,
    Page,
    Request,
    WebSocket,
    WebSocketRoute,
    expect,
)
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from encoder.labels import visible
from encoder.trace import Trace

PATIENCE = 60_000  # milliseconds: the first visit loads torch and both models, on a machine that may be busy
PROJECTOR, PHONE = {"width": 1280, "height": 720}, {"width": 390, "height": 844}
SIDES = ("a", "b")

# On a deep link Streamlit's own script looks for the server under every part of the path, /page/_stcore/health first,
# before it finds it at the root: two 404s a visit, and no way to tell it better.
PROBE = re.compile(r"https?://127\.0\.0\.1:\d+/[\w-]+/_stcore/(health|host-config)")


class Visitor:
    """One person's browser, whose network ends at this machine. `complaints` holds whatever went wrong in it."""

    def __init__(self, browser: Browser, url: str, phone: bool = False, dark: bool = False) -> None:
        self.url = url
        self.complaints: list[str] = []
        self.context = browser.new_context(
            viewport=PHONE if phone else PROJECTOR, has_touch=phone, is_mobile=phone,  # type: ignore[arg-type]
            color_scheme="dark" if dark else "light", accept_downloads=True,
        )  # fmt: skip
        self.context.set_default_timeout(PATIENCE)
        self.context.route(lambda address: not self._is_here(address), lambda route: route.abort())
        self.context.on("request", self._requested)
        self.context.on("console", self._wrote)
        self.context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def open(self, path: str = "/", **query: Any) -> Page:
        """A new tab at an address, before anything is drawn."""
        page = self.context.new_page()
        page.on("dialog", self._asked)
        page.on("websocket", self._connected)
        page.goto(self.url + address(path, **query), wait_until="commit")
        return page

    def intercept(self, handle: Callable[[ForwardMsg, Callable[[], None]], None]) -> None:
        """From the next page on, `handle(message, send)` decides what becomes of a message of the server's."""

        def carry(browser: WebSocketRoute) -> None:
            def pass_on(words: str | bytes) -> None:
                message = ForwardMsg.FromString(words) if isinstance(words, bytes) else ForwardMsg()
                handle(message, lambda: browser.send(words))

            browser.connect_to_server().on_message(pass_on)

        self.context.route_web_socket(re.compile("/_stcore/stream"), carry)

    def close(self) -> None:
        self.context.close()

    def _is_here(self, url: str) -> bool:
        return url.startswith((f"{self.url}/", "data:", "blob:", "about:"))

    def _requested(self, request: Request) -> None:
        if not self._is_here(request.url):
            self.complaints.append(f"request to {request.url}")

    def _asked(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _connected(self, socket: WebSocket) -> None:
        if not self._is_here(socket.url.replace("ws", "http", 1)):
            self.complaints.append(f"connection to {socket.url}")

    def _wrote(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not PROBE.fullmatch(message.location["url"]):
            self.complaints.append(f"console: {message.text} ({message.location['url']})")


@dataclass(frozen=True)
class Picture:
    """One chart of a column: words of its accessible name, and its marks: how many of which a trace must give."""

    alt: str
    marks: str
    count: Callable[[Trace], int] = lambda trace: 1


@dataclass(frozen=True)
class View:
    """A page as one of its pictures shows it: where it is, what to click there, and a column's charts in order."""

    path: str
    query: dict[str, str]
    pictures: tuple[Picture, ...] = ()
    button: str = ""
    frame: str = ""  # BertViz's lines, counted by `lines`
    lines: Callable[[Trace], int] = field(default=lambda trace: 0)
    explorer: bool = False

    def __str__(self) -> str:
        return "-".join([self.path.strip("/") or "side-by-side", *self.query.values()])


def _tokens(trace: Trace) -> int:
    return len(trace.tokens)


def _heads(trace: Trace) -> int:
    return trace.model.heads


HEAT, BARS, DOTS = ".heatmaplayer image", ".barlayer .point path", ".scatterlayer .points path"
PAGES = {
    "Side by side": "/",
    "Embeddings": "/token-embeddings",
    "Attention": "/attention-heads",
    "Feed-forward": "/feed-forward",
    "Step by step": "/inside-a-layer",
    "What if": "/what-if",
    "Layers": "/all-layers",
}


def _neurons(last: str) -> tuple[Picture, ...]:
    return (
        Picture("the most active neurons", HEAT),
        Picture("strongest neurons of a token", BARS, lambda trace: 8),
        Picture("strongest tokens of a neuron", BARS, lambda trace: min(8, _tokens(trace))),
        Picture(last, BARS, lambda trace: trace.model.layers),
    )


MAPS = (
    Picture("attention of all heads", HEAT, _heads),
    Picture("attention of head", HEAT),
)
VIEWS = (
    View("/", {}),
    View("/token-embeddings", {}, (Picture("strip of coloured cells", HEAT, lambda trace: 5),), "The sum"),
    View("/token-embeddings", {"embedding_view": "similarity"}, (Picture("cosine", HEAT),), "Similarity"),
    View("/token-embeddings", {"embedding_view": "map"}, (Picture("map of the tokens", DOTS, _tokens),), "Map"),
    View(
        "/token-embeddings",
        {"embedding_view": "map", "space": "3d"},
        (Picture("map of the tokens", ".gl-container canvas"),),
        "PCA in 3-D",
    ),
    View(
        "/token-embeddings",
        {"embedding_view": "map", "space": "tsne"},
        (Picture("map of the tokens", DOTS, _tokens),),
        "t-SNE",
    ),
    View(
        "/token-embeddings",
        {"embedding_view": "path"},
        (Picture("path through the layers", DOTS, lambda trace: _tokens(trace) + trace.model.layers + 1),),
        "Path",
    ),
    View(
        "/token-embeddings", {"embedding_view": "elsewhere"}, (Picture("cosines of the word", HEAT),), "Word elsewhere",
    ),
    View("/token-embeddings", {"embedding_view": "corpus"}, (Picture("CKA of every", HEAT),), "Example sentences"),
    View("/attention-heads", {}, (), "All heads", explorer=True),
    View("/attention-heads", {"attention_view": "maps"}, MAPS, "Heat maps"),
    View("/attention-heads", {"attention_view": "roles"}, (Picture("what each head mostly does", HEAT),), "Roles"),
    View(
        "/attention-heads", {"attention_view": "three"}, (Picture("raw weights", HEAT, lambda trace: 3),),
        "Three readings",
    ),
    View(
        "/attention-heads", {"attention_view": "head"}, (), "BertViz heads",
        "#attention line", lambda trace: _heads(trace) * _tokens(trace) ** 2,
    ),
    View(
        "/attention-heads", {"attention_view": "model"}, (), "BertViz model",
        "line", lambda trace: trace.model.layers * _heads(trace) * _tokens(trace) ** 2,
    ),
    View(
        "/attention-heads", {"attention_view": "neuron"}, (), "BertViz neurons",
        "#collapsed .attn-line-group line", lambda trace: _tokens(trace) ** 2,
    ),
    View(
        "/feed-forward", {}, (Picture("share of silent neurons", BARS, lambda trace: trace.model.layers),),
        "Example sentences",
    ),
    View(
        "/feed-forward", {"neuron_view": "after"}, _neurons("share of silent neurons"), "After the activation function",
    ),
    View(
        "/feed-forward", {"neuron_view": "before"}, _neurons("share of preactivations below zero"),
        "Before the activation function",
    ),
    View("/inside-a-layer", {}, (Picture("share of every token", BARS, _tokens),)),
    View("/what-if", {}, (Picture("how far each token turns", HEAT),), "Change something"),
    View("/what-if", {"what_if_view": "each"}, (Picture("change without each head", HEAT),), "Every head alone"),
    View("/all-layers", {}, (Picture("through the layers", HEAT),)),
)  # fmt: skip
EXPLORER, ATTENTION = (view for view in VIEWS if view.explorer or view.pictures == MAPS)


def address(path: str, **query: Any) -> str:
    return f"{path}?{urlencode(query, quote_via=quote)}" if query else path


def asked(url: str) -> dict[str, str]:
    """What an address asks for."""
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def settle(page: Page) -> None:
    """Wait until the script has ended and nothing on the page is a placeholder any more."""
    page.wait_for_function(
        """() => document.querySelector("[data-testid=stApp]")?.dataset.testScriptState === "notRunning"
              && document.querySelector(".st-key-ready")
              && !document.querySelector("[data-testid^=stSkeleton], [data-stale=true]")"""
    )


def chart(page: Page, side: str, number: int, start: str = "", part: str = "") -> Locator:
    """A column's chart whose accessible name starts so and has this part: while a page changes, old ones are there."""
    name = "".join(f'[aria-label{how}"{words}"]' for how, words in (("^=", start), ("*=", part)) if words)
    return page.locator(f".st-key-chart-{side}-{number} [data-testid=stPlotlyChart]{name}")


def frames(page: Page) -> Locator:
    return page.locator("iframe[data-testid=stIFrame]")


def explorer(page: Page, side: str) -> Locator:
    """One side of the attention explorer, in the component's shadow root, once it is ready."""
    return page.locator(f".explorer[data-ready] .side.{side}")


def expect_explored(page: Page, side: str, trace: Trace) -> None:
    """The explorer shows the sentence that the model read, all its heads small and one large."""
    part, card = explorer(page, side), trace.model
    expect(part.locator(".sentence .token")).to_have_text(labels(trace))
    small, large = part.locator("canvas.heads[data-drawn]"), part.locator("canvas.large")
    expect(small).to_have_attribute(
        "aria-label", f"{card.name}: {card.layers} layers of {card.heads} heads as small maps"
    )
    expect(large).to_have_attribute("aria-label", re.compile(rf"^{re.escape(card.name)}: layer \d+, head \d+"))
    for canvas in (small, large):
        assert canvas.evaluate(INKS) > 1, f"{canvas.get_attribute('aria-label')}: a picture of one colour"


# How many different colours a canvas has.
INKS = """(canvas) => new Set(new Uint32Array(
  canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size"""


def expect_drawn(page: Page, view: View, side: str, trace: Trace) -> None:
    """Everything that a view draws in one column, marks and words, of what the model made of the text."""
    for number, picture in enumerate(view.pictures, 1):
        drawing = chart(page, side, number, f"{trace.model.name}: ", picture.alt)
        expect(drawing.locator(picture.marks)).to_have_count(picture.count(trace))
        assert all(colours > 1 for colours in colour_counts(drawing)), f"{picture.alt}: a heat map of one colour"
    if view.explorer:
        expect_explored(page, side, trace)
    if view.frame:
        frame = page.locator(f'iframe[title="BertViz’s {view.query["attention_view"]} view of {trace.model.name}"]')
        expect(frame.content_frame.locator(view.frame)).to_have_count(view.lines(trace))
    if view.path == "/":
        images = page.locator(".stage img")
        expect(images).to_have_count(8)
        half = images.all()[:4] if side == "a" else images.all()[4:]
        for image in half:
            page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=image.element_handle())
            assert image.get_attribute("alt")


def expect_both_drawn(page: Page, view: View, left: Trace, right: Trace) -> None:
    expect_drawn(page, view, "a", left)
    expect_drawn(page, view, "b", right)


def colour_counts(drawing: Locator) -> list[int]:
    """How many different colours each heat map of a chart has."""
    counts: list[int] = drawing.locator(HEAT).evaluate_all(
        """(images) => Promise.all(images.map(async (image) => {
             const picture = new Image();
             picture.src = image.getAttribute("href") || image.getAttribute("xlink:href");
             await picture.decode();
             const canvas = new OffscreenCanvas(picture.width, picture.height);
             const pen = canvas.getContext("2d");
             pen.drawImage(picture, 0, 0);
             return new Set(new Uint32Array(pen.getImageData(0, 0, picture.width, picture.height).data.buffer)).size;
           }))"""
    )
    return counts


def ticks(drawing: Locator, axis: str) -> list[str]:
    """The labels along the first x or y axis of a chart that is drawn, from left to right or from top to bottom."""
    texts = drawing.locator(f".{axis}tick text").all_text_contents()  # in Plotly's order: from left, from below
    return [text.rstrip("\u200b") for text in (texts if axis == "x" else texts[::-1])]


def expect_ticks(drawing: Locator, axis: str, wanted: Sequence[str]) -> None:
    """Wait until those are its labels: Plotly takes them away and puts them back while it redraws."""
    ordered = wanted if axis == "x" else wanted[::-1]
    whole = [re.compile(rf"^{re.escape(name)}\u200b*$") for name in ordered]
    expect(drawing.locator(f".{axis}tick text")).to_have_text(whole)


def labels(trace: Trace) -> list[str]:
    return [visible(token) for token in trace.tokens.text]


def named(trace: Trace) -> list[str]:
    """The same as the explorer's numbers name them: what is there more than once with its place."""
    names = labels(trace)
    return [f"{name} ({place})" if names.count(name) > 1 else name for place, name in enumerate(names, 1)]


def pick(page: Page, name: str) -> Locator:
    """The widget of a choice."""
    return page.locator(f".st-key-pick-{name}")


def unfold(select: Locator) -> None:
    """Open a list of options. It closes whenever the page scrolls, and Playwright scrolls to what it clicks."""
    box = select.get_by_role("combobox")
    box.scroll_into_view_if_needed()
    box.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    box.click()


def click(page: Page, button: str) -> None:
    """Choose one segment of a row."""
    page.get_by_role("radio", name=button, exact=True).click()


def arrive(page: Page, **wanted: str) -> None:
    """Wait for the end of the run that has just been asked for, by what it writes into the address at its beginning."""
    page.wait_for_url(lambda url: wanted.items() <= asked(url).items())
    settle(page)


def walk(page: Page, path: str) -> Iterator[View]:
    """From an open page's first view through all others, each by a click."""
    for view in VIEWS:
        if view.path == path:
            settle(page)
            if view.query:
                click(page, view.button)
                arrive(page, **view.query)
            yield view


def type_text(page: Page, text: str, phone: bool = False) -> None:
    """Type into the sidebar's text box and finish with Ctrl+Enter, or into the phone's with Enter."""
    box = pick(page, "text-phone" if phone else "text").locator("textarea")
    box.fill(text)
    box.press("Enter" if phone else "Control+Enter")
    arrive(page, text=text)
