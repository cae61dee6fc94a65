from __future__ import annotations

import json
import os
import subprocess
import sys

HEAVY = (
    "tensorflow",
    "keras",
    "tf_keras",
    "coremltools",
    "sklearn",
    "pandas",
    "matplotlib",
    "ai_edge_litert",
)


def doctor(*words, **variables):
    environment = {key: value for key, value in os.environ.items() if key != "EDGEFER_DATA"} | variables
    command = [sys.executable, "-m", "edgefer", "doctor", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)


def test_json():
    done = doctor("--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    packages = {row["package"]: row for row in found["packages"]}
    assert packages["ai-edge-litert"]["extra"] == "tflite"
    assert packages["scikit-learn"]["installed"]
    assert packages["coremltools"]["extra"] == "convert"
    assert packages["tensorflow-model-optimization"]["extra"] == "compress"
    assert all(bool(row["installed"]) != bool(row["install"]) for row in packages.values())
    targets = {row["target"]: row["needs"] for row in found["targets"]}
    assert set(targets) == {"coreml", "cpu", "cuda", "raspberry-pi-4", "raspberry-pi-5"}
    assert targets["cpu"] == ""
    assert found["cache"]
    assert "EDGEFER_DATA" in found["data"]["problem"]


def test_tables():
    done = doctor()
    assert done.returncode == 0, done.stderr
    for word in ("Targets", "Places", "raspberry-pi-5", "ai-edge-litert", "ready"):
        assert word in done.stdout


def test_data_and_cache_are_where_the_variables_say(tmp_path):
    done = doctor("--json", EDGEFER_DATA=str(tmp_path / "none"), EDGEFER_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "does not exist" in found["data"]["problem"]
    assert found["cache"] == str(tmp_path / "cache")


def test_a_missing_package_comes_with_its_command(monkeypatch):
    from edgefer.cli import doctor as module

    monkeypatch.setattr(module, "_installed", lambda name: "" if name == "onnxruntime" else "1.0")
    rows = {row["package"]: row for row in module._packages()}
    assert rows["onnxruntime"]["installed"] == "1.0", "its twin onnxruntime-gpu brings the same module"
    monkeypatch.setattr(module, "_installed", lambda name: "" if name.startswith("onnxruntime") else "1.0")
    rows = {row["package"]: row for row in module._packages()}
    assert rows["onnxruntime"]["install"] == "pip install 'edgefer[onnx]'"


def test_every_package_of_the_extras_is_listed_for_this_system(monkeypatch):
    from edgefer import extras

    monkeypatch.setattr(extras.platform, "system", lambda: "Darwin")
    assert "tensorflow" in extras.extra_of_packages()
    assert "tensorflow-cpu" not in extras.extra_of_packages()
    monkeypatch.setattr(extras.platform, "system", lambda: "Linux")
    assert "tensorflow-cpu" in extras.extra_of_packages()
    assert "tensorflow" not in extras.extra_of_packages()


def test_nothing_heavy_is_imported():
    script = (
        "import sys; sys.argv = ['edgefer', '-q', 'doctor', '--json']\n"
        "from edgefer.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print(sorted(set(sys.modules) & set({HEAVY!r})), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "[]"
