from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edgefer.errors import InputError
from edgefer.training.record import TrainRecord, read_record

RECORDS = Path(__file__).parents[2] / "benchmarks" / "records"


def test_a_record_from_before_the_newer_settings_is_still_read_with_their_defaults():
    record = msgspec.json.decode((RECORDS / "s0-mobilenetv2" / "train.json").read_bytes(), type=TrainRecord)
    assert record.schema == 1
    training = record.request.recipe.training
    assert (training.ema, training.oversample, training.class_weights) == (0, 0, "none")
    assert record.test_augmented is None


@pytest.mark.parametrize("content", [None, b'{"schema"', b"{}"], ids=["missing", "torn", "another kind"])
def test_a_record_that_is_none_is_named(tmp_path: Path, content: bytes | None):
    file = tmp_path / "train.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=r"train\.json: cannot be read \(.*begin again with another --out"):
        read_record(file, TrainRecord)
