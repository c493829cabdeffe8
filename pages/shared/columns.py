"""The two columns: each reads the text with its own model, and has a layer, head, token and neuron of its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from html import escape
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from encoder.errors import KnownError
from encoder.figures.style import LEFT, LEFT_IN_DARK, RIGHT, Figure
from encoder.labels import visible
from encoder.maps import Places, Space
from encoder.measures import most_active
from encoder.starts import Start
from encoder.trace import Trace
from encoder.views import origins
from pages.shared import download, prose, state, traces, trouble
from pages.shared.state import Side

COLOURS: dict[Side, str] = {"a": LEFT, "b": RIGHT}
OFFERED = 20  # neurons of a layer
MS = "ms: thousandths of a second that the model took to read this text"
NOTHING: dict[str, str] = {}
UNKNOWN = ("[UNK]", "<unk>")  # what tokenizers of BERT's family put for a word or sign that they cannot spell
SIDES: dict[str, str] = {"both": "Both", "a": "Left", "b": "Right"}


class Column:
    """One model's half of a page. `with column:` draws into it, and says in it what goes wrong: the page goes on."""

    def __init__(self, side: Side, place: DeltaGenerator, read: Trace) -> None:
        self.side: Side = side
        self.colour = LEFT_IN_DARK if side == "a" and st.context.theme.type == "dark" else COLOURS[side]
        self.read = read  # every token that the model read
        self.name = f"{SIDES[side]}: {read.model.name}"
        self._place = place
        self.wide = state.get("show") != "both"
        self._charts = 0

    @cached_property
    def trace(self) -> Trace:
        """What was read as the learner wants to see it: by words, without special tokens."""
        return traces.shown(self.side)

    def move(self, place: DeltaGenerator) -> None:
        """Go on drawing in another place."""
        self._place = place

    def __enter__(self) -> "Column":
        self._place.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: Any) -> bool:
        if caught := isinstance(error, Exception):  # how Streamlit ends a turn is none
            trouble.say(error)
        self._place.__exit__(kind, error, where)
        return caught

    @property
    def from_scratch(self) -> bool:
        """Whether our own encoder read the text."""
        return self.read.model.source == "from scratch"

    @cached_property
    def start(self) -> Start:
        """Where this column opens until the learner chooses."""
        return traces.start(self.side)

    def layer(self, start: int | None = None) -> int:
        """The layer that this column shows, from 0; the learner counts from 1. Until one is chosen, `start`."""
        start = self.start.layer if start is None else start
        return self._slide("layer", "Layer", len(self.trace.layers), "layers", start + 1)

    def layer_and_head(self) -> tuple[int, int]:
        """The layer and the head that this column shows, both from 0."""
        left, right = st.columns(2, wrap=False)
        with left:
            layer = self.layer()
        with right:
            head = self._slide("head", "Head", self.trace.model.heads, "heads", self.start.head + 1)
        names = state.sided("layer", self.side), state.sided("head", self.side)
        state.settle(names, dict(zip(names, (layer + 1, head + 1), strict=True)))
        return layer, head

    def level(self) -> int:
        """How deep in the stack: 0 is the embedding, then every layer's output."""
        last = len(self.trace.layers)
        return self._slide("level", "After layer (0: the embedding)", last, "layers", last, first=0)

    def token(self) -> int:
        """The token that this column follows, as an index of the tokens shown.

        The choice counts the tokens read, so that it stays where it is when words are joined or special tokens hidden.
        """
        first = [int(token) + 1 for token in origins(self.read.tokens, state.get("words"), state.get("hide"))]
        return self._token("token", "Token", first, self.trace.tokens.text, self.start.token)

    def reads(self, label: str = "Token that reads", start: int | None = None) -> int:
        """The token that reads, as an index of all tokens that the model read. Until one is chosen, `start`."""
        start = self.start.query if start is None else start
        return self._token("token", label, self._every(), self.read.tokens.text, start)

    def is_read(self) -> int:
        """The token that is read, likewise."""
        return self._token("to", "Token that is read", self._every(), self.read.tokens.text, self.start.key)

    def _every(self) -> list[int]:
        return list(range(1, len(self.read.tokens) + 1))

    def _token(self, name: str, label: str, numbers: list[int], texts: Sequence[str], start: int) -> int:
        names = {number: f"{number}  {visible(text)}" for number, text in zip(numbers, texts, strict=True)}
        name = state.sided(name, self.side)
        if (wish := state.get_or(name, start + 1)) > len(self.read.tokens):
            st.caption(f"{len(self.read.tokens)} tokens were read: this is the last one.")
        value = max((number for number in numbers if number <= wish), default=numbers[0])
        return numbers.index(self._select(name, label, value, numbers, names.__getitem__) + 1)

    def neuron(
        self, layer: int, among: Sequence[int] | None = None, said: Callable[[int], str] = lambda neuron: ""
    ) -> int:
        """A neuron of a layer, from 0: one of its most active ones here or `among` others, or one from the address.

        `said` is what stands beside the number of each.
        """
        name = state.sided("neuron", self.side)
        among = most_active(self.trace.layers[layer].neurons, OFFERED).tolist() if among is None else among
        offered = [neuron + 1 for neuron in among]
        wish = state.get(name)
        if wish:  # a neuron is one of a layer: of another one it would be another
            state.keep(state.sided("layer", self.side), layer + 1)
        if wish > self.trace.model.ffn_width:
            st.caption(f"{prose.plain(self.trace.model.name)} has {self.trace.model.ffn_width:,} neurons a layer.")
        elif wish and wish not in offered:
            offered.append(wish)
        value = wish if wish in offered else offered[0]
        return self._select(name, "Neuron", value, offered, lambda neuron: f"neuron {neuron}{said(neuron - 1)}")

    def places(self, space: Space) -> Places | None:
        """The map of this column's tokens, or None, said in a sentence, where there are too few."""
        try:
            with st.spinner("Drawing the map"):
                return traces.places(self.side, space)
        except KnownError as error:
            st.info(str(error), icon=":material/edit:")
            return None

    def show(self, figure: Figure, alt: str) -> None:
        """Draw a figure; `alt` says in words what it shows, for whoever cannot see it."""
        self._charts += 1
        draw(figure, f"{self.trace.model.name}: {alt}", f"chart-{self.side}-{self._charts}")

    def _slide(self, name: str, label: str, last: int, many: str, start: int, first: int = 1) -> int:
        """A slider from `first` to `last`; returns how far the choice, or `start` before one, lies from `first`."""
        name = state.sided(name, self.side)
        wish = state.get_or(name, start)
        if first == last:
            st.caption(f"{label} {last} of {last}")
            return 0
        value: int = state.mirror(st.slider, name, label, min(wish, last), min_value=first, max_value=last)
        if wish > last:
            st.caption(f"{prose.plain(self.trace.model.name)} has {last} {many}: this is its last one.")
        return value - first

    def _select(self, name: str, label: str, value: int, options: Sequence[int], shown_as: Callable[[int], str]) -> int:
        """A list of numbers counted from 1; returns the one chosen, counted from 0."""
        number: int = state.mirror(st.selectbox, name, label, value, options=options, format_func=shown_as)
        return number - 1


