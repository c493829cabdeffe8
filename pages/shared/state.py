"""The one door to state: every choice a learner makes, kept across pages and written in the address.

A choice lives in the session under its own name, apart from the widget that shows it: widgets come and go
with their pages, choices stay. `mirror` draws a widget that shows a choice and changes it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.shared.choices import CHOICES, EXAMPLE, LONGEST_ADDRESS, OPEN

Side = Literal["a", "b"]  # left, right
SIDED = ("layer", "head", "level", "token", "to", "neuron")  # choices of each column; the right one's names end in _b
TOGETHER = SIDED[:5]  # move together if that is on; neurons are numbered anew in every model
OFF = ("off", "off_b")
CHANGES = ("shuffled", "without", *OFF, "scaled", "scaled_b")  # besides words, what can be changed on What if
TYPED = ("text", "pair", "elsewhere", "train_text")  # what may be too long for an address
HEARD = "heard"  # the key of the widget that answers


def get(name: str) -> Any:
    """The learner's choice."""
    return _kept("choices").get(name, CHOICES[name].default)


def get_or(name: str, start: int) -> int:
    """The learner's choice of a layer, head or token; `start` until there is one."""
    choice: int = get(name)
    return start if choice == OPEN else choice


def settle(names: Iterable[str], shown: Mapping[str, int]) -> None:
    """Once one of several is chosen the others stay where they are shown, whatever text comes: a layer and its head."""
    if any(get(name) != OPEN for name in names):
        for name in names:
            keep(name, shown[name])


def is_example() -> bool:
    """Whether What if shows a change of ours: nobody has changed anything."""
    return get("changed") == EXAMPLE and not any(get(name) for name in CHANGES)


def keep_example(**off: str) -> None:
    """The heads that our example has off: once a learner changes one column's, the other column's stay."""
    _kept("ours").update(off)


def keep(name: str, shown: int) -> None:
    """What is shown is the choice from now on, unless there is one."""
    if get(name) == OPEN:
        _kept("choices")[name] = shown


def _kept(name: str) -> dict[str, Any]:
    """What a session remembers, in few entries: for some widgets Streamlit copies them all."""
    kept: dict[str, Any] | None = st.session_state.get(name)
    if kept is None:
        kept = st.session_state[name] = {}
    return kept


def put(name: str, value: Any) -> None:
    """Choose; a choice of one column is the other's too while both move together."""
    others = value != get(name) and name in ("text", "pair", "a", "b")
    if name in CHANGES and is_example():
        _kept("choices").update({"changed": ""} | (_kept("ours") if name in OFF else {}))
    names = [name]
    if name.removesuffix("_b") in TOGETHER and get("together"):
        names = [name.removesuffix("_b"), name.removesuffix("_b") + "_b"]
    for each in names:
        _kept("choices")[each] = value
        if each.startswith("layer"):
            _forget_neuron(each)
    if others:
        _let_go({"a": ["pins"], "b": ["pins_b"]}.get(name, ["pins", "pins_b"]))
        if name in ("text", "pair") and get("changed") != EXAMPLE:
            _kept("choices")["changed"] = ""
    if name == "together" and value:
        _meet()


def take(values: Mapping[str, Any]) -> None:
    """Choices that were made in the browser, read as carefully as an address; what cannot be is left as it was."""
    for name, value in values.items():
        with suppress(ValueError):
            _take(name, CHOICES[name].read(_write(value)))


def _take(name: str, value: Any) -> None:
    if value == get(name):
        return
    _kept("choices")[name] = value
    if name.startswith("layer"):
        _forget_neuron(name)
    followed = name == "pins" or (name == "pins_b" and not (get("together") and get("pins")))
    if followed and value:  # the other pages follow the leftmost token that is pinned
        put(name.replace("pins", "token"), CHOICES["token"].read(value.split(".")[0]))


def _let_go(pins: Iterable[str]) -> None:
    """Other tokens or words are there: those that were picked mean nothing any more."""
    for name in pins:
        _kept("choices").pop(name, None)


def _forget_neuron(layer: str) -> None:
    """A neuron of one layer is not that of another."""
    _kept("choices").pop(layer.replace("layer", "neuron"), None)


def sided(name: str, side: Side) -> str:
    """The name of a column's own choice: layer on the left is `layer`, on the right `layer_b`."""
    return name if side == "a" else f"{name}_b"


def mirror(
    widget: Callable[..., Any], name: str, label: str, value: Any = None, place: str = "", **options: Any
) -> Any:
    """Draw a widget that shows a choice (or `value`, where the choice is not possible here) and changes it.

    `place` tells two widgets for one choice apart.
    """
    key = f"pick.{name}{place}"
    value = get(name) if value is None else value
    tell(key, value)
    start = _start(widget, value, options.get("options", ()))
    return widget(label, key=key, on_change=_picked, args=(name, key), **start, **options)


def several(
    widget: Callable[..., Any], name: str, label: str, options: Sequence[str], shown_as: Callable[[str], str],
    wish: list[str] | None = None, **more: Any,
) -> list[str]:  # fmt: skip
    """Draw a widget in which some options can be chosen; the choice is their names with "-" between.

    wish: what it shows instead of the choice.
    """
    key, wish = f"pick.{name}", chosen(name, options) if wish is None else wish
    if st.session_state.get(key) != wish:
        st.session_state[key] = wish
    widget(label, options, key=key, format_func=shown_as, on_change=_picked_several, args=(name, key), **more)
    return wish


