"""BertViz's own three views, drawn by its own JavaScript from our traces, without any network.

Each view is a complete HTML document for `st.iframe(view.html, height=view.height)`. Give that height: the document's
content security policy runs only the scripts that it names and fetches nothing, so Streamlit's measuring script, which
`height="content"` adds, is refused too. Layers and heads are given from 0, and shown from 1 as everywhere in the app.

BertViz: Vig 2019, "A Multiscale Visualization of Attention in the Transformer Model". BertViz, d3 and jQuery are read
from the installed packages bertviz, mpld3 and XStatic-jQuery; none is imported, as BertViz would pull in torch.
"""

import base64
import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from encoder.figures.style import LEFT, NEGATIVE, POSITIVE
from encoder.labels import visible
from encoder.trace import Array, Trace

ASSETS = Path(__file__).parents[2] / "assets" / "bertviz"

# What a view can take. Measured with 6 layers of 12 heads on 2 shared cores, until painted: head view 64 tokens 2 s;
# model view 32 tokens 2 s (64 tokens: 8 s); neuron view 48 tokens 1 s.
LIMITS = {"head": 64, "model": 32, "neuron": 48}  # tokens

# Larger models take fewer tokens, by the numbers in a document: some 5 bytes for an attention weight and 7 for an
# element of a query or key, deflated to about a third; a line is drawn for each weight too.
MOST_NUMBERS = {"head": 150_000, "model": 110_000, "neuron": 150_000}

HINTS = {
    "head": "Point at or tap a token to follow it. Click a square to add that head or hide it.",
    "model": "One row per layer, layer 1 at the bottom; one column per head. Click or tap one to enlarge it.",
    "neuron": "Point at or tap a token on the left; the plus beside it opens its query, its keys and their products.",
}

# What BertViz calls the parts of a pair's attention; assets/bertviz/shim.js cuts them from the whole.
FILTERS = {
    "all": "All",
    "aa": "Sentence A → Sentence A",
    "bb": "Sentence B → Sentence B",
    "ab": "Sentence A → Sentence B",
    "ba": "Sentence B → Sentence A",
}

# Heads beside the chosen one: colours that mean no model.
OTHERS = ("#009E73", "#CC79A7", "#B8860B", "#6A51A3", "#7F7F7F", "#17A2A2", "#8C564B", "#A0A000", "#C0507A", "#4D7A4D")

# The choices, the hint and room for a horizontal scroll bar, as in style.css; BertViz's own constants size the picture.
FRAME_HEIGHT = 28 + 40 + 20

CHANGES = {
    "PYTHON_PARAMS": "window.bertviz_params",
    # BertViz knows only scores ÷ √head_dim; the first article divides by √width.
    "Math.sqrt(config.vectorSize)": "window.bertviz_params.divisor",
    # Its colours: here each model has one, and signed values have two that mean no model.
    "d3.schemeCategory10": "params.colours",
    "return PALETTE[config.mode][name]": "return params.palette[name] ?? PALETTE[config.mode][name]",
    # It shows layers and heads counted from 0; everything else in this app counts from 1.
    ".text(config.heads[i])": ".text(config.heads[i] + 1)",
    ".text(config.layers[i])": ".text(config.layers[i] + 1)",
    "'Layer ' + config.layers[layerIndex] + \", Head \" + config.heads[headIndex]": (
        "'Layer ' + (config.layers[layerIndex] + 1) + \", Head \" + (config.heads[headIndex] + 1)"
    ),
}


@dataclass(frozen=True)
class View:
    """A stand-alone document and the height in pixels that shows it without a vertical scroll bar."""

    html: str
    height: int


def fits(trace: Trace, view: str) -> str | None:
    """None when BertViz's "head", "model" or "neuron" view can take this trace, else one sentence that says why not."""
    limit, tokens = _limit(trace, view), len(trace.tokens)
    if tokens <= limit:
        return None
    return (
        f"BertViz’s {view} view takes at most {limit} tokens from {trace.model.name} and this text has {tokens}: "
        "shorten the text, or look at “All heads”, which shows longer ones."
    )


def head_view(
    trace: Trace, layer: int = 0, heads: Sequence[int] | None = None, *, colour: str = LEFT, dark: bool = False
) -> View:
    """Lines from each token to the tokens it attends to in one layer, one colour a head.

    `heads` are switched on first, all of them when None; the first of them has the model's own `colour`. BertViz's own
    choice of layer is left out, and only this layer is in the document: whoever draws the page has one already, and two
    would contradict each other.
    Raises IndexError for a layer or head that the model does not have.
    """
    _check(trace, layer, heads or ())
    first = heads[0] if heads else 0
    params = _params(trace, [trace.layers[layer].attention], dark) | {
        "layer": layer,
        "heads": list(heads) if heads else None,
        "include_layers": [layer],
        "colours": [colour if head == first else OTHERS[head % len(OTHERS)] for head in range(trace.model.heads)],
    }
    return View(_document("head", params, dark), FRAME_HEIGHT + 30 + round(22.5 * len(trace.tokens)))


def model_view(trace: Trace, *, colour: str = LEFT, dark: bool = False) -> View:
    """Every head of every layer as a small picture, one row a layer, the first at the bottom; a click enlarges one."""
    layers, heads, tokens = trace.model.layers, trace.model.heads, len(trace.tokens)
    # BertViz shares a fixed width among all heads and scales heights alike, which blows few heads up to posters.
    # Counting at least twelve keeps its usual size, the same for two models side by side.
    columns = max(12, heads)
    params = _params(trace, [layer.attention for layer in trace.layers[::-1]], dark) | {
        "include_layers": list(range(layers))[::-1],
        "include_heads": list(range(heads)),
        "total_heads": columns,
        "colours": [colour] * 10,  # it asks for the last digit of a layer's number
    }
    thumbnails = 38 + layers * (10 + tokens * 7 * 12 / columns)
    detail = 55 + 18 * tokens
    return View(_document("model", params, dark), FRAME_HEIGHT + round(max(thumbnails, detail)))


