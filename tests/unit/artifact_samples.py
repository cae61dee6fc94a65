"""A four-pixel ONNX classifier as an artifact: real runtime, real contract, made in a millisecond."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from edgefer.agreement import spread_of
from edgefer.artifact import (
    GoldenInfo,
    IOSpec,
    Manifest,
    TensorSpec,
    write_artifact,
)
from edgefer.contract import MANIFEST_SCHEMA, Golden, golden_sha256
from edgefer.embedding import payload_sha256
from edgefer.spec import InputSpec, LabelSet

CLASSES = ("a", "b", "c")
PIXELS = np.array([[255, 0, 0, 9], [0, 255, 0, 9], [0, 0, 255, 9], [200, 90, 0, 9]], np.uint8).reshape(
    4, 2, 2, 1
)


def weights() -> np.ndarray:
    """(4 pixels, 3 classes): the first three pixels vote for their class."""
    return (np.eye(4, 3) * 4 / 255).astype(np.float32)


def answers(kernel: np.ndarray) -> np.ndarray:
    """What the network answers on PIXELS, float32 (4, 3)."""
    logits = PIXELS.reshape(4, 4).astype(np.float32) @ kernel
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


def make(folder, kernel=None, outputs=None, form="onnx-fp32"):
    """Write ``tiny.onnx`` with ``kernel``; ``outputs`` are what its contract says the backbone answered."""
    kernel = weights() if kernel is None else kernel
    outputs = answers(weights()) if outputs is None else outputs
    payload = folder / "payload.onnx"
    payload.write_bytes(_network(kernel))
    golden = Golden(PIXELS, outputs)
    return write_artifact(folder / "tiny.onnx", payload, _manifest(payload, golden, form), golden)


def make_package(folder, kernel=None, batches=()):
    """The same as ``tiny.mlpackage``: a Core ML classifier on a grayscale image, or arrays of ``batches``."""
    payload = folder / "payload.mlpackage"
    _program(weights() if kernel is None else kernel, batches).save(str(payload))
    golden = Golden(PIXELS, answers(weights()))
    count = None if batches else 1
    manifest = replace(
        _manifest(payload, golden, "coreml-fp32", container="coreml"),
        io=IOSpec(
            mode="raw",
            input=TensorSpec(name="image", dtype="float32" if batches else "uint8", shape=(count, 2, 2, 1)),
            output=TensorSpec("probabilities" if batches else "classLabel_probs", "float32", (count, 3)),
            batches=batches,
        ),
    )
    return write_artifact(folder / "tiny.mlpackage", payload, manifest, golden)


def _program(kernel, batches):
    from edgefer.quieting import quiet_native

    with quiet_native():
        import coremltools as ct
        from coremltools.converters.mil import Builder as mb  # noqa: N813 - as its documentation has it
        from coremltools.converters.mil.mil import get_new_symbol

        shape = (get_new_symbol(), 2, 2, 1) if batches else (1, 1, 2, 2)

        @mb.program(input_specs=[mb.TensorSpec(shape=shape)])
        def network(image):
            flat = mb.reshape(x=image, shape=(-1, 4))
            return mb.softmax(x=mb.matmul(x=flat, y=kernel), axis=1, name="probabilities")

        return ct.convert(
            network,
            convert_to="mlprogram",
            compute_precision=ct.precision.FLOAT32,
            minimum_deployment_target=ct.target.iOS17,
            skip_model_load=True,
            **(_arrays(ct, batches) if batches else _classifier(ct)),
        )


def _classifier(ct):
    layout = ct.colorlayout.GRAYSCALE
    return {
        "inputs": [ct.ImageType(name="image", shape=(1, 1, 2, 2), color_layout=layout)],
        "classifier_config": ct.ClassifierConfig(list(CLASSES)),
    }


def _arrays(ct, batches):
    shapes = ct.EnumeratedShapes([(batch, 2, 2, 1) for batch in batches], default=(1, 2, 2, 1))
    return {"inputs": [ct.TensorType(name="image", shape=shapes)]}


def _network(kernel):
    from onnx import TensorProto, helper

    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 2, 2, 1])
    out = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3])
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["floats"], ["flat"]),
        helper.make_node("MatMul", ["flat", "kernel"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    tensor = helper.make_tensor("kernel", TensorProto.FLOAT, kernel.shape, kernel.tobytes(), raw=True)
    graph = helper.make_graph(nodes, "tiny", [image], [out], [tensor])
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()


def _manifest(payload, golden, form, container="onnx"):
    return Manifest(
        schema=MANIFEST_SCHEMA,
        format=form,
        name="tiny",
        payload_sha256=payload_sha256(container, payload),
        backbone_sha256="0" * 64,
        input=InputSpec(height=2, width=2, channels=1, range=(0.0, 255.0)),
        io=IOSpec(
            mode="raw",
            input=TensorSpec(name="image", dtype="uint8", shape=(None, 2, 2, 1)),
            output=TensorSpec(name="probabilities", dtype="float32", shape=(None, 3)),
        ),
        labels=LabelSet(source="abc", names=CLASSES),
        lineage=(),
        golden=GoldenInfo(
            count=len(golden.inputs),
            source="here",
            spread=spread_of(golden.outputs),
            inputs_sha256=golden_sha256(golden.inputs),
            outputs_sha256=golden_sha256(golden.outputs),
        ),
        tools={},
    )
