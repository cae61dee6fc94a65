"""A recipe: what is trained, on what, and how. ``recipe_loading`` reads one from TOML."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from edgefer.spec import Frozen, InputSpec

# NumPy's old generator, which Keras seeds too, takes no others.
SEEDS = 2**32


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


class Source(Frozen, frozen=True):
    """Where the recipe comes from and what that document reports (metric name → figure).

    ``reported_on`` names the set whose own test rows the figures are of, where the test split may hold others' too.
    """

    document: str
    reported: dict[str, float] = msgspec.field(default_factory=dict)
    reported_on: str = ""
    remark: str = ""


class DataPart(Frozen, frozen=True):
    """What the network is trained on.

    ``labels`` is the label set, ``ferplus-9`` for instance. ``sets`` names the data sets that are merged, all
    found below ``--data``; none means whatever layout stands there. ``optional`` sets are merged where the user
    has them, and the record says which those were. ``split`` takes the parts as the ``files`` give them, or
    deals the rows anew into ``shares`` (train, validation, test), ``grouped`` by subject and exact duplicate.
    ``relabel`` is a CSV file of corrected training labels, as ``edgefer data clean`` writes it.
    """

    labels: str
    sets: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    split: Literal["files", "grouped"] = "files"
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    relabel: str = ""

    def __post_init__(self) -> None:
        _require(min(self.shares) > 0, "shares must be positive")
        _require(abs(sum(self.shares) - 1) < 1e-6, "shares must sum to 1")
        _require(bool(self.sets) or not self.optional, "optional sets need sets to be merged with")
        named = (*self.sets, *self.optional)
        _require(len(set(named)) == len(named), "sets and optional name a set twice")


class BackbonePart(Frozen, frozen=True):
    """Which network.

    ``weights`` is ``none``, a name such as ``imagenet`` or a file; ``weights_missing`` says what happens
    where a named set cannot be had: an error, or random weights (and the record says so). ``frozen`` counts
    the layers that keep their weights, as Keras lists them, the input first; it is ignored where the weights
    are random, for random features would be frozen then. ``options`` belong to the family.
    """

    family: str
    weights: str = "none"
    weights_missing: Literal["error", "random"] = "error"
    frozen: int = 0
    options: dict[str, Any] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        _require(self.frozen >= 0, "frozen must not be negative")


class Constant(Frozen, frozen=True, tag="constant", tag_field="kind"):
    """The learning rate stays as it is."""


class Plateau(Frozen, frozen=True, tag="plateau", tag_field="kind"):
    """Multiply the rate by ``factor`` when the validation loss has not fallen for ``patience`` epochs.

    It falls no lower than ``minimum``.
    """

    patience: int = 10
    factor: float = 0.1
    minimum: float = 0.0

    def __post_init__(self) -> None:
        _require(self.patience >= 1, "patience must be at least 1")
        _require(0 < self.factor < 1, "factor must be between 0 and 1")
        _require(self.minimum >= 0, "minimum must not be negative")


class Cosine(Frozen, frozen=True, tag="cosine", tag_field="kind"):
    """Rise for ``warmup`` epochs, then fall along a half cosine to ``floor`` times the learning rate."""

    warmup: float = 1.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        _require(self.warmup >= 0, "warmup must not be negative")
        _require(0 <= self.floor < 1, "floor must be in [0, 1)")


class Distillation(Frozen, frozen=True):
    """Learning from teachers' answers beside the targets: Hinton, Vinyals and Dean 2015.

    ``teachers`` are files of Keras backbones with the recipe's classes; several of them vote. A recipe names at least
    one, a tuning need not where the stage has a teacher of its own. Their answers on an image and its mirror image are
    averaged, once for all epochs. ``share`` is the teachers' part of the loss, in which both sides' probabilities are
    softened by ``temperature``. ``hint`` weighs how far a linear map of the network's features is from the teachers'
    (Romero et al. 2015, on the features before the last layer); 0 leaves features alone.
    """

    teachers: tuple[str, ...] = ()
    temperature: float = 2.0
    share: float = 0.5
    hint: float = 0.0

    def __post_init__(self) -> None:
        _require(len(set(self.teachers)) == len(self.teachers), "teachers name a model twice")
        _require(self.temperature > 0, "temperature must be positive")
        _require(0 < self.share <= 1, "share must be in (0, 1]")
        _require(self.hint >= 0, "hint must not be negative")


class TrainingPart(Frozen, frozen=True):
    """How the network is trained; the epoch with the best weighted validation F1 is the one that is kept.

    ``learning_rate`` is the peak; ``momentum`` belongs to the two SGD optimizers; ``weight_decay`` is decoupled
    from the gradient (Loshchilov and Hutter 2019); ``targets`` are one-hot majority labels or the taggers' votes
    as a distribution. ``class_weights`` multiplies a row's loss by a factor inverse to its class's count, with
    mean 1 over the rows of an epoch, repeated ones included. ``oversample`` repeats rows of rare classes: a class
    is drawn as often as if it had n_max^x * n^(1-x) rows, x = 0 being no change and 1 equal classes; the epoch
    becomes that much longer. ``ema`` is the decay of the weights' exponential moving average, which is what is
    evaluated and kept then; 0 keeps the weights themselves. ``precision`` is the arithmetic of the training, not
    of the kept weights. ``distillation`` adds teachers' answers to what is learned.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: Literal["adam", "adamw", "sgd", "sgd-nesterov"] = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Constant | Plateau | Cosine = Constant()
    targets: Literal["majority", "votes"] = "majority"
    label_smoothing: float = 0.0
    class_weights: Literal["none", "inverse"] = "none"
    oversample: float = 0.0
    ema: float = 0.0
    precision: Literal["float32", "mixed-float16", "mixed-bfloat16"] = "float32"
    distillation: Distillation | None = None

    def __post_init__(self) -> None:
        _require(self.epochs >= 1, "epochs must be at least 1")
        _require(self.batch_size >= 1, "batch_size must be at least 1")
        _require(self.learning_rate > 0, "learning_rate must be positive")
        _require(self.weight_decay >= 0, "weight_decay must not be negative")
        decays = not self.weight_decay or self.optimizer != "adam"
        _require(decays, "weight_decay needs optimizer = 'adamw', 'sgd' or 'sgd-nesterov'")
        _require(0 <= self.label_smoothing < 1, "label_smoothing must be in [0, 1)")
        _require(0 <= self.momentum < 1, "momentum must be in [0, 1)")
        _require(0 <= self.oversample <= 1, "oversample must be in [0, 1]")
        _require(0 <= self.ema < 1, "ema must be in [0, 1)")
        lowest = self.schedule.minimum if isinstance(self.schedule, Plateau) else 0
        _require(lowest <= self.learning_rate, "schedule.minimum must be at most the learning_rate")


