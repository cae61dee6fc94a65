"""Bringing up Keras without its start-up messages."""

from __future__ import annotations

import logging
import os

from edgefer.quieting import quiet_native


def start_keras() -> None:
    """Import Keras and its backend; from here on TensorFlow logs errors only."""
    # TensorFlow takes its faster kernels unasked only where a processor has AVX-512 VNNI. With AVX2 alone
    # they train S1's network 1.8 times as fast. TF_ENABLE_ONEDNN_OPTS=0 in the environment switches them off.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with quiet_native():
        import keras

        keras.ops.zeros(1)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
