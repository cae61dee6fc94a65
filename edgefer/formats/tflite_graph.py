"""The main graph of a TFLite file as its schema's objects, to be read and changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt

from edgefer.formats.tflite_compact import IDENTIFIER

Array = npt.NDArray[Any]


class Graph:
    """``operators`` stand in order of execution; a tensor is known by its number, as in the file."""

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema = schema
        self._model = schema.ModelT.InitFromPackedBuf(content, 0)
        self._kinds: dict[int, str] = {
            value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)
        }
        self._dtypes = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT32: np.int32}
        self._main = self._model.subgraphs[0]
        self.operators: list[Any] = self._main.operators
        for operator in self.operators:  # the schema reads arrays that cannot be changed
            operator.inputs, operator.outputs = (
                [int(n) for n in part] for part in (operator.inputs, operator.outputs)
            )

    def kind(self, operator: Any) -> str:
        """Its name in the schema, ``CONV_2D`` for instance."""
        code = self._model.operatorCodes[operator.opcodeIndex]
        return self._kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]

    def tensor(self, number: int) -> Any:
        """The schema's object."""
        return self._main.tensors[number]

    def shape(self, number: int) -> tuple[int, ...]:
        """As the file states it; what it leaves open is 1."""
        return tuple(abs(int(size)) for size in self.tensor(number).shape)

    def name(self, number: int) -> str:
        """What the converter called it; of fused operations the last one's name."""
        return str(self.tensor(number).name.decode()).partition(";")[0]

    def producer(self, number: int) -> Any:
        """The operator that makes a tensor, None for an input or a constant."""
        return next((one for one in self.operators if number in one.outputs), None)

    def consumers(self, number: int) -> list[Any]:
        """The operators that take a tensor."""
        return [one for one in self.operators if number in one.inputs]

    def constant(self, number: int) -> Array | None:
        """Values of a dense float32 or int32 constant, None for anything else."""
        tensor = self.tensor(number)
        data, dtype = self._model.buffers[tensor.buffer].data, self._dtypes.get(tensor.type)
        if data is None or dtype is None or tensor.sparsity is not None:
            return None
        values: Array = np.frombuffer(np.asarray(data, np.uint8).tobytes(), dtype)
        return values.reshape(self.shape(number))

    def add_constant(self, name: str, values: Array) -> int:
        """A new constant of float32 or int32."""
        (kind,) = (kind for kind, dtype in self._dtypes.items() if dtype == values.dtype)
        return self._add(name, kind, values.shape, self._stored(values))

    def add_sparse(self, name: str, values: Array) -> int | None:
        """A new float32 constant (O, 1, 1, I) that stores no zeros, in rows of O; None if that would be no shorter."""
        from scipy.sparse import csr_matrix

        schema, rows = self._schema, csr_matrix(values.reshape(len(values), -1))
        (_, row_ends), (_, places) = segments, indices = self._vector(rows.indptr), self._vector(rows.indices)
        if rows.data.nbytes + row_ends.values.nbytes + places.values.nbytes >= values.nbytes:
            return None
        made = self._add(name, schema.TensorType.FLOAT32, values.shape, self._stored(rows.data))
        dense = [schema.DimensionMetadataT() for _ in range(values.ndim - 1)]
        for dimension, size in zip(dense, values.shape, strict=False):
            dimension.format, dimension.denseSize = schema.DimensionType.DENSE, size
        compressed = schema.DimensionMetadataT()
        compressed.format = schema.DimensionType.SPARSE_CSR
        compressed.arraySegmentsType, compressed.arraySegments = segments
        compressed.arrayIndicesType, compressed.arrayIndices = indices
        sparsity = self.tensor(made).sparsity = schema.SparsityParametersT()
        sparsity.traversalOrder, sparsity.dimMetadata = list(range(values.ndim)), [*dense, compressed]
        return made

    def add_like(self, number: int, name: str, shape: Sequence[int] | None = None) -> int:
        """A new tensor of another's type and, unless stated, shape; an open batch stays open."""
        like = self.tensor(number)
        made = self._add(name, like.type, shape or self.shape(number), 0)
        if like.shapeSignature is not None and shape is not None:
            self.tensor(made).shapeSignature = [int(like.shapeSignature[0]), *shape[1:]]
        elif like.shapeSignature is not None:
            self.tensor(made).shapeSignature = list(like.shapeSignature)
        return made

    def insert(
        self,
        before: Any,
        kind: str,
        inputs: Sequence[int],
        output: int,
        *,
        options: str = "",
        version: int = 1,
        **settings: Any,
    ) -> None:
        """A new operator in front of another. ``options`` is the schema's class of its ``settings``."""
        made = self._schema.OperatorT()
        made.opcodeIndex = self._code(kind, version)
        made.inputs, made.outputs = list(inputs), [output]
        if options:
            made.builtinOptionsType = getattr(self._schema.BuiltinOptions, options)
            made.builtinOptions = getattr(self._schema, f"{options}T")()
            for key, value in settings.items():
                setattr(made.builtinOptions, key, value)
        place = next(place for place, one in enumerate(self.operators) if one is before)
        self.operators.insert(place, made)

    def content(self) -> bytes:
        """The file; constants that no operator takes any more are emptied."""
        self._empty_unused()
        builder = flatbuffers.Builder(1024)
        builder.Finish(self._model.Pack(builder), file_identifier=IDENTIFIER)
        return bytes(builder.Output())

    def _empty_unused(self) -> None:
        used = {int(number) for operator in self.operators for number in operator.inputs}
        kept = {tensor.buffer for number, tensor in enumerate(self._main.tensors) if number in used}
        for number, tensor in enumerate(self._main.tensors):
            if number not in used and tensor.buffer not in kept:
                self._model.buffers[tensor.buffer].data = None

    def _stored(self, values: Array) -> int:
        """The number of a new buffer."""
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        return len(self._model.buffers) - 1

    def _add(self, name: str, kind: int, shape: Sequence[int], buffer: int) -> int:
        tensor = self._schema.TensorT()
        tensor.name, tensor.type = name.encode(), kind
        tensor.shape, tensor.buffer = [int(size) for size in shape], buffer
        self._main.tensors.append(tensor)
        return len(self._main.tensors) - 1

    def _vector(self, values: Array) -> tuple[int, Any]:
        """Integers in the narrowest of the schema's three vectors, with its type."""
        narrowest = ("Uint8", "Uint16", "Int32")[
            np.searchsorted((2**8, 2**16), values.max(initial=0), "right")
        ]
        vector = getattr(self._schema, f"{narrowest}VectorT")()
        vector.values = values.astype(narrowest.lower())
        return getattr(self._schema.SparseIndexVector, f"{narrowest}Vector"), vector

    def _code(self, kind: str, version: int) -> int:
        """The number of an operator code, a new one unless the file has it."""
        wanted = getattr(self._schema.BuiltinOperator, kind)
        for place, code in enumerate(self._model.operatorCodes):
            if max(code.builtinCode, code.deprecatedBuiltinCode) == wanted and code.version == version:
                return place
        made = self._schema.OperatorCodeT()
        # Readers from before there were more than 127 operators know the first field only.
        made.deprecatedBuiltinCode, made.builtinCode, made.version = min(wanted, 127), wanted, version
        self._model.operatorCodes.append(made)
        return len(self._model.operatorCodes) - 1
