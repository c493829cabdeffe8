"""Numbers as people write them."""

import numpy as np
import pytest

from encoder.numerals import number, power_of_ten
from pages.shared.tables import facts


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, "0"), (-0.0, "0"), (np.float32(-0.0), "0"), (5.6784e-07, "5.7 × 10⁻⁷"), (-5.6784e-07, "−5.7 × 10⁻⁷"),
        (1e-7, "1 × 10⁻⁷"), (9.96e-5, "1 × 10⁻⁴"), (1e-4, "0.0001"), (-0.023024, "−0.023024"), (0.5, "0.5"),
        (9.999999, "10"), (12.3456789, "12.346"), (-1234.5678, "−1,234.6"), (123456.7, "123,457"), (30.0, "30"),
        (1e6, "1 × 10⁶"), (-2.34e17, "−2.3 × 10¹⁷"), (float("nan"), "not finite"), (float("-inf"), "not finite"),
    ],
)  # fmt: skip
def test_a_number_is_written_as_people_write_it(value, written):
    assert number(value) == written


@pytest.mark.parametrize("power", range(-40, 39))
@pytest.mark.parametrize("sign", [1, -1])
def test_no_size_of_a_number_is_written_with_an_e_or_loses_its_value(power, sign):
    value = np.float32(sign * 1.2345678 * 10.0**power)
    written = number(float(value))
    assert "e" not in written
    assert "-" not in written
    front, _, raised = written.replace("−", "-").replace(",", "").partition(" × 10")
    size = raised.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")) or "0"
    assert float(front) * 10.0 ** int(size) == pytest.approx(value, rel=0.05 if raised else 1e-4)


def test_fewer_digits_can_be_asked_for():
    assert (number(3.14159, 2), number(340.2, 2), number(0.0512, 2)) == ("3.1", "340", "0.051")
    assert power_of_ten(4.4e-7) == "4 × 10⁻⁷"


def test_the_facts_of_a_page_are_written_so():
    cells = facts([("mean", 5.6784e-07), ("score", -0.0), ("length", 1234.5)])
    assert [words for words in ("5.7 × 10⁻⁷", "<b>0</b>", "1,234.5") if words not in cells] == []
