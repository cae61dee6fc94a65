"""A network that is trained already, as a Keras file: what further training starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgefer.backbones.base import Family
from edgefer.backbones.families.options import read_options
from edgefer.backbones.loading import open_network
from edgefer.errors import InputError
from edgefer.spec import Frozen


class Options(Frozen, frozen=True):
    """The file says everything; there is nothing to set."""


def build(
    input_shape: tuple[int, int, int], classes: int, weights: str | None, options: dict[str, Any]
) -> Any:
    """Open the ``keras.Model`` in the file ``weights``; what was frozen in it is not: that is the recipe's to say.

    Raises:
        InputError: no file, one that cannot be opened, a network of another shape or number of classes, or answers
            that are no probabilities.
        UntrustedCodeError: the file carries code.
    """
    read_options("file", options, Options)
    if weights is None:
        raise InputError("the family file needs a model", hint='write weights = "path/to/model.keras"')
    model, origin = open_network(Path(weights))
    if origin == "savedmodel":
        raise InputError(
            f"{weights}: a SavedModel cannot be trained further", hint="give a .keras or .h5 file"
        )
    _check_shapes(model, weights, (None, *input_shape), (None, classes))
    _check_answers(model, weights)
    for layer in model._flatten_layers(include_self=False):
        layer.trainable = True
    return model


def _check_shapes(model: Any, file: str, inputs: tuple[Any, ...], outputs: tuple[Any, ...]) -> None:
    for what, found, wanted in (
        ("takes", tuple(model.inputs[0].shape), inputs),
        ("answers with", tuple(model.outputs[0].shape), outputs),
    ):
        if found[1:] != wanted[1:]:
            raise InputError(f"{file}: {what} {found[1:]} a face, the recipe has {wanted[1:]}")


def _check_answers(model: Any, file: str) -> None:
    """Loss and scores are of probabilities: an hour of training must not end in finding that there are none."""
    some = np.zeros((1, *model.inputs[0].shape[1:]), np.float32)
    answers = np.asarray(model(some, training=False))
    if not np.allclose(answers.sum(axis=1), 1.0, atol=1e-3) or answers.min() < 0:
        raise InputError(
            f"{file}: its answers do not sum to 1, so they are no probabilities", hint="end it with a softmax"
        )


FAMILIES = (Family(id="file", build=build),)
