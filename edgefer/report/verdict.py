"""What the numbers of a group mean: what to ship, what is fastest, what fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from edgefer.bench.record import BatchTiming
from edgefer.report import words
from edgefer.report.collect import Group, Run
from edgefer.report.compare import ALLOWED_DROP, Comparison, compare, incomparable


@dataclass(frozen=True)
class Pick:
    """An artifact that stands out: ``title`` says how, ``figure`` by how much, ``detail`` what it costs."""

    title: str
    label: str
    figure: str
    detail: str


@dataclass(frozen=True)
class Problem:
    """Something the reader must know about an artifact; ``fails`` tells a failure from a warning."""

    label: str
    text: str
    fails: bool


@dataclass(frozen=True)
class Verdict:
    """The summary of one group: one sentence, then the picks, then the problems, failures first."""

    title: str
    sentence: str
    picks: tuple[Pick, ...]
    problems: tuple[Problem, ...]


def timing_at(run: Run, batch: int | None) -> BatchTiming | None:
    """The run's times at one batch size, if taken."""
    return next((timing for timing in run.record.timings if timing.batch == batch), None)


def batches(runs: Iterable[Run]) -> list[int]:
    """All batch sizes that were timed, ascending."""
    return sorted({timing.batch for run in runs for timing in run.record.timings})


def judge(group: Group) -> Verdict:
    """Sum up one group."""
    compared = [(run, compare(run)) for run in group.runs]
    kept = {run.label: (run, found) for run, found in compared if found and found.keeps}
    known = any(found for _, found in compared)
    problems = [problem for run, found in compared for problem in _problems(run, found)]
    problems += _unstable(group.runs)
    return Verdict(
        title=group.title,
        sentence=_sentence(len(group.runs), len(kept), known=known),
        picks=tuple(_picks(list(kept.values()))),
        problems=tuple(sorted(problems, key=lambda problem: not problem.fails)),
    )


def _sentence(total: int, kept: int, *, known: bool) -> str:
    several = "the one artifact" if total == 1 else f"{total} artifacts"
    if not known:
        return f"Whether accuracy is kept is not known for {'any of ' * (total > 1)}{several}."
    return f"{_subject(total, kept)} weighted F1 within {ALLOWED_DROP:g} point of the float backbone."


def _subject(total: int, kept: int) -> str:
    if total == 1:
        return f"The one artifact {'keeps' if kept else 'does not keep'}"
    if kept in (0, total):
        return f"None of {total} artifacts keeps" if kept == 0 else f"All {total} artifacts keep"
    return f"{kept} of {total} artifacts keep{'s' * (kept == 1)}"


def _picks(kept: Sequence[tuple[Run, Comparison]]) -> Iterator[Pick]:
    if not kept:
        return
    smallest, found = min(kept, key=lambda pair: pair[0].record.artifact.bytes)
    yield Pick(
        "Smallest",
        smallest.label,
        f"{words.kilobytes(smallest.record.artifact.bytes)} kB",
        _drop_words(found),
    )
    timed = [(run, found) for run, found in kept if not run.record.invalid]
    sizes = batches(run for run, _ in timed)
    if sizes:
        yield _fastest(f"Fastest at batch {sizes[0]}", timed, sizes[:1])
    if len(sizes) > 1:
        yield _fastest("Highest throughput", timed, sizes)


def _fastest(title: str, kept: Sequence[tuple[Run, Comparison]], sizes: Sequence[int]) -> Pick:
    times = [
        (run, found, timing) for run, found in kept for timing in run.record.timings if timing.batch in sizes
    ]
    run, found, timing = max(times, key=lambda entry: entry[2].fps)
    speed = f"{words.milliseconds(timing.latency_ns())} ms at batch {timing.batch}"
    unstable = " (unstable)" if timing.unstable else ""
    return Pick(title, run.label, f"{words.fps(timing.fps)} FPS{unstable}", f"{speed}; {_drop_words(found)}")


def _drop_words(found: Comparison) -> str:
    return f"F1 drop {words.points(found.full)} points, {words.points(found.clean)} without leaked rows"


def _problems(run: Run, found: Comparison | None) -> Iterator[Problem]:
    if found is None:
        yield Problem(run.label, f"F1 drop not comparable: {incomparable(run.record.accuracy)}", fails=False)
    elif not found.keeps:
        yield Problem(
            run.label, f"{_drop_words(found)}: more than the {ALLOWED_DROP:g} point allowed", fails=True
        )
    if found is not None and found.lost_classes:
        yield Problem(
            run.label, f"no longer recognises {words.listing(found.lost_classes)} (F1 0)", fails=True
        )
    if run.record.invalid:
        yield Problem(run.label, f"times do not count: {run.record.invalid}", fails=True)


def _unstable(runs: Sequence[Run]) -> Iterator[Problem]:
    """One line however many times are unstable; the tables mark each, the records say why."""
    shaky = [(run, timing) for run in runs for timing in run.record.timings if timing.unstable]
    if len(shaky) == 1:
        (run, timing) = shaky[0]
        yield Problem(run.label, f"unstable at batch {timing.batch}: {timing.unstable}", fails=False)
    elif shaky:
        labels = list(dict.fromkeys(run.label for run, _ in shaky))
        total = sum(len(run.record.timings) for run in runs)
        yield Problem(
            words.listing(labels) if len(labels) < 3 else f"{len(labels)} of {len(runs)} artifacts",
            f"unstable in {len(shaky)} of {total} times; the tables mark them, the records say why",
            fails=False,
        )


def blind_spots(groups: Iterable[Group]) -> list[str]:
    """Classes with test rows that the float backbone itself never finds, in label order."""
    baselines = [found.baseline for group in groups for run in group.runs if (found := compare(run))]
    classes = (each for baseline in baselines for each in baseline.per_class)
    return list(dict.fromkeys(each.name for each in classes if each.f1 == 0 and each.support))
