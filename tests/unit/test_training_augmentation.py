from __future__ import annotations

import numpy as np
import pytest

from edgefer.recipe import PRESETS, Augmentation
from edgefer.training.augmentation import augment

EACH = {
    "flip": Augmentation(flip=True),
    "brightness": Augmentation(brightness=0.3),
    "contrast": Augmentation(contrast=0.5),
    "downscale": Augmentation(downscale=0.4),
    "rotation": Augmentation(rotation=30),
    "shift": Augmentation(shift=0.2),
    "zoom": Augmentation(zoom=0.2),
    "shear": Augmentation(shear=0.3),
    "crop": Augmentation(crop=0.3),
    "jitter": Augmentation(jitter=1.0),
    "weak": PRESETS["weak"],
    "strong": PRESETS["strong"],
}


def faces(channels: int = 1) -> np.ndarray:
    """Smooth, lopsided pictures."""
    y, x = np.mgrid[0:48, 0:48]
    one = 128 + 60 * np.sin(x / 7) + 50 * np.cos(y / 9 + x / 20)
    many = one + np.linspace(-15, 15, 32)[:, None, None]
    return np.repeat(many.astype(np.uint8)[..., None], channels, axis=3)


def rng(seed: int = 3) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("amounts", EACH.values(), ids=EACH.keys())
@pytest.mark.parametrize("channels", [1, 3])
def test_each_change_keeps_shape_and_type_and_changes_some_images(amounts: Augmentation, channels: int):
    before = faces(channels)
    given = before.copy()
    after = augment(given, amounts, rng())
    assert (after.shape, after.dtype) == (before.shape, np.uint8)
    assert np.array_equal(given, before), "the given images must stay as they are"
    changed = np.any(after != before, axis=(1, 2, 3))
    assert 4 <= changed.sum() <= len(before)


@pytest.mark.parametrize("amounts", EACH.values(), ids=EACH.keys())
def test_the_seed_decides(amounts: Augmentation):
    one, two, three = (augment(faces(), amounts, rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, three)


def test_nothing_asked_nothing_changed():
    assert np.array_equal(augment(faces(), PRESETS["none"], rng()), faces())


def test_a_flip_is_an_exact_mirror_image():
    before, after = faces(), augment(faces(), EACH["flip"], rng())
    mirrored = np.all(after == before[:, :, ::-1], axis=(1, 2, 3))
    same = np.all(after == before, axis=(1, 2, 3))
    assert np.all(mirrored ^ same)
    assert mirrored.any()
    assert same.any()


@pytest.mark.parametrize("name", ["rotation", "zoom", "shear"])
def test_geometry_keeps_the_centre_in_place(name: str):
    dot = np.zeros((32, 49, 49, 1), np.uint8)
    dot[:, 22:27, 22:27] = 255
    after = augment(dot, EACH[name], rng())
    # A 5x5 dot in the centre still covers the centre pixel after any change about the centre.
    assert after[:, 24, 24, 0].min() > 200


def test_a_shift_moves_by_at_most_its_share():
    dot = np.zeros((64, 51, 51, 1), np.uint8)
    dot[:, 25, 25] = 255
    after = augment(dot, Augmentation(shift=0.2, probability=1), rng()).astype(float)[..., 0]
    total = after.sum(axis=(1, 2))
    x = (after.sum(axis=1) @ np.arange(51)) / total - 25
    assert np.abs(x).max() <= 0.2 * 51 + 0.6
    assert np.abs(x).max() > 5


def test_brightness_moves_the_mean_by_at_most_its_share():
    flat = np.full((64, 8, 8, 1), 128, np.uint8)
    after = augment(flat, Augmentation(brightness=0.2, probability=1), rng()).astype(int)
    moved = after.mean(axis=(1, 2, 3)) - 128
    assert np.abs(moved).max() <= 52
    assert moved.min() < -25
    assert moved.max() > 25


def test_downscaling_loses_detail_and_keeps_the_mean():
    checks = (np.indices((48, 48)).sum(axis=0) % 2 * 255).astype(np.uint8)
    before = np.repeat(checks[None, ..., None], 8, axis=0)
    after = augment(before, Augmentation(downscale=0.3, probability=1), rng()).astype(float)
    assert after.std() < 0.5 * before.std()
    assert after.mean() == pytest.approx(before.mean(), abs=3)


def test_probability_is_the_share_of_changed_images():
    flat = np.full((2000, 4, 4, 1), 100, np.uint8)
    after = augment(flat, Augmentation(brightness=0.5, probability=0.25), rng())
    assert np.mean(np.any(after != flat, axis=(1, 2, 3))) == pytest.approx(0.25, abs=0.04)


COLOUR = {
    "saturation": Augmentation(saturation=1.0),
    "hue": Augmentation(hue=0.5),
    "both": Augmentation(saturation=0.4, hue=0.1),
}
# Luminance of red, green and blue as Pillow's "L" has it.
LUMINANCE = np.array([0.299, 0.587, 0.114])


def colours() -> np.ndarray:
    """Muted colours: no change of hue or of saturation leaves 0..255."""
    middle = np.random.default_rng(0).integers(110, 146, (32, 8, 8, 3))
    return middle.astype(np.uint8)


@pytest.mark.parametrize("name", COLOUR)
def test_hue_and_saturation_keep_luminance_and_leave_gray_alone(name: str):
    before, after = colours(), augment(colours(), COLOUR[name], rng())
    changed = np.any(after != before, axis=(1, 2, 3))
    assert 4 <= changed.sum() < len(before)
    # Three channels are rounded to whole pixel values: half a step at most in their mean.
    assert np.abs((after.astype(float) - before) @ LUMINANCE).max() <= 0.5
    for channels in (1, 3):
        assert np.array_equal(augment(faces(channels), COLOUR[name], rng()), faces(channels))


def test_hue_turns_about_gray_and_saturation_goes_to_or_away_from_it():
    red = np.zeros((64, 1, 1, 3), np.uint8) + np.array([150, 120, 120], np.uint8)
    gray = red @ LUMINANCE
    turned, stretched = (
        augment(red, COLOUR[name], rng())[:, 0, 0].astype(float) for name in ("hue", "saturation")
    )
    assert {int(np.argmax(pixel)) for pixel in turned} == {0, 1, 2}
    directions = stretched - gray[:, 0]
    assert np.all(directions[:, 0] >= -0.5)
    assert directions[:, 0].min() < 10  # 21 before
    assert directions[:, 0].max() > 30
    np.testing.assert_allclose(directions[:, 1], directions[:, 2], atol=1e-9)
