"""Stages work on the network that is converted: parallel branches, one convolution each there, are merged first.

What is rounded, made zero or removed in a branch is not what a file holds: rounding errors and zeros are those of the
branches' sum, and an identity among them ties the channels of layers that are free of each other once it is merged.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from edgefer.backbones.base import Backbone
from edgefer.backbones.graph import operations
from edgefer.backbones.merging import merged
from edgefer.compression.base import Workshop

REMARK = (
    "parallel branches are merged first, as conversion does: each sum of them is one convolution that bears its name, "
    "without a batch norm of its own"
)


def as_converted(backbone: Backbone, workshop: Workshop) -> Backbone:
    """``backbone`` with its parallel branches merged, and a note that says so; itself if it has none.

    Layers that stay are shared with the given one.
    """
    if not _is_graph(backbone.model):
        return backbone
    model = merged(backbone.model)
    # Two layers of one name alone make another network of it, which a stage can do without.
    if _kinds(model) == _kinds(backbone.model):
        return backbone
    workshop.note(REMARK)
    return replace(backbone, model=model, sha256="")


def _is_graph(model: Any) -> bool:
    """Whether layers can be seen; a stage refuses a network where it needs to and they cannot."""
    import keras

    return isinstance(model, keras.Sequential) or hasattr(model, "_run_through_graph")


def _kinds(model: Any) -> Counter[type]:
    return Counter(type(one) for one in operations(model))
