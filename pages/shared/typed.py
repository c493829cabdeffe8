"""What a learner typed is never lost: where the app puts another text in its place, there is a way back."""

from collections.abc import Iterable

import streamlit as st

from pages.shared import prose, state
from pages.shared.choices import CHOICES

MOST = 3  # texts of the learner's own that are kept for a box
EXCERPT = 24  # characters of a text on a button
Texts = dict[str, str]  # what stands in some boxes, by the names of their choices


def offer(**texts: str) -> None:
    """Put texts of ours in place of what is typed; the learner's own are kept."""
    now, usual = _typed(texts), {name: CHOICES[name].default for name in texts}
    if now not in (usual, _offered(texts), texts) and any(map(str.strip, now.values())):
        mine = [now, *(each for each in _kept(texts) if each != now)]
        st.session_state[_key("own", texts)] = mine[:MOST]
    st.session_state[_key("offered", texts)] = texts
    _put(texts)


def own(*names: str) -> list[Texts]:
    """The learner's texts that gave way to the one of ours that is shown now, the newest first."""
    return _kept(names) if _typed(names) == _offered(names) else []


def ways_back(*names: str, key: str) -> None:
    """Buttons that bring the learner's own texts back, where one of ours has taken their place."""
    for number, texts in enumerate(own(*names)):
        label = prose.plain(f"Back to “{prose.line(texts[names[0]], EXCERPT)}”")
        st.button(label, icon=":material/undo:", key=f"{key}-{number}", on_click=_put, args=(texts,))


def _put(texts: Texts) -> None:
    for name, text in texts.items():
        state.put(name, text)


def _typed(names: Iterable[str]) -> Texts:
    return {name: state.get(name) for name in names}


def _offered(names: Iterable[str]) -> Texts | None:
    return st.session_state.get(_key("offered", names))


def _kept(names: Iterable[str]) -> list[Texts]:
    return st.session_state.get(_key("own", names), [])


def _key(what: str, names: Iterable[str]) -> str:
    return f"typed.{what}.{'-'.join(names)}"