def draw(figure: Figure, alt: str, key: str) -> None:
    """Draw a figure with words for whoever cannot see it."""
    st.plotly_chart(figure, key=key, alt=alt, config={"displaylogo": False, "modeBarButtons": [["toImage"]]})


def columns(stacked: bool = False) -> Iterator[Column]:
    """The columns that the learner wants to see, each once its model has read the text; `stacked` one below the other.

    What cannot be read is said in its column, in a sentence, and the other column goes on.
    """
    if not state.get("text").strip():
        st.info("Type a sentence, or pick an example, and both models read it.", icon=":material/edit:")
        return
    for side, place in _places(stacked):
        read = None
        with place, trouble.said():
            read = _read(side)
        if read is not None:
            yield Column(side, place, read)


def below(both: Sequence[Column]) -> None:
    """The columns go on below what spans both of them."""
    places = dict(_places())
    for column in both:
        column.move(places[column.side])
        with column:
            _head(column.side, column.read.model.name, "")


def switch(view: str = "", views: Mapping[str, str] = NOTHING) -> None:
    """Both models, or one of them alone and larger; and which picture of the page (a choice and its options)."""
    with row():
        if views:
            segments(view, "Picture", views)


@contextmanager
def row() -> Iterator[None]:
    """The row below the title: what a page puts in it, and at its end both models or one of them."""
    with st.container(key="switch", horizontal=True, horizontal_alignment="distribute"):
        yield
        segments("show", "Models", SIDES)


