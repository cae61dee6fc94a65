"""Distillation: another, smaller network learns from the backbone's answers and takes its place."""

from __future__ import annotations

from edgefer.backbones.base import Backbone
from edgefer.compression.base import CORRECTED, Result, Stage, Workshop
from edgefer.errors import SettingError
from edgefer.recipe import BackbonePart, Tuning
from edgefer.spec import Frozen, InputSpec


class Options(Frozen, frozen=True):
    """Settings of the stage.

    ``student`` is the network to train and ``input`` what it takes, the backbone's own size if not given. The
    backbone teaches; ``teachers`` are files of others that vote with it. How much of what they answer counts is
    said in ``tuning.training.distillation``, which may be left out, and need not name a teacher.
    """

    student: BackbonePart
    tuning: Tuning
    input: InputSpec | None = None
    teachers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        said = self.tuning.training.distillation
        named = (*self.teachers, *(said.teachers if said else ()))
        if len(set(named)) < len(named):
            raise ValueError("teachers name a model twice, those of tuning.training.distillation included")


def run(backbone: Backbone, options: Options, workshop: Workshop) -> Result:
    """Train the student and return it.

    Raises:
        SettingError: the student takes images of another size, or cannot be built; a teacher cannot teach.
    """
    spec = options.input or backbone.input
    wanted = (backbone.input.height, backbone.input.width, backbone.input.pixel_channels)
    if (spec.height, spec.width, spec.pixel_channels) != wanted:
        raise SettingError(
            f"the student takes {spec.height}x{spec.width} images, the backbone {wanted[0]}x{wanted[1]}",
            key="input",
            hint="train a student of another size as a recipe with training.distillation",
        )
    teachers = (backbone, *options.teachers)
    student = workshop.student(options.student, spec, options.tuning, "student", teachers)
    findings = {"student": options.student.family, "teachers": [backbone.sha256, *options.teachers]}
    return Result(student, findings)


STAGES = (
    Stage(
        id="distill",
        options=Options,
        run=run,
        not_after={
            "blocks": "the student is a new network, and what pruning did to its teacher only made that worse",
            "channels": "the student is a new network, and what pruning did to its teacher only made that worse",
            "magnitude": "the student is a new network, and what pruning did to its teacher only made that worse",
            "equalize": "the student is a new network, whose channels nobody evened out",
            **CORRECTED,
        },
    ),
)
