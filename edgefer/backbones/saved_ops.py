"""Which operations of a SavedModel reach out of the network: to files, Python, devices or other machines.

TensorFlow marks operations that do more than compute as stateful. Of these only those pass that networks are built
from; what is not marked and reaches out all the same is known by name. Checkpoint operations pass where loading and
answering never come to them: in what the file keeps for being saved and restored itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

_OF_NETWORKS = frozenset({
    # variables
    "VarHandleOp", "VarIsInitializedOp", "ReadVariableOp", "AssignVariableOp", "AssignAddVariableOp",
    "AssignSubVariableOp", "VariableShape", "ResourceGather", "ResourceGatherNd", "DisableCopyOnRead", "Variable",
    "VariableV2",
    # calls and control flow
    "StatefulPartitionedCall", "If", "While", "Case", "DeviceIndex", "Assert", "CheckNumerics", "CheckNumericsV2",
    # recurrent layers
    "CudnnRNN", "CudnnRNNV2", "CudnnRNNV3", "CudnnRNNBackprop", "CudnnRNNBackpropV2", "CudnnRNNBackpropV3",
    # random numbers: augmentation and dropout
    "RandomUniform", "RandomUniformInt", "RandomStandardNormal", "TruncatedNormal", "RandomShuffle", "RandomGamma",
    "Multinomial", "StatefulStandardNormal", "StatefulStandardNormalV2", "StatefulTruncatedNormal", "StatefulUniform",
    "StatefulUniformInt", "StatefulUniformFullInt", "StatelessRandomGetAlg", "RngReadAndSkip", "RngSkip",
    "NonDeterministicInts",
    # tables and arrays in memory
    "HashTable", "HashTableV2", "AnonymousHashTable", "InitializeTableV2", "LookupTableFindV2", "LookupTableSizeV2",
    "LookupTableExportV2", "LookupTableImportV2", "DestroyResourceOp", "TensorArrayV3", "TensorArrayReadV3",
    "TensorArrayWriteV3", "TensorArrayGatherV3", "TensorArrayScatterV3", "TensorArrayConcatV3", "TensorArraySplitV3",
    "TensorArraySizeV3", "TensorArrayCloseV3",
})  # fmt: skip

# Not marked as stateful. Every data set is refused besides: a network has none, and some write files.
_UNMARKED = frozenset({
    "ReadFile", "MatchingFiles", "PyFuncStateless", "ImmutableConst", "InitializeTableFromTextFile", "DebugIdentity",
    "DebugNanCount", "DebugNumericSummary", "DecodeProtoV2", "EncodeProto", "GenerateVocabRemapping",
    "RemoteFusedGraphExecute", "XlaCustomCall", "XlaCustomCallV2",
})  # fmt: skip

_RESTORING = frozenset({"RestoreV2"})
_SAVING = frozenset({"SaveV2", "MergeV2Checkpoints"})


def reaching_out(meta: Any) -> Iterator[str]:
    """The operations of a MetaGraphDef, by name, that a network has no need of, or not where they stand."""
    functions = {function.signature.name for function in meta.graph_def.library.function}
    bodies: dict[str, list[Any]] = {}  # of equal names none hides another
    for node in meta.graph_def.node:
        bodies.setdefault(node.name, []).append(node)
    for function in meta.graph_def.library.function:
        bodies.setdefault(_called(function.signature.name), []).extend(function.node_def)
    needs = {place: set(_needs(nodes, functions, bodies)) for place, nodes in bodies.items()}
    saver = meta.saver_def
    restored = _behind([saver.restore_op_name], needs)
    saved = _behind([saver.save_tensor_name], needs)
    run = _behind({*needs} - restored - saved | set(_entrances(meta)), needs)
    for place, nodes in bodies.items():
        unneeded = {node.op for node in nodes if _reaches_out(node.op, functions)}
        if place not in run:
            unneeded -= _RESTORING if place in restored else _RESTORING | _SAVING
        yield from sorted(unneeded)


def _reaches_out(op: str, functions: set[str]) -> bool:
    from tensorflow.python.framework import op_def_registry

    definition = op_def_registry.get(op)
    if definition is None:
        return op not in functions
    stateful = definition.is_stateful and op not in _OF_NETWORKS
    return stateful or op in _UNMARKED or "Dataset" in op


def _needs(nodes: Iterable[Any], functions: set[str], places: dict[str, Any]) -> Iterator[str]:
    """What ``nodes`` take from the main graph, and the functions that they may call."""
    for node in nodes:
        yield from (_producer(name) for name in node.input if _producer(name) in places)
        if node.op in functions:
            yield _called(node.op)
        for value in node.attr.values():
            yield from (_called(one.name) for one in (value.func, *value.list.func) if one.name in functions)


def _entrances(meta: Any) -> Iterator[str]:
    """Where loading or answering begins: signatures, initialisers, and the functions of restored objects."""
    for signature in meta.signature_def.values():
        for output in signature.outputs.values():
            sparse = output.coo_sparse
            tensors = (sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name)
            yield from map(_producer, (output.name, *tensors))
    for collection in meta.collection_def.values():
        yield from map(_producer, collection.node_list.value)
    yield from map(_called, meta.object_graph_def.concrete_functions)


def _behind(starts: Iterable[str], needs: dict[str, set[str]]) -> set[str]:
    """``starts`` and everything that they need, however far behind."""
    found: set[str] = set()
    waiting = [_producer(start) for start in starts]
    while waiting:
        place = waiting.pop()
        if place in needs and place not in found:
            found.add(place)
            waiting += needs[place]
    return found


def _producer(tensor: str) -> str:
    """The node that a tensor or a control input is of."""
    return tensor.removeprefix("^").split(":")[0]


def _called(function: str) -> str:
    """The key of a function; no node's name has brackets."""
    return f"{function}()"
