"""How many threads numpy's matrix products may take."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any


def limited(threads: int) -> AbstractContextManager[Any]:
    """A context in which they take ``threads``.

    Products this small lose by more threads than free cores. Only threadpoolctl, which scikit-learn brings, can limit
    them once numpy is imported; without it results are the same and numpy's own setting (OPENBLAS_NUM_THREADS) counts.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return nullcontext()
    limits: AbstractContextManager[Any] = threadpool_limits(threads, user_api="blas")
    return limits
