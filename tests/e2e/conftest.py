"""A small network with spread outputs and the artifacts made of it, shared by the tests of the commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SIZE = 24


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``small.keras`` with its sidecar: 24x24x3 gray faces in -1..1 to the nine FER+ classes."""
    import keras

    from edgefer.backbones.base import Backbone
    from edgefer.backbones.families.s1_cnn import build
    from edgefer.backbones.storage import save_backbone
    from edgefer.datasets.labels import LABEL_SETS
    from edgefer.datasets.loading import load
    from edgefer.preprocessing import to_floats
    from edgefer.spec import InputSpec
    from tests.networks import spread

    keras.utils.set_random_seed(5)
    spec = InputSpec(height=SIZE, width=SIZE, channels=3, color="gray", range=(-1.0, 1.0))
    faces = load("synthetic", None, size=(SIZE, SIZE)).split("train").pixels[:256]
    network = build((SIZE, SIZE, 3), 9, None, {"filters": 8, "dense": 32})
    spread(network, to_floats(faces, spec))
    path = tmp_path_factory.mktemp("model") / "small.keras"
    save_backbone(Backbone(network, spec, LABEL_SETS["ferplus-9"], (), "small", ""), path)
    return path


class Ran:
    """What a command left behind."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def error_line(self) -> str:
        """The one line of error; fails if there is more, or a traceback."""
        lines = [line for line in self.err.splitlines() if line.startswith("edgefer: error: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


def edgefer(*arguments: object, **options: object) -> Ran:
    """Run the command as a user does, in a process of its own."""
    command = [sys.executable, "-m", "edgefer", *map(str, arguments)]
    return Ran(subprocess.run(command, capture_output=True, text=True, timeout=500, check=False, **options))  # type: ignore[call-overload]


@pytest.fixture(scope="session")
def artifacts(model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every format of the small model, made by one command: format id to path."""
    out = tmp_path_factory.mktemp("artifacts")
    ran = edgefer("convert", model, "--to", "all", "--data", "synthetic", "--out", out, "--json")
    assert ran.code == 0, ran.err
    return {one["format"]: Path(one["path"]) for one in ran.json}
