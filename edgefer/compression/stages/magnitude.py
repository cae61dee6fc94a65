"""Magnitude pruning: the smallest weights become zero while the network is trained on.

Zhu and Gupta 2017, "To prune, or not to prune: exploring the efficacy of pruning for model compression", for the
polynomial schedule; Mishra et al. 2021, "Accelerating sparse deep neural networks", for m:n patterns. The work is
done by tensorflow-model-optimization on a tf_keras copy of the network.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import msgspec

from edgefer.backbones.base import Backbone
from edgefer.compression.base import CORRECTED, Result, Stage, Workshop
from edgefer.compression.branches import as_converted
from edgefer.compression.excluding import is_excluded, refuse_unmatched
from edgefer.compression.sparsity import sizes_of, sparsity_of
from edgefer.compression.tf_keras_checkpoint import History
from edgefer.compression.tf_keras_tuning import REBUILD_TOLERANCE, best_of, require_plain, tune
from edgefer.compression.toolkit import toolkit
from edgefer.errors import SettingError
from edgefer.interop_tf_keras import copy_weights_back, to_tf_keras
from edgefer.recipe import Tuning
from edgefer.spec import Frozen

REMARK = (
    "zeros alone do not make a dense runtime faster: they make a compressed download smaller, and pay in time only "
    "on a runtime with sparse kernels, as XNNPACK on Arm has them for the 1x1 convolutions of tflite-sparse-fp32 files"
)
_PATTERN = re.compile(r"(?P<zeros>[1-9]\d?):(?P<group>[1-9]\d?)")
# The weights that are pruned in each kind of layer.
_KERNELS = {
    "Conv2D": "kernel",
    "Conv2DTranspose": "kernel",
    "Dense": "kernel",
    "SeparableConv2D": "pointwise_kernel",
}
# When zeros come, as shares of the training, where nothing is said.
_BEGIN, _END = 0.0, 0.5
# How often the weights to be zero are chosen anew, at most; tensorflow-model-optimization's own default.
_FREQUENCY = 100


class Options(Frozen, frozen=True):
    """Settings of the stage.

    ``sparsity`` is the share of zeros in each pruned layer's kernel. ``polynomial`` raises it from 0 to that,
    cubically, between ``begin`` and ``end``, both as shares of the training; ``constant`` applies it from ``begin``
    on and chooses the weights anew until ``end``. ``pattern`` is ``unstructured``, or ``m:n``: m zeros in every n
    consecutive input channels, from the first step on, whatever the schedule, and without ``begin`` and ``end``.
    ``exclude`` are patterns of layer names (``*`` and ``?``) that are left dense. Depthwise kernels and vectors are
    never pruned.
    """

    tuning: Tuning
    sparsity: float = 0.5
    schedule: Literal["polynomial", "constant"] = "polynomial"
    begin: float = _BEGIN
    end: float = _END
    pattern: str = "unstructured"
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.sparsity < 1:
            raise ValueError("sparsity must lie between 0 and 1: without any weight there is no network")
        if not 0 <= self.begin < self.end <= 1:
            raise ValueError("begin and end must be shares of the training, 0 <= begin < end <= 1")
        if (found := self.zeros_in_group) and abs(found[0] / found[1] - self.sparsity) > 0.005:
            raise ValueError(f"sparsity must be {found[0] / found[1]:g} with the pattern {self.pattern}")
        for name, default in (("begin", _BEGIN), ("end", _END)):
            if found and getattr(self, name) != default:
                raise ValueError(
                    f"{name} means nothing with the pattern {self.pattern}: its zeros come at once"
                )
        require_plain(self.tuning)

    @property
    def zeros_in_group(self) -> tuple[int, int] | None:
        """(m, n) of an m:n pattern, None for ``unstructured``."""
        if self.pattern == "unstructured":
            return None
        found = _PATTERN.fullmatch(self.pattern)
        if not found or int(found["zeros"]) >= int(found["group"]):
            raise ValueError("pattern must be 'unstructured' or zeros:group, '2:4' for instance")
        return int(found["zeros"]), int(found["group"])


class Plan(NamedTuple):
    """When weights are chosen, in training steps from 1, and the first epoch that ends with the final sparsity."""

    begin: int
    end: int
    frequency: int
    first_epoch: int


def plan_of(options: Options, steps: int) -> Plan:
    """The schedule for ``steps`` training steps an epoch."""
    total = steps * options.tuning.training.epochs
    rising = options.schedule == "polynomial" and not options.zeros_in_group
    before = min(round(options.begin * total), total - 1)
    begin = before if rising else before + 1
    wanted = max(before + 1, round(options.end * total))
    frequency = max(1, min(_FREQUENCY, (wanted - begin) // 10))
    # The last choice is made where the schedule ends, or the sparsity would stay below what was asked for.
    end = begin + (wanted - begin) // frequency * frequency
    return Plan(begin, end, frequency, math.ceil((end if rising else begin) / steps))


def run(backbone: Backbone, options: Options, workshop: Workshop) -> Result:
    """Prune and train; keep the best validation epoch among those that end with the final sparsity.

    Parallel branches are merged first: zeros of one branch are none of their sum.

    Raises:
        SettingError: a pattern of ``exclude`` matches no layer, or nothing is left to prune.
        ConversionError: the network cannot be rebuilt in tf_keras.
        TrainingError: the loss is no number any more.
    """
    import keras

    pruning, backbone = toolkit().sparsity.keras, as_converted(backbone, workshop)
    dense = to_tf_keras(backbone.model, tolerance=REBUILD_TOLERANCE)
    names = _chosen(dense, options.exclude)
    plan = plan_of(options, workshop.steps(options.tuning))
    wrapped = _wrapped(dense, names, options, plan)
    history = tune(
        wrapped,
        backbone,
        options.tuning,
        workshop,
        first=plan.first_epoch,
        callbacks=[pruning.UpdatePruningStep()],
    )
    sparse, pruned = pruning.strip_pruning(wrapped), keras.models.clone_model(backbone.model)
    copy_weights_back(sparse, pruned, tolerance=REBUILD_TOLERANCE)
    findings = _findings(backbone.model, sparse, names, history, plan)
    workshop.note(_sizes_in_words(findings))
    workshop.note(REMARK)
    return Result(replace(backbone, model=pruned), findings)


def _chosen(model: Any, exclude: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the layers to prune."""
    prunable = [layer.name for layer in model.layers if type(layer).__name__ in _KERNELS]
    refuse_unmatched(exclude, prunable, "prunable layer")
    chosen = tuple(name for name in prunable if not is_excluded(name, exclude))
    if not chosen:
        raise SettingError(
            f"{model.name} has no layer left to prune",
            key="exclude",
            hint=f"only {', '.join(_KERNELS)} layers are pruned; exclude fewer of them",
        )
    return chosen


