"""Verify passes what is right and catches the field's common errors."""

import json
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from edgefer import verification
from edgefer.artifact import TensorSpec, write_artifact
from edgefer.cli.main import cli
from edgefer.errors import VerificationError
from edgefer.registry import discover
from edgefer.runtimes.mil.program import operations
from edgefer.verification import verify
from tests.unit.artifact_samples import answers, make, make_package, weights


def test_a_right_file_passes_with_figures(tmp_path):
    outcome = verify(make(tmp_path).path)
    assert outcome.status == "passed"
    assert outcome.max_abs < 1e-6
    assert outcome.top1_agreement == 1
    assert "onnxruntime" in outcome.executed_on


@pytest.mark.parametrize(
    "kernel",
    [
        pytest.param(weights()[:, [1, 0, 2]], id="label order"),
        pytest.param(weights() / 255, id="input range"),
        pytest.param(weights() + np.float32(np.nan), id="NaN"),
        pytest.param(np.ones((4, 3), np.float32), id="constant"),
    ],
)
@pytest.mark.parametrize("form", ["onnx-fp32", "onnx-int8"])
def test_a_file_that_computes_something_else_fails_even_within_int8s_tolerance(tmp_path, kernel, form):
    outcome = verify(make(tmp_path, kernel=kernel, form=form).path)
    assert outcome.status == "failed"
    assert "more than the tolerance" in outcome.reason


def test_noise_of_int8s_size_passes_as_int8_and_fails_as_float(tmp_path):
    noisy = weights() * np.float32(1.05)
    assert verify(make(tmp_path, kernel=noisy, form="onnx-int8").path).status == "passed"
    assert verify(make(tmp_path, kernel=noisy, form="onnx-fp32").path).status == "failed"


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        (np.tile(answers(weights())[:1], (4, 1)), "nearly constant"),
        (
            np.array([[0.9, 0.1, 0], [0.6, 0.4, 0], [0.7, 0, 0.3], [0.8, 0.2, 0]], np.float32),
            "do not clearly name two classes",
        ),
    ],
)
def test_golden_outputs_that_would_agree_with_a_broken_file_are_no_proof(tmp_path, outputs, reason):
    outcome = verify(make(tmp_path, outputs=outputs).path)
    assert outcome.status == "failed"
    assert reason in outcome.reason


def onnx_runtimes(*lacks):
    """ONNX Runtime under several ids: for each, what it lacks and whether it stands in."""
    real = discover("edgefer.runtimes", "RUNTIMES")["onnxruntime"]
    made = [
        replace(real, id=f"r{number}", missing=lambda lack=lack: lack, stands_in=stands_in)
        for number, (lack, stands_in) in enumerate(lacks)
    ]
    return {each.id: each for each in made}


@pytest.mark.parametrize(
    ("lacks", "chosen"),
    [
        ([("", True), ("", False)], "r1"),
        ([("", True), ("needs macOS", False)], "r0"),
        ([("needs this", True), ("needs macOS", False)], "r1"),
        ([("", False), ("", False)], "r0"),
    ],
)
def test_a_containers_own_runtime_wins_over_one_that_stands_in(monkeypatch, tmp_path, lacks, chosen):
    monkeypatch.setattr(verification, "discover", lambda *_: onnx_runtimes(*lacks))
    artifact = make(tmp_path)
    assert verification.runtime_for(artifact).id == chosen
    outcome = verify(artifact.path)
    assert outcome.status == ("skipped" if all(lack for lack, _ in lacks) else "passed")
    assert outcome.reason in ("", "needs macOS")


def test_a_runtime_that_finds_another_contract_fails_the_file(monkeypatch, tmp_path):
    def refuse(*_):
        raise VerificationError("other classes", hint="convert it again")

    real = discover("edgefer.runtimes", "RUNTIMES")["onnxruntime"]
    monkeypatch.setattr(verification, "discover", lambda *_: {"it": replace(real, open=refuse)})
    outcome = verify(make(tmp_path).path)
    assert (outcome.status, outcome.reason) == ("failed", "other classes; convert it again")


def test_a_file_that_cannot_be_run_here_is_skipped_and_it_is_said_why(monkeypatch, tmp_path):
    reference = discover("edgefer.runtimes", "RUNTIMES")["coreml-reference"]
    known = {name: op for name, op in operations().items() if name != "softmax"}
    monkeypatch.setattr(verification, "discover", lambda *_: {reference.id: reference})
    monkeypatch.setattr("edgefer.runtimes.mil.program.operations", lambda: known)
    outcome = verify(make_package(tmp_path).path)
    assert outcome.status == "skipped"
    assert "the reference executor does not know softmax; run the package on a Mac" in outcome.reason


def test_a_new_file_with_outputs_of_another_shape_is_not_kept(monkeypatch, tmp_path):
    from edgefer.pipeline import _proof

    monkeypatch.setattr(verification, "predict", lambda *_: np.zeros((4, 5), np.float32))
    with pytest.raises(VerificationError, match=r"not written: outputs have shape \(4, 5\)"):
        _proof(make(tmp_path))


def test_a_new_file_whose_golden_outputs_prove_nothing_is_kept_and_told(tmp_path):
    from edgefer.pipeline import _proof

    assert "proves nothing" in _proof(make(tmp_path, outputs=np.full((4, 3), 1 / 3, np.float32))).reason


def test_a_file_that_does_not_take_what_its_contract_says_fails_in_one_line(tmp_path):
    made = make(tmp_path)
    image = TensorSpec(name="image", dtype="int16", shape=(None, 2, 2, 1))
    other = msgspec.structs.replace(made.manifest, io=msgspec.structs.replace(made.manifest.io, input=image))
    path = write_artifact(tmp_path / "other.onnx", tmp_path / "payload.onnx", other, made.golden).path
    outcome = verify(path)
    assert outcome.status == "failed"
    assert "cannot be run as its contract says (" in outcome.reason


def test_a_missing_file_does_not_hide_what_is_found_of_the_others(tmp_path):

    paths = [str(tmp_path / "gone.onnx"), str(make(tmp_path).path), str(tmp_path / "lost.onnx")]
    ran = CliRunner().invoke(cli, ["verify", "--json", *paths], standalone_mode=False)
    assert [one["status"] for one in json.loads(ran.stdout)] == ["passed"]
    assert ran.return_value == 2
    assert "gone.onnx: no such file" in ran.stderr
    assert "lost.onnx: no such file" in ran.stderr
