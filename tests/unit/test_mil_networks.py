"""Whole networks from saved packages against Keras; the committed record covers those too large to convert here."""

from __future__ import annotations

import msgspec

from benchmarks import coreml_networks
from benchmarks.coreml_results import NETWORKS, NetworksRecord

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
