"""What a bundle's ``run_on_device.py`` does: answers images, proves itself, or measures.

Everything it knows about an artifact comes from the artifact; ``bundle.json`` says only which there are and how the
target measures.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefer.errors import EdgeferError, InputError

if TYPE_CHECKING:
    from edgefer.contract import DeviceFile
    from edgefer.device.job import Job
    from edgefer.runtimes.base import Runtime

BUNDLE_FILE = "bundle.json"
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
RUNTIMES = {"onnx": "onnxruntime", "coreml": "coreml"}
USUAL_KERNELS = "xnnpack"
KERNELS = {USUAL_KERNELS: "litert", "builtin": "litert-builtin", "reference": "litert-reference"}
# Ids of the runtimes that a bundle runs its files on.
BROUGHT = (*RUNTIMES.values(), *KERNELS.values())


@dataclass(frozen=True)
class Bundle:
    """The folder, and what ``bundle.json`` says: artifacts in it, and the target's threads, batches and plan."""

    folder: Path
    artifacts: tuple[str, ...]
    target: str
    threads: int
    batches: tuple[int, ...]
    plan: dict[str, Any]


def read_bundle(folder: Path) -> Bundle:
    """Read ``bundle.json``.

    Raises:
        InputError: it is not there or cannot be read.
    """
    path = folder / BUNDLE_FILE
    try:
        said = json.loads(path.read_bytes())
        artifacts, batches = tuple(said["artifacts"]), tuple(said["batches"])
        return Bundle(folder, artifacts, said["target"], said["threads"], batches, said["plan"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read ({error})", hint="copy the whole bundle") from error


def main(folder: Path, words: Sequence[str] | None = None) -> int:
    """Do what the command line asks for; returns the exit code."""
    options = _parser().parse_args(words)
    os.environ["PYTHONPATH"] = str(folder)  # for the processes that cold starts are measured in
    try:
        _refuse_idle(options)
        bundle = read_bundle(folder)
        files = _chosen(bundle, options)
        if options.bench:
            return _bench(bundle, files, options)
        if options.golden:
            return _golden(bundle, files, options)
        return _answer(bundle, files, options)
    except EdgeferError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; with --out, the same command goes on where it stopped", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our table has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"error: {error.filename or 'file system'}: {error.strerror or error}", file=sys.stderr)
        return 2


def _refuse_idle(options: argparse.Namespace) -> None:
    """Pass if one thing is asked for, and no option that has nothing to do with it.

    Raises:
        InputError: names what is too much, or that nothing is asked for.
    """
    asked = [name for name in ("--golden", "--bench") if getattr(options, name[2:])]
    asked = ["images", *asked] if options.images else asked
    if not asked:
        raise InputError("nothing to do", hint="name images or folders, or give --golden or --bench")
    if len(asked) > 1:
        raise InputError(f"{' and '.join(asked)} are given", hint="ask for one of them at a time")
    timed = {"--out": options.out, "--min-time": options.min_time}
    if not options.bench and (idle := [name for name, value in timed.items() if value is not None]):
        raise InputError(f"{idle[0]} is for --bench", hint="leave it away, or give --bench")
    if options.threads < 0:
        raise InputError(f"--threads {options.threads}: no number of threads", hint="give 1 or more")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_on_device.py",
        description="Runs the bundle's models: on images, on their own proof, or on time.",
    )
    parser.add_argument("images", nargs="*", type=Path, help="images, or folders of images")
    parser.add_argument("--golden", action="store_true", help="prove the models on the images they carry")
    parser.add_argument("--bench", action="store_true", help="measure latency, cold start and memory")
    parser.add_argument(
        "--only", metavar="NAME", help="one of the bundle's artifacts, by the start of its name"
    )
    parser.add_argument("--threads", type=int, default=0, help="threads (default: the target's)")
    parser.add_argument("--kernels", choices=KERNELS, default=USUAL_KERNELS, help="TFLite's kernels")
    parser.add_argument("--min-time", type=float, help="seconds of samples a model and batch size, at least")
    parser.add_argument(
        "--out", type=Path, help="with --bench: a folder for the raw result, for 'edgefer collect'"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _chosen(bundle: Bundle, options: argparse.Namespace) -> list[tuple[DeviceFile, Runtime]]:
    """The artifacts asked for, opened and checked, each with what runs it.

    Raises:
        InputError, VerificationError: there is none of that name, or one is damaged.
        TargetUnavailableError: its runtime is not installed.
    """
    from edgefer.contract import open_on_device
    from edgefer.errors import TargetUnavailableError
    from edgefer.registry import discover

    names = [name for name in bundle.artifacts if Path(name).name.startswith(options.only or "")]
    if not names:
        raise InputError(f"no artifact {options.only!r}", hint=f"there are: {', '.join(bundle.artifacts)}")
    runtimes = discover("edgefer.runtimes", "RUNTIMES")
    chosen = []
    for name in names:
        file = open_on_device(bundle.folder / name)
        runtime = runtimes[{**RUNTIMES, "tflite": KERNELS[options.kernels]}[file.container]]
        if runtime.missing():
            needs = f"{name}: needs {' or '.join(runtime.packages)}"
            raise TargetUnavailableError(
                needs, hint=f"run: {sys.executable} -m pip install -r requirements.txt"
            )
        chosen.append((file, runtime))
    return chosen


def _threads(bundle: Bundle, options: argparse.Namespace) -> int:
    from edgefer.bench.environment import default_threads

    return options.threads or bundle.threads or default_threads()


def _answer(bundle: Bundle, files: Sequence[tuple[DeviceFile, Runtime]], options: argparse.Namespace) -> int:
    """Label each image with each artifact; exit code 2 if one cannot be read."""
    import numpy as np

    from edgefer.preprocessing import read_pixels
    from edgefer.runtimes.base import predict

    images = [image for path in options.images for image in _images(path)]
    rows: list[dict[str, Any]] = []
    refused: dict[Path, InputError] = {}
    for file, runtime in files:
        session, spec = runtime.open(file, _threads(bundle, options)), file.manifest.input
        size = {"height": spec.height, "width": spec.width, "channels": spec.pixel_channels}
        for image in images:
            try:
                pixels = read_pixels(image, **size)
            except InputError as error:  # it says nothing of the other images
                refused[image] = error
                continue
            odds = predict(session, pixels[None])[0]
            named = dict(zip(file.manifest.labels.names, map(float, odds), strict=True))
            label = file.manifest.labels.names[int(np.argmax(odds))]
            rows.append(
                {"image": str(image), "artifact": file.path.name, "label": label, "probabilities": named}
            )
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        _print_labels(rows)
    for reason in refused.values():
        print(f"error: {reason}", file=sys.stderr)
    return 2 if refused else 0


def _print_labels(rows: list[dict[str, Any]]) -> None:
    """A table for all models of the same classes."""
    for classes in dict.fromkeys(tuple(row["probabilities"]) for row in rows):
        _print(
            ("image", "artifact", "label", *classes),
            [
                (row["image"], row["artifact"], row["label"], *_shares(row["probabilities"]))
                for row in rows
                if tuple(row["probabilities"]) == classes
            ],
        )


def _images(path: Path) -> list[Path]:
    """One image, or those in a folder."""
    if not path.is_dir():
        return [path]
    found = sorted(each for each in path.rglob("*") if each.suffix.lower() in IMAGES)
    if not found:
        raise InputError(f"{path}: holds no image", hint=f"images end in {', '.join(IMAGES)}")
    return found


def _shares(odds: dict[str, float]) -> list[str]:
    return [f"{value:.3f}" for value in odds.values()]


def _golden(bundle: Bundle, files: Sequence[tuple[DeviceFile, Runtime]], options: argparse.Namespace) -> int:
    """Replay what the artifacts carry; exit code 3 if one answers otherwise than its backbone did."""
    from edgefer.device.proving import prove

    rows = []
    for file, runtime in files:
        session = runtime.open(file, _threads(bundle, options))
        rows.append({"artifact": file.path.name, **prove(file, session)})
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        columns = ("artifact", "status", "max_abs", "row_mean", "top1", "executed_on", "reason")
        _print(columns, [[_short(row.get(column, "")) for column in columns] for row in rows])
    return 3 if any(row["reason"] for row in rows) else 0


def _bench(bundle: Bundle, files: Sequence[tuple[DeviceFile, Runtime]], options: argparse.Namespace) -> int:
    """Measure with the agent, in a folder of its own; with --out it stays, and a run that was broken off goes on."""
    import shutil
    import tempfile

    from edgefer.bench.measure import Plan
    from edgefer.device.agent import open_work, perform
    from edgefer.device.job import RESULT_FILE, Job, Task, write_job

    plan = Plan(**bundle.plan)
    if options.min_time is not None:
        plan = plan.lasting(options.min_time)
    job = Job(
        tasks=tuple(Task(str(file.path.resolve()), runtime.id) for file, runtime in files),
        threads=options.threads or bundle.threads,
        batches=bundle.batches,
        plan=plan,
    )

    def progress(done: float, total: float, remark: str) -> None:
        print(f"\r{done / total:4.0%} {remark:24}", end="", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as temporary:
        work = options.out or Path(temporary)
        _refuse_used(work, job)
        write_job(job, work)
        shutil.copyfile(bundle.folder / BUNDLE_FILE, work / BUNDLE_FILE)
        perform(open_work(work), progress)
        print(file=sys.stderr)
        result = json.loads((work / RESULT_FILE).read_bytes())
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        _print_result(files, result)
    return 0


def _refuse_used(folder: Path, job: Job) -> None:
    """Pass if ``folder`` holds no result, and no run but one of this very job that was broken off.

    Raises:
        InputError: it does; what was measured before would be taken for this run's.
    """
    from edgefer.device.job import JOB_FILE, RESULT_FILE, job_bytes

    begun = folder / JOB_FILE
    if (folder / RESULT_FILE).exists() or (begun.exists() and begun.read_bytes() != job_bytes(job)):
        raise InputError(f"{folder}: holds another run already", hint="choose another --out")


def _print_result(files: Sequence[tuple[DeviceFile, Runtime]], result: dict[str, Any]) -> None:
    import numpy as np

    rows = []
    for (file, _), task in zip(files, result["tasks"], strict=True):
        start = (task["cold"]["load_ns"] + task["cold"]["first_ns"]) / 1e6
        for timing in task["timings"]:
            median, p90 = np.quantile(timing["samples_ns"], (0.5, 0.9)) / 1e6
            figures = (
                f"{median:.3f}",
                f"{p90:.3f}",
                f"{1e3 * timing['batch'] / median:,.0f}",
                f"{start:.0f}",
            )
            peak = f"{task['cold']['peak_memory_bytes'] / 1e6:.0f}"
            rows.append((file.path.name, timing["batch"], *figures, peak, timing["unstable"]))
    _print(("artifact", "batch", "median ms", "p90 ms", "FPS", "cold ms", "peak MB", "unstable"), rows)
    for (file, _), task in zip(files, result["tasks"], strict=True):
        print(f"{file.path.name}: {task['executed_on']}")
    if result["invalid"]:
        print(f"INVALID: {result['invalid']}")


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _print(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A plain table."""
    lines = [list(map(str, columns)), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[number]) for line in lines) for number in range(len(columns))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
