from __future__ import annotations

import msgspec
import pytest

from edgefer.errors import InputError
from edgefer.report.collect import collect
from edgefer.report.provenance import rows_table
from tests.report_samples import accuracy, record, records, save, sha


def test_records_are_found_in_files_and_folders_and_grouped_by_kind_and_target(tmp_path):
    save(tmp_path / "board" / "deeper", [r for r in records() if r.target != "cpu"])
    files = save(tmp_path / "desk", [r for r in records() if r.target == "cpu"])
    groups = collect([tmp_path / "board", *files, tmp_path / "desk"])
    assert [(group.title, len(group.runs)) for group in groups] == [
        ("cpu, measured", 8),
        ("raspberry-pi-5, emulated", 2),
    ]


def test_the_order_of_the_arguments_does_not_matter(tmp_path):
    files = save(tmp_path, records())
    assert collect(files) == collect(files[::-1])


def test_labels_are_as_short_as_tells_artifacts_apart(tmp_path):
    one = record("tflite-int8")
    other_model = msgspec.structs.replace(one.artifact, name="resnet50v2", sha256=sha("other"))
    same_model = msgspec.structs.replace(one.artifact, sha256=sha("again"))
    other, again = (msgspec.structs.replace(one, artifact=ref) for ref in (other_model, same_model))

    def labels(folder, *given):
        paths = [save(tmp_path / folder / str(n), [each])[0] for n, each in enumerate(given)]
        return {run.label for group in collect(paths) for run in group.runs}

    assert labels("a", one) == {"tflite-int8"}
    assert labels("b", one, other) == {"mobilenetv2 tflite-int8", "resnet50v2 tflite-int8"}
    assert labels("c", one, again) == {
        f"tflite-int8 {sha('tflite-int8')[:8]}",
        f"tflite-int8 {sha('again')[:8]}",
    }


def test_one_artifact_on_several_targets_is_fine(tmp_path):
    paths = save(tmp_path, [record("tflite-int8"), record("tflite-int8", target="raspberry-pi-4")])
    assert [group.target for group in collect(paths)] == ["cpu", "raspberry-pi-4"]


def on_machine(**around):
    """A record of ``tflite-int8`` taken on another machine."""
    one = record("tflite-int8")
    return msgspec.structs.replace(one, environment={**one.environment, **around})


def test_one_artifact_on_several_machines_of_a_target_is_a_group_each(tmp_path):
    two, many = on_machine(cpu="AMD EPYC", logical_cores=2), on_machine(cpu="AMD EPYC", logical_cores=64)
    board = on_machine(cpu="aarch64", board="Raspberry Pi 5 Model B Rev 1.0")
    unnamed = on_machine(cpu=None, board="")
    given = [two, many, board, unnamed]
    paths = [save(tmp_path / str(n), [each])[0] for n, each in enumerate(given)]
    assert [group.title for group in collect(paths)] == [
        "cpu (a machine without a name), measured",
        "cpu (AMD EPYC, 2 cores), measured",
        "cpu (AMD EPYC, 64 cores), measured",
        "cpu (Raspberry Pi 5 Model B Rev 1.0), measured",
    ]


def test_times_of_two_machines_stand_in_no_common_table(tmp_path):
    other = msgspec.structs.replace(record("onnx-int8"), environment={"cpu": "another"})
    groups = collect(save(tmp_path, [record("tflite-int8"), other]))
    assert [len(group.runs) for group in groups] == [1, 1]


def test_kernels_of_one_artifact_are_a_group_each_and_other_containers_stand_by_those_that_run_unasked(
    tmp_path,
):
    asked = msgspec.structs.replace(record("tflite-int8"), executed_on="LiteRT 2.3.0, builtin kernels")
    unasked = msgspec.structs.replace(record("tflite-int8"), executed_on="LiteRT 2.3.0, XNNPACK")
    given = [asked, unasked, record("onnx-int8")]
    paths = [save(tmp_path / str(n), [each])[0] for n, each in enumerate(given)]
    assert [(group.title, len(group.runs)) for group in collect(paths)] == [
        ("cpu, measured", 2),
        ("cpu (builtin kernels), measured", 1),
    ]


