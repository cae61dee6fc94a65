"""A folder to carry to a device: artifacts, the device kit, a script, what to install."""

from __future__ import annotations

import gzip
import io
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import requires, version
from pathlib import Path

from edgefer.artifact import Artifact
from edgefer.bench.target import Target
from edgefer.device.bundled import BROUGHT, BUNDLE_FILE
from edgefer.device.shipping import kit
from edgefer.errors import EdgeferError, InputError
from edgefer.files import atomic_directory, files_in, workspace, write_atomic
from edgefer.remote.packing import artifact_files, content_of
from edgefer.remote.refusing import refuse

ARCHIVES = (".tar.gz", ".tgz")
# What each container needs on a device: the extra of edgefer that pins it, and its package.
RUNTIMES = {
    "tflite": ("tflite", "ai-edge-litert"),
    "onnx": ("onnx", "onnxruntime"),
    "coreml": ("convert", "coremltools"),
}
# All that a bundle holds; where anything else stands beside it, the user put it there, or it is measured.
CONTENT = {
    "README.md", BUNDLE_FILE, "artifacts", "edgefer", "golden", "requirements.txt", "run_on_device.py", "wheels",
}  # fmt: skip
# Tags of wheels that Raspberry Pi OS bookworm (glibc 2.36) and anything newer can install.
PLATFORMS = ("manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in (17, 27, 28, 31, 34)))
WHEEL_PYTHON = "3.11"

# Its own lines are ones that an old Python can read too: it has to say so.
SCRIPT = '''"""Runs this bundle's models: python run_on_device.py --help"""

import sys
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def lack():
    """What this Python lacks, in words."""
    if sys.version_info < (3, 11):
        return "this is Python %d.%d, and 3.11 or newer is needed" % sys.version_info[:2]
    missing = [name for name, module in (("numpy", "numpy"), ("pillow", "PIL")) if find_spec(module) is None]
    return "%s not installed" % " and ".join(missing) if missing else ""


if __name__ == "__main__":
    if lack():
        sys.stderr.write("error: %s; README.md beside this script says how to install\\n" % lack())
        sys.exit(4)
    sys.path.insert(0, str(FOLDER))
    from edgefer.device.bundled import main

    sys.exit(main(FOLDER))
'''
README = """Install ({python}): `python3 -m venv env && env/bin/pip install {install}-r requirements.txt`
Label images: `env/bin/python run_on_device.py image.jpg` (or a folder: `golden/` holds the models' own images)
Prove the models on this machine: `env/bin/python run_on_device.py --golden`
Measure them: `env/bin/python run_on_device.py --bench --out results`; carry `results` back for `edgefer collect`
Made by edgefer {version} for {device}; holds {artifacts}; `--json` and `--help` say more.
"""


def write_bundle(artifacts: Sequence[Artifact], target: Target, out: Path, *, wheels: bool = False) -> Path:
    """Write the bundle to ``out``, a folder or an archive by its name, in one step; equal input gives equal bytes.

    Raises:
        InputError: an artifact is refused, two have one name, the target's files run on what no bundle brings, or
            ``out`` is something else than a bundle.
        EdgeferError: a wheel cannot be had.
    """
    refuse(artifacts, target)
    _refuse_other_runtimes(artifacts, target)
    _refuse_equal_names(artifacts)
    packed = out.name.endswith(ARCHIVES)
    if not packed:
        _refuse_loss(out)
        with atomic_directory(out) as work:
            _fill(work, artifacts, target, wheels=wheels)
        return out
    name = re.sub(r"(\.tar\.gz|\.tgz)$", "", out.name)
    with workspace(out) as work:
        _fill(work / name, artifacts, target, wheels=wheels)
        write_atomic(out, _archive(work / name))
    return out


def _refuse_other_runtimes(artifacts: Sequence[Artifact], target: Target) -> None:
    """Pass if a bundle runs the files on what the target does."""
    for artifact in artifacts:
        if (runtime := target.runtimes[artifact.container]) not in BROUGHT:
            raise InputError(
                f"{artifact.path}: target {target.id} runs it by {runtime}, which a bundle does not bring",
                hint="install edgefer there and run 'edgefer bench' on it",
            )


def _refuse_loss(out: Path) -> None:
    """Pass if nothing but a bundle, as it was written, stands at ``out``."""
    if not out.exists():
        return
    found = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if not {BUNDLE_FILE, "run_on_device.py"} <= found:
        raise InputError(f"{out}: is there and is no bundle", hint="choose another --out")
    if others := sorted(found - CONTENT):
        raise InputError(
            f"{out}: holds more than a bundle does ({', '.join(others)}), which would be lost",
            hint="move that elsewhere, or choose another --out",
        )


def _fill(folder: Path, artifacts: Sequence[Artifact], target: Target, *, wheels: bool) -> None:
    """Everything in the bundle."""
    names = [f"artifacts/{artifact.path.name}" for artifact in artifacts]
    for artifact, name in zip(artifacts, names, strict=True):
        for place, content in artifact_files(artifact, name).items():
            write_atomic(folder / place, content_of(content))
    for place, path in kit().items():
        write_atomic(folder / place, path.read_bytes())
    _write_golden(folder / "golden", artifacts)
    about = {
        "artifacts": names,
        "target": target.id,
        "threads": target.options.threads,
        "batches": target.batches,
        "plan": asdict(target.measure.plan()),
    }
    write_atomic(folder / BUNDLE_FILE, json.dumps(about, indent=1).encode() + b"\n")
    write_atomic(folder / "run_on_device.py", SCRIPT.encode())
    write_atomic(folder / "requirements.txt", requirements(artifacts).encode())
    if wheels:
        _download(folder / "wheels", folder / "requirements.txt")
    text = README.format(
        python=f"Python {WHEEL_PYTHON}, which the wheels are for"
        if wheels
        else f"Python {WHEEL_PYTHON} or newer",
        install="--no-index --find-links wheels " if wheels else "",
        version=version("edgefer"),
        device=target.title,
        artifacts=", ".join(Path(name).name for name in names),
    )
    write_atomic(folder / "README.md", text.encode())


def requirements(artifacts: Sequence[Artifact]) -> str:
    """The pinned packages that the artifacts need on a device, one a line."""
    pins = [f"{name}=={version(name)}" for name in ("numpy", "pillow")]
    for container in dict.fromkeys(artifact.container for artifact in artifacts):
        pins.append(_pin(*RUNTIMES[container]))
    if any(artifact.container == "tflite" for artifact in artifacts):
        pins.append(
            "# On Python 3.11 also possible: tflite-runtime==2.14.0 with numpy<2, for ai-edge-litert and numpy"
        )
        pins.append(
            "# above. It runs TFLite's builtin kernels, not XNNPACK: slower, and int8 answers differ."
        )
    return "\n".join(pins) + "\n"


def _pin(extra: str, package: str) -> str:
    """How edgefer itself pins a package."""
    lines = [line.partition(";") for line in requires("edgefer") or ()]
    found = (pin.strip() for pin, _, marker in lines if f'"{extra}"' in marker.replace("'", '"'))
    return next(pin for pin in found if pin.startswith(package))


def _refuse_equal_names(artifacts: Sequence[Artifact]) -> None:
    names = [artifact.path.name for artifact in artifacts]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise InputError(
                f"{artifacts[number].path}: another artifact is called {name} too", hint="rename it"
            )


def _write_golden(folder: Path, artifacts: Sequence[Artifact]) -> None:
    """The golden images as PNG files, those of equal artifacts once."""
    from PIL import Image

    seen: dict[bytes, None] = {}
    for artifact in artifacts:
        for image in artifact.golden.inputs:
            buffer = io.BytesIO()
            Image.fromarray(image.squeeze()).save(buffer, "png")
            seen.setdefault(buffer.getvalue())
    for number, content in enumerate(seen):
        write_atomic(folder / f"{number:02d}.png", content)


def _download(folder: Path, wanted: Path) -> None:
    """The wheels of ``wanted`` for an aarch64 Linux.

    Raises:
        EdgeferError: pip cannot get one.
    """
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary=:all:",
        "--python-version", WHEEL_PYTHON, "--implementation", "cp", "--dest", str(folder), "-r", str(wanted),
        *(word for platform in PLATFORMS for word in ("--platform", platform)),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["pip said nothing"]
        raise EdgeferError(
            f"the wheels cannot be had: {said[-1]}", hint="is there a network? else leave --wheels out"
        )


def _archive(folder: Path) -> bytes:
    """The folder as a .tar.gz that depends on nothing but its content."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for path in files_in(folder):
            content = path.read_bytes()
            info = tarfile.TarInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}")
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()
