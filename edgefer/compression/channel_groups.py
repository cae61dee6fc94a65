"""Which channels of a network are removed together, and what hangs on them.

A dependency graph in the sense of Fang et al. 2023, "DepGraph: Towards Any Structural Pruning": a residual sum, a
squeeze-excite product or a depthwise convolution ties channels of several layers into one unit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgefer.backbones.graph import replay
from edgefer.compression.channel_marks import Ids, Marks, Traced, UnsupportedError, Use, Weight
from edgefer.compression.channel_rules import Call, rule_for, untouched
from edgefer.compression.excluding import is_excluded, refuse_unmatched
from edgefer.errors import InputError

Keep = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Group:
    """Units, numbers shape (n,), that cost the same: any of them may go. ``layers`` make their channels."""

    layers: tuple[str, ...]
    units: Ids


@dataclass(frozen=True)
class Channels:
    """A network's channels as units; all channels of one unit are kept or removed together.

    ``uses`` in the order in which the layers are called. ``unit_of`` maps a channel number to its unit; ``units``
    counts them. A unit in none of the ``groups`` stays. A plan is a bool array (units,): which are kept.
    """

    model: Any
    uses: tuple[Use, ...]
    unit_of: Ids
    units: int
    groups: tuple[Group, ...]

    def places(self, ids: Ids, keep: Keep) -> Ids:
        """Places, shape (k,), of those channels among ``ids`` that the plan ``keep`` keeps."""
        return np.flatnonzero(keep[self.unit_of[ids]])

    def weights(self) -> Iterator[tuple[Any, Weight]]:
        """Every ``keras.Variable`` of the layers, with what is known of it."""
        for use in self.uses:
            yield from zip(getattr(use.layer, "weights", ()), use.weights, strict=True)


def channels_of(model: Any, exclude: Sequence[str] = ()) -> Channels:
    """Find the channels of a Keras network that can be removed, nested models opened.

    The channels of the image, of the output and of layers whose name matches a pattern of ``exclude`` stay.

    Raises:
        InputError: names a layer whose channels cannot be followed, or the network is no graph of layers.
        SettingError: a pattern of ``exclude`` matches no layer.
    """
    import keras

    if not (isinstance(model, keras.Sequential) or hasattr(model, "_run_through_graph")):
        raise InputError(
            f"{model.name} is a {type(model).__name__}, whose layers cannot be seen",
            hint="only Sequential and functional Keras models can be pruned",
        )
    tracer = _Tracer(exclude)
    image = keras.KerasTensor(model.inputs[0].shape, model.inputs[0].dtype)
    output = replay(model, Traced(image, tracer.marks.kept(image.shape[-1])), tracer.call)
    for tensor in keras.tree.flatten(output):
        tracer.marks.freeze(tensor.ids)
    return tracer.channels(model)


class _Tracer:
    """Follows channels from layer to layer."""

    def __init__(self, exclude: Sequence[str]) -> None:
        self.marks = Marks()
        self.exclude = exclude
        self.uses: dict[int, Use] = {}
        self.strange: list[tuple[Any, UnsupportedError, list[Traced]]] = []

    def call(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        import keras

        given = keras.tree.flatten((args, kwargs))
        inputs = [value for value in given if isinstance(value, Traced)]
        args, kwargs = keras.tree.map_structure(_spec, (args, kwargs))
        output = layer.compute_output_spec(*args, **kwargs)
        try:
            _refuse_unusual(layer, given, output)
            use = self._remember(rule_for(layer)(Call(self.marks, layer, inputs, output)))
        except UnsupportedError as reason:
            return self._set_aside(layer, inputs, output, reason)
        if self._excluded(layer):
            self.marks.freeze(use.output)
        return Traced(output, use.output)

    def _remember(self, use: Use) -> Use:
        """A layer called again has the same weights: what both calls read and make is tied, place by place."""
        if len(use.weights) != len(getattr(use.layer, "weights", ())):
            raise UnsupportedError("it has other weights than layers of its kind")
        earlier = self.uses.get(id(use.layer))
        if earlier is None:
            self.uses[id(use.layer)] = use
            return use
        for one, other in zip(_all_ids(earlier), _all_ids(use), strict=True):
            self.marks.tie(one, other)
        pairs = zip(earlier.weights, use.weights, strict=True)
        weights = tuple(replace(one, uses=one.uses + other.uses) for one, other in pairs)
        self.uses[id(use.layer)] = replace(earlier, weights=weights)
        return use

    def _set_aside(self, layer: Any, inputs: list[Traced], output: Any, reason: UnsupportedError) -> Any:
        """A layer that changes nothing as long as all it reads stays."""
        import keras

        if self._excluded(layer):
            for tensor in inputs:
                self.marks.freeze(tensor.ids)
        self.strange.append((layer, reason, inputs))
        self.uses[id(layer)] = Use(layer, self.marks.kept(0), untouched(layer))
        return keras.tree.map_structure(lambda one: Traced(one, self.marks.kept(one.shape[-1])), output)

    def _excluded(self, layer: Any) -> bool:
        return is_excluded(layer.name, self.exclude)

    def channels(self, model: Any) -> Channels:
        """Join tied numbers to units and sort those that may go into groups."""
        self._refuse_idle_patterns()
        unit_of, units = _joined(self.marks)
        frozen = np.zeros(units, np.bool_)
        for ids in self.marks.frozen:
            frozen[unit_of[ids]] = True
        for layer, reason, inputs in self.strange:
            if not all(frozen[unit_of[tensor.ids]].all() for tensor in inputs):
                raise InputError(
                    f"channels cannot be removed around layer {layer.name!r} ({type(layer).__name__}): {reason}",
                    hint=f"write exclude = [{layer.name!r}] to keep all it reads, or replace the layer",
                )
        found = Channels(model, tuple(self.uses.values()), unit_of, units, ())
        return replace(found, groups=_groups(found, frozen))

    def _refuse_idle_patterns(self) -> None:
        refuse_unmatched(self.exclude, (use.layer.name for use in self.uses.values()), "layer")


def _spec(value: Any) -> Any:
    return value.spec if isinstance(value, Traced) else value


def _refuse_unusual(layer: Any, given: list[Any], output: Any) -> None:
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise UnsupportedError("its data format is channels_first")
    if any(np.ndim(value) for value in given if not isinstance(value, (Traced, str))):
        raise UnsupportedError("it reads an array that is written into the network")
    if isinstance(output, (list, tuple, dict)):
        raise UnsupportedError("it puts out several tensors")


def _all_ids(use: Use) -> list[Ids]:
    ids = [ids for weight in use.weights for ids in weight.ids.values()]
    shapes = [size for value in use.settings.values() if isinstance(value, tuple) for size in value]
    return [*ids, *(size for size in shapes if isinstance(size, np.ndarray))]


def _joined(marks: Marks) -> tuple[Ids, int]:
    """Unit of every channel number, and how many units there are."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    none = (np.empty(0, np.intp),) * 2
    rows, columns = (np.concatenate(side) for side in zip(none, *marks.ties, strict=True))
    ties = coo_array((np.ones(len(rows)), (rows, columns)), shape=(marks.count, marks.count))
    units, unit_of = connected_components(ties, directed=False)
    return unit_of.astype(np.intp), int(units)


def _groups(channels: Channels, frozen: Keep) -> tuple[Group, ...]:
    """Units that stand on the same axes of the same weights, equally often, are one group."""
    places: list[list[tuple[int, int, int]]] = [[] for _ in range(channels.units)]
    makers: dict[int, list[str]] = defaultdict(list)
    weights = [(use.layer.name, weight) for use in channels.uses for weight in use.weights]
    for number, (layer, weight) in enumerate(weights):
        for axis, ids in weight.ids.items():
            for unit, times in zip(*np.unique(channels.unit_of[ids], return_counts=True), strict=True):
                places[unit].append((number, axis, int(times)))
                if axis == weight.makes:
                    makers[unit].append(layer)
    members: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for unit in np.flatnonzero(~frozen):
        members[tuple(places[unit])].append(int(unit))
    return tuple(Group(tuple(makers[units[0]]), np.asarray(units)) for units in members.values())
