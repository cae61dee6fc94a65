"""``edgefer compress`` from the command line, on synthetic faces and a network of seconds."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from sklearn.metrics import f1_score

from edgefer.artifact import open_artifact
from edgefer.backbones.loading import load_backbone
from edgefer.backbones.storage import sidecar_path
from edgefer.compressing import CompressRecord
from edgefer.compression.planning import known_stages
from edgefer.datasets.loading import load
from edgefer.runtimes.base import predict
from edgefer.verification import runtime_for
from tests.chain_recipe import ENDING, MORE_STAGES, RECIPE
from tests.e2e.conftest import SIZE, edgefer

PRUNING = (
    "--stage=channels",
    "--set=channels.macs=0.6",
    "--set=channels.multiple=1",
    "--set=channels.rows=64",
    "--set=channels.tuning.training={epochs=2, batch_size=256, learning_rate=1e-3}",
)


def compress(model: Path, out: Path, *options: str):
    return edgefer("compress", model, "--data=synthetic", "--out", out, *options)


def wait_for(file: Path, process: subprocess.Popen[bytes]) -> None:
    while not file.exists() and process.poll() is None:
        time.sleep(0.05)


@pytest.fixture(scope="module")
def killed_and_resumed(model: Path, tmp_path_factory: pytest.TempPathFactory):
    """A run that was killed in the middle of its fine-tuning, then repeated: the second command's outcome."""
    out = tmp_path_factory.mktemp("compressed") / "run"
    command = [sys.executable, "-m", "edgefer", "compress", str(model), "--data=synthetic", f"--out={out}"]
    process = subprocess.Popen([*command, *PRUNING], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    epoch = out / "1-channels" / "tuning" / "state.json"
    wait_for(epoch, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert epoch.exists()
    assert not (out / "compress.json").exists()
    start = out / "1-channels" / "tuning-start.keras"
    began = start.stat().st_mtime_ns
    ran = compress(model, out, *PRUNING, "--json")
    assert ran.code == 0, ran.err
    assert start.stat().st_mtime_ns == began
    return out, ran


def validation_f1(out: Path, name: str) -> float:
    """Weighted F1 of a file of the first stage on the synthetic validation faces, as scikit-learn counts it."""
    validation = load("synthetic", None, size=(SIZE, SIZE)).split("validation")
    artifact = open_artifact(out / "1-channels" / "artifacts" / f"{name}-int8.tflite")
    answers = predict(runtime_for(artifact).open(artifact, 1), validation.pixels)
    return float(f1_score(validation.labels, answers.argmax(axis=1), average="weighted", zero_division=0))


def test_a_killed_run_goes_on_and_ends_with_a_smaller_network(killed_and_resumed):
    out, ran = killed_and_resumed
    original, [stage] = ran.json["original"], ran.json["stages"]
    assert stage["standing"]["cost"]["macs"] <= 0.6 * original["cost"]["macs"]
    assert stage["race"]["bytes"] < stage["race"]["original_bytes"]
    assert stage["race"]["fps"] > 0
    assert stage["race"]["weighted_f1"] == pytest.approx(validation_f1(out, "compressed"))
    assert stage["race"]["original_weighted_f1"] == pytest.approx(validation_f1(out, "original"))
    history = (out / "1-channels" / "tuning" / "history.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in history] == ["number", "1", "2"]
    steps = [step.name for step in load_backbone(out / "small.keras").lineage]
    assert steps == ["train", "channels"]


def test_what_is_finished_is_not_done_again(killed_and_resumed, model: Path):
    out, before = killed_and_resumed
    record = (out / "1-channels" / "stage.json").read_bytes()
    ran = compress(model, out, *PRUNING)
    assert ran.code == 0, ran.err
    assert (out / "1-channels" / "stage.json").read_bytes() == record
    for words in (
        "small, timed as tflite-int8",
        "original",
        "channels",
        "as int8",
        "speed-up",
        str(out / "small.keras"),
    ):
        assert words in ran.out.replace("\n", "")
    assert before.json["stages"][0]["sha256"] in record.decode()


def test_another_run_does_not_get_mixed_in(killed_and_resumed, model: Path):
    out, _ = killed_and_resumed
    ran = compress(model, out, "--stage=channels", "--set=channels.macs=0.5")
    assert (ran.code, "begun with another model, data, teachers or other stages" in ran.error_line) == (
        2,
        True,
    )


def test_nor_does_the_same_model_with_another_meaning(killed_and_resumed, model: Path):
    out, _ = killed_and_resumed
    ran = compress(model, out, *PRUNING, "--range=0..1")
    assert (ran.code, "begun with another model" in ran.error_line) == (2, True)


def test_a_stage_that_was_changed_since_is_noticed(killed_and_resumed, model: Path, tmp_path: Path):
    out, _ = killed_and_resumed
    copy = shutil.copytree(out, tmp_path / "run")
    shutil.copy(model, copy / "1-channels" / "backbone.keras")
    ran = compress(model, copy, *PRUNING)
    assert (ran.code, "is not what this stage made" in ran.error_line) == (2, True)


def test_a_first_try_that_made_nothing_leaves_the_folder_free(model: Path, tmp_path: Path):
    refused = compress(model, tmp_path / "run", "--stage=channels", "--set=channels.macs=0.0001")
    assert (refused.code, "smallest that can be reached" in refused.error_line) == (2, True)
    words = ("--stage=channels", "--set=channels.macs=1.5")
    again = compress(model, tmp_path / "run", *words)
    assert "begun" not in again.error_line


def test_the_artifact_of_a_compressed_backbone_tells_its_story(killed_and_resumed, tmp_path: Path):
    out, _ = killed_and_resumed
    made = edgefer(
        "convert", out / "small.keras", "--to", "tflite-int8", "--data=synthetic", "--out", tmp_path, "--json"
    )
    assert made.code == 0, made.err
    lineage = open_artifact(Path(made.json[0]["path"])).manifest.lineage
    step = next(step for step in lineage if step.name == "channels")
    assert step.config["findings"]["macs"][1] == step.config["macs"]
    assert step.config["race"]["fps"] > 0
    assert 0 < step.config["race"]["weighted_f1"] < 1


def test_a_student_takes_its_teachers_place_and_ends_as_a_verified_int8_file_as_a_recipe_says(
    model: Path, tmp_path: Path
):
    recipe = tmp_path / "distil.toml"
    recipe.write_text(RECIPE + MORE_STAGES + ENDING)
    # Long enough for answers that differ from face to face: others prove nothing, and no file is verified by them.
    longer = "--set=distill.tuning.training={epochs=12, batch_size=32, learning_rate=3e-3}"
    run = tmp_path / "run"
    ran = compress(model, run, "--recipe", recipe, longer)
    assert ran.code == 0, ran.err
    record = json.loads((run / "compress.json").read_text())
    stages = ["distill", "channels", "qat"]
    assert [one["stage"] for one in record["stages"]] == stages
    assert record["stages"][1]["standing"]["cost"]["macs"] < record["stages"][0]["standing"]["cost"]["macs"]
    student = load_backbone(tmp_path / "run" / "small.keras")
    assert student.input.channels == 1
    assert student.lineage[0].config["teachers"] != []
    assert [(one["format"], one["verification"]["status"]) for one in record["files"]] == [
        ("tflite-int8", "passed"),
        ("onnx-fp32", "passed"),
    ]
    file = run / "small-int8.tflite"
    assert record["files"][0]["path"] == str(file)
    assert "Artifacts" in ran.out
    manifest = open_artifact(file).manifest
    assert [step.name for step in manifest.lineage if step.name in stages] == stages
    assert manifest.backbone_sha256 == record["sha256"] == student.sha256
    assert manifest.lineage[-1].config["calibration"]["rows"] == 50
    assert edgefer("verify", file).code == 0


def test_files_that_are_there_are_not_made_again_and_others_join_them(
    killed_and_resumed, model: Path, tmp_path: Path
):
    out = shutil.copytree(killed_and_resumed[0], tmp_path / "run")
    first = compress(model, out, *PRUNING, "--to=tflite-fp32", "--json")
    assert first.code == 0, first.err
    assert [one["path"] for one in first.json["files"]] == [str(out / "small-fp32.tflite")]
    kept = {path: path.read_bytes() for path in (out / "small.keras", out / "small-fp32.tflite")}
    for again in (("--to=tflite-fp32",), ()):
        ran = compress(model, out, *PRUNING, *again, "--json")
        assert (ran.code, ran.json["files"]) == (0, first.json["files"]), ran.err
    other = compress(model, out, *PRUNING, "--to=onnx-fp32", "--json")
    assert [one["format"] for one in other.json["files"]] == ["onnx-fp32"]
    assert {path: path.read_bytes() for path in kept} == kept
    (out / "small-fp32.onnx").write_bytes(b"half")
    assert compress(model, out, *PRUNING, "--to=onnx-fp32").code == 0
    assert edgefer("verify", out / "small-fp32.onnx", out / "small-fp32.tflite").code == 0


def test_a_mistake_in_how_a_recipe_ends_is_found_before_any_stage(model: Path, tmp_path: Path):
    recipe = tmp_path / "distil.toml"
    recipe.write_text(RECIPE + '\n[convert]\nformats = ["tflite-in8"]\n')
    ran = compress(model, tmp_path / "run", "--recipe", recipe)
    assert ran.code == 2
    assert (
        "distil.toml, line 35: convert.formats: unknown format 'tflite-in8'; did you mean" in ran.error_line
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--stage=chanels",), "unknown stage 'chanels'; did you mean 'channels'?"),
        (("--stage=channels", "--set=channels.macs=1.0"), "macs must be between 0 and 1"),
        (
            ("--stage=channels", "--set=channels.macs=0.001"),
            "stage channels: macs: no plan keeps as little as 0.001",
        ),
        (("--stage=channels", "--stage=channels", "--set=channels.macs=0.5"), "given twice"),
        (("--stage=channels", "--set=channel.macs=0.5"), "'channel' is none of the stages"),
        (
            (
                "--stage=qat",
                "--set=qat.tuning.training={epochs=1, batch_size=8, learning_rate=1e-3}",
                "--stage=channels",
                "--set=channels.macs=0.5",
            ),
            "stage channels cannot come after qat",
        ),
        (("--stage=equalize", "--format=coreml-fp16"), "coreml-fp16: stages are timed on this machine's processor"),
        (("--stage=equalize", "--to=onnx-int9"), "unknown format 'onnx-int9'"),
        ((), "give --stage, or --recipe"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_in_one_line_and_leaves_nothing(options, message, model: Path, tmp_path: Path):
    ran = compress(model, tmp_path / "run", *options)
    assert ran.code == 2
    assert message in ran.error_line
    assert not (tmp_path / "run" / "compress.json").exists()


@pytest.mark.parametrize(
    "stage", [("--stage=bias-correct",), ("--stage=channels", "--set=channels.macs=0.5")]
)
def test_a_savedmodel_is_refused_whatever_the_stage_and_leaves_nothing(
    stage: tuple[str, ...], model: Path, tmp_path: Path
):
    load_backbone(model).model.export(tmp_path / "saved", verbose=False)
    shutil.copy(sidecar_path(model), sidecar_path(tmp_path / "saved"))
    ran = compress(tmp_path / "saved", tmp_path / "run", *stage)
    assert (ran.code, "saved: a SavedModel has no layers to compress" in ran.error_line) == (2, True)
    assert not (tmp_path / "run").exists()


def test_a_recipe_says_which_data_a_stage_is_judged_on(model: Path, tmp_path: Path):
    recipe = tmp_path / "distil.toml"
    recipe.write_text(RECIPE.replace('labels = "ferplus-9"', 'labels = "ferplus-9"\nsets = ["fer2013"]'))
    merged = edgefer("compress", model, "--data", tmp_path, "--recipe", recipe, "--out", tmp_path / "run")
    assert merged.code == 2
    assert "fer2013" in merged.error_line
    other = compress(model, tmp_path / "run", "--recipe", recipe, "--labels=fer2013-7")
    assert other.code == 2
    assert "--labels fer2013-7: the recipe's data has ferplus-9" in other.err
    assert not (tmp_path / "run").exists()


def test_a_recipes_line_is_named(model: Path, tmp_path: Path):
    recipe = tmp_path / "distil.toml"
    recipe.write_text(RECIPE.replace('epochs = 1\nbatch_size = 256\nlearning_rate = 1e-3\n"""', ""))
    recipe.write_text(
        RECIPE.rpartition("epochs = 1")[0] + "epochs = 0\nbatch_size = 256\nlearning_rate = 1e-3\n"
    )
    ran = edgefer("compress", model, "--data=synthetic", "--recipe", recipe, "--out", tmp_path / "run")
    assert ran.code == 2
    assert (
        "distil.toml, line 30: stage distill: tuning.training.epochs: epochs must be at least 1"
        in ran.error_line
    )


def test_the_help_names_every_stage():
    printed = " ".join(edgefer("compress", "--help").out.split())
    assert all(stage in printed for stage in known_stages())


def test_a_record_reads_back(killed_and_resumed):
    out, _ = killed_and_resumed
    record = msgspec.json.decode((out / "compress.json").read_bytes(), type=CompressRecord)
    assert record.stages[0].race.speedup == pytest.approx(
        record.stages[0].race.fps / record.stages[0].race.original_fps
    )
