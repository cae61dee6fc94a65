"""Training in half precision: layers compute in 16 bits, weights and the kept network stay in float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Layers made inside compute in ``TrainingPart.precision``; what is made afterwards does not."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision.replace("-", "_"))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
