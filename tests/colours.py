"""How well colours can be told apart, as WCAG 2.1 defines it. A colour is red, green and blue in 0–255."""

from collections.abc import Sequence

Colour = Sequence[float]


def contrast(one: Colour, other: Colour) -> float:
    """From 1 (alike) to 21 (black on white)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: Colour) -> float:
    """0 for black, 1 for white."""
    parts = (value / 255 for value in colour)
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def over(colour: Colour, opacity: float, ground: Colour) -> Colour:
    """What is seen of a colour that lets its ground shine through."""
    return [below + (above - below) * opacity for above, below in zip(colour, ground, strict=True)]


def parsed(colour: str) -> Colour:
    """A #RRGGBB colour."""
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
