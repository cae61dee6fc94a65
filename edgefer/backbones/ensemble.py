"""Several backbones that vote: their probabilities, averaged with equal weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgefer.backbones.base import Backbone
from edgefer.backbones.evaluation import probabilities
from edgefer.errors import InputError
from edgefer.preprocessing import Floats, Pixels
from edgefer.spec import InputSpec, LabelSet

Faces = Callable[[InputSpec], Pixels]
Answers = Callable[[Backbone, Pixels], Floats]


@dataclass(frozen=True)
class Ensemble:
    """Backbones for the same classes; each may want another size, range or number of channels.

    Raises:
        InputError: no members, or their classes differ in name or order.
    """

    members: tuple[Backbone, ...]

    def __post_init__(self) -> None:
        if not self.members:
            raise InputError("a vote needs at least one model")
        first = self.members[0]
        for other in self.members[1:]:
            if other.labels.names != first.labels.names:
                raise InputError(
                    f"{first.name} knows the classes {', '.join(first.labels.names)}; {other.name} knows "
                    f"{', '.join(other.labels.names)}",
                    hint="only models with the same classes in the same order can vote",
                )

    @property
    def labels(self) -> LabelSet:
        """The members' common classes."""
        return self.members[0].labels

    def answers(self, faces: Faces, ask: Answers = probabilities) -> list[Floats]:
        """Each member's probabilities float32 (N, classes); ``faces`` gives the N images as a member takes them.

        Raises:
            ValueError: ``faces`` gave the members different numbers of images.
        """
        found = [ask(member, faces(member.input)) for member in self.members]
        if len({len(each) for each in found}) > 1:
            raise ValueError(f"the members were asked about {[len(each) for each in found]} images")
        return found

    def probabilities(self, faces: Faces) -> Floats:
        """The vote: mean probabilities float32 (N, classes)."""
        return soft_vote(self.answers(faces))


def soft_vote(answers: list[Floats]) -> Floats:
    """Average probabilities, each (N, classes), with equal weights."""
    return np.asarray(np.mean(answers, axis=0, dtype=np.float64), np.float32)
