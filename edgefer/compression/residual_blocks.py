"""Residual blocks whose branch can be left out, so that only the shortcut is left of them.

A network of residual blocks is a sum over paths of many lengths, and most single blocks can go without much harm: Veit,
Wilber, Belongie 2016, "Residual Networks Behave Like Ensembles of Relatively Shallow Networks", NeurIPS.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from edgefer.backbones.graph import Call, consumers, macs_of, operations, replay
from edgefer.backbones.rebuilding import copied_weights, distinct, free_name, named, put_to_work, remade
from edgefer.spec import Cost


@dataclass(frozen=True)
class Block:
    """An addition of a tensor to what a branch makes of it.

    ``name`` is that of the layer that adds. ``call`` is its number among the network's calls in order, ``branch``
    those of the branch, and ``shortcut`` the place, 0 or 1, of the unchanged tensor among the summands.
    """

    name: str
    call: int
    shortcut: int
    branch: frozenset[int]

    @property
    def calls(self) -> frozenset[int]:
        """All that goes with the block."""
        return self.branch | {self.call}


def blocks_of(network: list[Call]) -> tuple[Block, ...]:
    """The blocks among a network's calls, in order, that can be left out.

    These are sums of two tensors of one shape of which one, the shortcut, is all that the other is made of, and what
    lies in between is used nowhere else. A shortcut that a layer changes on its way is none.
    """
    maker = {id(call.output): number for number, call in enumerate(network)}
    return tuple(
        block
        for number, call in enumerate(network)
        if type(call.layer).__name__ == "Add" and len(call.inputs) == 2
        for block in _blocks(network, maker, number)
    )


def _blocks(network: list[Call], maker: dict[int, int], number: int) -> Iterator[Block]:
    add = network[number]
    for shortcut in (0, 1):
        kept, made = add.inputs[shortcut], add.inputs[1 - shortcut]
        if kept.shape != made.shape or kept is made:
            continue
        branch = _between(network, maker, kept, made)
        inside = [network[one] for one in branch]
        users = {id(user.output) for call in inside for user in consumers(call, network)}
        if branch and users <= {id(call.output) for call in (*inside, add)}:
            yield Block(add.layer.name, number, shortcut, branch)
            return


def _between(network: list[Call], maker: dict[int, int], start: Any, end: Any) -> frozenset[int]:
    """Numbers of the calls that make ``end`` of ``start``; none if something else goes into it."""
    found: set[int] = set()
    wanted = [end]
    while wanted:
        tensor = wanted.pop()
        if tensor is start:
            continue
        number = maker.get(id(tensor))
        if number is None:  # the image: the branch begins before the shortcut does
            return frozenset()
        if number not in found:
            found.add(number)
            wanted.extend(network[number].inputs)
    return frozenset(found)


def cost_without(network: list[Call], removed: Collection[Block]) -> Cost:
    """What the network costs without these blocks."""
    gone = frozenset[int]().union(*(block.calls for block in removed))
    left = [call for number, call in enumerate(network) if number not in gone]
    layers = {id(call.layer): call.layer for call in left if getattr(call.layer, "weights", ())}
    return Cost(
        parameters=sum(layer.count_params() for layer in layers.values()),
        macs=sum(macs_of(call) for call in left),
        layers=len(left),
    )


def without_blocks(model: Any, removed: Collection[Block]) -> Any:
    """Build the ``keras.Model`` in which ``removed`` blocks hand their shortcut on: what is left keeps names and order.

    It puts out what the whole network does when those branches are zero. No weight is shared with the whole network.

    Raises:
        ConversionError: a layer cannot be made again from its configuration.
    """
    shortcuts, number = {block.call: block.shortcut for block in removed}, count()

    def work(layer: Any, *args: Any, **kwargs: Any) -> Any:
        place = shortcuts.get(next(number))
        return put_to_work(layer, *args, **kwargs) if place is None else _summands(args)[place]

    return remade(model, lambda _: {}, copied_weights, work)


def gated(model: Any, blocks: Sequence[Block]) -> Any:
    """``model``, its layers shared, with a second input: a factor for the branch of each of ``blocks``, (N, blocks).

    With 1 everywhere it is ``model``; a 0 leaves a block out. Where two layers have one name, all are copies.
    """
    import keras

    places = {block.call: (place, block) for place, block in enumerate(blocks)}
    number, model = count(), distinct(model)
    names = {"gates", *(one.name for one in operations(model))}
    gates = keras.Input((len(blocks),), name="gates")

    def own(tensor: Any) -> Any:
        return named(tensor, free_name("gate", names))

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        place, block = places.get(next(number), (0, None))
        if block is None:
            return layer(*args, **kwargs)
        summands = _summands(args)
        branch = summands[1 - block.shortcut]
        gate = own(keras.ops.reshape(own(gates[:, place]), (-1, *[1] * (len(branch.shape) - 1))))
        return own(summands[block.shortcut] + own(branch * gate))

    source = model.inputs[0]
    image = keras.Input(batch_shape=source.shape, dtype=source.dtype)
    return keras.Model([image, gates], replay(model, image, call))


def _summands(args: Any) -> list[Any]:
    import keras

    return list(keras.tree.flatten(args))
