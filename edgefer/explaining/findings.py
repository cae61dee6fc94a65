"""The sentences: each rule looks at an Explanation and says one thing, with its figures, or nothing.

A threshold says from when on a thing is worth a sentence; the figures stand in it, so that a reader may judge else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from edgefer.explaining.record import Explanation, Finding, Layer

SHARE = 0.05  # of the profiled time: below it, conversions and copies are not what makes a file slow
HANDS = 4  # changes between kernel sets; one at each end of the file is usual
DOMINANT = 0.25  # of the profiled time in one layer
OUTSIDE = 0.25  # of the profiled time between the layers
SPARSE = 0.3  # zeros among the weights; int8 files have a few per cent anyway
LOW_PEAK = 0.25  # of the peak
DISPROPORTION = 2.0  # depthwise layers' share of the time over their share of the MACs
DISTURBED = 1.5  # median run over a quiet profiled one
TINY_NS = 20e3  # a layer whose median is below it is as much start as work
NAMES = 3


def findings(found: Explanation) -> tuple[Finding, ...]:
    """All that apply, the ones that are most often the cause first."""
    return tuple(finding for rule in RULES if (finding := rule(found)))


def _disturbed(found: Explanation) -> Finding | None:
    """A profiler only adds time; if runs without one took longer than its quietest fifth, other work came between."""
    ratio = found.latency_ns / found.profiled_ns
    if ratio < DISTURBED:
        return None
    text = (
        f"other work held it up: the median run took {ratio:.1f} times as long as a quiet one, so its speed says "
        "little; take it again on an idle machine"
    )
    return Finding(id="disturbed", text=text, figures={"ratio": ratio})


def _against(found: Explanation) -> Finding | None:
    other = found.against
    if other is None:
        return None
    ratio = found.latency_ns / other.latency_ns
    word = "slower" if ratio > 1 else "faster"
    by = ratio if ratio > 1 else 1 / ratio
    changes = sorted(_changes(found), key=lambda item: -abs(item[1]))[:NAMES]
    text = (
        f"{found.format} is {by:.2f} times {word} than {other.format} here: {_ms(found.latency_ns)} against "
        f"{_ms(other.latency_ns)}. Profiled, {'; '.join(f'{g} {_signed_ms(ns)}' for g, ns in changes)}"
    )
    return Finding(id="against", text=text, figures={"ratio": ratio, "by_group_ns": dict(_changes(found))})


def _changes(found: Explanation) -> Iterator[tuple[str, float]]:
    """How much longer each group takes than in the other file."""
    mine, theirs = found.by_group(), found.against.by_group_ns if found.against else {}
    for group in dict.fromkeys((*mine, *theirs)):
        yield group, mine.get(group, 0.0) - theirs.get(group, 0.0)


def _float_inside(found: Explanation) -> Finding | None:
    """Layers with weights that an integer file runs in float."""
    weighted = [layer for layer in found.layers if layer.numbers]
    floating = [layer for layer in weighted if layer.numbers == "float"]
    if not found.integer or not floating:
        return None
    share = _share(found, floating)
    text = (
        f"{len(floating)} of {len(weighted)} layers with weights run in float inside an integer file, "
        f"{share:.0%} of the time: {_names(floating)}"
    )
    return Finding(id="float-inside", text=text, figures={"layers": len(floating), "share": share})


def _conversions(found: Explanation) -> Finding | None:
    converting = [layer for layer in found.layers if layer.group == "quantize"]
    share = _share(found, converting)
    if share < SHARE:
        return None
    text = f"{len(converting)} quantize, dequantize and cast operations take {share:.0%} of the time"
    return Finding(id="conversions", text=text, figures={"operations": len(converting), "share": share})


def _layout(found: Explanation) -> Finding | None:
    moving = [layer for layer in found.layers if layer.group == "layout"]
    share = _share(found, moving)
    if share < SHARE:
        return None
    text = f"{len(moving)} operations that only move or reshape data take {share:.0%} of the time ({_kinds(moving)})"
    return Finding(id="layout", text=text, figures={"operations": len(moving), "share": share})


def _fallback(found: Explanation) -> Finding | None:
    """Operations that the kernels of most of the file do not run, and how often execution changes hands."""
    places = Counter(layer.where for layer in found.layers)
    if len(places) < 2:
        return None
    main = places.most_common(1)[0][0]
    others = [layer for layer in found.layers if layer.where != main]
    changes = sum(a.where != b.where for a, b in zip(found.layers, found.layers[1:], strict=False))
    share = _share(found, others)
    if share < SHARE and changes < HANDS:
        return None
    text = (
        f"{len(others)} of {len(found.layers)} operations run outside {main}, {share:.0%} of the time "
        f"({_kinds(others)}); execution changes hands {changes} times"
    )
    return Finding(
        id="fallback", text=text, figures={"operations": len(others), "share": share, "changes": changes}
    )


def _depthwise(found: Explanation) -> Finding | None:
    """Depthwise layers use every weight once a pixel: memory, not arithmetic, sets their pace."""
    counted = [layer for layer in found.layers if layer.macs]
    deep = [layer for layer in counted if layer.group == "depthwise"]
    total = sum(layer.macs or 0 for layer in counted)
    if not deep or not total:
        return None
    macs, time = sum(layer.macs or 0 for layer in deep) / total, _share(found, deep)
    if time < DISPROPORTION * macs:
        return None
    text = (
        f"{len(deep)} depthwise layers have {macs:.0%} of the multiplications and take {time:.0%} of the time"
    )
    return Finding(id="depthwise", text=text, figures={"macs_share": macs, "share": time})


def _dominant(found: Explanation) -> Finding | None:
    longest = max(found.layers, key=lambda layer: layer.ns)
    share = _share(found, [longest])
    if share < DOMINANT:
        return None
    text = (
        f"one operation of {len(found.layers)} takes {share:.0%} of the time: {longest.name} ({longest.kind})"
    )
    return Finding(id="dominant", text=text, figures={"share": share, "name": longest.name})


def _outside(found: Explanation) -> Finding | None:
    outside = 1 - found.layers_ns / found.profiled_ns
    if outside < OUTSIDE:
        return None
    text = (
        f"{outside:.0%} of a profiled run lies between its {len(found.layers)} operations (starting them, the "
        f"profiler itself, and the rounding of a clock of {found.resolution_ns / 1e3:g} µs): the network is too "
        f"small for this runtime at batch {found.batch}"
    )
    return Finding(id="dispatch", text=text, figures={"share": outside, "operations": len(found.layers)})


def _peak(found: Explanation) -> Finding | None:
    reached, peak = found.macs_per_s, found.peak
    if reached is None:
        return None
    share = reached / peak.macs_per_s
    text = (
        f"it reaches {reached / 1e9:,.1f} of {peak.macs_per_s / 1e9:,.0f} GMAC/s, {share:.1%} of this machine's "
        f"{peak.numbers} peak ({peak.how})"
    )
    weighted = sorted(layer.ns for layer in found.layers if layer.macs)
    if weighted and share < LOW_PEAK and (middle := weighted[len(weighted) // 2]) < TINY_NS:
        text += (
            f"; half of its layers with weights take less than {middle / 1e3:,.0f} µs, too little work to fill the "
            f"machine at batch {found.batch}"
        )
    return Finding(
        id="peak", text=text, figures={"macs_per_s": reached, "share": share, "peak": peak.macs_per_s}
    )


def _int8_gain(found: Explanation) -> Finding | None:
    """Whether integers could be faster here at all."""
    int8, fp32 = (next(p.macs_per_s for p in found.peaks if p.numbers == n) for n in ("int8", "fp32"))
    if not found.int8:
        return None
    text = f"a large product runs {int8 / fp32:.1f} times as fast in int8 as in fp32 on this machine"
    return Finding(id="int8-gain", text=text, figures={"ratio": int8 / fp32})


def _sparse(found: Explanation) -> Finding | None:
    share = found.zeros / found.weights if found.weights else 0.0
    if share < SPARSE:
        return None
    are_zero = f"{share:.0%} of {found.weights:,} weights are zero"
    if any("SPMM" in layer.kind for layer in found.layers):  # XNNPACK's kernels for sparse weights
        text = f"{are_zero}, neither stored nor multiplied"
    elif "sparse" in found.format:
        text = (
            f"{are_zero} and not stored, but multiplied like any other: on x86 processors with AVX, XNNPACK holds its "
            "dense kernels for faster; on Arm it takes sparse ones"
        )
    else:
        text = (
            f"{are_zero}, stored and multiplied like any other: zeros make neither the file smaller nor these kernels "
            "faster"
        )
    return Finding(id="zeros", text=text, figures={"share": share, "weights": found.weights})


RULES: tuple[Callable[[Explanation], Finding | None], ...] = (
    _disturbed, _against, _float_inside, _conversions, _layout, _fallback, _depthwise, _dominant, _outside, _peak,
    _int8_gain, _sparse,
)  # fmt: skip


def _share(found: Explanation, layers: Sequence[Layer]) -> float:
    """Of the profiled time, what lies between the layers included."""
    return sum(layer.ns for layer in layers) / found.profiled_ns


def _names(layers: Sequence[Layer]) -> str:
    longest = sorted(layers, key=lambda layer: -layer.ns)
    more = f" and {len(layers) - NAMES} more" if len(layers) > NAMES else ""
    return ", ".join(layer.name for layer in longest[:NAMES]) + more


def _kinds(layers: Sequence[Layer]) -> str:
    kinds = Counter(layer.kind for layer in layers).most_common(NAMES)
    return ", ".join(f"{count} {kind}" for kind, count in kinds)


def _ms(ns: float) -> str:
    return f"{ns / 1e6:.3f} ms"


def _signed_ms(ns: float) -> str:
    return f"{ns / 1e6:+.3f} ms"
