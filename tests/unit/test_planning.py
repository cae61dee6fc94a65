"""Which stages, with which settings, in which order."""

from __future__ import annotations

import pytest

from edgefer.compression.planning import known_stages, read_plan
from edgefer.compression.stages.channels import Options
from edgefer.errors import SettingError
from edgefer.recipe import WEAK

TUNING = {"training": {"epochs": 1, "batch_size": 8, "learning_rate": 1e-3}}
TAUGHT = {"training": {**TUNING["training"], "distillation": {"teachers": ["a.keras"]}}}
ENTRIES = {
    "bias-correct": {},
    "blocks": {"blocks": 2},
    "channels": {"macs": 0.5},
    "distill": {"student": {"family": "student"}, "tuning": TUNING},
    "equalize": {},
    "magnitude": {"tuning": TUNING},
    "qat": {"tuning": TUNING},
}


def plan(*names):
    return read_plan([{"stage": name, **ENTRIES[name]} for name in names])


def test_every_stage_can_be_planned():
    assert set(ENTRIES) == set(known_stages())
    assert [plan(name)[0].stage.id for name in ENTRIES] == list(ENTRIES)


@pytest.mark.parametrize("name", [name for name, stage in known_stages().items() if stage.not_after])
def test_reasons_name_stages_that_exist(name):
    assert set(known_stages()[name].not_after) <= set(known_stages())


def test_settings_are_read_into_the_stages_own_record():
    [one] = read_plan(
        [{"stage": "channels", "macs": 0.5, "tuning": {**TUNING, "augmentation": {"preset": "weak"}}}]
    )
    assert isinstance(one.options, Options)
    assert (one.options.macs, one.options.tuning.augmentation) == (0.5, WEAK)
    assert one.raw["tuning"]["augmentation"] == {"preset": "weak"}


@pytest.mark.parametrize("names", [("distill", "channels", "qat"), ("blocks", "channels", "magnitude")])
def test_a_sensible_order_is_accepted(names):
    assert [one.stage.id for one in plan(*names)] == list(names)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("channels", "channels"), "stage channels is given twice"),
        (("qat", "channels"), "channels cannot come after qat: what changes the weights afterwards"),
        (("qat", "magnitude"), "magnitude cannot come after qat"),
        (("magnitude", "channels"), "channels cannot come after magnitude: .* fill the zeros again"),
        (("magnitude", "qat"), "qat cannot come after magnitude"),
        (("channels", "blocks"), "blocks cannot come after channels: channels were chosen, .* would now go"),
        (("magnitude", "blocks"), "blocks cannot come after magnitude"),
        (("blocks", "distill"), "distill cannot come after blocks"),
        (("channels", "distill"), "distill cannot come after channels"),
        (("equalize", "distill"), "distill cannot come after equalize: the student is a new network"),
        *(
            (("bias-correct", name), f"{name} cannot come after bias-correct: biases were corrected for")
            for name in ("equalize", "distill", "blocks", "channels", "magnitude", "qat")
        ),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_with_the_reason(names, message):
    with pytest.raises(SettingError, match=message) as caught:
        plan(*names)
    assert caught.value.key == "stages[1].stage"


@pytest.mark.parametrize(
    ("stages", "message", "key"),
    [
        ([], "no stage is given", "stages"),
        ([{"macs": 0.5}], "does not name its stage", "stages[0]"),
        ([{"stage": "chanels"}], "unknown stage", "stages[0].stage"),
        ([{"stage": "channels", "mac": 0.5}], "stage channels: unknown key 'mac'", "stages[0].mac"),
        ([{"stage": "distill"}], "stage distill: student is missing", "stages[0].student"),
        ([{"stage": "channels", "macs": 1.0}], "macs must be between 0 and 1", "stages[0].macs"),
        *(
            (
                [{"stage": "distill", **ENTRIES["distill"], "teachers": teachers, "tuning": told}],
                "stage distill: teachers: teachers name a model twice",
                "stages[0].teachers",
            )
            for teachers, told in ((["a.keras", "a.keras"], TUNING), (["a.keras"], TAUGHT))
        ),
        (
            [{"stage": "qat", "tuning": {"training": {**TUNING["training"], "epochs": 0}}}],
            "epochs must be at least 1",
            "stages[0].tuning.training.epochs",
        ),
        (
            [{"stage": "qat", "tuning": {**TUNING, "augmentation": {"preset": "week"}}}],
            "unknown augmentation.preset 'week'",
            "stages[0].tuning.augmentation.preset",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(stages, message, key):
    with pytest.raises(SettingError, match=message) as caught:
        read_plan(stages)
    assert caught.value.key == key
