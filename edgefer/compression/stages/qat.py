"""Quantization-aware training: the network learns with int8 rounding, so that int8 costs it less.

Jacob et al. 2018, "Quantization and training of neural networks for efficient integer-arithmetic-only inference". What
comes out is a float network again; the conversion to ``tflite-int8`` calibrates its ranges as for any other.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Any

import msgspec

from edgefer.backbones.base import Backbone
from edgefer.compression.base import CORRECTED, Result, Stage, Workshop
from edgefer.compression.branches import as_converted
from edgefer.compression.quantize_configs import calibrate, give_back, imitating_int8
from edgefer.compression.tf_keras_checkpoint import History
from edgefer.compression.tf_keras_tuning import REBUILD_TOLERANCE, best_of, judge, require_plain, tune
from edgefer.interop_tf_keras import copy_weights_back, to_tf_keras
from edgefer.recipe import Tuning
from edgefer.spec import Frozen

# Rows on which the ranges are set before the training. Their means settle within a few hundred.
_ROWS = 512


class Options(Frozen, frozen=True):
    """Settings of the stage."""

    tuning: Tuning

    def __post_init__(self) -> None:
        require_plain(self.tuning)


def run(backbone: Backbone, options: Options, workshop: Workshop) -> Result:
    """Train with rounding; keep the epoch that, rounded, is best on validation, if it is better than without training.

    Parallel branches are merged first, so that rounded is what a file will hold. If no epoch is better, the backbone
    stays as it came, branches and all, and a note says so.

    Raises:
        ConversionError: the network cannot be rebuilt in tf_keras, or a kind of layer has no rule for rounding.
        TrainingError: the loss is no number any more.
    """
    import keras

    merged = as_converted(backbone, workshop)
    plain = to_tf_keras(merged.model, tolerance=REBUILD_TOLERANCE)
    quantized = imitating_int8(plain)
    count = -(-_ROWS // options.tuning.training.batch_size)
    calibrate(quantized, (inputs for inputs, *_ in islice(workshop.batches(options.tuning, 1), count)))
    before = judge(replace(merged, model=quantized), workshop.dataset)
    history = tune(quantized, merged, options.tuning, workshop)
    findings = _findings(before.score.weighted_f1, history)
    if not findings["kept"]:
        workshop.note(_regret(findings))
        return Result(backbone, findings)
    give_back(quantized, plain)
    trained = keras.models.clone_model(merged.model)
    copy_weights_back(plain, trained, tolerance=REBUILD_TOLERANCE)
    return Result(replace(merged, model=trained), findings)


def _findings(before: float, history: History) -> dict[str, Any]:
    """What the training did for the weighted F1 of the rounded network, ``before`` without it."""
    best = best_of(history)
    return {
        "epoch": best.number,
        "rounded_validation_weighted_f1_before": before,
        "rounded_validation_weighted_f1": best.validation_weighted_f1,
        "kept": best.validation_weighted_f1 > before,
        "epochs": msgspec.to_builtins(history),
    }


def _regret(findings: dict[str, Any]) -> str:
    before, after = (findings[f"rounded_validation_weighted_f1{when}"] for when in ("_before", ""))
    return (
        f"rounded to int8, weighted F1 on validation is {before:.4f} before and {after:.4f} after epoch "
        f"{findings['epoch']}, the best: this does not help here and is left out"
    )


STAGES = (
    Stage(
        id="qat",
        options=Options,
        run=run,
        not_after={"magnitude": "training for rounding would fill the zeros again", **CORRECTED},
        final="what changes the weights afterwards undoes what they learned about being rounded",
    ),
)
