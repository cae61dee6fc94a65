"""What ``edgefer compress`` says of its stages: in float and as the file, each against what was before."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

import edgefer.cli.compress as command
from edgefer import compressing
from edgefer.cli.compress import _show, verdicts
from edgefer.cli.main import cli
from edgefer.compressing import (
    SCHEMA,
    Compressed,
    CompressRecord,
    CompressRequest,
    StageRecord,
    Standing,
    _claim,
)
from edgefer.errors import InputError
from edgefer.metrics import Score, score
from edgefer.mixing import Mixed, Trial
from edgefer.pipeline import FileRecord
from edgefer.racing import Race
from edgefer.spec import Cost, LabelSet
from edgefer.training.record import DataUsed
from edgefer.verification import Verification
from tests.chain_recipe import MORE_STAGES, RECIPE

LABELS = LabelSet(source="two", names=("a", "b"))
COST = Cost(parameters=1000, macs=50_000, layers=4)


def scored(weighted_f1: float) -> Score:
    right = score(np.array([0, 1]), np.array([0, 1]), LABELS, rows="rows")
    return msgspec.structs.replace(right, weighted_f1=weighted_f1)


def standing(weighted_f1: float) -> Standing:
    return Standing(cost=COST, validation=scored(weighted_f1), test=None, test_clean=None)


def stage(name: str, weighted_f1: float, answered: float | None, **race: Any) -> StageRecord:
    """A stage after which float and file score so; the original's file scored 0.8."""
    figures = {"fps": 200.0, "original_fps": 100.0, "bytes": 9000, "original_bytes": 20_000}
    known = {} if answered is None else {"weighted_f1": answered, "original_weighted_f1": 0.8}
    return StageRecord(
        stage=name,
        settings={},
        findings={},
        seconds=1.0,
        sha256="abc",
        standing=standing(weighted_f1),
        race=Race(format="tflite-int8", **{**figures, **known, **race}),
    )


def record(*stages: StageRecord) -> CompressRecord:
    data = DataUsed(name="toy", labels="two", synthetic=True, rows={}, sha256={})
    request = CompressRequest(model_sha256="", stages=(), format="tflite-int8", data=data, seed=0)
    return CompressRecord(
        schema=SCHEMA, request=request, name="toy", original=standing(0.82), stages=stages, tools={}
    )


def test_a_file_that_lost_is_told_apart_from_a_float_network_that_did():
    found = verdicts(record(stage("channels", 0.81, 0.796), stage("qat", 0.818, 0.77)))
    assert found == [
        "channels: costs 1.00 points of weighted F1 on validation in float",
        "qat: costs 2.60 points of weighted F1 on validation as tflite-int8",
    ]


def test_each_file_is_held_against_the_one_before_not_the_original():
    """qat brings back what channels lost: it costs nothing, though the original's file is better."""
    [only] = verdicts(record(stage("channels", 0.82, 0.75), stage("qat", 0.82, 0.79)))
    assert only == "channels: costs 5.00 points of weighted F1 on validation as tflite-int8"


def test_nothing_is_said_of_files_without_a_score():
    skipped = stage("blocks", 0.82, None, fps=None, skipped="compressed: no such operation")
    assert verdicts(record(skipped, stage("qat", 0.82, 0.5))) == [
        "blocks: not timed: compressed: no such operation"
    ]


BUSY = "batch 1: others kept 40% of the machine busy while it was measured (at most 10% counts)"


def test_times_that_do_not_count_are_said_not_to_and_nothing_is_made_of_them(
    capsys: pytest.CaptureFixture[str],
):
    """A speed-up that would be too little to speak of, if it counted."""
    made = record(stage("equalize", 0.82, 0.8), stage("channels", 0.82, 0.8, fps=101.0, invalid=BUSY))
    smaller = msgspec.structs.replace(COST, macs=40_000)
    cut = msgspec.structs.replace(
        made.stages[1], standing=msgspec.structs.replace(made.stages[1].standing, cost=smaller)
    )
    made = msgspec.structs.replace(made, stages=(made.stages[0], cut))
    assert verdicts(made) == [f"channels: its times do not count: {BUSY}"]
    _show(Compressed(None, made, Path("toy.keras")), as_json=False)  # type: ignore[arg-type]  # nobody asks
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if "INVALID" in line] == ["channels"]


def test_the_table_shows_the_score_of_each_file(capsys: pytest.CaptureFixture[str]):
    made = record(stage("equalize", 0.82, 0.8123))
    _show(Compressed(None, made, Path("toy.keras")), as_json=False)  # type: ignore[arg-type]  # nobody asks
    lines = capsys.readouterr().out.splitlines()
    header = next(line for line in lines if "after" in line)
    assert "as int8" in header
    rows = {name: next(line for line in lines if name in line) for name in ("original", "equalize")}
    assert "0.8000" in rows["original"]
    assert "0.8123" in rows["equalize"]


