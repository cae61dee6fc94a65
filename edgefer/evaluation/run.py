"""Evaluates one backbone, or several that vote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import edgefer
from edgefer.backbones.base import Backbone
from edgefer.backbones.ensemble import Ensemble, soft_vote
from edgefer.datasets.base import Dataset, Subset
from edgefer.evaluation.drift import compare, reference_of
from edgefer.evaluation.findings import findings
from edgefer.evaluation.judging import Reply, gain, judge
from edgefer.evaluation.record import SCHEMA, DataUsed, Evaluation, Gain, ModelUsed
from edgefer.evaluation.rows import Part, part_of
from edgefer.evaluation.sets import require_several, score_sets
from edgefer.preprocessing import Floats, Pixels
from edgefer.spec import InputSpec
from edgefer.training.test_time import TestTime, averaged

VOTE = "vote"

Load = Callable[[InputSpec], Dataset]


@dataclass(frozen=True)
class Plan:
    """What is asked. ``data`` loads the set as an input wants it; ``reference`` the set the models were trained on."""

    data: Load
    part: Part = "test"
    tta: TestTime = "none"
    by_set: bool = False
    reference: Load | None = None

    @property
    def rounds(self) -> int:
        """How often each model is asked about a whole split."""
        return (1 if self.tta == "none" else 2) + (self.reference is not None)


def evaluate(ensemble: Ensemble, plan: Plan, say: Callable[[str], None] = lambda _: None) -> Evaluation:
    """Judge each member and the vote of several, without and with the plan's test-time augmentation.

    ``say`` hears which model is being asked.

    Raises:
        InputError: the data lacks the rows or sets that are asked for, or its classes are others.
    """
    dataset = _loaded(ensemble, plan.data)
    subset = part_of(dataset, plan.part)
    if plan.by_set:
        require_several(dataset)
    reference = reference_of(_loaded(ensemble, plan.reference)) if plan.reference else None
    plain = _replies(ensemble, plan.data, plan.part, "none", say)
    changed = [] if plan.tta == "none" else _replies(ensemble, plan.data, plan.part, plan.tta, say)
    final = [*plain, *changed][-1]
    judged = tuple(judge(reply, subset, ensemble.labels) for reply in (*plain, *changed))
    shift = None
    if reference and plan.reference:
        usual = _replies(ensemble, plan.reference, reference.split, plan.tta, say)[-1]
        shift = compare(reference, usual, final, subset, ensemble.labels)
    return Evaluation(
        schema=SCHEMA,
        edgefer=edgefer.__version__,
        models=tuple(ModelUsed(name=m.name, sha256=m.sha256, input=m.input) for m in ensemble.members),
        labels=ensemble.labels,
        data=DataUsed(name=dataset.name, split=plan.part, synthetic=dataset.synthetic, rows=len(subset)),
        judged=judged,
        gains=_gains(plain, changed, subset, ensemble),
        sets=score_sets(dataset, subset, final.predictions) if plan.by_set else (),
        shift=shift,
        findings=findings(shift, judged[-1].full) if shift else (),
    )


def _loaded(ensemble: Ensemble, load: Load) -> Dataset:
    """The data at the first member's size.

    Raises:
        InputError: its classes are not the models'.
    """
    dataset = load(ensemble.members[0].input)
    dataset.require_classes(ensemble.labels.names, ensemble.members[0].name)
    return dataset


def _replies(
    ensemble: Ensemble, load: Load, part: Part, tta: TestTime, say: Callable[[str], None]
) -> list[Reply]:
    """Each member's reply, and last that of the vote if there are several."""

    def ask(member: Backbone, pixels: Pixels) -> Floats:
        say(member.name if tta == "none" else f"{member.name}, {tta}")
        return averaged(member, pixels, tta)

    answers = ensemble.answers(lambda spec: part_of(load(spec), part).pixels, ask)
    replies = [
        Reply(member.name, tta, answer) for member, answer in zip(ensemble.members, answers, strict=True)
    ]
    return replies if len(replies) == 1 else [*replies, Reply(VOTE, tta, soft_vote(answers))]


def _gains(plain: list[Reply], changed: list[Reply], subset: Subset, ensemble: Ensemble) -> tuple[Gain, ...]:
    """The vote over its best member, and the answers to changed copies over those to the images alone."""
    pairs = []
    if len(plain) > 1:
        best = max(plain[:-1], key=lambda reply: float(np.mean(reply.predictions == subset.labels)))
        pairs.append((plain[-1], best))
    if changed:
        pairs.append((changed[-1], plain[-1]))
    return tuple(gain(one, other, subset, ensemble.labels) for one, other in pairs)
