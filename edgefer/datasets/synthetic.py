"""Drawn faces with the expressions of FER+: needs no files, always the same, for demos and tests.

Numbers measured on it say whether a pipeline works, nothing about people's faces.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgefer.datasets.base import Parsed, Reader
from edgefer.datasets.drawing import EXPRESSIONS, Look, Pose, draw
from edgefer.datasets.fingerprints import Fingerprints
from edgefer.datasets.labels import LABEL_SETS
from edgefer.datasets.votes import VOTE_COLUMNS, tally
from edgefer.preprocessing import Pixels, read_pixels

NAME = "synthetic"
COUNTS = (1800, 360, 450)
_SEED = 20160801
_TAGGERS = 10
_SMALLEST = 144
_UNKNOWN = VOTE_COLUMNS.index("unknown")
# Uneven like faces on the web, yet with enough of each class to learn it.
_SHARES = np.array([0.20, 0.18, 0.13, 0.12, 0.11, 0.07, 0.07, 0.06, 0.06])
_COPIED = 0.02
_HIDDEN = 0.7
_LOOKS = {
    "skin": (110, 215),
    "hair": (15, 90),
    "backdrop": (20, 235),
    "fringe": (0, 1),
    "length": (0, 1),
    "brow": (0, 1),
    "spread": (0.9, 1.1),
    "mouth": (0.9, 1.1),
    "glasses": (0, 1),
    "cover": (0, 1),
    "beard": (0, 1),
}
_POSES = {
    "x": (0.44, 0.56),
    "y": (0.45, 0.55),
    "half_width": (0.30, 0.38),
    "half_height": (0.40, 0.48),
    "roll": (-0.2, 0.2),
    "turn": (-0.13, 0.13),
}

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Limits = dict[str, tuple[float, float]]


def generate(label_set: str, size: tuple[int, int], channels: int) -> Parsed:
    """Draw the whole set; the same arguments give the same bytes."""
    random = np.random.default_rng(_SEED)
    parts = np.repeat(np.arange(3), COUNTS)
    classes = random.choice(len(_SHARES), len(parts), p=_SHARES)
    mixed, blend = _expressions(classes, random)
    votes = _votes(mixed, random)
    hidden = (classes == _UNKNOWN) & (random.random(len(parts)) < _HIDDEN)
    pixels = _light(_faces(blend, hidden, size, random), random)
    prints = _copy_some(pixels, votes, parts, random)
    labels = LABEL_SETS[label_set]
    result = tally(votes, np.ones(len(parts), np.bool_), labels)
    return Parsed(
        name=NAME,
        label_set=labels,
        pixels=np.repeat(pixels, channels, axis=3),
        prints=prints,
        labels=result.labels,
        soft=result.soft,
        parts=parts,
        subjects=(None,) * len(parts),
        dropped=result.dropped,
        tied=result.tied,
        synthetic=True,
    )


def _expressions(classes: Numbers, random: np.random.Generator) -> tuple[Floats, Floats]:
    """What is meant, as shares (N, 9) of the classes, and its drawing numbers (N, 9).

    An unknown expression is an even blend of two others.
    """
    count, known = len(classes), len(EXPRESSIONS)
    shares = np.eye(known + 1)[classes]
    first, step = random.integers(1, known, count), random.integers(1, known - 1, count)
    second = 1 + (first - 1 + step) % (known - 1)
    pair = (np.eye(known)[first] + np.eye(known)[second]) / 2
    unknown = (classes == _UNKNOWN)[:, None]
    drawn = np.where(unknown, pair, shares[:, :known])
    table = np.array(list(EXPRESSIONS.values()))
    strength = random.uniform(0.65, 1.2, (count, 1))
    noise = random.normal(0, 0.07, (count, table.shape[1]))
    numbers = table[0] + strength * (drawn @ table - table[0]) + noise
    clarity = np.clip(strength, 0, 1)
    meant = np.where(unknown, 0.6 * shares + 0.4 * np.pad(pair, ((0, 0), (0, 1))), clarity * shares)
    meant[:, 0] += np.where(unknown, 0, 1 - clarity)[:, 0] * 0.7
    return meant, numbers


def _votes(meant: Floats, random: np.random.Generator) -> Numbers:
    """Ten taggers a row, int64 (N, 10): each sees what is meant, now and then something else."""
    chances = meant + 0.015
    chances /= chances.sum(axis=1, keepdims=True)
    thresholds = chances.cumsum(axis=1)[:, None, :]
    choices = (random.random((len(meant), _TAGGERS, 1)) > thresholds[:, :, :-1]).sum(axis=2)
    return np.asarray((choices[:, :, None] == np.arange(len(VOTE_COLUMNS))).sum(axis=1), np.int64)


def _faces(numbers: Floats, hidden: Bools, size: tuple[int, int], random: np.random.Generator) -> Pixels:
    """Draw expressions (N, 9), with a hand before the mouth where ``hidden`` (N,)."""
    height, width = size
    side = max(_SMALLEST, 2 * max(size))
    looks, poses = _sample(_LOOKS, len(numbers), random), _sample(_POSES, len(numbers), random)
    looks[:, list(_LOOKS).index("cover")] += hidden
    pixels = np.empty((len(numbers), height, width, 1), np.uint8)
    for row, (look, pose) in enumerate(zip(looks.tolist(), poses.tolist(), strict=True)):
        image = draw(numbers[row].tolist(), Look(*look), Pose(*pose), side)
        pixels[row] = read_pixels(image, height=height, width=width, channels=1)
    return pixels


def _sample(limits: Limits, count: int, random: np.random.Generator) -> Floats:
    low, high = np.array(list(limits.values())).T
    return random.uniform(low, high, (count, len(limits)))


def _light(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """Shade each image across, change its contrast and brightness, add noise."""
    count, height, width, _ = pixels.shape
    gain, right, down, bias, grain = (
        random.uniform(low, high, (count, 1, 1)).astype(np.float32)
        for low, high in ((0.7, 1.15), (-0.35, 0.35), (-0.25, 0.25), (-25, 35), (2, 11))
    )
    x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    lit = pixels[..., 0] * gain * (1 + right * x + down * y) + bias
    lit += grain * random.standard_normal(lit.shape, np.float32)
    return np.asarray(np.clip(np.rint(lit), 0, 255)[..., None], np.uint8)


def _copy_some(pixels: Pixels, votes: Numbers, parts: Numbers, random: np.random.Generator) -> Fingerprints:
    """Repeat a few training rows in the other splits, as FER2013 does, so that there is leakage to show.

    Returns the numbers (N,) of the drawings that rows show: what tells images apart, and at any size.
    """
    later = np.flatnonzero(parts > 0)
    copies = random.choice(later, int(_COPIED * len(later)), replace=False)
    originals = random.choice(COUNTS[0], len(copies), replace=False)
    pixels[copies], votes[copies] = pixels[originals], votes[originals]
    drawings = np.arange(len(pixels), dtype=np.uint64)
    drawings[copies] = originals
    return drawings


READERS = (
    Reader(
        id=NAME,
        layout="the word 'synthetic' (drawn faces)",
        label_sets=("ferplus-9", "ferplus-8"),
        finds=lambda path: path == Path(NAME),
        sources=lambda _: (),
        read=lambda _, label_set, size, channels: generate(label_set, size, channels),
        rank=2,
    ),
)
