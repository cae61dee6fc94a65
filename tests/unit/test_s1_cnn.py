"""S1's small network: the document's four convolutions, or another number of them."""

from __future__ import annotations

import pytest

from edgefer.backbones.families.s1_cnn import build
from edgefer.errors import InputError

SHAPE = (48, 48, 1)


def convolutions(**options: object) -> list[str]:
    return [layer.name for layer in build(SHAPE, 7, None, dict(options)).layers if "conv" in layer.name]


def test_the_baseline_has_four_convolutions_and_the_parameters_they_make():
    assert convolutions() == ["conv1", "conv2", "conv3", "conv4"]
    kernels = 9 * 32 * (1 + 3 * 32)
    norms = 4 * 4 * 32
    dense = 12 * 12 * 32 * 128 + 128 + 128 * 7 + 7
    assert build(SHAPE, 7, None, {}).count_params() == kernels + norms + dense


def test_a_fifth_convolution_keeps_the_two_max_pools():
    assert len(convolutions(convolutions=5)) == 5
    added = 9 * 32 * 32 + 4 * 32
    five, four = (build(SHAPE, 7, None, {"convolutions": n}).count_params() for n in (5, 4))
    assert five - four == added


def test_more_max_pools_than_pixels_are_refused():
    with pytest.raises(InputError, match="12 convolutions needs images of 64 pixels a side"):
        build(SHAPE, 7, None, {"convolutions": 12})
    with pytest.raises(InputError, match="must be positive"):
        build(SHAPE, 7, None, {"convolutions": 0})