def as_read() -> None:
    """Say that a picture shows the tokens as they were read, where the learner wants to see others."""
    if state.get("words") or state.get("hide"):
        st.caption("Here the tokens are shown as the models read them: pieces of words, and special tokens too.")


def segments(name: str, label: str, options: Mapping[str, str]) -> None:
    """A row of options of which one is chosen."""
    state.mirror(
        st.segmented_control, name, label, options=list(options), format_func=options.__getitem__,
        label_visibility="collapsed", required=True, wrap=True,
    )  # fmt: skip


def _places(stacked: bool = False) -> list[tuple[Side, DeltaGenerator]]:
    show = state.get("show")
    if show != "both":
        return [(show, st.container())]
    if stacked:
        return [("a", st.container()), ("b", st.container())]
    left, right = st.columns(2, gap="large")
    return [("a", left), ("b", right)]


def _read(side: Side) -> Trace | None:
    entry = traces.entry(side)
    if entry.repo and not download.is_here(entry.repo):
        _head(side, entry.label, "")
        download.offer(side, entry)
        return None
    try:
        with _waiting(side, entry.label):
            read = traces.trace(side)
            room = traces.model(side).positions if read.tokens.left_out else 0
    except Exception:  # said by whoever asked, below the name
        _head(side, entry.label, "")
        raise
    _head(side, read.model.name, _facts(read))
    for note in _remarks(side, read, room):
        st.caption(note)
    if read.tokens.special.all():
        st.info(f"This text holds nothing that {prose.plain(read.model.name)} can read.", icon=":material/edit:")
        return None
    return read


@contextmanager
def _waiting(side: Side, label: str) -> Iterator[None]:
    """While a model loads, its place says so."""
    if traces.is_loaded(side):
        yield
        return
    place = st.empty()
    with place.container():
        st.caption(f"Loading {prose.plain(label)} and the libraries that run it: a few seconds, the first time only.")
        st.skeleton(height=320)
    try:
        yield
    finally:
        place.empty()


def _head(side: Side, name: str, facts: str) -> None:
    sizes = f'<span class="sizes" title="{MS}">{escape(facts)}</span>' if facts else ""
    st.html(f'<div class="model {side}"><span class="name">{escape(prose.line(name))}</span>{sizes}</div>')


def _facts(read: Trace) -> str:
    card = read.model
    many = {"layer": card.layers, "head": card.heads}
    sizes = " · ".join(f"{count} {word}{'s' * (count != 1)}" for word, count in many.items())
    return f"{sizes} · width {card.width} · read in {read.seconds * 1000:.1f} ms"


def _remarks(side: Side, read: Trace, room: int) -> Iterator[str]:
    if (wish := state.get(side)) != traces.entry(side).name:
        yield f"“{prose.plain(wish)}” is not there any more: {prose.plain(read.model.name)} reads instead."
    if longer := max(len(state.get(name)) - len(traces.text(name)) for name in ("text", "pair")):
        yield f"Texts are read up to {traces.LONGEST_TEXT:,} characters: the last {longer:,} were not looked at."
    tokens = len(read.tokens)
    if read.tokens.left_out:
        advice = (
            f"This model holds {room}; “Longest text” in the sidebar says how many are read."
            if tokens < room
            else "This model cannot hold more."
        )
        yield f"{tokens} tokens were read and {read.tokens.left_out:,} left out. {advice}"
    for token in UNKNOWN:
        if token in read.tokens.text:
            yield f"{prose.plain(token)} stands for a word or sign that this model cannot spell."
    if read.device != traces.device():
        yield f"The {traces.device().upper()} memory was full: the CPU did this reading."