def chosen(name: str, options: Iterable[str]) -> list[str]:
    """Those of some options that a choice of several names."""
    offered = set(options)
    return [each for each in dict.fromkeys(get(name).split("-")) if each in offered]


def _picked_several(name: str, key: str) -> None:
    if (chosen := st.session_state.get(key)) is not None:
        put(name, "-".join(chosen))


def _start(widget: Callable[..., Any], value: Any, options: Iterable[Any]) -> dict[str, Any]:
    """The value as the widget's own first one.

    What a run tells a widget is lost when a quick click interrupts it: Streamlit throws away what it has not sent
    yet, but takes it for known. The browser then shows, and reports, what the widget would start with.
    """
    if widget == st.selectbox:
        return {"index": list(options).index(value)}
    return {"default" if widget == st.segmented_control else "value": value}


def tell(key: str, value: Any) -> None:
    """Let the widget with this key show a value when it is drawn next."""
    session = st.session_state
    told, turn = _kept("told").get(key, (value, 0))
    # Told again, it would undo what is being typed. But what was told last and is still on its way must not win.
    if key in session and session[key] == value and (told == value or turn <= _heard()):
        return
    # Until this turn is heard of, the browser may show what it reported last, or what it was told meanwhile.
    older = {old: turn for old, turn in _kept("older").get(key, {}).items() if turn > _heard()}
    older |= dict.fromkeys((told, session.get(key, told)), session["turn"])
    older.pop(value, None)
    _kept("older")[key] = older
    session[key], _kept("told")[key] = value, (value, session["turn"])


def is_echo(key: str) -> bool:
    """Whether a widget that reports a change only reports what it showed before it heard of another value.

    A quick second click comes from a browser that has not heard of all that the first one changed.
    """
    return _kept("older").get(key, {}).get(st.session_state[key], 0) > _heard()


def expect_answer() -> None:
    """End a turn: a hidden widget shows its number, and reports with the next click which turn the browser heard of.

    A turn that a click interrupts does not come so far.
    """
    turn = st.session_state["turn"]
    st.session_state[HEARD] = turn
    st.number_input("Turn", key=HEARD, value=turn, label_visibility="collapsed")


def _heard() -> int:
    """The last turn of which the browser has heard everything, when it clicked."""
    return st.session_state.get(HEARD, 0)


def _picked(name: str, key: str) -> None:
    # None: the chosen segment clicked again is unchosen in the browser only; or the widget's page has been left since.
    value = st.session_state.get(key)
    if value is not None and not is_echo(key):
        put(name, value)


def synchronise() -> None:
    """Take over the address where somebody opened or changed it; otherwise write the choices into it.

    What the address asks for and cannot be had falls back to the default, with a note.
    """
    address = st.query_params.to_dict()
    first = "turn" not in st.session_state
    st.session_state["notes"] = []
    # Otherwise the address only follows: a quick second change comes with the address from before the first one,
    # and another page with an empty one.
    if first or _went_back():
        _read_address(address)
    if (address := _written()) != st.query_params.to_dict():
        st.query_params.from_dict(address)
    st.session_state["turn"] = st.session_state.get("turn", 0) + 1


def _went_back() -> bool:
    """Whether the browser's Back or Forward led here; Streamlit knows, and tells it only in its run context."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def notes() -> list[str]:
    """What a learner should know about the address that was opened, in plain sentences."""
    return st.session_state.get("notes", [])


def text_fits_address() -> bool:
    return {"text", "pair"}.isdisjoint(set(_unusual()) - set(_written()))


def _meet(names: Iterable[str] = TOGETHER) -> None:
    """The right column goes to where the left one is."""
    for name in names:
        _kept("choices")[f"{name}_b"] = get(name)


def _read_address(address: dict[str, str]) -> None:
    refused = []
    # The browser's Back leads to addresses that could not hold the text either: that is no wish to lose it.
    beyond = set(_unusual()) - set(_written())
    for name, choice in CHOICES.items():
        value = get(name) if name in beyond else choice.default
        if name in address:
            try:
                value = choice.read(address[name])
            except ValueError:
                refused.append(name)
        _kept("choices")[name] = value
    if get("together"):
        _meet(name for name in TOGETHER if f"{name}_b" not in address)
    if refused:
        wishes = ", ".join(refused)
        st.session_state["notes"] = [
            f"The address asks for something that is not there ({wishes}); the usual is shown."
        ]


def _written() -> dict[str, str]:
    """The address of what is shown; what was typed and is too long for one is left out, the longest first."""
    address = _unusual()
    for name in sorted(set(TYPED) & set(address), key=lambda name: len(address[name]), reverse=True):
        if not _fits(address):
            del address[name]
    if "text" in _unusual() and "text" not in address:  # of another text other words and tokens would be chosen
        address = {name: value for name, value in address.items() if name not in ("changed", "pins", "pins_b")}
    return address


def _unusual() -> dict[str, str]:
    """All choices that differ from what is shown without them, as an address writes them."""
    chosen = _kept("choices")
    address = {
        name: _write(chosen[name])
        for name, choice in CHOICES.items()
        if name in chosen and chosen[name] != choice.default
    }
    if get("together"):
        address = {
            name: value
            for name, value in address.items()
            if name.removesuffix("_b") not in TOGETHER or name in TOGETHER or value != address.get(name[:-2])
        }
    return address


def _write(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _fits(address: dict[str, str]) -> bool:
    return len(urlencode(address)) <= LONGEST_ADDRESS
