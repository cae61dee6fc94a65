"""A Core ML model's description and ML Program as plain records, read from its protobuf.

Source: coremltools, ``mlmodel/format/Model.proto``, ``FeatureTypes.proto`` and ``MIL.proto``, whose field numbers stand
in the functions below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy.typing as npt

from edgefer.protobuf import Message
from edgefer.runtimes.mil.dtypes import DType, of_program
from edgefer.runtimes.mil.values import immediate

Shape = tuple[int | None, ...]
ColorSpace = Literal["GRAYSCALE", "RGB", "BGR", "GRAYSCALE_FLOAT16"]

_COLORS: dict[int, ColorSpace] = {10: "GRAYSCALE", 20: "RGB", 30: "BGR", 40: "GRAYSCALE_FLOAT16"}
_KINDS = {
    1: "int64",
    2: "double",
    3: "string",
    4: "image",
    5: "array",
    6: "dictionary",
    7: "sequence",
    8: "state",
}
_ELEMENTS = {65552: "float16", 65568: "float32", 65600: "float64", 131104: "int32"}
_MLPROGRAM = 502


class TensorType(NamedTuple):
    """Data type and shape; None stands for a size that is known only when the program runs."""

    dtype: DType
    shape: Shape


class BlobReference(NamedTuple):
    """A constant in a weight file: the file's name in the program, and the byte at which its metadata stands."""

    type: TensorType
    file: str
    offset: int


Value = npt.NDArray[Any] | BlobReference


class Output(NamedTuple):
    """A named result; ``type`` is None for what is no tensor (a dictionary, a list)."""

    name: str
    type: TensorType | None


@dataclass(frozen=True)
class Operation:
    """One operation. An input is bound to names of earlier results (text) or to values."""

    type: str
    inputs: dict[str, tuple[str | Value, ...]]
    attributes: dict[str, Value]
    outputs: tuple[Output, ...]

    @property
    def place(self) -> str:
        """Words that find the operation in the program."""
        return f"operation {self.type} -> {', '.join(output.name for output in self.outputs)}"


@dataclass(frozen=True)
class Feature:
    """An input or output as an app sees it: ``kind`` is image, array, string, dictionary and so on.

    ``size`` is (height, width) of an image; ``shapes`` are those that an array may have, ``data`` the type of its
    elements.
    """

    name: str
    kind: str
    size: tuple[int, int] = (0, 0)
    color: ColorSpace | None = None
    shapes: tuple[tuple[int, ...], ...] = ()
    data: str = ""


@dataclass(frozen=True)
class Model:
    """What a package holds. ``arguments`` are the program's own inputs, ``results`` the names it returns.

    ``label`` and ``probabilities`` name a classifier's outputs, and are empty if it is none.
    """

    version: int
    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]
    label: str
    probabilities: str
    arguments: tuple[Output, ...]
    operations: tuple[Operation, ...]
    results: tuple[str, ...]


def read_model(data: bytes) -> Model:
    """Read the bytes of a ``.mlmodel`` file.

    Raises:
        ValueError, IndexError: damaged, or no ML Program with one function.
    """
    message = Message(data)
    if _MLPROGRAM not in message:
        raise ValueError("it is no ML Program, which is what Core ML calls models of iOS 15 and newer")
    functions = message.message(_MLPROGRAM).entries(2)
    if len(functions) != 1:
        raise ValueError(
            f"it has {len(functions)} functions, {', '.join(functions) or 'none'}; one can be run"
        )
    (function,) = functions.values()
    block = function.entries(3)[function.text(2)]
    described = message.message(2)
    return Model(
        version=message.number(1),
        inputs=tuple(map(_feature, described.messages(1))),
        outputs=tuple(map(_feature, described.messages(10))),
        label=described.text(11),
        probabilities=described.text(12),
        arguments=tuple(map(_output, function.messages(1))),
        operations=tuple(map(_operation, block.messages(3))),
        results=tuple(content.decode() for content in block.all(2)),
    )


def _feature(message: Message) -> Feature:
    type_ = message.message(3)
    kind = next((name for number, name in _KINDS.items() if number in type_), "")
    image, array = type_.message(4), type_.message(5)
    return Feature(
        name=message.text(1),
        kind=kind,
        size=(image.number(2), image.number(1)),
        color=_COLORS.get(image.number(3)),
        shapes=_shapes(array),
        data=_ELEMENTS.get(array.number(2), ""),
    )


def _shapes(array: Message) -> tuple[tuple[int, ...], ...]:
    """The shapes that an array type lists, else its only one."""
    listed = tuple(tuple(shape.numbers(1)) for shape in array.message(21).messages(1))
    return listed or ((tuple(array.numbers(1)),) if 1 in array else ())


def _operation(message: Message) -> Operation:
    return Operation(
        type=message.text(1),
        inputs={
            name: tuple(map(_binding, argument.messages(1))) for name, argument in message.entries(2).items()
        },
        attributes={name: _value(value) for name, value in message.entries(5).items() if name != "name"},
        outputs=tuple(map(_output, message.messages(3))),
    )


def _binding(message: Message) -> str | Value:
    return message.text(1) if 1 in message else _value(message.message(2))


def _output(message: Message) -> Output:
    type_ = message.message(2)
    return Output(message.text(1), _tensor_type(type_.message(1)) if 1 in type_ else None)


def _tensor_type(message: Message) -> TensorType:
    sizes = (dimension.message(1).number(1) if 1 in dimension else None for dimension in message.messages(3))
    return TensorType(of_program(message.number(1)), tuple(sizes))


def _value(message: Message) -> Value:
    type_, found = message.message(2), message.message(3)
    if 3 in found:  # a list of scalars, such as a classifier's class names
        return _stacked([_value(item) for item in found.message(3).messages(1)])
    if 1 not in type_:
        raise ValueError("a constant is neither a tensor nor a list of tensors")
    tensor = _tensor_type(type_.message(1))
    if 5 in message:
        blob = message.message(5)
        return BlobReference(tensor, blob.text(1), blob.number(2))
    return immediate(found.message(1), tensor.dtype, tensor.shape)


def _stacked(items: list[Value]) -> npt.NDArray[Any]:
    import numpy as np

    if any(isinstance(item, BlobReference) for item in items):
        raise ValueError("a list holds a constant of the weight file")
    return np.array([item.item() for item in items if not isinstance(item, BlobReference)])
