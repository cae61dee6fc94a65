"""Bringing up Keras without its start-up messages."""

from __future__ import annotations

import logging

from edgefer.quieting import quiet_native


def start_keras() -> None:
    """Import Keras and its backend; from here on TensorFlow logs errors only."""
    with quiet_native():
        import keras

        keras.ops.zeros(1)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