def _wrapped(model: Any, names: tuple[str, ...], options: Options, plan: Plan) -> Any:
    """The network with the named layers under tensorflow-model-optimization's wrappers."""
    pruning = toolkit().sparsity.keras

    class Named(pruning.PruningPolicy):  # type: ignore[misc, name-defined]
        """Prune the named layers."""

        def allow_pruning(self, layer: Any) -> bool:
            return layer.name in names

        def ensure_model_supports_pruning(self, model: Any) -> None:
            """The names were chosen from this model."""

    if options.schedule == "polynomial":
        schedule = pruning.PolynomialDecay(
            0.0, options.sparsity, plan.begin, plan.end, frequency=plan.frequency
        )
    else:
        schedule = pruning.ConstantSparsity(options.sparsity, plan.begin, plan.end, frequency=plan.frequency)
    return pruning.prune_low_magnitude(
        model, pruning_schedule=schedule, pruning_policy=Named(), sparsity_m_by_n=options.zeros_in_group
    )


def _findings(
    before: Any, sparse: Any, names: tuple[str, ...], history: History, plan: Plan
) -> dict[str, Any]:
    layers = {name: sparse.get_layer(name) for name in names}
    kernels = {name: getattr(layer, _KERNELS[type(layer).__name__]).numpy() for name, layer in layers.items()}
    old, new = sizes_of(before), sizes_of(sparse)
    best = best_of(history, plan.first_epoch)
    return {
        "sparsity": sparsity_of(kernels.values()),
        "sparsity_by_layer": {name: sparsity_of([kernel]) for name, kernel in kernels.items()},
        "stored_bytes": new.stored,
        "gzip_bytes_before": old.gzip,
        "gzip_bytes": new.gzip,
        "epoch": best.number,
        "validation_weighted_f1": best.validation_weighted_f1,
        "epochs": msgspec.to_builtins(history),
        "remark": REMARK,
    }


def _sizes_in_words(findings: dict[str, Any]) -> str:
    """What the zeros are worth. Stored size does not change: a zero takes as many bytes as any number."""
    stored, before, after = (
        f"{findings[key] / 1e3:,.1f} kB" for key in ("stored_bytes", "gzip_bytes_before", "gzip_bytes")
    )
    return (
        f"{findings['sparsity']:.0%} of the pruned weights are zero; all weights as float32: {stored} stored, "
        f"before and after, {before} by gzip before and {after} after"
    )


STAGES = (Stage(id="magnitude", options=Options, run=run, not_after=CORRECTED),)
