"""Records of earlier measurements are not lost to later ones that measured less."""

from __future__ import annotations

import msgspec
import pytest

from edgefer.bench.record import BatchTiming, load_record, save_record
from edgefer.cli.record_places import check_replaced
from edgefer.errors import InputError
from tests.report_samples import accuracy, record
from tests.unit.artifact_samples import make


@pytest.fixture
def there(tmp_path):
    """A record with times and accuracy in the place of one of ``tiny.onnx``, and that artifact."""
    artifact, file = make(tmp_path), tmp_path / "tiny.onnx-fp32.cpu.json"
    whole = record("onnx-fp32", accuracy=accuracy("onnx-fp32"))
    timings = (BatchTiming(batch=1, warmup_ns=(), samples_ns=(5, 6, 7)),)
    of_it = msgspec.structs.replace(whole.artifact, sha256=artifact.sha256)
    save_record(msgspec.structs.replace(whole, artifact=of_it, timings=timings), file)
    return [file], [artifact]


@pytest.mark.parametrize(
    ("timed", "scored", "lost"),
    [(False, True, "has times"), (True, False, "has accuracy"), (False, False, "has times and accuracy")],
)
def test_what_would_be_lost_is_named(there, timed, scored, lost):
    with pytest.raises(InputError, match=f"{lost}, which its new record would not have; give another --out"):
        check_replaced(*there, timed=timed, scored=scored)


def test_the_same_once_more_takes_its_place_in_silence(there, capsys):
    check_replaced(*there, timed=True, scored=True)
    assert capsys.readouterr().err == ""


def test_another_file_of_that_name_takes_its_place_and_it_is_said(there, capsys):
    (file,), artifacts = there
    before = load_record(file)
    other = msgspec.structs.replace(before.artifact, sha256="0" * 64)
    save_record(msgspec.structs.replace(before, artifact=other), file)
    check_replaced([file], artifacts, timed=True, scored=True)
    assert "the record there, of an earlier tiny.onnx, is replaced" in capsys.readouterr().err
