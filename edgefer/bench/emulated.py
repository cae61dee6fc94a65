"""What only an emulated run has: its answers beside this machine's, and instructions instead of time."""

from __future__ import annotations

import statistics

from edgefer.spec import Frozen


class Parity(Frozen, frozen=True):
    """An emulated processor's answers beside this machine's: the same file, rows and kernels.

    ``rows`` of the data's ``of_rows`` test rows were answered; ``rows_sha256`` is their hash and ``here`` what answered
    them on this machine. ``f1`` and ``f1_here`` are weighted F1. ``top1_agreement`` is the share of rows with the same
    class, ``max_abs`` the largest difference of a probability, ``max_steps`` the same in steps of a quantized output
    (None: the output is float).
    """

    rows: int
    of_rows: int
    rows_sha256: str
    here: str
    f1: float
    f1_here: float
    top1_agreement: float
    max_abs: float
    max_steps: int | None = None

    @property
    def f1_points(self) -> float:
        """Weighted F1 here minus emulated, in points (0..100)."""
        return 100 * (self.f1_here - self.f1)


class Instructions(Frozen, frozen=True):
    """Instructions of single inferences of one image on one thread, one number an inference, in order.

    ``dot_products`` are those among ``counts`` that multiply four bytes at a time into one sum (Arm's SDOT and UDOT).
    """

    counts: tuple[int, ...]
    dot_products: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.counts or min(self.counts) <= 0 or len(self.counts) != len(self.dot_products):
            raise ValueError("counts must be positive, and each with its dot products")

    @property
    def per_inference(self) -> int:
        """The median of the counts."""
        return round(statistics.median(self.counts))

    @property
    def dot_share(self) -> float:
        """Share of dot products among the instructions, 0..1."""
        return statistics.median(self.dot_products) / self.per_inference
