"""The way to tensorflow-model-optimization, which leaves the rest of the process as it was."""

from __future__ import annotations

import os
from typing import Any

from edgefer.errors import MissingExtraError
from edgefer.quieting import quiet_native

_LEGACY = "TF_USE_LEGACY_KERAS"


def toolkit() -> Any:
    """The package ``tensorflow_model_optimization``.

    Raises:
        MissingExtraError: it is not installed.
    """
    before = os.environ.get(_LEGACY)
    try:
        with quiet_native():
            import tensorflow_model_optimization
    except ImportError as error:
        raise MissingExtraError("tensorflow-model-optimization", "compress") from error
    finally:
        # It turns tf.keras into tf_keras, here and in every process started from here; nobody else wants that.
        if before is None:
            os.environ.pop(_LEGACY, None)
    return tensorflow_model_optimization
