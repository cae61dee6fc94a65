"""A face-embedding network that the user brings, under a new head: S0's first next step.

``weights`` is the file of a trained Keras network (FaceNet, ArcFace and their like) that holds no code; what it puts
out, or the output of one of its layers, is what the head sees. ``backbone.frozen`` keeps its first layers as they are.
Without a file the body is EasyNet's convolutions and an untrained embedding: what the brought one has to beat.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from edgefer.backbones.base import Family
from edgefer.backbones.families import easynet
from edgefer.backbones.families.heads import HeadOptions, with_head
from edgefer.backbones.families.options import read_options
from edgefer.backbones.loading import open_network, refuse_nan_weights
from edgefer.errors import InputError, WeightsUnavailableError
from edgefer.registry import suggestion

# What recipes write where the user has to bring the file.
BROUGHT = "face-embedding"
_UNTRAINED_SIZE = 128


class Options(HeadOptions, frozen=True):
    """Settings of a recipe's ``[backbone.options]``.

    ``layer`` names the layer of the brought network whose output is the embedding, a vector (N, D) or a map
    (N, H, W, C); empty, it is the network's output. ``pooling`` matters for maps only.
    """

    layer: str = ""


def build(
    input_shape: tuple[int, int, int], classes: int, weights: str | None, options: dict[str, Any]
) -> Any:
    """Return the uncompiled network; ``input_shape`` (height, width, channels) must be the brought network's.

    Raises:
        InputError: an unknown or bad option, a file that cannot be opened, another input or no embedding.
        UntrustedCodeError: the file carries code.
        WeightsUnavailableError: ``weights`` is ``face-embedding``: no file is named yet.
    """
    chosen = read_options("embedding", options, Options)
    body = _untrained(input_shape, chosen) if weights is None else _brought(input_shape, weights, chosen)
    pooling = chosen.pooling if len(body.outputs[0].shape) == 4 else "flatten"
    return with_head(body, classes, msgspec.structs.replace(chosen, pooling=pooling), "embedding")


def _untrained(input_shape: tuple[int, int, int], options: Options) -> Any:
    from keras import Model, layers

    if options.layer:
        raise InputError(
            f"embedding has no layer {options.layer!r} without a file", hint="name one in backbone.weights"
        )
    body = easynet.convolutions(input_shape, easynet.Options())
    value = layers.Flatten(name="maps")(body.output)
    return Model(body.input, layers.Dense(_UNTRAINED_SIZE, name="embedding")(value))


def _brought(input_shape: tuple[int, int, int], weights: str, options: Options) -> Any:
    if weights == BROUGHT:
        raise WeightsUnavailableError(
            "face-embedding networks are not to be had by name",
            hint="bring one as a Keras file: --set backbone.weights=network.keras (.keras or .h5, without code)",
        )
    path = Path(weights)
    model, origin = open_network(path)
    if origin == "savedmodel":
        raise InputError(f"{path}: a SavedModel cannot be trained on", hint="give a .keras or .h5 file")
    refuse_nan_weights(path, model)
    _check_input(path, model, input_shape)
    return _renamed(_cut(path, model, options.layer))


def _check_input(path: Path, model: Any, input_shape: tuple[int, int, int]) -> None:
    shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    if shapes != [tuple(input_shape)]:
        raise InputError(
            f"{path}: takes {shapes}, the recipe gives {tuple(input_shape)}",
            hint="set input.height, input.width and input.channels to the network's",
        )


def _cut(path: Path, model: Any, layer: str) -> Any:
    """The network up to ``layer``.

    Raises:
        InputError: no such layer, or its output is no embedding.
    """
    from keras import Model

    names = [each.name for each in model.layers]
    if layer and layer not in names:
        raise InputError(f"{path}: has no layer {layer!r}", hint=suggestion(layer, names))
    outputs = [model.get_layer(layer).output] if layer else model.outputs
    shapes = [tuple(tensor.shape) for tensor in outputs]
    if len(shapes) != 1 or len(shapes[0]) not in (2, 4) or None in shapes[0][1:]:
        raise InputError(
            f"{path}: puts out {shapes}; one vector or map an image is needed",
            hint="name the embedding's layer in backbone.options.layer",
        )
    return Model(model.inputs[0], outputs[0])


def _renamed(body: Any) -> Any:
    """The same network with names of its own, so that no layer has the name of one in the head."""
    import keras

    def renewed(layer: Any) -> Any:
        # A layer that was frozen when the file was written would stay so unnoticed.
        return type(layer).from_config(
            {**layer.get_config(), "name": f"brought_{layer.name}", "trainable": True}
        )

    result = keras.models.clone_model(body, clone_function=renewed)
    result.set_weights(body.get_weights())
    return result


FAMILIES = (Family(id="embedding", build=build),)
