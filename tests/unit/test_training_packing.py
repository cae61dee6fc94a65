"""The helper that keeps trained backbones small enough to commit."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from training_samples import TINY_FAMILY, tiny_dataset, tiny_recipe, tiny_subset

from edgefer.backbones.base import Sidecar
from edgefer.preprocessing import to_floats
from edgefer.training.trainer import train

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "models.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_models", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_packed_backbone_answers_as_before(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import keras

    monkeypatch.setattr("edgefer.training.network.discover", lambda *_: {"tiny": TINY_FAMILY})
    before = train(tiny_recipe(), tiny_dataset(), tmp_path / "run").backbone
    packed, restored = tmp_path / "packed", tmp_path / "again" / "model.keras"
    for arguments in (["pack", tmp_path / "run", packed], ["unpack", packed, restored]):
        result = CliRunner().invoke(script.commands, [str(a) for a in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    assert (packed / "train.json").read_bytes() == (tmp_path / "run" / "train.json").read_bytes()
    inputs = to_floats(tiny_subset(16, 5).pixels, before.input)
    one = before.model.predict_on_batch(inputs)
    two = keras.saving.load_model(restored).predict_on_batch(inputs)
    # float16 keeps 11 bits of a kernel: an error of 2^-12 of each of the few products behind an output.
    assert np.abs(one - two).max() < 2e-3
    sidecar = msgspec.json.decode((restored.parent / "model.edgefer.json").read_bytes(), type=Sidecar)
    assert [step.name for step in sidecar.lineage] == ["train", "pack"]
