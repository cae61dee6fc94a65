"""Weights trained on face identities, as the keras-vggface project publishes them: fetched by name, or a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefer.backbones.families.weights import fetching, with_weights
from edgefer.errors import InputError

SOURCE = "https://github.com/rcmalli/keras-vggface/releases/download/v2.0"
"""Where the project keeps its files; it states no hashes of them. They are read as arrays, and no code is."""


@dataclass(frozen=True)
class FaceWeights:
    """A published set: the ``name`` that recipes use and the ``file`` of the keras-vggface project (2.0) it is in."""

    name: str
    file: str


def with_face_weights(build: Callable[[], Any], weights: str | None, published: FaceWeights) -> Any:
    """Call ``build()`` and fill the network it returns with ``weights``; None leaves it as it is.

    They are the published set's name, fetched once and then kept in Keras' own cache, or a file. The file is HDF5 as
    Keras 2 wrote weights; its layers are found by name, ``/`` read as ``_``. Further layers in it, a classifier for
    instance, are left aside.

    Raises:
        WeightsUnavailableError: the published set cannot be fetched.
        InputError: the network refuses the input shape; the file cannot be read, or lacks a layer of the network
            or holds one of another shape.
    """
    if weights is None:
        return with_weights(lambda _: build(), None)
    path = _fetched(published) if weights == published.name else Path(weights)
    stored = _read(path, published)
    network = with_weights(lambda _: build(), None)
    for layer in network.layers:
        if layer.weights:
            _fill(layer, stored.get(layer.name, []), weights)
    return network


def _fetched(published: FaceWeights) -> Path:
    import keras

    with fetching(published.name, published.file):
        return Path(keras.utils.get_file(published.file, f"{SOURCE}/{published.file}", cache_subdir="models"))


def _read(path: Path, published: FaceWeights) -> dict[str, list[Any]]:
    """Arrays of each layer, in the order they were written."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            groups = {_text(name): file[_text(name)] for name in file.attrs["layer_names"]}
            return {
                name.replace("/", "_"): [group[_text(weight)][()] for weight in group.attrs["weight_names"]]
                for name, group in groups.items()
            }
    except (OSError, KeyError, TypeError) as error:
        raise InputError(
            f"weights {path} cannot be read as Keras HDF5 weights ({error})",
            hint=f"known here: the name {published.name!r}, or a file such as {published.file}",
        ) from error


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _fill(layer: Any, arrays: list[Any], weights: str) -> None:
    wanted = [tuple(weight.shape) for weight in layer.weights]
    found = [array.shape for array in arrays]
    if found != wanted:
        raise InputError(f"weights {weights} do not fit: layer {layer.name} has {wanted}, the file {found}")
    layer.set_weights(arrays)
