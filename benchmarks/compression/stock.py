"""One trained network to int8 as a notebook does it and as edgefer does it, in one interleaved run.

    python benchmarks/models.py unpack benchmarks/models/s0-mobilenetv2 runs/s0-mobilenetv2/model.keras
    python benchmarks/compression/stock.py s0-mobilenetv2 runs/s0-mobilenetv2/model.keras --data PATH

The stock files are what the converters' own documentation says to write: the first 200 training images calibrate,
nothing else is set. edgefer's int8 files are those of ``--calibration-method best``. Each file is scored on all test
rows and timed at batch 1 and 64. The record goes to ``benchmarks/records/compression/stock``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
import numpy as np

from benchmarks.costs import RECORDS, now, write_json
from edgefer.artifact import IOSpec, TensorSpec, open_artifact
from edgefer.backbones.base import Backbone
from edgefer.bench.environment import default_threads, environment
from edgefer.bench.measure import Plan, measure
from edgefer.bench.record import BatchTiming
from edgefer.bench.runner import Job
from edgefer.bench.target import load_target
from edgefer.datasets.base import Dataset
from edgefer.datasets.loading import load
from edgefer.datasets.scoring import scores
from edgefer.metrics import Score
from edgefer.preprocessing import Floats, Pixels, to_floats
from edgefer.quieting import quiet_native
from edgefer.runtimes.feeding import dequantize, feed_for
from edgefer.spec import Frozen

FOLDER = RECORDS / "compression" / "stock"
CALIBRATION = 200
BATCHES = (1, 64)
OURS = ("tflite-fp32", "tflite-int8", "tflite-dynamic", "onnx-fp32", "onnx-int8")

Run = Callable[[Any], Any]


class Entry(Frozen, frozen=True):
    """One file: who made it, what it is, what it is worth and how fast it is."""

    maker: str
    what: str
    bytes: int
    full: Score
    clean: Score
    timings: tuple[BatchTiming, ...] = ()


class StockRecord(Frozen, frozen=True):
    """All files of one network. Schema history: 1 - first version."""

    schema: int
    model: str
    started: str
    environment: dict[str, object]
    calibration: str
    baseline: Score
    entries: tuple[Entry, ...]


class File(NamedTuple):
    """A file that is loaded: ``prepare`` pixels untimed, ``run`` them timed, ``decode`` to probabilities."""

    maker: str
    what: str
    bytes: int
    prepare: Callable[[Pixels], Any]
    run: Run
    decode: Callable[[Any], Floats]


@click.command()
@click.argument("name")
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.option("--data", envvar="EDGEFER_DATA", required=True, help="Folder with FER2013 and the FER+ votes.")
@click.option("--min-time", default=2.0, show_default=True, help="Seconds of samples a file and batch size.")
def main(name: str, model: Path, data: str, min_time: float) -> None:
    """Convert MODEL, a .keras file with its sidecar, both ways and compare."""
    from edgefer.backbones.evaluation import probabilities
    from edgefer.backbones.loading import load_backbone
    from edgefer.backbones.startup import start_keras

    start_keras()
    backbone, started = load_backbone(model), now()
    spec = backbone.input
    dataset = load(data, backbone.labels.source, size=(spec.height, spec.width), channels=spec.pixel_channels)
    test = dataset.split("test")
    baseline, _ = scores(probabilities(backbone, test.pixels).argmax(axis=1), test, backbone.labels)
    with tempfile.TemporaryDirectory(prefix="edgefer-stock-") as work:
        files = [*_ours(backbone, dataset, Path(work)), *_stock(backbone, dataset, Path(work))]
        entries = [_scored(file, dataset) for file in files]
        timings = {batch: _timed(files, dataset, batch, min_time) for batch in BATCHES}
    for number, entry in enumerate(entries):
        taken = tuple(timings[batch][number] for batch in BATCHES)
        entries[number] = msgspec.structs.replace(entry, timings=taken)
        figures = f"{entry.bytes:,} B, F1 {entry.full.weighted_f1:.4f}, {taken[0].fps:,.0f} FPS"
        click.echo(f"{entry.maker} {entry.what}: {figures}")
    record = StockRecord(
        schema=1,
        model=name,
        started=started.isoformat(timespec="seconds"),
        environment=environment(default_threads()),
        calibration=f"stock: the first {CALIBRATION} training rows; edgefer: {CALIBRATION}, balanced, best method",
        baseline=baseline,
        entries=tuple(entries),
    )
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_json(FOLDER / f"{name}.json", record)


def _ours(backbone: Backbone, dataset: Dataset, work: Path) -> Iterator[File]:
    """What ``edgefer convert`` writes."""
    from edgefer.pipeline import Options, choose_formats, convert

    formats = choose_formats(",".join(OURS))
    target = load_target("cpu")
    job = Job(target=target, plan=target.measure.plan())
    options = Options(calibration=CALIBRATION, method="best")
    for outcome in convert(backbone, formats, dataset, dataset, work / "ours", options, lambda *_: None):
        if outcome.path is None:
            raise click.ClickException(f"{outcome.format}: {outcome.error}")
        artifact = open_artifact(outcome.path)
        session = job.runtime(artifact).open(artifact, job.used_threads)
        payload = outcome.path.stat().st_size
        yield File("edgefer", outcome.format, payload, session.prepare, session.run, session.decode)


def _stock(backbone: Backbone, dataset: Dataset, work: Path) -> Iterator[File]:
    images = to_floats(dataset.split("train").pixels[:CALIBRATION], backbone.input)
    with quiet_native():
        backbone.model.export(str(work / "saved"), verbose=False)
    yield _tflite(backbone, _tflite_bytes(work / "saved", images), "int8", work)
    yield _tflite(
        backbone, _tflite_bytes(work / "saved", images, per_channel=False), "int8, per tensor", work
    )
    yield _onnx(backbone, images, work)


def _tflite_bytes(saved: Path, images: Floats, *, per_channel: bool = True) -> bytes:
    import tensorflow as tf

    with quiet_native():
        converter = tf.lite.TFLiteConverter.from_saved_model(str(saved))
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None]] for image in images)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
        converter._experimental_disable_per_channel = not per_channel
        content: bytes = converter.convert()
    return content


def per_tensor(backbone: Backbone, images: Floats, work: Path) -> tuple[Path, IOSpec]:
    """A stock int8 file without per-channel scales, calibrated with ``images``, and how it wants to be fed."""
    from ai_edge_litert.interpreter import Interpreter

    with quiet_native():
        backbone.model.export(str(work / "saved"), verbose=False)
    path = work / "per-tensor.tflite"
    path.write_bytes(_tflite_bytes(work / "saved", images, per_channel=False))
    return path, _io(Interpreter(model_path=str(path)))


def _io(interpreter: Any) -> IOSpec:
    (image,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    return IOSpec(mode="float", input=_tensor(image), output=_tensor(answer))


def _tflite(backbone: Backbone, content: bytes, what: str, work: Path) -> File:
    from ai_edge_litert.interpreter import Interpreter

    path = work / f"{what}.tflite"
    path.write_bytes(content)
    interpreter = Interpreter(model_path=str(path), num_threads=default_threads())
    (image,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    io = _io(interpreter)

    def prepare(pixels: Pixels) -> Any:
        feed = feed_for(pixels, backbone.input, io)
        interpreter.resize_tensor_input(image["index"], feed.shape)
        interpreter.allocate_tensors()
        return feed

    def run(feed: Any) -> Any:
        interpreter.set_tensor(image["index"], feed)
        interpreter.invoke()
        return interpreter.get_tensor(answer["index"])

    decode = partial(dequantize, tensor=io.output)
    return File("TFLiteConverter", what, len(content), prepare, run, decode)


def _tensor(details: dict[str, Any]) -> TensorSpec:
    scale, zero_point = details["quantization"]
    return TensorSpec(
        name=details["name"],
        dtype=np.dtype(details["dtype"]).name,
        shape=(None, *map(int, details["shape"][1:])),
        scale=float(scale),
        zero_point=int(zero_point),
    )


def _onnx(backbone: Backbone, images: Floats, work: Path) -> File:
    import onnxruntime as ort
    import tensorflow as tf
    import tf2onnx
    from onnxruntime.quantization import quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    signature = [tf.TensorSpec((None, *images.shape[1:]), tf.float32, name="image")]
    with quiet_native():
        function = tf.function(lambda image: backbone.model(image, training=False))
        model, _ = tf2onnx.convert.from_function(function, signature, opset=17)
        (work / "stock.onnx").write_bytes(model.SerializeToString())
        quant_pre_process(str(work / "stock.onnx"), str(work / "prepared.onnx"))
        quantize_static(str(work / "prepared.onnx"), str(work / "int8.onnx"), _Reader(images))
    options = ort.SessionOptions()
    options.intra_op_num_threads = default_threads()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(work / "int8.onnx"), options, providers=["CPUExecutionProvider"])
    return File(
        "ONNX Runtime",
        "quantize_static",
        (work / "int8.onnx").stat().st_size,
        lambda pixels: {"image": to_floats(pixels, backbone.input)},
        lambda feed: session.run(None, feed)[0],
        np.asarray,
    )


class _Reader:
    """Calibration images one by one."""

    def __init__(self, images: Floats) -> None:
        self._feeds = ({"image": image[None]} for image in images)

    def get_next(self) -> dict[str, Floats] | None:
        return next(self._feeds, None)


def _scored(file: File, dataset: Dataset) -> Entry:
    test = dataset.split("test")
    parts = [test.pixels[start : start + 64] for start in range(0, len(test), 64)]
    answers = np.concatenate([file.decode(file.run(file.prepare(part))) for part in parts])
    full, clean = scores(answers.argmax(axis=1), test, dataset.labels)
    return Entry(maker=file.maker, what=file.what, bytes=file.bytes, full=full, clean=clean)


def _timed(files: list[File], dataset: Dataset, batch: int, min_time: float) -> list[BatchTiming]:
    pixels = dataset.split("test").pixels[:batch]
    runs = {number: partial(file.run, file.prepare(pixels)) for number, file in enumerate(files)}
    taken = measure(runs, Plan(min_seconds=min_time))
    return [
        BatchTiming(batch=batch, warmup_ns=one.warmup_ns, samples_ns=one.samples_ns, unstable=one.unstable)
        for one in (taken[number] for number in range(len(files)))
    ]


if __name__ == "__main__":
    main()
