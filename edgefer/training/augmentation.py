"""Random changes to training images.

The random amounts are drawn by a numpy generator, so that a run can be repeated and resumed exactly whatever
the Keras backend; the pixels are changed by ``keras.ops``, a whole batch at once. All geometric changes of an
image are composed into one matrix and sampled once: several interpolations in a row would blur a 48-pixel
face.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgefer.preprocessing import Floats, Pixels
from edgefer.recipe import Augmentation

Matrices = npt.NDArray[np.float64]

# From red, green and blue to luminance and two colour axes around it, NTSC's YIQ. Shares of luminance as in ITU-R
# BT.601, by which a gray copy of a picture is made.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])


def augment(pixels: Pixels, amounts: Augmentation, rng: np.random.Generator) -> Pixels:
    """Return changed copies of uint8 images (N, H, W, C), in the same shape.

    Mirroring comes first, then the geometry, lighting, and last the loss of resolution. The result is rounded
    to pixels again: what the network learns from is what a camera could have delivered.
    """
    if amounts == Augmentation():
        return pixels
    images = pixels.astype(np.float32)
    if amounts.flip:
        images = _flip(images, rng)
    if _moves(amounts):
        images = _warp(images, _matrices(images.shape, amounts, rng))
    images = _relight(images, amounts, rng)
    if amounts.downscale < 1:
        images = _downscale(images, amounts, rng)
    return np.rint(np.clip(images, 0, 255)).astype(np.uint8)


def _flip(images: Floats, rng: np.random.Generator) -> Floats:
    chosen = rng.random(len(images)) < 0.5
    return np.where(chosen[:, None, None, None], images[:, :, ::-1], images)


def _moves(amounts: Augmentation) -> bool:
    return any((amounts.rotation, amounts.shift, amounts.zoom, amounts.shear, amounts.crop))


def _draw(
    count: int, largest: float, amounts: Augmentation, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Uniform in ±largest for the images that are chosen, 0 for the others; shape (count,)."""
    return np.where(rng.random(count) < amounts.probability, rng.uniform(-largest, largest, count), 0.0)


def _matrices(shape: tuple[int, ...], amounts: Augmentation, rng: np.random.Generator) -> Matrices:
    """Matrices (N, 3, 3) that take a pixel of the changed image to where it comes from in the given one."""
    count, height, width = shape[:3]
    angle = np.deg2rad(_draw(count, amounts.rotation, amounts, rng))
    shear = _draw(count, amounts.shear, amounts, rng)
    cut = np.abs(_draw(count, amounts.crop, amounts, rng))
    scale = (1 + _draw(count, amounts.zoom, amounts, rng)) * (1 - cut)
    shift_x = _draw(count, amounts.shift, amounts, rng) + cut * rng.uniform(-0.5, 0.5, count)
    shift_y = _draw(count, amounts.shift, amounts, rng) + cut * rng.uniform(-0.5, 0.5, count)
    matrices = np.zeros((count, 3, 3))
    matrices[:, 0, 0], matrices[:, 0, 1] = scale * np.cos(angle), scale * (shear - np.sin(angle))
    matrices[:, 1, 0], matrices[:, 1, 1] = scale * np.sin(angle), scale * np.cos(angle)
    matrices[:, 0, 2], matrices[:, 1, 2], matrices[:, 2, 2] = shift_x * width, shift_y * height, 1
    return _about_centre(matrices, height, width)


def _about_centre(matrices: Matrices, height: int, width: int) -> Matrices:
    """The same changes with the image's centre, not its corner, at rest."""
    centre = np.array([[1, 0, (width - 1) / 2], [0, 1, (height - 1) / 2], [0, 0, 1]])
    return centre @ matrices @ np.linalg.inv(centre)


def _warp(images: Floats, matrices: Matrices) -> Floats:
    import keras

    transforms = matrices.reshape(-1, 9)[:, :8].astype(np.float32)
    moved = keras.ops.image.affine_transform(
        images, transforms, interpolation="bilinear", fill_mode="nearest", data_format="channels_last"
    )
    return _numpy(moved)


def _relight(images: Floats, amounts: Augmentation, rng: np.random.Generator) -> Floats:
    count = len(images)
    if amounts.jitter:
        gamma = np.exp2(_draw(count, amounts.jitter, amounts, rng)).astype(np.float32)
        shares = np.clip(images, 0, 255) / np.float32(255)
        images = np.float32(255) * shares ** gamma[:, None, None, None]
    if (amounts.saturation or amounts.hue) and images.shape[-1] == len(_YIQ):
        images = np.einsum("nhwc,ndc->nhwd", images, _recolouring(count, amounts, rng), optimize=True)
    if amounts.contrast or amounts.brightness:
        factor = 1 + _draw(count, amounts.contrast, amounts, rng)[:, None, None, None].astype(np.float32)
        added = 255 * _draw(count, amounts.brightness, amounts, rng)[:, None, None, None].astype(np.float32)
        mean = images.mean(axis=(1, 2, 3), keepdims=True)
        images = (images - mean) * factor + mean + added
    return images


def _recolouring(count: int, amounts: Augmentation, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Matrices (N, 3, 3) from red, green and blue to the same with other hue and saturation."""
    factor = 1 + _draw(count, amounts.saturation, amounts, rng)
    angle = 2 * np.pi * _draw(count, amounts.hue, amounts, rng)
    turns = np.zeros((count, 3, 3))
    turns[:, 0, 0] = 1
    turns[:, 1, 1] = turns[:, 2, 2] = factor * np.cos(angle)
    turns[:, 2, 1] = factor * np.sin(angle)
    turns[:, 1, 2] = -turns[:, 2, 1]
    changed: npt.NDArray[np.float32] = (np.linalg.inv(_YIQ) @ turns @ _YIQ).astype(np.float32)
    return changed


def _downscale(images: Floats, amounts: Augmentation, rng: np.random.Generator) -> Floats:
    """Shrink and enlarge the chosen images; one size a batch, so that it stays one operation."""
    import keras

    height, width = images.shape[1:3]
    share = rng.uniform(amounts.downscale, 1)
    chosen = np.flatnonzero(rng.random(len(images)) < amounts.probability)
    small = (max(1, round(height * share)), max(1, round(width * share)))
    if not len(chosen) or small == (height, width):
        return images
    layout = {"interpolation": "bilinear", "data_format": "channels_last"}
    shrunk = keras.ops.image.resize(images[chosen], small, antialias=True, **layout)
    images = images.copy()
    images[chosen] = _numpy(keras.ops.image.resize(shrunk, (height, width), **layout))
    return images


def _numpy(tensor: Any) -> Floats:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(tensor), np.float32)
