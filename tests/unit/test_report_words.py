from __future__ import annotations

import pytest

from edgefer.report import words


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(158_432, "0.158"), (1_234_000, "1.23"), (20_449_000, "20.4"), (384_400_000, "384"),
     (12_000_000_000, "12,000"), (0, "0")],
)  # fmt: skip
def test_milliseconds_have_three_significant_digits(nanoseconds, text):
    assert words.milliseconds(nanoseconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.534, "+0.53"), (-0.12, "\N{MINUS SIGN}0.12"), (0.0, "0.00"), (-0.001, "0.00")]
)
def test_points_carry_a_sign_unless_they_round_to_zero(value, text):
    assert words.points(value) == text


def test_sizes_and_rates():
    assert (words.kilobytes(534_000), words.kilobytes(8_912_344), words.kilobytes(1_250)) == (
        "534",
        "8,912",
        "1.2",
    )
    assert (words.fps(6329.1), words.fps(4.56)) == ("6,329", "4.6")
    assert (words.megabytes(86_700_000), words.megabytes(None)) == ("86.7", words.ABSENT)
    assert (words.percent(1, 3), words.percent(0, 0)) == ("33", words.ABSENT)


def test_listing():
    assert words.listing(["a"]) == "a"
    assert words.listing(["a", "b", "c"]) == "a, b and c"