class Augmentation(Frozen, frozen=True):
    """Random changes to training images; every amount is a largest one, drawn anew for each image and epoch.

    ``flip`` mirrors half of the images. ``rotation`` in degrees; ``shift`` as a share of height and width;
    ``zoom`` and ``shear`` as a share; ``crop`` is the largest share of a side that is cut away before resizing
    back. ``brightness`` as a share of 255, ``contrast`` as a share, ``jitter`` as the exponent's log2 range of
    a gamma change. ``saturation``, as a share, and ``hue``, as a share of the colour circle, keep a pixel's
    luminance and leave gray images alone. ``downscale`` is the smallest size, as a share, an image is shrunk to
    before it is enlarged again. Zero (for ``downscale`` 1) switches a change off. ``probability`` is how likely
    each change but ``flip`` is applied to an image.
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
    saturation: float = 0.0
    hue: float = 0.0
    probability: float = 0.5

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "shift", "zoom", "shear", "crop"):
            _require(0 <= getattr(self, name) < 1, f"{name} must be in [0, 1)")
        _require(0 <= self.saturation <= 1, "saturation must be in 0..1")
        _require(0 <= self.hue <= 0.5, "hue must be in 0..0.5")
        _require(0 <= self.rotation <= 180, "rotation must be in 0..180 degrees")
        _require(0 <= self.jitter <= 3, "jitter must be in 0..3")
        _require(0 < self.downscale <= 1, "downscale must be in (0, 1]")
        _require(0 < self.probability <= 1, "probability must be in (0, 1]")


WEAK = Augmentation(flip=True, brightness=0.15, contrast=0.25, downscale=0.5)
STRONG = msgspec.structs.replace(WEAK, rotation=30.0, shift=0.1, zoom=0.1, shear=0.1, crop=0.15, jitter=0.5)
PRESETS = {"none": Augmentation(), "weak": WEAK, "strong": STRONG}


class Tuning(Frozen, frozen=True):
    """How a network that is already trained is trained further, by a stage of compression."""

    training: TrainingPart
    augmentation: Augmentation = Augmentation()


class EvaluationPart(Frozen, frozen=True):
    """How the trained network is scored beside its plain answers.

    ``tta`` averages the answers to changed copies of each image: ``flip`` the image and its mirror image,
    ``s1-seven`` these two and seven augmented copies, as S1 does.
    """

    tta: Literal["none", "flip", "s1-seven"] = "none"


class ConvertPart(Frozen, frozen=True):
    """The files that a chain of stages ends in: options of ``edgefer convert``, named as there.

    ``keep_float`` are patterns of layers that int8 files leave in float, or the word "auto": as few as bring a file
    within ``max_drop`` points of weighted F1 on validation rows.
    """

    formats: tuple[str, ...]
    input: Literal["raw", "float"] = "raw"
    io: Literal["uint8", "int8"] = "uint8"
    calibration: int = 200
    calibration_method: Literal["minmax", "percentile", "mse", "entropy", "best"] = "minmax"
    keep_float: tuple[str, ...] | Literal["auto"] = ()
    max_drop: float | None = None
    golden: Literal["data", "synthetic"] = "data"

    def __post_init__(self) -> None:
        _require(bool(self.formats), "formats must name at least one")
        _require(self.calibration >= 1, "calibration must be at least 1")
        _require("auto" not in self.keep_float or self.keep_float == "auto", 'keep_float "auto" stands alone')
        _require(self.max_drop is None or self.keep_float == "auto", 'max_drop needs keep_float = "auto"')
        _require(self.max_drop is None or 0 <= self.max_drop <= 100, "max_drop must be in 0..100 points")


class Recipe(Frozen, frozen=True):
    """Everything that decides a training run, and the stages of compression the trained backbone is meant for.

    Each of ``stages`` names its ``stage``; what else stands in it belongs to that stage (``edgefer compress``).
    ``convert`` says in which files they end.
    """

    id: str
    title: str
    source: Source
    data: DataPart
    input: InputSpec
    backbone: BackbonePart
    training: TrainingPart
    augmentation: Augmentation = Augmentation()
    evaluation: EvaluationPart = EvaluationPart()
    stages: tuple[dict[str, Any], ...] = ()
    convert: ConvertPart | None = None
    seed: int = 7

    def __post_init__(self) -> None:
        _require(
            self.convert is None or bool(self.stages), "convert is how stages end, and the recipe has none"
        )
        taught = self.training.distillation
        _require(
            taught is None or bool(taught.teachers),
            "training.distillation.teachers must name at least one model file",
        )
        _require(0 <= self.seed < SEEDS, f"seed must be in 0..{SEEDS - 1}")


class Member(Frozen, frozen=True):
    """One network of an ensemble: a recipe's id or file, and ``key=value`` settings that are changed in it."""

    recipe: str
    set: tuple[str, ...] = ()


class EnsembleRecipe(Frozen, frozen=True):
    """A soft vote: the members are trained one by one and their probabilities averaged with equal weights.

    All members are trained on ``data``. ``input`` is what the ensemble itself takes; a member made for
    another size or range gets the image resized and rescaled inside the network.
    """

    id: str
    title: str
    source: Source
    data: DataPart
    input: InputSpec
    members: tuple[Member, ...]
    evaluation: EvaluationPart = EvaluationPart()

    def __post_init__(self) -> None:
        _require(len(self.members) > 1, "an ensemble needs at least two members")
