"""Whole networks from saved packages against Keras; committed records cover those too large to convert here."""

from __future__ import annotations

import msgspec

from benchmarks import coreml_networks
from benchmarks.coreml_results import FOLDER, NETWORKS, AgreementRecord, NetworksRecord
from benchmarks.costs import RECORDS
from edgefer.bench.record import load_record
from edgefer.formats.coreml import FORMATS

# What the record must hold: the five backbones of S0, VGG16, and the students.
WANTED = {
    "mobilenetv2", "efficientnetv2b0", "efficientnetv2b1", "efficientnetv2b2", "resnet50v2", "vgg16", "student nano",
    "student micro", "student small",
}  # fmt: skip
# float32: sums in another order. float16: 11 bits, over up to two hundred layers (edgefer.agreement).
LARGEST_ERROR = {"coreml-fp32": 1e-4, "coreml-fp16": 0.03}


def test_a_network_answers_as_in_keras():
    """The smallest one, by the same functions that made the record."""
    from edgefer.datasets.loading import load

    name = "student nano"
    faces = load("synthetic", None, size=(coreml_networks.SIDE,) * 2, channels=1)
    backbone = coreml_networks.network(name, 1, coreml_networks.FAMILIES[name], faces)
    for found in coreml_networks.agreements(name, backbone, faces):
        assert found.executed_on.startswith("reference executor")
        assert found.max_abs <= LARGEST_ERROR[found.format]
        assert found.top1_agreement == 1.0


def test_the_record_holds_every_network_and_all_of_them_agree():
    found = msgspec.json.decode(NETWORKS.read_bytes(), type=NetworksRecord).agreements
    assert {one.network for one in found} >= WANTED
    assert set(coreml_networks.FAMILIES) == {one.network for one in found}
    for one in found:
        assert (one.status, one.top1_agreement) == ("passed", 1.0), one
        assert one.max_abs <= LARGEST_ERROR[one.format], one


def test_trained_networks_keep_what_was_promised_of_their_files():
    for name in ("s0-mobilenetv2", "s0-efficientnetv2b0"):
        record = msgspec.json.decode((FOLDER / name / "agreement.json").read_bytes(), type=AgreementRecord)
        found = {each.format: each for each in record.agreements}
        assert set(found) == {f"coreml-{form.precision}" for form in FORMATS}
        assert found["coreml-fp32"].max_abs <= 1e-4
        assert found["coreml-fp16"].top1_agreement >= 0.995
        assert all(each.seconds < 60 for each in found.values())
        scores = [load_record(path).accuracy for path in (FOLDER / name).glob("*.coreml-int8.*.json")]
        assert [100 * (one.baseline.full.weighted_f1 - one.full.weighted_f1) <= 0.5 for one in scores] == [
            True
        ]


def test_no_committed_record_holds_a_latency_of_core_ml():
    records = [load_record(path) for path in RECORDS.rglob("*.coreml.json")]
    assert len(records) >= 2 * len(FORMATS)
    for record in records:
        assert (record.kind, record.timings, record.cold_start) == ("emulated", (), None)
        assert record.executed_on.startswith("reference executor")