def refusal(paths) -> str:
    with pytest.raises(InputError) as caught:
        collect(paths)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_second_record_of_an_artifact_on_a_target_is_refused_and_both_are_named(tmp_path):
    first, second = (save(tmp_path / name, [record("tflite-int8")])[0] for name in ("one", "two"))
    message = refusal([first, second])
    assert str(first) in message
    assert str(second) in message


def test_other_rows_are_refused_and_the_files_named(tmp_path):
    other = record("onnx-int8", accuracy=accuracy("onnx-int8", rows="others"))
    paths = save(tmp_path, [record("tflite-int8"), other])
    message = refusal(paths)
    assert all(str(path) in message for path in paths)
    assert sha("rows")[:12] in message
    assert sha("others")[:12] in message


def of_faces(form, rows, faces):
    scored = accuracy(form, rows=rows)
    return record(form, accuracy=msgspec.structs.replace(scored, faces_sha256=sha(faces), baseline=None))


def test_the_same_faces_at_two_sizes_stand_in_one_report(tmp_path):
    pair = [of_faces("tflite-int8", "at 48x48", "faces"), of_faces("onnx-int8", "at 96x96", "faces")]
    (group,) = collect(save(tmp_path, pair))
    (body,) = rows_table([group]).bodies
    assert len({row[-1].text for row in body.rows}) == 4
    other = of_faces("onnx-int8", "at 96x96", "others")
    message = refusal(save(tmp_path / "others", [pair[0], other]))
    assert "scored on different faces" in message
    older = record("onnx-int8", accuracy=accuracy("onnx-int8", rows="at 96x96"))
    assert "scored on different rows" in refusal(save(tmp_path / "older", [pair[0], older]))


def test_other_leak_free_rows_are_refused(tmp_path):
    mine = accuracy("onnx-int8")
    clean = msgspec.structs.replace(mine.clean, rows_sha256=sha("others"))
    other = record("onnx-int8", accuracy=msgspec.structs.replace(mine, clean=clean))
    assert "leak-free rows" in refusal(save(tmp_path, [record("tflite-int8"), other]))


def test_other_classes_are_refused(tmp_path):
    mine = accuracy("onnx-int8")
    renamed = (msgspec.structs.replace(mine.full.per_class[0], name="calm"), *mine.full.per_class[1:])
    full = msgspec.structs.replace(mine.full, per_class=renamed)
    other = record("onnx-int8", accuracy=msgspec.structs.replace(mine, full=full))
    assert "calm" in refusal(save(tmp_path, [record("tflite-int8"), other]))


def test_a_record_without_accuracy_mixes_with_any_rows(tmp_path):
    paths = save(tmp_path, [record("tflite-int8"), record("onnx-int8", accuracy=None)])
    assert len(collect(paths)[0].runs) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b'{"schema": 1}',
        b"\xff\xfe",
        b'{"schema": 99}',
    ],
)
def test_what_is_no_record_is_refused_by_name(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_bytes(content)
    assert str(path) in refusal([path])
    assert str(path) in refusal([tmp_path])


def test_a_record_with_a_timing_without_samples_is_refused(tmp_path):
    path = tmp_path / "empty.json"
    broken = msgspec.to_builtins(record("tflite-int8"))
    broken["timings"][0]["samples_ns"] = []
    path.write_bytes(msgspec.json.encode(broken))
    assert "samples" in refusal([path])


def test_a_record_with_a_batch_size_twice_is_refused(tmp_path):
    path = tmp_path / "twice.json"
    broken = msgspec.to_builtins(record("tflite-int8"))
    broken["timings"][1]["batch"] = broken["timings"][0]["batch"]
    path.write_bytes(msgspec.json.encode(broken))
    assert "batch size" in refusal([path])


def test_an_empty_folder_and_a_missing_file_are_refused_by_name(tmp_path):
    assert f"{tmp_path}: holds no RunRecord" in refusal([tmp_path])
    assert f"{tmp_path / 'none.json'}: no such file" in refusal([tmp_path / "none.json"])
