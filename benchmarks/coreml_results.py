"""The README's tables of Core ML accuracy, from the records of ``coreml_accuracy.py``."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.costs import RECORDS
from benchmarks.results import NOT_YET, machine, markdown_table
from edgefer.report import words
from edgefer.report.collect import Group, collect
from edgefer.report.tables import artifact_table
from edgefer.spec import Frozen

FOLDER = RECORDS / "coreml"
NETWORKS = RECORDS / "coreml-networks.json"


class Agreement(Frozen, frozen=True):
    """One file's probabilities against the float network's on all test rows, and the time to get them.

    ``max_abs`` and ``row_mean`` are the largest and the mean of each row's largest difference.
    """

    format: str
    executed_on: str
    max_abs: float
    row_mean: float
    top1_agreement: float
    seconds: float
    processor_seconds: float


class AgreementRecord(Frozen, frozen=True):
    """All formats of one network. Schema history: 1 — first version."""

    schema: int
    started: str
    environment: dict[str, object]
    rows: int
    agreements: tuple[Agreement, ...]
    remark: str = ""


class NetworkAgreement(Frozen, frozen=True):
    """One untrained network's file against Keras on its golden rows."""

    network: str
    parameters: int
    format: str
    executed_on: str
    status: str
    max_abs: float
    top1_agreement: float


class NetworksRecord(Frozen, frozen=True):
    """All networks of ``coreml_networks.py``. Schema history: 1 - first version."""

    schema: int
    started: str
    agreements: tuple[NetworkAgreement, ...]


def networks(path: Path = NETWORKS) -> str:
    """One row a network: how far its saved packages are from Keras."""
    if not path.exists():
        return NOT_YET
    found = msgspec.json.decode(path.read_bytes(), type=NetworksRecord).agreements
    pairs = {(one.network, one.format): one for one in found}
    columns = ("network", "parameters", "float32: largest error", "top-1", "float16: largest error", "top-1")
    rows = [
        (name, f"{pairs[name, 'coreml-fp32'].parameters:,}", *_close(pairs[name, "coreml-fp32"]),
         *_close(pairs[name, "coreml-fp16"]))
        for name in dict.fromkeys(one.network for one in found)
    ]  # fmt: skip
    return markdown_table(columns, rows)


def _close(found: NetworkAgreement) -> tuple[str, str]:
    return f"{found.max_abs:.1e}", f"{found.top1_agreement:.0%}"


def coreml(folder: Path = FOLDER) -> str:
    """One table a network: size, F1 and its drop, and how close each format's answers are to the float network's."""
    records = sorted(folder.glob("*/agreement.json"))
    return "\n\n".join(_network(each) for each in records) if records else NOT_YET


def _network(path: Path) -> str:
    record = msgspec.json.decode(path.read_bytes(), type=AgreementRecord)
    (group,) = collect(sorted(path.parent.glob("*.coreml.json")))
    return f"{_caption(path.parent.name, record, group)}\n\n{_table(record, group)}"


def _caption(name: str, record: AgreementRecord, group: Group) -> str:
    accuracy = group.runs[0].record.accuracy
    assert accuracy is not None
    assert accuracy.baseline is not None
    base = words.f1(accuracy.baseline.full.weighted_f1)
    where = f"{machine(record.environment)}; {record.started[:10]}"
    kind = group.kind.capitalize()
    return (
        f"**`{name}`.** {kind}, for target `{group.target}`, on {where}. All {record.rows:,} test rows of "
        f"{accuracy.data}; float network: weighted F1 {base}. {record.remark}"
    ).strip()


def _table(record: AgreementRecord, group: Group) -> str:
    columns = (
        "format", "size, kB", "weighted F1", "macro F1", "F1 drop, points", "without leaked rows",
        "top-1 as Keras", "largest error", "mean error", "s to score (processor)", "executed on",
    )  # fmt: skip
    agreements = {each.format: each for each in record.agreements}
    bodies = artifact_table(group).bodies[0].rows
    rows = [
        (*(cell.text for cell in cells[:6]), *_agreed(agreements[run.record.artifact.format]))
        for run, cells in zip(group.runs, bodies, strict=True)
    ]
    return markdown_table(columns, rows)


def _agreed(found: Agreement) -> tuple[str, ...]:
    return (
        f"{found.top1_agreement:.2%}",
        f"{found.max_abs:.1e}",
        f"{found.row_mean:.1e}",
        f"{found.seconds:.0f} ({found.processor_seconds:.0f})",
        found.executed_on,
    )
