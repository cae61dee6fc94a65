"""How much each unit of channels matters.

Weight norms and batch-norm scales say nothing across layers: a layer that a batch norm follows may have any scale, and
gammas follow the layer's place. So a unit's score is its part of what its group would still have (Lee et al. 2021,
"Layer-Adaptive Sparsity for the Magnitude-Based Pruning") times the group's width: the more a group has lost, the
dearer are its units, and groups of any width shrink alike. First-order Taylor scores are squared changes of the loss,
the same unit everywhere; any such division would throw away which groups matter, so they stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgefer.compression.channel_groups import Channels, Group
from edgefer.compression.channel_marks import Ids, Weight
from edgefer.errors import InputError
from edgefer.preprocessing import Floats

Importance = Literal["weight", "batch-norm", "taylor"]
Scores = npt.NDArray[np.float64]
Batches = Iterable[tuple[Floats, Floats]]


def weight_norms(channels: Channels) -> Scores:
    """Relative L2 norm of the kernels that make a unit, as in Li et al. 2017, "Pruning Filters for Efficient ConvNets".

    Returns float64 (units,). Where several kernels make a unit, each is first divided by its mean norm.
    """
    norms = ((ids, _norms(kernel, axis)) for ids, kernel, axis in _rows(channels, _made))
    return _by_group(channels, _mean_of(channels, norms))


def batch_norm_scales(channels: Channels) -> Scores:
    """Relative absolute gamma of the batch norms on a unit, as in Liu et al. 2017, "Network Slimming".

    Returns float64 (units,). A unit without a batch norm gets NaN: ``with_batch_norm`` tells which groups have one.
    """
    scales = ((ids, np.abs(np.asarray(gamma, np.float64))) for ids, gamma, _ in _rows(channels, _scaled))
    return _by_group(channels, _mean_of(channels, scales))


def with_batch_norm(channels: Channels) -> tuple[Group, ...]:
    """The groups whose channels all pass a batch norm with a scale."""
    covered = np.zeros(channels.units, np.bool_)
    for ids, _, _ in _rows(channels, _scaled):
        covered[channels.unit_of[ids]] = True
    return tuple(group for group in channels.groups if covered[group.units].all())


def taylor(channels: Channels, batches: Batches) -> Scores:
    """First-order change of the loss when a unit is zeroed where it is read, squared, mean over batches.

    Molchanov et al. 2019, "Importance Estimation for Neural Network Pruning". A convolution reads channel c with the
    weights w_c alone, so the sum of activation times gradient over all positions, sum x_c dL/dx_c, is sum w_c dL/dw_c:
    no activation has to be kept. ``batches`` are network inputs (B, H, W, channels) and targets (B, classes).

    Returns float64 (units,).

    Raises:
        InputError: Keras runs on another backend than TensorFlow.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"Taylor importance needs Keras on TensorFlow, it runs on {keras.backend.backend()}",
            hint='choose importance = "weight" or "batch-norm"',
        )
    readers = list(_rows(channels, _read))
    effects = _effects(channels.model, [(kernel, axis) for _, kernel, axis in readers])
    units = [channels.unit_of[ids] for ids, _, _ in readers]
    squares = [_by_unit(units, effects(*batch), channels.units) ** 2 for batch in batches]
    return np.asarray(np.mean(squares, axis=0))


def _effects(model: Any, readers: list[tuple[Any, int]]) -> Callable[[Floats, Floats], list[Any]]:
    """For one batch: of each kernel, the sum of weight times gradient for each place of the axis that it reads with."""
    import keras
    import tensorflow as tf

    kernels = [variable.value for variable, _ in readers]

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def effects(floats: Any, targets: Any) -> list[Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(kernels)
            losses = keras.losses.categorical_crossentropy(targets, model(floats, training=False))
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, kernels, unconnected_gradients="zero")
        return [
            tf.reduce_sum(kernel * gradient, _others(axis, len(kernel.shape)))
            for kernel, gradient, (_, axis) in zip(kernels, gradients, readers, strict=True)
        ]

    return lambda floats, targets: list(effects(tf.constant(floats), tf.constant(targets)))


def _by_unit(units: list[Ids], effects: list[Any], count: int) -> Scores:
    total = np.zeros(count)
    for places, effect in zip(units, effects, strict=True):
        total += np.bincount(places, np.asarray(effect), count)
    return total


def _others(axis: int, rank: int) -> tuple[int, ...]:
    return tuple(other for other in range(rank) if other != axis)


def _read(weight: Weight) -> int | None:
    return weight.reads


def _made(weight: Weight) -> int | None:
    return weight.makes


def _scaled(weight: Weight) -> int | None:
    return 0 if weight.scale else None


def _rows(channels: Channels, axis_of: Callable[[Weight], int | None]) -> Iterator[tuple[Ids, Any, int]]:
    """Channel numbers, ``keras.Variable`` and axis of every weight that ``axis_of`` finds one on."""
    for variable, weight in channels.weights():
        axis = axis_of(weight)
        if axis is not None:
            yield weight.ids[axis], variable, axis


def _norms(variable: Any, axis: int) -> Scores:
    squares = np.square(np.asarray(variable, np.float64))
    norms: Scores = np.sqrt(squares.sum(axis=_others(axis, squares.ndim)))
    return norms / max(float(norms.mean()), np.finfo(np.float64).tiny)


def _mean_of(channels: Channels, parts: Iterable[tuple[Ids, Scores]]) -> Scores:
    """Mean over all channels of a unit; NaN for one that no part speaks of."""
    total, number = np.zeros(channels.units), np.zeros(channels.units)
    for ids, values in parts:
        units = channels.unit_of[ids]
        total += np.bincount(units, values, channels.units)
        number += np.bincount(units, minlength=channels.units)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / number)


def _by_group(channels: Channels, scores: Scores) -> Scores:
    """Each unit's share of itself and its group's more important units together, times the group's width."""
    scores = scores.copy()
    for group in channels.groups:
        descending = group.units[np.argsort(-scores[group.units], kind="stable")]
        left = np.maximum(np.cumsum(scores[descending]), np.finfo(np.float64).tiny)
        scores[descending] *= len(descending) / left
    return scores
