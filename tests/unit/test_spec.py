import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefer.errors import InputError
from edgefer.spec import InputSpec, LabelSet, parse_range

NUMBERS = st.integers(-400, 400).map(lambda n: n / 4)


def spec(**fields):
    return InputSpec(**{"height": 48, "width": 48, "channels": 3, **fields})


@given(NUMBERS, NUMBERS)
def test_a_range_survives_being_described_and_read(lo, hi):
    if lo < hi:
        assert parse_range(spec(range=(lo, hi)).describe_range(), 3) == {"range": (lo, hi)}


@given(
    st.lists(NUMBERS, min_size=3, max_size=3),
    st.lists(st.integers(1, 400).map(lambda n: n / 8), min_size=3, max_size=3),
)
def test_mean_and_std_survive_being_described_and_read(mean, std):
    said = parse_range(spec(mean=tuple(mean), std=tuple(std)).describe_range(), 3)
    assert said == {"mean": tuple(mean), "std": tuple(std)}


@given(NUMBERS, NUMBERS)
def test_the_ends_of_the_range_are_where_black_and_white_go(lo, hi):
    if lo < hi:
        one = spec(range=(lo, hi))
        assert one.offset[0] == lo
        assert 255 * one.scale[0] + one.offset[0] == pytest.approx(hi, abs=1e-9)


def test_torchvision_statistics_are_in_units_of_pixel_over_255():
    one = spec(**parse_range("mean:0.5/std:0.25", 3))
    assert 255 * one.scale[1] + one.offset[1] == pytest.approx(2.0)


@pytest.mark.parametrize(
    "text", ["1..-1", "0..", "minus", "mean:0,0/std:1,1", "mean:0,0,0/std:1,0,1", "mean:a/std:1", "0-1"]
)
def test_a_range_that_says_nothing_is_refused_with_the_grammar(text):
    with pytest.raises(InputError, match="mean:M,M,M/std:S,S,S"):
        parse_range(text, 3)


@pytest.mark.parametrize(
    "fields",
    [{}, {"range": (0, 1), "mean": (0, 0, 0), "std": (1, 1, 1)}, {"range": (1, 0)}, {"mean": (0,), "std": (1,)},
     {"range": (0, 1), "channels": 1, "color": "rgb"}, {"range": (0, 1), "height": 0}],
)  # fmt: skip
def test_an_input_that_means_nothing_cannot_be_stated(fields):
    with pytest.raises(ValueError, match=r"."):
        spec(**fields)


@pytest.mark.parametrize("names", [("one",), ("a", "a"), ("a", "")])
def test_labels_are_at_least_two_different_names(names):
    with pytest.raises(ValueError, match="labels"):
        LabelSet(source="x", names=names)
