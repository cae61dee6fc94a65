"""``edgefer explain``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefer.cli import console
from edgefer.cli.options import OutPath, timing_options

if TYPE_CHECKING:
    from edgefer.explaining.record import Explanation, Layer


@click.command(name="explain")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option(
    "--target", "target_id", default="cpu", show_default=True, help="Where to run: a file in targets/."
)
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    help="The float file of the same network, timed in the same run.",
)
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Images a call.")
@timing_options
@click.option("--top", type=click.IntRange(min=1), default=12, show_default=True, help="Layers to show.")
@click.option("--out", type=OutPath(dir_okay=False), help="Keep the record in this file.")
@console.json_option
def command(
    artifact: Path,
    target_id: str,
    against: Path | None,
    batch: int,
    threads: int | None,
    min_time: float | None,
    kernels: str | None,
    top: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Say why ARTIFACT is as fast as it is on a target: time of each layer, and sentences with their figures.

    The times are those of the runtime's own profiler (ONNX Runtime's, LiteRT's with XNNPACK's operations). The
    machine's peak is that of a large matrix product through the same runtime, timed in the same run as the file.
    """
    from edgefer.artifact import open_artifact
    from edgefer.bench.runner import Job
    from edgefer.bench.target import load_target, require, with_kernels
    from edgefer.errors import InputError
    from edgefer.explaining.explain import explain

    target = load_target(target_id)
    if kernels:
        target = with_kernels(target, kernels)
    require(target)
    opened, other = open_artifact(artifact), open_artifact(against) if against else None
    if other and other.manifest.backbone_sha256 != opened.manifest.backbone_sha256:
        raise InputError(
            f"{against}: made of another network than {artifact}",
            hint="give the float file that was converted from the same backbone",
        )
    job = Job(target=target, plan=target.measure.plan(min_time), threads=threads or 0)
    with console.progress("explain") as advance:
        found = explain(opened, other, job, batch, lambda share: advance(share, 1.0))
    if out:
        _save(found, out)
    if as_json:
        console.print_json({**_plain(found), "achieved_macs_per_s": found.macs_per_s})
    else:
        _show(found, top)
    if found.unstable:
        console.note(f"{found.name} {found.format} is unstable: {found.unstable}")


def _save(found: Explanation, path: Path) -> None:
    import msgspec

    from edgefer.files import write_atomic

    write_atomic(path, msgspec.json.encode(found, order="deterministic") + b"\n")


def _plain(found: Explanation) -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(found)
    return plain


def _show(found: Explanation, top: int) -> None:
    median, profiled = found.latency_ns / 1e6, found.profiled_ns / 1e6
    title = (
        f"{found.name} {found.format} at batch {found.batch} on {found.executed_on}: {median:.3f} ms, "
        f"{profiled:.3f} ms with {found.source}"
    )
    longest = sorted(found.layers, key=lambda layer: -layer.ns)[:top]
    columns = ("layer", "kernel", "group", "µs", "share", "MACs, M", "GMAC/s")
    console.print_table(title, columns, [_row(found, layer) for layer in longest])
    outside = found.profiled_ns - found.layers_ns
    sums = [*found.by_group().items(), ("between the operations", outside)]
    rows = [(group, f"{ns / 1e3:,.0f}", f"{ns / found.profiled_ns:.1%}") for group, ns in sums]
    console.print_table("Groups", ("group", "µs", "share"), rows)
    for finding in found.findings:
        console.stdout().print(f"- {finding.text}", markup=False)


def _row(found: Explanation, layer: Layer) -> tuple[str, ...]:
    macs = "" if layer.macs is None else f"{layer.macs / 1e6:.2f}"
    rate = f"{layer.macs * found.batch / layer.ns:,.1f}" if layer.macs and layer.ns else ""
    share = f"{layer.ns / found.profiled_ns:.1%}"
    return layer.name, layer.kind, layer.group, f"{layer.ns / 1e3:,.1f}", share, macs, rate