def test_a_record_of_before_reads_and_shows_an_empty_cell(capsys: pytest.CaptureFixture[str]):
    older = msgspec.to_builtins(record(stage("equalize", 0.82, 0.8123)))
    for name in ("weighted_f1", "original_weighted_f1", "invalid"):
        del older["stages"][0]["race"][name]
    read = msgspec.convert(older, CompressRecord)
    assert read.stages[0].race.weighted_f1 is None
    _show(Compressed(None, read, Path("toy.keras")), as_json=False)  # type: ignore[arg-type]  # nobody asks
    printed = capsys.readouterr().out
    assert "0.8123" not in printed
    assert "200" in printed


def test_a_record_without_files_reads_as_one_without_and_shows_no_table(capsys: pytest.CaptureFixture[str]):
    older = msgspec.to_builtins(record(stage("equalize", 0.82, 0.8123)))
    for name in ("sha256", "conversion", "files"):
        del older[name]
    read = msgspec.convert(older, CompressRecord)
    assert (read.sha256, read.conversion, read.files) == ("", None, ())
    _show(Compressed(None, read, Path("toy.keras")), as_json=False)  # type: ignore[arg-type]  # nobody asks
    assert "Artifacts" not in capsys.readouterr().out


LOST = FileRecord(
    format="onnx-int8", path=None, bytes=0, seconds=2.0, verification=None, error="not written: too far"
)


def test_a_file_that_could_not_be_proven_is_exit_code_3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    ended = msgspec.structs.replace(record(stage("equalize", 0.82, 0.8)), files=(LOST,))
    asked = []

    def compressed(_backbone: Any, _plan: Any, job: Any) -> Compressed:
        asked.extend(form.id for form in job.ending.formats)
        return Compressed(None, ended, tmp_path / "toy.keras")  # type: ignore[arg-type]  # nobody asks

    monkeypatch.setattr(compressing, "compress", compressed)
    monkeypatch.setattr(command, "open_model", lambda *_: (SimpleNamespace(name="toy"), object()))
    words = ["compress", "toy.keras", "--stage=equalize", "--to=onnx-int8", "--out", str(tmp_path / "run")]
    assert cli.main(words, standalone_mode=False) == 3
    assert asked == ["onnx-int8"]


@pytest.mark.parametrize(
    ("written", "setting", "place"),
    [
        (0.7, "channels.macs=1.5", "setting 'channels.macs=1.5'"),
        (0.7, "qat.tuning.training={epochs=0, batch_size=8, learning_rate=1e-4}", "setting 'qat.tuning.tra"),
        (1.5, "channels.multiple=2", "distil.toml, line 36"),
    ],
)
def test_a_mistake_names_the_setting_that_made_it_or_the_recipes_line(
    written: float, setting: str, place: str, tmp_path: Path
):
    recipe = tmp_path / "distil.toml"
    recipe.write_text((RECIPE + MORE_STAGES).replace("macs = 0.7", f"macs = {written}"))
    with pytest.raises(InputError) as caught:
        cli.main(["compress", "toy.keras", "--recipe", str(recipe), "--set", setting], standalone_mode=False)
    assert caught.value.message.startswith(place)


def test_files_are_shown_with_what_became_of_them(capsys: pytest.CaptureFixture[str]):
    mixed = Mixed(
        layers=("head",),
        tried=(Trial(count=0, weighted_f1=0.7), Trial(count=1, weighted_f1=0.798)),
        rows=1234,
        float_weighted_f1=0.8,
        max_drop=0.5,
    )
    proof = Verification(artifact="run/toy-int8.tflite", format="tflite-int8", status="passed", max_abs=0.03)
    made = FileRecord(
        format="tflite-int8",
        path="run/toy-int8.tflite",
        bytes=9000,
        seconds=3.0,
        verification=proof,
        error=None,
        keep_float=mixed,
    )
    ended = msgspec.structs.replace(record(stage("qat", 0.82, 0.8)), files=(made, LOST))
    back = msgspec.json.decode(msgspec.json.encode(ended), type=CompressRecord)
    assert back.files == (made, LOST)
    assert [one.good for one in back.files] == [True, False]
    _show(Compressed(None, back, Path("toy.keras")), as_json=False)  # type: ignore[arg-type]  # nobody asks
    printed, said = capsys.readouterr()
    assert "run/toy-int8.tflite" in printed
    assert "not written" in printed
    assert "onnx-int8: not written: too far" in said
    assert (
        "kept in float: head; weighted F1 0.7980 on 1,234 validation rows, within 0.5 points of the float model's "
        "0.8000 (with fewer, 0: 0.7000)"
    ) in said


def test_a_run_is_told_from_one_with_other_votes_but_not_from_one_of_before_they_were_written_down(
    tmp_path: Path,
):
    asked = record().request
    voted = [
        msgspec.structs.replace(
            asked, data=msgspec.structs.replace(asked.data, votes_sha256={"train": votes})
        )
        for votes in ("some", "others")
    ]
    for out, begun in ((tmp_path / "older", asked), (tmp_path / "newer", voted[0])):
        _claim(out, begun, print)
        (out / "1-channels").mkdir()
        (out / "1-channels" / "stage.json").touch()
        _claim(out, voted[0], print)
    with pytest.raises(InputError, match="was begun with another model, data"):
        _claim(tmp_path / "newer", voted[1], print)
