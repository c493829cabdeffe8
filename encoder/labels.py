"""Tokens as people see them: every character visible, none of them able to rearrange its neighbours."""

from collections import Counter
from collections.abc import Iterable

LONGEST = 24  # characters of a token on an axis or a chip; a 5,000-letter word would push everything else away
JOINERS = "\u200c\u200d"  # invisible, but emoji and several scripts are spelt with them


def visible(token: str, longest: int = LONGEST) -> str:
    """The token with a sign for every character that has no picture (␀, ␊, U+202E), its middle cut if it is long."""
    text = "".join(map(_sign, token))
    end = min(7, longest // 3)
    return text if len(text) <= longest else text[: longest - 1 - end] + "…" + text[-end:]


def beginning(token: str, longest: int = 8) -> str:
    """The first characters of a token, each visible, where there is little room."""
    text = visible(token)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def apart(names: Iterable[str]) -> list[str]:
    """The same names, each its own: invisible spaces keep the second of two equal ones apart."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        found.append(name + "\u200b" * seen[name])
        seen[name] += 1
    return found


def _sign(character: str) -> str:
    if character == " ":  # byte-level tokens begin with the space before a word
        return "␣"
    if character.isprintable() or character in JOINERS:
        return character
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"U+{code:04X}"
