import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgefer.errors import InputError
from edgefer.preprocessing import match_channels, read_pixels, to_floats
from edgefer.spec import InputSpec

GRAY3 = InputSpec(height=4, width=4, channels=3, color="gray", range=(-1.0, 1.0))
RGB = InputSpec(height=4, width=4, channels=3, color="rgb", range=(0.0, 1.0))
BGR = InputSpec(height=4, width=4, channels=3, color="bgr", range=(0.0, 1.0))


@given(st.binary(min_size=48, max_size=48))
def test_gray_made_of_colour_equals_pillows(content):
    colour = np.frombuffer(content, np.uint8).reshape(1, 4, 4, 3)
    expected = np.asarray(Image.fromarray(colour[0]).convert("L"))
    assert np.array_equal(match_channels(colour, GRAY3)[0, :, :, 0], expected)


def test_three_gray_channels_are_equal_and_span_the_range():
    pixels = np.array([0, 255] * 8, np.uint8).reshape(1, 4, 4, 1)
    floats = to_floats(pixels, GRAY3)
    assert floats.shape == (1, 4, 4, 3)
    assert floats.dtype == np.float32
    assert floats.min() == -1
    assert floats.max() == pytest.approx(1, abs=1e-6)
    assert np.array_equal(floats[..., 0], floats[..., 2])


def test_bgr_is_rgb_reversed():
    pixels = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
    assert np.array_equal(to_floats(pixels, BGR), to_floats(pixels, RGB)[..., ::-1])


def test_a_wrong_size_is_named():
    with pytest.raises(InputError, match="3x4, the model takes 4x4"):
        match_channels(np.zeros((1, 3, 4, 1), np.uint8), GRAY3)


def test_a_truncated_image_is_named(tmp_path):
    path = tmp_path / "face.png"
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match=r"face\.png: cannot be read as an image"):
        read_pixels(path, height=4, width=4, channels=1)


def test_an_image_is_brought_to_size_and_channels(tmp_path):
    path = tmp_path / "face.png"
    Image.fromarray(np.full((64, 32), 7, np.uint8)).save(path)
    assert np.array_equal(read_pixels(path, height=4, width=6, channels=3), np.full((4, 6, 3), 7))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_gray_is_its_upper_eight_bits(tmp_path, suffix):
    path = tmp_path / f"face.{suffix}"
    upper = np.arange(64, dtype=np.uint16).reshape(8, 8) * 4
    Image.fromarray(upper * 256 + 77).save(path)
    for channels in (1, 3):
        expected = np.repeat(upper[..., None], channels, axis=2)
        assert np.array_equal(read_pixels(path, height=8, width=8, channels=channels), expected)


@pytest.mark.parametrize(("kind", "words"), [(np.int32, "integers of 32 bits"), (np.float32, "floats")])
def test_pixels_without_a_known_range_are_refused(tmp_path, kind, words):
    path = tmp_path / "face.tif"
    Image.fromarray(np.ones((8, 8), kind)).save(path)
    with pytest.raises(InputError, match=rf"face\.tif: has {words} for pixels"):
        read_pixels(path, height=8, width=8, channels=1)


def test_a_photograph_stands_upright(tmp_path):
    path = tmp_path / "face.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to show it
    stored = np.arange(6, dtype=np.uint8).reshape(2, 3)
    Image.fromarray(stored).save(path, exif=exif)
    assert np.array_equal(read_pixels(path, height=3, width=2, channels=1)[..., 0], np.rot90(stored, -1))