def neuron_view(trace: Trace, layer: int = 0, head: int = 0, *, colour: str = LEFT, dark: bool = False) -> View:
    """How one head comes by its attention: query and key vectors, their products, the scores and the softmax.

    BertViz's own choices of layer and head are left out, as in `head_view`.
    Raises IndexError for a layer or head that the model does not have.
    """
    _check(trace, layer, (head,))
    chosen = trace.layers[layer]
    params = _params(trace, [chosen.attention[[head]]], dark) | {"layer": 0, "head": 0, "bidirectional": True}
    own = dict.fromkeys(("attn", "connector", "text_highlight_right"), colour)
    params |= {"divisor": 1 / chosen.scale, "palette": own | {"neg": NEGATIVE, "pos": POSITIVE}}
    params["attention"]["all"] |= {
        "queries": _rounded([chosen.query[[head]]]),  # [1, 1, token, head_dim]
        "keys": _rounded([chosen.key[[head]]]),
    }
    return View(_document("neuron", params, dark), FRAME_HEIGHT + 60 + 26 * len(trace.tokens))


def _limit(trace: Trace, view: str) -> int:
    possible = (tokens for tokens in range(LIMITS[view], 1, -1) if _numbers(trace, view, tokens) <= MOST_NUMBERS[view])
    return next(possible, 1)


def _numbers(trace: Trace, view: str, tokens: int) -> int:
    card = trace.model
    heads = {"head": card.heads, "model": card.layers * card.heads, "neuron": 1}[view]
    return heads * tokens**2 + (2 * tokens * card.width // card.heads if view == "neuron" else 0)


def _check(trace: Trace, layer: int, heads: Sequence[int]) -> None:
    if not 0 <= layer < trace.model.layers:
        raise IndexError(f"{trace.model.name} has layers 0 to {trace.model.layers - 1}, not {layer}.")
    for head in heads:
        if not 0 <= head < trace.model.heads:
            raise IndexError(f"{trace.model.name} has heads 0 to {trace.model.heads - 1}, not {head}.")


def _params(trace: Trace, layers: Sequence[Array], dark: bool) -> dict[str, Any]:
    """What all three of BertViz's scripts want to know, and where the second sentence starts, if there is one."""
    text = [visible(token) for token in trace.tokens.text]
    attention = _rounded(layers)  # [layer, head, query, key]
    segment = trace.tokens.segment
    return {
        "attention": {"all": {"attn": attention, "left_text": text, "right_text": text}},
        "second_sentence": int(np.argmax(segment == 1)) if segment.any() else None,
        "default_filter": "all",
        "display_mode": "dark" if dark else "light",
        "root_div_id": "bertviz",
    }


def _rounded(arrays: Sequence[Array]) -> list[Any]:
    # Rounded in double: a rounded float32 spells out seventeen digits in JSON, so three decimals are a third of it.
    return np.round(np.stack(arrays).astype(np.float64), 3).tolist()


def _document(view: str, params: dict[str, Any], dark: bool) -> str:
    choices = ""
    if params["second_sentence"]:
        options = "".join(f'<option value="{name}">{label}</option>' for name, label in FILTERS.items())
        choices = f'<label class="dropdown-label">Attention <select id="filter">{options}</select></label>'
    scripts, unpack = _scripts(view), _asset("unpack.js")
    return Template(_asset("page.html")).substitute(
        view=view,
        mode="dark" if dark else "light",
        hashes=" ".join(f"'sha256-{_digest(script)}'" for script in (unpack, *scripts)),
        style=_asset("style.css"),
        # BertViz's columns hold about 13 characters.
        overhang=8 * max(0, *(len(token) - 13 for token in params["attention"]["all"]["left_text"])),
        choices=choices,
        hint=HINTS[view],
        params=_deflated(json.dumps(params, separators=(",", ":"), allow_nan=False)),
        scripts=_deflated_scripts(view),
        unpack=unpack,
    )


@cache
def _deflated_scripts(view: str) -> str:
    return _deflated(json.dumps(_scripts(view)))


def _deflated(text: str) -> str:
    """A third of the bytes, in letters that may stand inside a script element; assets/bertviz/unpack.js reads it."""
    return base64.b64encode(zlib.compress(text.encode(), 6)).decode()


@cache
def _scripts(view: str) -> tuple[str, ...]:
    """The scripts of a view in the order in which they run; none of them depends on what was typed."""
    script = _installed("bertviz", f"{view}_view.js")
    for theirs, ours in CHANGES.items():
        script = script.replace(theirs, ours)
    return (
        _installed("xstatic.pkg.jquery", "data/jquery.min.js"),
        _installed("mpld3", "js/d3.v5.min.js"),
        _asset("shim.js"),
        script,
    )


@cache
def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


@cache
def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _installed(package: str, path: str) -> str:
    """A file of an installed package, read without importing it. Raises ModuleNotFoundError when it is missing."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"BertViz's views need the package {package}: see requirements.txt.", name=package)
    return (Path(spec.submodule_search_locations[0]) / path).read_text(encoding="utf-8")
