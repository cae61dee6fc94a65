from __future__ import annotations

from pathlib import Path

import msgspec

from edgefer.training.record import TrainRecord

RECORDS = Path(__file__).parents[2] / "benchmarks" / "records"


def test_a_record_from_before_the_newer_settings_is_still_read_with_their_defaults():
    record = msgspec.json.decode((RECORDS / "s0-mobilenetv2" / "train.json").read_bytes(), type=TrainRecord)
    assert record.schema == 1
    training = record.request.recipe.training
    assert (training.ema, training.oversample, training.class_weights) == (0, 0, "none")
    assert record.test_augmented is None
