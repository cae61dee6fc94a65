"""From an image file to what a model takes: the one implementation that bench and device share."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgefer.errors import InputError
from edgefer.pixels import PixelSpec

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def read_pixels(source: Path | Image, *, height: int, width: int, channels: int) -> Pixels:
    """Decode an image and resize it with Pillow's bilinear kernel (antialiased when shrinking).

    Returns uint8 of shape (height, width, channels); gray uses Pillow's ITU-R 601 luma.

    Raises:
        InputError: as ``open_picture`` does.
    """
    from PIL import Image as PillowImage

    image = open_picture(source) if isinstance(source, Path) else source
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (width, height):
        image = image.resize((width, height), PillowImage.Resampling.BILINEAR)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels.reshape(height, width, channels)


def open_picture(path: Path) -> Image:
    """Decode an image file as 8 bits a channel, upright as its EXIF orientation says.

    Of 16-bit gray the upper 8 bits are taken: Pillow's own conversion makes all but the darkest of it white.

    Raises:
        InputError: the file is missing, truncated, no image, or of pixels without a known range.
    """
    from PIL import Image as PillowImage
    from PIL import ImageOps, UnidentifiedImageError

    try:
        with PillowImage.open(path) as stored:
            image, sixteen = ImageOps.exif_transpose(stored), _is_sixteen_bit(stored)
    except (
        OSError,
        UnidentifiedImageError,
        SyntaxError,
        ValueError,
        struct.error,  # damaged EXIF
        PillowImage.DecompressionBombError,
    ) as error:
        raise InputError(f"{path}: cannot be read as an image ({error})") from error
    if sixteen:
        return PillowImage.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        kind = "integers of 32 bits" if image.mode == "I" else "floats"
        raise InputError(
            f"{path}: has {kind} for pixels, whose range nobody states",
            hint="store the image with 8 or 16 bits a pixel",
        )
    return image


def _is_sixteen_bit(image: Image) -> bool:
    """Whether the pixels are 16-bit gray, for which older Pillows take 32 bits; a PNG has no larger ones."""
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")


def match_channels(pixels: Pixels, spec: PixelSpec) -> Pixels:
    """Bring uint8 (N, H, W, 1 or 3) to the spec's pixel channels: gray is repeated, colour becomes ITU-R 601 luma.

    Raises:
        InputError: height or width differ from the spec's.
    """
    if pixels.shape[1:3] != (spec.height, spec.width):
        raise InputError(
            f"images are {pixels.shape[1]}x{pixels.shape[2]}, the model takes {spec.height}x{spec.width}",
            hint="load the data at the model's size",
        )
    if pixels.shape[3] == spec.pixel_channels:
        return pixels
    if spec.pixel_channels == 3:
        return np.repeat(pixels, 3, axis=3)
    # Pillow's integer luma, so that an image decoded to gray and one converted here are equal.
    weighted = pixels.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
    return ((weighted + 0x8000) >> 16).astype(np.uint8)[..., None]


def to_floats(pixels: Pixels, spec: PixelSpec) -> Floats:
    """Turn uint8 (N, H, W, pixel channels) into the backbone's own float32 (N, H, W, channels)."""
    pixels = match_channels(pixels, spec)
    if spec.color == "bgr":
        pixels = pixels[..., ::-1]
    scale, offset = np.asarray(spec.scale, np.float32), np.asarray(spec.offset, np.float32)
    return np.ascontiguousarray(pixels.astype(np.float32) * scale + offset, dtype=np.float32)
