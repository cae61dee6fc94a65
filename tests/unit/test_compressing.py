"""A run of stages in its folder: what it remembers, and when it goes on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from training_samples import build_tiny, tiny_dataset
from tuning_samples import backbone_of

from edgefer import compressing
from edgefer.backbones.base import Backbone
from edgefer.compressing import Compressed, Job, _hashes, compress
from edgefer.compression.base import Result, Stage, Workshop
from edgefer.compression.planning import Planned, read_plan
from edgefer.errors import InputError, SettingError
from edgefer.files import sha256_of
from edgefer.pipeline import FileRecord
from edgefer.racing import Race
from edgefer.recipe import ConvertPart
from edgefer.spec import Frozen
from edgefer.training.record import write_record
from edgefer.training.run import Hooks

TRAINING = {"epochs": 1, "batch_size": 8, "learning_rate": 1e-3}


def distil(**changed: Any) -> tuple[Planned, ...]:
    student = {"family": "file", "weights": "none"}
    settings = {"student": student, "tuning": {"training": TRAINING}}
    return read_plan([{"stage": "distill", **settings, **changed}])


def test_the_files_that_stages_name_are_known_by_their_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.keras").write_text(name)
    plan = distil(
        student={"family": "file", "weights": "~/one.keras"},
        teachers=["~/two.keras", "~/missing.keras"],
        tuning={"training": {**TRAINING, "distillation": {"teachers": [str(tmp_path / "three.keras")]}}},
    )
    assert _hashes(plan) == {
        "~/one.keras": sha256_of(tmp_path / "one.keras"),
        "~/two.keras": sha256_of(tmp_path / "two.keras"),
        str(tmp_path / "three.keras"): sha256_of(tmp_path / "three.keras"),
    }


def test_weights_that_have_a_name_are_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "imagenet").mkdir()
    assert _hashes(distil(student={"family": "mobilenetv2", "weights": "imagenet"})) == {}


class Options(Frozen, frozen=True):
    """Settings of a stage that changes nothing."""


@pytest.fixture(scope="module")
def tiny() -> Backbone:
    return backbone_of(build_tiny((32, 32, 3), 9, None, {}))


class Chain:
    """Runs stages that only write a file each, in one folder; ``asked`` are those that began."""

    def __init__(self, backbone: Backbone, out: Path) -> None:
        self.backbone, self.out = backbone, out
        self.asked: list[str] = []
        self.notes: list[str] = []

    def __call__(self, *stages: dict[str, Any], seed: int = 7) -> Compressed:
        form: Any = SimpleNamespace(id="tflite-int8")
        job = Job(tiny_dataset(), form, self.out, seed, Hooks(note=self.notes.append))
        return compress(self.backbone, [self._planned(one) for one in stages], job)

    def _planned(self, raw: dict[str, Any]) -> Planned:
        def run(backbone: Backbone, _: Options, workshop: Workshop) -> Result:
            self.asked.append(raw["stage"])
            workshop.folder.mkdir(exist_ok=True)
            (workshop.folder / "kept").write_text(str(raw))
            if raw.get("macs") == 0.01:
                raise SettingError("no plan keeps as little", key="macs", hint="lower minimum")
            return Result(backbone)

        return Planned(Stage(raw["stage"], Options, run), Options(), raw)


@pytest.fixture
def chain(tiny: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chain:
    skipped = Race(format="tflite-int8", skipped="nobody waits for it")
    monkeypatch.setattr(compressing, "race", lambda *_: skipped)
    return Chain(tiny, tmp_path / "run")


BLOCKS, TOO_FEW, CHANNELS = {"stage": "blocks"}, {"stage": "channels", "macs": 0.01}, {"stage": "channels"}


@pytest.mark.parametrize("then", [CHANNELS, {"stage": "equalize"}])
def test_a_later_stage_that_failed_may_be_another_one_and_finished_ones_are_kept(
    then: dict[str, Any], chain: Chain
):
    with pytest.raises(SettingError, match="as little"):
        chain(BLOCKS, TOO_FEW)
    record = (chain.out / "1-blocks" / "stage.json").read_bytes()
    made = chain(BLOCKS, then).record
    assert chain.asked == ["blocks", "channels", then["stage"]]
    assert [one.settings for one in made.stages] == [BLOCKS, then] == list(made.request.stages)
    assert (chain.out / "1-blocks" / "stage.json").read_bytes() == record
    assert {file.read_text() for file in chain.out.glob("2-*/kept")} == {str(then)}
    assert f"{chain.out / '2-channels'}: begun anew, for the stage is another one now" in chain.notes


def test_a_stage_that_is_the_same_finds_what_it_left(chain: Chain):
    for _ in range(2):
        with pytest.raises(SettingError, match="as little"):
            chain(BLOCKS, TOO_FEW)
        assert (chain.out / "2-channels" / "kept").exists()
    assert not [note for note in chain.notes if "anew" in note]


@pytest.mark.parametrize(
    ("stages", "seed"),
    [
        (({"stage": "blocks", "blocks": 2}, CHANNELS), 7),  # a finished stage that changed
        ((CHANNELS,), 7),  # one that is gone
        ((BLOCKS, CHANNELS), 8),
    ],
)
def test_what_finished_stages_were_made_by_cannot_change(
    stages: tuple[dict[str, Any], ...], seed: int, chain: Chain
):
    with pytest.raises(SettingError):
        chain(BLOCKS, TOO_FEW)
    with pytest.raises(InputError, match="begun with another model, data, teachers or other stages"):
        chain(*stages, seed=seed)
    assert (chain.out / "2-channels" / "kept").exists()


def test_nothing_is_removed_where_no_stage_is_finished_or_all_are(chain: Chain):
    with pytest.raises(SettingError):
        chain(TOO_FEW)
    with pytest.raises(InputError, match="begun with another"):
        chain(CHANNELS)
    assert (chain.out / "1-channels" / "kept").exists()
    chain.out = chain.out.with_name("whole")
    chain(BLOCKS, CHANNELS)
    with pytest.raises(InputError, match="begun with another"):
        chain(BLOCKS, CHANNELS, {"stage": "qat"})


def test_files_of_a_finished_run_stay_in_its_record_wherever_it_is_called_from(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    chain.out = Path("run")
    made = chain(BLOCKS).record
    file = chain.out / "tiny-int8.tflite"
    file.write_bytes(b"a file")
    kept = FileRecord(
        format="tflite-int8",
        path=str(file),
        bytes=6,
        seconds=1.0,
        verification=None,
        error=None,
        sha256=sha256_of(file),
    )
    ended = ConvertPart(formats=("tflite-int8",))
    write_record(chain.out / "compress.json", msgspec.structs.replace(made, files=(kept,), conversion=ended))
    monkeypatch.chdir(tmp_path.parent)
    chain.out = tmp_path / "run"
    again = chain(BLOCKS).record
    assert again.conversion == ended
    assert [one.path for one in again.files] == [str(tmp_path / "run" / "tiny-int8.tflite")]


def test_a_network_that_carries_code_is_refused_before_the_work(chain: Chain):
    import keras

    image = keras.Input((32, 32, 3))
    value = keras.layers.Lambda(lambda x: x + 0.0, output_shape=(32, 32, 3), name="mine")(image)
    value = keras.layers.Dense(9, activation="softmax")(keras.layers.Flatten()(value))
    chain.backbone = backbone_of(keras.Model(image, value))
    with pytest.raises(InputError, match=r"holds a Lambda layer \('mine'\).* which --trust does not cover"):
        chain(BLOCKS)
    assert chain.asked == []
