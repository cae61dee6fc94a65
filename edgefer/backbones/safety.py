"""Which model files carry code: decided from their descriptions, before anything in them is executed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from edgefer.backbones.saved_ops import reaching_out
from edgefer.errors import UntrustedCodeError
from edgefer.interop import TF_OPS

# What a Keras 2 description names beside the classes of tf_keras's public modules: models, calls and plain values.
_KERAS2_STRUCTURE = {"Functional", "Model", "Sequential", "TFOpLambda", "Policy", "__numpy__", "__tensor__"}
_KERAS2_MODULES = ("layers", "initializers", "regularizers", "constraints")


def refuse_code_in_keras3(path: Path, config: dict[str, Any]) -> None:
    """Refuse a Keras 3 description that names lambdas or classes from outside Keras.

    Raises:
        UntrustedCodeError: it does.
    """
    for node in _dicts(config):
        kind = node.get("class_name")
        if kind in ("Lambda", "__lambda__"):
            raise _refusal(path, f"a {kind} layer ({_name(node)})")
        module = node.get("module")
        if kind and module and str(module).split(".")[0] != "keras":
            raise _refusal(path, f"the class {module}.{kind}")
        if kind and ">" in str(node.get("registered_name") or ""):
            raise _refusal(path, f"the custom object {node['registered_name']}")


def refuse_code_in_keras2(path: Path, config: dict[str, Any]) -> None:
    """Refuse a Keras 2 description that names classes from outside tf_keras, lambdas, or unknown TensorFlow calls.

    Wrappers hold layers, models and other wrappers, so every class is looked at, however deep it stands.

    Raises:
        UntrustedCodeError: it does.
    """
    for node in _dicts(config):
        if "class_name" not in node:
            continue
        kind, module = node["class_name"], node.get("module")
        if module and str(module).split(".")[0] not in ("keras", "tf_keras"):
            raise _refusal(path, f"the class {module}.{kind}")
        if kind == "Lambda" or not _is_keras2(kind):
            raise _refusal(path, f"a {kind} layer ({_name(node)})")
        if kind == "TFOpLambda" and (function := node["config"].get("function")) not in TF_OPS:
            raise _refusal(path, f"a call to tf.{function} ({_name(node)})")


def _is_keras2(kind: str) -> bool:
    import tf_keras

    public = (getattr(tf_keras, name) for name in _KERAS2_MODULES)
    return kind in _KERAS2_STRUCTURE or any(hasattr(module, kind) for module in public)


def refuse_code_in_savedmodel(path: Path) -> None:
    """Refuse a SavedModel that holds ops which reach files, Python or the network, or which TensorFlow does not know.

    Raises:
        UntrustedCodeError: it does.
    """
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel()
    saved.ParseFromString((path / "saved_model.pb").read_bytes())
    for op in chain.from_iterable(map(reaching_out, saved.meta_graphs)):
        raise _refusal(path, f"the TensorFlow op {op}")


def _refusal(path: Path, what: str) -> UntrustedCodeError:
    return UntrustedCodeError(
        f"{path}: holds {what}, which can run any code on loading",
        hint="if you trust where it comes from, give --trust, which covers the MODEL of a command",
    )


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _dicts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _dicts(inner)


def _name(node: dict[str, Any]) -> str:
    return repr(node.get("config", {}).get("name", "?"))
