"""What a Core ML artifact's README says: how an app feeds and reads it, with Swift code made of its contract."""

from __future__ import annotations

from pathlib import Path
from string import Template

from edgefer.artifact import Artifact, Manifest
from edgefer.runtimes.mil.contract import LABEL, minimum_os
from edgefer.spec import InputSpec

_TEMPLATES = Path(__file__).with_name("templates")

# Core Graphics' names for 8-bit gray pixels, for the BGRA pixels that Core ML takes colours from, and for RGBX.
_GRAY = ("CGColorSpaceCreateDeviceGray()", "CGImageAlphaInfo.none.rawValue")
_BGRA = (
    "CGColorSpaceCreateDeviceRGB()",
    "CGImageAlphaInfo.noneSkipFirst.rawValue | CGBitmapInfo.byteOrder32Little.rawValue",
)
_RGBX = ("CGColorSpaceCreateDeviceRGB()", "CGImageAlphaInfo.noneSkipLast.rawValue")


def guide(artifact: Artifact) -> str:
    """The README of a Core ML artifact, as Markdown."""
    manifest = artifact.manifest
    return _filled(
        "guide.md",
        file=artifact.path.name,
        stem=artifact.path.stem,
        format=manifest.format,
        name=manifest.name,
        version=manifest.tools.get("edgefer", ""),
        minimum_os=minimum_os(manifest),
        input=manifest.io.input.name,
        takes=_takes(manifest),
        label=LABEL,
        probabilities=manifest.io.output.name,
        classes=", ".join(manifest.labels.names),
        source=manifest.labels.source,
        score=_score(manifest),
        sha256=artifact.sha256,
        classifier=swift(manifest).rstrip("\n"),
    )


def swift(manifest: Manifest) -> str:
    """A Swift class that classifies a CGImage with the package, for a contract's input and labels."""
    image, spec = manifest.io.mode == "raw", manifest.input
    gray = spec.pixel_channels == 1
    space, bitmap = _GRAY if gray else _BGRA if image else _RGBX
    return _filled(
        "classifier.swift",
        labels=", ".join(map(_literal, manifest.labels.names)),
        width=spec.width,
        height=spec.height,
        input=manifest.io.input.name,
        label=LABEL,
        probabilities=manifest.io.output.name,
        conversion=(_image(gray=gray) if image else _array(spec)).rstrip("\n"),
        space=space,
        bitmap=bitmap,
    )


def _image(*, gray: bool) -> str:
    return _filled(
        "image.swift",
        pixel_format="kCVPixelFormatType_OneComponent8" if gray else "kCVPixelFormatType_32BGRA",
    )


def _array(spec: InputSpec) -> str:
    """``preprocessing.to_floats`` in Swift."""
    order = {"gray": [0] * spec.channels, "rgb": [0, 1, 2], "bgr": [2, 1, 0]}[spec.color]
    return _filled(
        "array.swift",
        samples=1 if spec.color == "gray" else 4,
        source=", ".join(map(str, order)),
        scale=", ".join(map(repr, spec.scale)),
        offset=", ".join(map(repr, spec.offset)),
        shape=f"1, {spec.height}, {spec.width}, {spec.channels}",
    )


def _takes(manifest: Manifest) -> str:
    spec = manifest.input
    size = f"{spec.height}x{spec.width}"
    if manifest.io.mode == "raw":
        return f"a {'grayscale' if spec.pixel_channels == 1 else 'colour'} image of {size} pixels (height x width)"
    return f"float32 1x{size}x{spec.channels} ({spec.color}), pixels 0..255 mapped to {spec.describe_range()}"


def _score(manifest: Manifest) -> str:
    """The float model's, for an artifact does not carry its own."""
    baseline = manifest.baseline
    if baseline is None:
        return "not known: converted without data"
    mark = " (synthetic faces)" if baseline.synthetic else ""
    return (
        f"weighted F1 {baseline.full.weighted_f1:.4f} of the float network it was made from, on "
        f"{baseline.full.n:,} test rows of {baseline.data}{mark}"
    )


def _literal(text: str) -> str:
    """A Swift string literal."""
    escaped = (f"\\{c}" if c in '\\"' else c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in text)
    return f'"{"".join(escaped)}"'


def _filled(template: str, **values: object) -> str:
    return Template((_TEMPLATES / template).read_text(encoding="utf-8")).substitute(values)
