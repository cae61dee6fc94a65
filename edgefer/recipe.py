"""A recipe: what is trained, on what, and how. ``recipe_loading`` reads one from TOML."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from edgefer.spec import Frozen, InputSpec


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


class Source(Frozen, frozen=True):
    """Where the recipe comes from and what that document reports (metric name → figure)."""

    document: str
    reported: dict[str, float] = msgspec.field(default_factory=dict)
    remark: str = ""


class DataPart(Frozen, frozen=True):
    """The label set the network is trained for, ``ferplus-9`` for instance."""

    labels: str


class BackbonePart(Frozen, frozen=True):
    """Which network.

    ``weights`` is ``none``, a name such as ``imagenet`` or a file; ``weights_missing`` says what happens
    where a named set cannot be fetched: an error, or random weights (and the record says so). ``options``
    belong to the family.
    """

    family: str
    weights: str = "none"
    weights_missing: Literal["error", "random"] = "error"
    options: dict[str, Any] = msgspec.field(default_factory=dict)


class Constant(Frozen, frozen=True, tag="constant", tag_field="kind"):
    """The learning rate stays as it is."""


class Plateau(Frozen, frozen=True, tag="plateau", tag_field="kind"):
    """Multiply the rate by ``factor`` when the validation loss has not fallen for ``patience`` epochs."""

    patience: int = 10
    factor: float = 0.1
    minimum: float = 0.0

    def __post_init__(self) -> None:
        _require(self.patience >= 1, "patience must be at least 1")
        _require(0 < self.factor < 1, "factor must be between 0 and 1")


class Cosine(Frozen, frozen=True, tag="cosine", tag_field="kind"):
    """Rise for ``warmup`` epochs, then fall along a half cosine to ``floor`` times the learning rate."""

    warmup: float = 1.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        _require(self.warmup >= 0, "warmup must not be negative")
        _require(0 <= self.floor < 1, "floor must be in [0, 1)")


class TrainingPart(Frozen, frozen=True):
    """How the network is trained; the epoch with the best weighted validation F1 is the one that is kept.

    ``learning_rate`` is the peak; ``targets`` are one-hot majority labels or the taggers' votes as a
    distribution.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: Literal["adam", "adamw", "sgd-nesterov"] = "adam"
    weight_decay: float = 0.0
    schedule: Constant | Plateau | Cosine = Constant()
    targets: Literal["majority", "votes"] = "majority"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        _require(self.epochs >= 1, "epochs must be at least 1")
        _require(self.batch_size >= 1, "batch_size must be at least 1")
        _require(self.learning_rate > 0, "learning_rate must be positive")
        _require(self.weight_decay >= 0, "weight_decay must not be negative")
        _require(not self.weight_decay or self.optimizer == "adamw", "weight_decay needs optimizer = 'adamw'")
        _require(0 <= self.label_smoothing < 1, "label_smoothing must be in [0, 1)")


class Augmentation(Frozen, frozen=True):
    """Random changes to training images; every amount is a largest one, drawn anew for each image and epoch.

    ``flip`` mirrors half of the images. ``rotation`` in degrees; ``shift`` as a share of height and width;
    ``zoom`` and ``shear`` as a share; ``crop`` is the largest share of a side that is cut away before
    resizing back. ``brightness`` as a share of 255, ``contrast`` as a share, ``jitter`` as the exponent's
    log2 range of a gamma change (hue and saturation, the rest of a colour jitter, do nothing to gray).
    ``downscale`` is the smallest size, as a share, an image is shrunk to before it is enlarged again. Zero
    (for ``downscale`` 1) switches a change off. ``probability`` is how likely each change but ``flip`` is
    applied to an image.
    """

    flip: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    downscale: float = 1.0
    rotation: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    crop: float = 0.0
    jitter: float = 0.0
    probability: float = 0.5

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "shift", "zoom", "shear", "crop"):
            _require(0 <= getattr(self, name) < 1, f"{name} must be in [0, 1)")
        _require(0 <= self.rotation <= 180, "rotation must be in 0..180 degrees")
        _require(0 <= self.jitter <= 3, "jitter must be in 0..3")
        _require(0 < self.downscale <= 1, "downscale must be in (0, 1]")
        _require(0 < self.probability <= 1, "probability must be in (0, 1]")


WEAK = Augmentation(flip=True, brightness=0.15, contrast=0.25, downscale=0.5)
STRONG = msgspec.structs.replace(WEAK, rotation=30.0, shift=0.1, zoom=0.1, shear=0.1, crop=0.15, jitter=0.5)
PRESETS = {"none": Augmentation(), "weak": WEAK, "strong": STRONG}


class Recipe(Frozen, frozen=True):
    """Everything that decides a training run."""

    id: str
    title: str
    source: Source
    data: DataPart
    input: InputSpec
    backbone: BackbonePart
    training: TrainingPart
    augmentation: Augmentation = Augmentation()
    seed: int = 7
