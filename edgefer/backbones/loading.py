"""Opening trained models: ``.keras``, ``.h5`` of Keras 2 and 3, SavedModel folders."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from edgefer.backbones.base import Backbone
from edgefer.backbones.contract import NOTHING_SAID, Statement, contract_of
from edgefer.backbones.half import half_of, in_float32
from edgefer.backbones.safety import refuse_code_in_keras2, refuse_code_in_keras3, refuse_code_in_savedmodel
from edgefer.backbones.torch_file import LARGEST_BYTES
from edgefer.errors import EdgeferError, InputError
from edgefer.files import sha256_of
from edgefer.interop import to_keras3
from edgefer.spec import Step


def load_backbone(path: Path, statement: Statement = NOTHING_SAID, *, trust: bool = False) -> Backbone:
    """Open a trained model with its contract.

    Raises:
        InputError: missing, truncated, more than one input, NaN weights, no stated input range, or labels that do
            not fit the outputs.
        UntrustedCodeError: the file carries code and ``trust`` is false.
        ConversionError: a Keras 2 network could not be rebuilt exactly.
    """
    model, origin = open_network(path, trust=trust)
    contract = contract_of(path, model, statement, origin)
    lineage = contract.lineage
    if origin != "savedmodel" and (half := half_of(model)):
        model = in_float32(model)
        lineage = (*lineage, Step(name="float32", config={"reason": f"it was saved computing in {half}"}))
    if statement.logits:
        model = _with_softmax(path, model)
    refuse_nan_weights(path, model)
    return Backbone(
        model=model,
        input=contract.input,
        labels=contract.labels,
        lineage=lineage,
        name=path.stem if path.suffix else path.name,
        sha256=sha256_of(path),
        trainable=origin != "savedmodel",
    )


def refuse_nan_weights(path: Path, model: Any) -> None:
    """A network with NaN or infinite weights cannot be judged.

    Raises:
        InputError: names the first such weight.
    """
    for weight in _weights_of(model):
        values = np.asarray(weight)
        if values.dtype.kind == "f" and not np.all(np.isfinite(values)):
            name = getattr(weight, "path", weight.name)
            raise InputError(
                f"{path}: weight {name!r} holds NaN or infinity", hint="train it again or repair the file"
            )


def _weights_of(model: Any) -> Any:
    """The variables that the answers depend on; only Keras lists them on what a SavedModel opens as."""
    return model.signatures["serving_default"].variables if hasattr(model, "signatures") else model.variables


def open_network(path: Path, *, trust: bool = False) -> tuple[Any, str]:
    """Open the network in a file, whatever it puts out, and say which framework wrote it.

    Raises:
        InputError: missing, truncated, or nothing that Keras can load.
        UntrustedCodeError: the file carries code and ``trust`` is false.
        ConversionError: a Keras 2 network could not be rebuilt exactly.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir():
        return _open_savedmodel(path, trust), "savedmodel"
    openers = {".keras": _open_keras, ".h5": _open_h5, ".hdf5": _open_h5}
    if path.suffix not in openers:
        raise InputError(f"{path}: not a model file", hint="give a .keras or .h5 file or a SavedModel folder")
    try:
        return openers[path.suffix](path, trust)
    except EdgeferError:
        raise
    except Exception as error:  # Keras raises whatever its layers raise
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{path}: Keras cannot load it ({first})") from error


def _open_keras(path: Path, trust: bool) -> tuple[Any, str]:
    import keras

    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_bomb(path, archive)
            damaged = archive.testzip()
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise InputError(
            f"{path}: truncated or not a Keras 3 file ({error})", hint="copy it again"
        ) from error
    if damaged:
        raise InputError(f"{path}: {damaged} inside it is damaged", hint="copy it again")
    if not trust:
        refuse_code_in_keras3(path, config)
    return keras.saving.load_model(path, compile=False, safe_mode=not trust), "keras"


def _refuse_bomb(path: Path, archive: zipfile.ZipFile) -> None:
    """Keras packs without compression: nothing it writes is much larger than its file."""
    size, packed = sum(info.file_size for info in archive.infolist()), path.stat().st_size
    if size > packed + LARGEST_BYTES:
        raise InputError(
            f"{path}: {packed} bytes that unpack to {size}, which no trained network does",
            hint="get it from somewhere else",
        )


def _open_h5(path: Path, trust: bool) -> tuple[Any, str]:
    import h5py

    try:
        with h5py.File(path) as file:
            described, version = file.attrs.get("model_config"), str(file.attrs.get("keras_version", "2"))
    except OSError as error:
        raise InputError(f"{path}: truncated or not an HDF5 file ({error})", hint="copy it again") from error
    if described is None:
        raise InputError(
            f"{path}: holds weights without a network", hint="save the whole model: model.save(...)"
        )
    config = json.loads(described)
    if version.startswith("3"):
        return _open_h5_of_keras3(path, config, trust), "keras"
    if not trust:
        refuse_code_in_keras2(path, config)
    import tf_keras

    return to_keras3(tf_keras.models.load_model(path, compile=False)), "tf_keras"


def _open_h5_of_keras3(path: Path, config: dict[str, Any], trust: bool) -> Any:
    import keras

    if not trust:
        refuse_code_in_keras3(path, config)
    return keras.saving.load_model(path, compile=False, safe_mode=not trust)


def _open_savedmodel(path: Path, trust: bool) -> Any:
    import tensorflow as tf

    if not (path / "saved_model.pb").is_file():
        raise InputError(
            f"{path}: no saved_model.pb in this folder", hint="give a SavedModel folder or a .keras file"
        )
    try:
        if not trust:
            refuse_code_in_savedmodel(path)
        loaded = tf.saved_model.load(str(path))
    except EdgeferError:
        raise
    except Exception as error:  # protobuf, file-system and graph errors share no base
        raise InputError(f"{path}: TensorFlow cannot load it ({str(error).splitlines()[0]})") from error
    if "serving_default" not in loaded.signatures:
        raise InputError(f"{path}: has no serving_default signature")
    return loaded


def _with_softmax(path: Path, model: Any) -> Any:
    import keras

    if hasattr(model, "signatures"):
        raise InputError(f"{path}: --logits works on Keras files; export the SavedModel with a softmax")
    return keras.Model(model.inputs[0], keras.layers.Softmax(name="added_softmax")(model.outputs[0]))
