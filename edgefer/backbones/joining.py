"""Several networks become one that answers with the mean of their probabilities."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from edgefer.backbones.base import Backbone
from edgefer.backbones.ensemble import Ensemble
from edgefer.backbones.graph import replay
from edgefer.backbones.rebuilding import again, copied_weights
from edgefer.errors import InputError
from edgefer.interop import give
from edgefer.preprocessing import Floats
from edgefer.spec import InputSpec, Step


def joined(ensemble: Ensemble, spec: InputSpec, name: str) -> Backbone:
    """One network on ``spec`` that does what the members' vote does, of layers that Keras brings along only.

    A member made for another size gets the image resized as data is when it is loaded; one made for
    another number of channels or range gets its channels picked and rescaled. The members' layers are copied under
    names of their own.

    Raises:
        InputError: a member is no Keras model, or it sees colour and ``spec`` does not, or the other way round.
        ConversionError: a member's layer cannot be made again from its configuration.
    """
    import keras

    image = keras.Input((spec.height, spec.width, spec.channels), name="image")
    answers = []
    for number, member in enumerate(ensemble.members, start=1):
        _check(member, spec)
        prefix = f"member{number}"
        answers.append(_copied(member.model, _adapted(image, spec, member.input, prefix), prefix))
    vote = keras.layers.Average(name="vote")(answers)
    members = [
        {"name": member.name, "sha256": member.sha256, "lineage": msgspec.to_builtins(member.lineage)}
        for member in ensemble.members
    ]
    return Backbone(
        model=keras.Model(image, vote, name=name.replace("-", "_")),
        input=spec,
        labels=ensemble.labels,
        lineage=(Step(name="vote", config={"members": members}),),
        name=name,
        sha256="",
    )


def _check(member: Backbone, spec: InputSpec) -> None:
    if not member.trainable:
        raise InputError(f"{member.name} is a SavedModel", hint="only Keras models can be joined into one")
    if (member.input.color == "gray") != (spec.color == "gray"):
        raise InputError(f"{member.name} takes {member.input.color} images, the ensemble {spec.color} ones")


def _adapted(image: Any, spec: InputSpec, wanted: InputSpec, prefix: str) -> Any:
    """The ensemble's floats as a member wants them."""
    import keras

    if (spec.height, spec.width) != (wanted.height, wanted.width):
        image = _resized(image, wanted, prefix)
    source = _channels(spec, wanted)
    if source != tuple(range(spec.channels)):
        image = _picked(image, source, prefix)
    # p * s + o is here, p * s' + o' is wanted.
    here, there = np.asarray(spec.scale)[list(source)], np.asarray(wanted.scale)
    factor = there / here
    summand = np.asarray(wanted.offset) - np.asarray(spec.offset)[list(source)] * factor
    if np.allclose(factor, 1) and np.allclose(summand, 0):
        return image
    return keras.layers.Rescaling(factor.tolist(), summand.tolist(), name=f"{prefix}_rescale")(image)


def _resized(image: Any, wanted: InputSpec, prefix: str) -> Any:
    """The image at a member's size: rows, then columns, times a fixed matrix.

    ``keras.layers.Resizing`` does the same, but antialiased it is an operation that neither TFLite nor ONNX has.
    """
    import keras

    _, height, width, channels = image.shape
    steps = (
        ("rows", "bhwc,hH->bHwc", _interpolation(height, wanted.height), (wanted.height, width, channels)),
        (
            "columns",
            "bhwc,wW->bhWc",
            _interpolation(width, wanted.width),
            (wanted.height, wanted.width, channels),
        ),
    )
    for name, equation, matrix, shape in steps:
        resize = keras.layers.EinsumDense(equation, shape, trainable=False, name=f"{prefix}_{name}")
        image = resize(image)
        resize.set_weights([matrix])
    return image


def _interpolation(here: int, there: int) -> Floats:
    """The matrix (here, there) of Pillow's bilinear kernel: the resizing that data is loaded with."""
    from PIL import Image

    basis = Image.fromarray(np.eye(here, dtype=np.float32))
    return np.ascontiguousarray(basis.resize((there, here), Image.Resampling.BILINEAR), dtype=np.float32)


def _channels(spec: InputSpec, wanted: InputSpec) -> tuple[int, ...]:
    """For each of a member's channels, the ensemble's channel that holds it; gray ones are all equal."""
    if spec.color == "gray":
        return tuple(min(channel, spec.channels - 1) for channel in range(wanted.channels))
    return (0, 1, 2) if spec.color == wanted.color else (2, 1, 0)


def _picked(image: Any, source: tuple[int, ...], prefix: str) -> Any:
    """Channels in another order or number, as a convolution: slices are no layers that every converter knows."""
    import keras

    pick = keras.layers.Conv2D(len(source), 1, use_bias=False, trainable=False, name=f"{prefix}_channels")
    picked = pick(image)
    kernel = np.zeros((1, 1, image.shape[-1], len(source)), np.float32)
    kernel[0, 0, source, range(len(source))] = 1
    pick.set_weights([kernel])
    return picked


def _copied(model: Any, value: Any, prefix: str) -> Any:
    """Run ``value`` through copies of the model's layers, nested models opened; a shared layer stays shared."""
    copies: dict[int, tuple[Any, Any]] = {}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if id(layer) not in copies:
            copies[id(layer)] = layer, again(layer, {"name": f"{prefix}_{len(copies)}_{layer.name}"})
        return copies[id(layer)][1](*args, **kwargs)

    output = replay(model, value, call)
    for layer, copy in copies.values():
        give(copy, copied_weights(layer))
    return output
