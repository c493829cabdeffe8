"""Numbers as people write them: 0.023, −1,234.5, 5.7 × 10⁻⁷; no e, and no minus before 0."""

from math import floor, isfinite, log10

SMALLEST, LARGEST = 1e-4, 1e6  # outside of these a power of ten is easier to read than a row of zeros
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 5) -> str:
    """A number with so many digits that count, or, very small or large, two of them and a power of ten."""
    if not isfinite(value):
        return "not finite"
    if value == 0:
        return "0"
    if not SMALLEST <= abs(value) < LARGEST:
        return power_of_ten(value, 2)
    return _short(f"{value:,.{max(0, digits - 1 - floor(log10(abs(value))))}f}")


def power_of_ten(value: float, digits: int = 1) -> str:
    """A number other than 0 with its power of ten: 0.0000004 is 4 × 10⁻⁷."""
    front, _, power = f"{value:.{digits - 1}e}".partition("e")
    return f"{_short(front)} × 10{str(int(power)).translate(RAISED)}"


def _short(digits: str) -> str:
    return (digits.rstrip("0").rstrip(".") if "." in digits else digits).replace("-", "−")
