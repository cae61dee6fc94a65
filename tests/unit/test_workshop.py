"""What stages work with: trainings in folders of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from training_samples import build_tiny, tiny_dataset
from tuning_samples import INPUT, backbone_of, tuning

from edgefer.backbones.base import Backbone
from edgefer.backbones.loading import load_backbone
from edgefer.recipe import Distillation
from edgefer.spec import Step
from edgefer.training.record import Epoch, Request, read_record
from edgefer.training.run import Hooks
from edgefer.workshop import workshop

PAST = Step(name="train", config={"recipe": "first"}, seconds=1.0)


@pytest.fixture(scope="module")
def tiny() -> Backbone:
    """A network that was trained before."""
    network = backbone_of(build_tiny((32, 32, 3), 9, None, {}))
    return replace(network, name="tiny", lineage=(PAST,))


def tools(folder: Path, original: Backbone, hooks: Hooks | None = None) -> Any:
    form: Any = None  # nothing is timed
    return workshop(original, INPUT, tiny_dataset(), folder, 5, hooks or Hooks(), form)


def test_tuning_adds_one_step_to_the_lineage_and_so_it_is_read_back(tiny: Backbone, tmp_path: Path):
    for _ in range(2):  # the second time it is finished and read from its file
        tuned = tools(tmp_path, tiny).tune(tiny, tuning(1), "tuning")
        assert tuned.name == "tiny"
        assert tuned.lineage[0] == PAST
        assert [step.name for step in tuned.lineage] == ["train", "train"]
    assert load_backbone(tmp_path / "tuning" / "model.keras").lineage == tuned.lineage


def test_a_stopped_tuning_goes_on_from_wherever_its_folder_is_named(
    tiny: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)

    def stop(_: Epoch) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tools(Path("run"), tiny, Hooks(epoch=stop)).tune(tiny, tuning(2), "tuning", teacher=tiny)
    seen: list[int] = []
    hooks = Hooks(epoch=lambda epoch: seen.append(epoch.number))
    tools(tmp_path / "run", tiny, hooks).tune(tiny, tuning(2), "tuning", teacher=tiny)
    assert seen == [2]


def test_how_much_the_stages_own_teacher_counts_can_be_said(tiny: Backbone, tmp_path: Path):
    said = tuning(1, distillation=Distillation(temperature=4.0, share=0.9, hint=0.1))
    tools(tmp_path, tiny).tune(tiny, said, "tuning", teacher=tiny)
    asked = read_record(tmp_path / "tuning" / "request.json", Request).recipe.training.distillation
    assert asked == Distillation((str(tmp_path / "tuning-teacher1.keras"),), 4.0, 0.9, 0.1)
