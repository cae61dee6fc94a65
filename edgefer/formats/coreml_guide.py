"""What a Core ML artifact's README says: how an app feeds and reads it, with Swift code made of its contract."""

from __future__ import annotations

from pathlib import Path
from string import Template

from edgefer.artifact import Artifact, Manifest
from edgefer.runtimes.mil.contract import LABEL, minimum_os

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
        answers=_answers(manifest),
        classes=", ".join(manifest.labels.names),
        source=manifest.labels.source,
        score=_score(manifest),
        sha256=artifact.sha256,
        classifier=swift(manifest).rstrip("\n"),
        use=_template("many-use.swift" if manifest.io.batches else "one-use.swift").template.rstrip("\n"),
    )


def swift(manifest: Manifest) -> str:
    """A Swift class that classifies one CGImage, or as many as the package lists, for a contract's input and labels."""
    image, spec = _is_image(manifest), manifest.input
    gray = spec.pixel_channels == 1
    space, bitmap = _GRAY if gray else _BGRA if image else _RGBX
    return _filled(
        "classifier.swift",
        labels=", ".join(map(_literal, manifest.labels.names)),
        width=spec.width,
        height=spec.height,
        classify=_classify(manifest, "face" if image else "[face]").rstrip("\n"),
        conversion=(_image(gray=gray) if image else _array(manifest)).rstrip("\n"),
        space=space,
        bitmap=bitmap,
    )


def _image(*, gray: bool) -> str:
    return _filled(
        "image.swift",
        pixel_format="kCVPixelFormatType_OneComponent8" if gray else "kCVPixelFormatType_32BGRA",
    )


def _is_image(manifest: Manifest) -> bool:
    """Whether the package takes an image, and not an array."""
    return manifest.io.mode == "raw" and not manifest.io.batches


def _classify(manifest: Manifest, face: str) -> str:
    """The method that asks the package; ``face`` is the argument that a single one is turned into input by."""
    return _filled(
        "many.swift" if manifest.io.batches else "one.swift",
        face=face,
        batches=", ".join(map(str, manifest.io.batches)),
        input=manifest.io.input.name,
        label=LABEL,
        probabilities=manifest.io.output.name,
    )


def _array(manifest: Manifest) -> str:
    """``preprocessing.to_floats`` in Swift, or the pixels as they are if the package does that itself."""
    spec, raw = manifest.input, manifest.io.mode == "raw"
    order = {"gray": [0] * spec.channels, "rgb": [0, 1, 2], "bgr": [2, 1, 0]}[spec.color]
    source = list(range(spec.pixel_channels)) if raw else order
    ones, zeros = (1.0,) * len(source), (0.0,) * len(source)
    return _filled(
        "array.swift",
        samples=1 if spec.color == "gray" else 4,
        source=", ".join(map(str, source)),
        scale=", ".join(map(repr, ones if raw else spec.scale)),
        offset=", ".join(map(repr, zeros if raw else spec.offset)),
    )


def _takes(manifest: Manifest) -> str:
    spec, io = manifest.input, manifest.io
    size = f"{spec.height}x{spec.width}"
    if _is_image(manifest):
        return f"a {'grayscale' if spec.pixel_channels == 1 else 'colour'} image of {size} pixels (height x width)"
    mapped = "0..255 as they are" if io.mode == "raw" else f"0..255 mapped to {spec.describe_range()}"
    color = "rgb" if io.mode == "raw" and spec.color == "bgr" else spec.color
    count = f"N is {' or '.join(map(str, io.batches))}, " if io.batches else ""
    rows = "N" if io.batches else "1"
    return f"float32 {rows}x{size}x{io.input.shape[-1]} ({color}), {count}pixels {mapped}"


def _answers(manifest: Manifest) -> str:
    probabilities = manifest.io.output.name
    if manifest.io.batches:
        return f"`{probabilities}`: float32 Nx{len(manifest.labels.names)}, each class's probability in this order"
    return f"`{LABEL}`: the class; `{probabilities}`: each class's probability"


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
    return _template(template).substitute(values)


def _template(name: str) -> Template:
    return Template((_TEMPLATES / name).read_text(encoding="utf-8"))
