"""The Backbone: a trained network together with everything needed to use it rightly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from edgefer.spec import Frozen, InputSpec, LabelSet, Lineage, Step

SIDECAR_SUFFIX = ".edgefer.json"


class Sidecar(Frozen, frozen=True):
    """What stands beside a model file (``model.keras`` → ``model.edgefer.json``) and says what the file cannot."""

    input: InputSpec
    labels: LabelSet
    lineage: Lineage = ()


@dataclass(frozen=True)
class Backbone:
    """A network with its contract.

    ``model`` maps float32 (N, H, W, channels) to class probabilities (N, classes): a ``keras.Model``, or a loaded
    TensorFlow SavedModel (``trainable`` is false then: convert and verify only).
    """

    model: Any
    input: InputSpec
    labels: LabelSet
    lineage: Lineage
    name: str
    sha256: str
    trainable: bool = True

    def after(self, step: Step) -> Backbone:
        """The same backbone with one more lineage entry."""
        return replace(self, lineage=(*self.lineage, step))


@dataclass(frozen=True)
class Family:
    """A network architecture that recipes name.

    ``build(input_shape, classes, weights, options)`` returns an uncompiled ``keras.Model`` ending in a softmax;
    ``weights`` is a name such as ``imagenet``, a file, or None; ``options`` are the recipe's backbone settings.
    """

    id: str
    build: Callable[[tuple[int, int, int], int, str | None, dict[str, Any]], Any]
