"""What a float backbone answers, and whether it is being asked in the range it was trained for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from edgefer.backbones.base import Backbone
from edgefer.errors import InputError, NotFiniteError
from edgefer.metrics import mcnemar_p, score
from edgefer.preprocessing import Floats, Pixels, to_floats
from edgefer.spec import InputSpec

# Ranges that FER networks are trained with: plain scalings, and torchvision's ImageNet statistics.
_COMMON: tuple[dict[str, Any], ...] = (
    {"range": (0.0, 1.0)},
    {"range": (-1.0, 1.0)},
    {"range": (0.0, 255.0)},
    {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
)

# A first look costs little; only a range that does not look worse there is judged on all rows.
SCREENING_ROWS = 512
# F1 is 0..1. Networks with batch normalization take a wrong range in their stride: the loss can be a few points only,
# so the judgement is paired. An untrained network moves between constant answers, worth at most the largest class;
# below SENSIBLE nothing is concluded.
CLEARLY = 0.01
CERTAINLY = 0.01
SENSIBLE = 0.35


def probabilities(backbone: Backbone, pixels: Pixels, *, batch: int = 256) -> Floats:
    """Class probabilities float32 (N, classes) for uint8 images (N, H, W, C).

    Raises:
        NotFiniteError: an output is NaN or infinite.
        InputError: the outputs are no probabilities.
    """
    run = _runner(backbone)
    parts = [run(to_floats(pixels[i : i + batch], backbone.input)) for i in range(0, len(pixels), batch)]
    outputs = np.concatenate(parts).astype(np.float32)
    if not np.isfinite(outputs).all():
        raise NotFiniteError(
            f"{backbone.name}: its outputs hold NaN or infinity", hint="train it again or repair the file"
        )
    if not np.allclose(outputs.sum(axis=1), 1.0, atol=1e-3) or outputs.min() < 0:
        raise InputError(
            f"{backbone.name}: its outputs do not sum to 1, so they are no probabilities",
            hint="give --logits if it ends without a softmax",
        )
    return outputs


def refuse_wrong_range(backbone: Backbone, pixels: Pixels, labels: npt.NDArray[np.int64]) -> None:
    """Score labelled rows, in random order, in the stated range and in the usual others; stop if another is right.

    Another range is right if its weighted F1 is higher by more than ``CLEARLY`` and McNemar's test finds it more
    often right on the same rows with p below ``CERTAINLY``.

    Raises:
        InputError: names the range that is right.
    """
    few = slice(SCREENING_ROWS)
    stated = _answer(backbone, pixels[few], labels[few])
    others = [replace(backbone, input=spec) for spec in _other_ranges(backbone.input)]
    first_looks = [_answer(other, pixels[few], labels[few]).f1 for other in others]
    if max(first_looks) < stated.f1:
        return
    best = others[int(np.argmax(first_looks))]
    stated, other = _answer(backbone, pixels, labels), _answer(best, pixels, labels)
    if other.f1 > max(stated.f1 + CLEARLY, SENSIBLE) and mcnemar_p(stated.right, other.right) < CERTAINLY:
        raise InputError(
            f"{backbone.name}: in the stated range {backbone.input.describe_range()} its F1 on {len(labels)} "
            f"labelled rows is {stated.f1:.3f}, in {best.input.describe_range()} it is {other.f1:.3f}",
            hint=f"it was most likely trained on the latter: give --range {best.input.describe_range()}",
        )


class _Answer(NamedTuple):
    f1: float
    right: npt.NDArray[np.bool_]


def _answer(backbone: Backbone, pixels: Pixels, labels: npt.NDArray[np.int64]) -> _Answer:
    """Weighted F1 of a backbone on labelled rows, and which of them it gets right."""
    predictions = probabilities(backbone, pixels).argmax(axis=1)
    return _Answer(score(labels, predictions, backbone.labels, rows="").weighted_f1, predictions == labels)


def _other_ranges(stated: InputSpec) -> list[InputSpec]:
    specs = []
    for fields in _COMMON:
        if "mean" in fields and stated.channels != 3:
            continue
        empty = {"range": None, "mean": None, "std": None}
        spec = msgspec.structs.replace(stated, **{**empty, **fields})
        if (spec.scale, spec.offset) != (stated.scale, stated.offset):
            specs.append(spec)
    return specs


def _runner(backbone: Backbone) -> Any:
    if backbone.trainable:
        return backbone.model.predict_on_batch
    signature = backbone.model.signatures["serving_default"]
    (name,) = signature.structured_input_signature[1]
    (output,) = signature.structured_outputs

    def run(floats: Floats) -> npt.NDArray[Any]:
        import tensorflow as tf

        return np.asarray(signature(**{name: tf.constant(floats)})[output])

    return run
