"""What the words in the report mean; the same text stands in every rendering."""

from __future__ import annotations

from edgefer.report.compare import ALLOWED_DROP
from edgefer.report.words import ABSENT

DEFINITIONS: tuple[tuple[str, str], ...] = (
    ("FPS", "Images per second: batch size divided by median latency."),
    (
        "Latency",
        "Time of one run of the whole batch, input ready in memory to output ready in memory. Median, p90 "
        "and p99 are quantiles of the raw samples in the RunRecord. Decoding and resizing are left out.",
    ),
    ("Cold start", "Loading the file and the first inference at batch 1, in a fresh process."),
    ("Peak memory", "Largest resident memory of a process that loads and runs only this artifact."),
    (
        "Weighted and macro F1",
        "The F1 of each class, averaged by the class's share of the test rows (weighted) or equally (macro).",
    ),
    (
        "F1 drop",
        "Weighted F1 of the float backbone minus that of the artifact, in points (hundredths), both on the "
        "very same rows. Positive is a loss. Where they cannot be compared, the cell says why.",
    ),
    (
        "Leaked rows",
        "Test rows whose very same image also stands in the training split. They reward memory rather than "
        "recognition, so the drop is given with and without them.",
    ),
    (
        "Pass and fail",
        f"An artifact keeps accuracy if its F1 drop is at most {ALLOWED_DROP:g} point, with and without "
        "leaked rows. Smallest and fastest are chosen among those.",
    ),
    (
        "Gate",
        "An artifact and its baseline answer the same rows. Pass: the 95 % interval of the weighted F1 drop ends at or "
        "below the limit, and no class is lost or below its floor. Fail: it begins above the limit, or a class surely "
        "is. Underpowered: the rows do not tell.",
    ),
    (
        "95 % interval",
        "Of a difference: paired bootstrap, rows drawn anew for both at once, with the variance of one more row lost "
        "and one more won, for few rows that all agree prove little.",
    ),
    (
        "Lost class",
        "Fewer than half of the rows that the baseline recognised still are, and chance does not explain it (McNemar's "
        "exact test, Holm's adjustment for several classes).",
    ),
    (
        "Pareto front",
        "The artifacts that no other beats: none is as small (or fast) and as accurate, and better in one.",
    ),
    (
        "Measured, emulated, estimated",
        "Measured: run on the target itself. Emulated: run elsewhere, by something that behaves like it. "
        "Estimated: computed, not run. The three never share a table, a plot or a column.",
    ),
    (
        "Instructions",
        "Machine instructions of one inference of one image on one thread, counted while it was emulated. A figure "
        "of cost without noise; never a latency, for it knows no caches, no clock and no memory.",
    ),
    (
        "Apart",
        "The largest difference between the emulated answers and those of the machine that emulated, with the same "
        "kernels on the same rows: in steps of a quantized output, else in probability.",
    ),
    (
        "Kernels",
        "What TFLite computed with: XNNPACK, its builtin or its reference kernels. Their answers to one file differ "
        "by more than processors' do.",
    ),
    ("Executed on", "What really ran the artifact, as the runtime reported it, not what was asked for."),
    ("Unstable", "The samples spread or drift so much that the number should not be relied on."),
    (
        "Synthetic",
        "Taken on drawn faces, not on photographs: it proves the path, not how well faces are read.",
    ),
    (ABSENT, "Not taken."),
)
