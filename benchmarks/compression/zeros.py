"""What zeros cost and bring: a network with most weights zero, from committed records only.

    edgefer compress runs/s0-mobilenetv2.keras --stage magnitude --set magnitude.sparsity=0.85 ... --out runs/zeros
    edgefer convert runs/zeros/s0-mobilenetv2.keras --to tflite-fp32,tflite-sparse-fp32,tflite-int8 \
        --name mobilenetv2-sparse --out runs/zeros
    python benchmarks/pi_emulated.py mobilenetv2-sparse runs/zeros --rows 64 --data PATH

``compress.json`` of such a run goes to ``benchmarks/records/compression/magnitude`` under the new name; its settings
are in there. Instructions are counted on emulated boards, whose records lie with the others of ``pi``.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.costs import RECORDS
from benchmarks.emulated_results import PI
from benchmarks.results import NOT_YET, markdown_table
from edgefer.bench.record import RunRecord, load_record
from edgefer.compressing import CompressRecord, Standing
from edgefer.report import words

FOLDER = RECORDS / "compression" / "magnitude"
BOARDS = ("raspberry-pi-4", "raspberry-pi-5")


def zeros(folder: Path = FOLDER, emulated: Path = PI) -> str:
    """Each network before and after, and what its files take on the boards."""
    parts = []
    for path in sorted(folder.glob("*.json")):
        record = msgspec.json.decode(path.read_bytes(), type=CompressRecord)
        parts += [_standings(path.stem, record), _files(emulated / path.stem)]
    return "\n\n".join(parts) or NOT_YET


def _standings(name: str, record: CompressRecord) -> str:
    (stage,) = record.stages
    found = stage.findings
    columns = (
        "network, float",
        "zeros in pruned layers",
        "validation F1",
        "weighted F1",
        "macro F1",
        "weights, kB",
        "by gzip, kB",
    )
    rows = [
        _row(record.name, "", record.original, found["stored_bytes"], found["gzip_bytes_before"]),
        _row(name, f"{found['sparsity']:.0%}", stage.standing, found["stored_bytes"], found["gzip_bytes"]),
    ]
    return markdown_table(columns, rows)


def _row(name: str, share: str, standing: Standing, stored: int, packed: int) -> tuple[str, ...]:
    assert standing.test is not None
    return (
        name,
        share or words.ABSENT,
        words.f1(standing.validation.weighted_f1),
        words.f1(standing.test.weighted_f1),
        words.f1(standing.test.macro_f1),
        words.kilobytes(stored),
        words.kilobytes(packed),
    )


def _files(folder: Path) -> str:
    """A row a file: its size, and instructions of an inference on each board."""
    taken: dict[str, dict[str, RunRecord]] = {}
    for file in sorted(folder.glob("*.json")):
        record = load_record(file)
        taken.setdefault(record.artifact.format, {})[record.target] = record
    columns = ("file", "size, kB", *(f"instructions on {board}, M" for board in BOARDS))
    rows = [
        (
            form,
            words.kilobytes(next(iter(on.values())).artifact.bytes),
            *(_counted(on.get(board)) for board in BOARDS),
        )
        for form, on in taken.items()
    ]
    return markdown_table(columns, rows)


def _counted(record: RunRecord | None) -> str:
    counted = record.instructions if record else None
    return words.millions(counted.per_inference) if counted else words.ABSENT
