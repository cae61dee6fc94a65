"""Fetching pretrained weights that Keras knows by name."""

from __future__ import annotations

import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from typing import Any

from edgefer.errors import InputError, WeightsUnavailableError

SECONDS_TO_CONNECT = 10.0


def application(network: str, input_shape: tuple[int, int, int], weights: str | None, **options: Any) -> Any:
    """The ``network`` of ``keras.applications`` (``MobileNetV2`` …) without its top; errors as ``with_weights``."""
    import keras

    build = partial(
        getattr(keras.applications, network), input_shape=input_shape, include_top=False, **options
    )
    return with_weights(lambda source: build(weights=source), weights)


def with_weights(build: Callable[[str | None], Any], weights: str | None) -> Any:
    """Call ``build(weights)`` of ``keras.applications``; give up soon where there is no network.

    ``weights`` is None, ``imagenet`` (fetched once, then kept in Keras' own cache) or a file of the network
    without its top, as Keras publishes them.

    Raises:
        WeightsUnavailableError: a named set cannot be fetched.
        InputError: the network refuses the input shape, or the file does not fit it.
    """
    try:
        with fetching(str(weights)), warnings.catch_warnings():
            # Keras warns that ImageNet weights were trained at another size; the recipe says so already.
            warnings.simplefilter("ignore", UserWarning)
            return build(weights)
    except (ValueError, OSError) as error:
        raise InputError(f"the network cannot be built: {_line(error)}") from error


@contextmanager
def fetching(weights: str, file: str = "a file") -> Iterator[None]:
    """Let Keras fetch ``weights``: it gives up soon where there is no network, and announces nothing among results.

    Raises:
        WeightsUnavailableError: they cannot be fetched; the hint says that backbone.weights may name ``file``.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SECONDS_TO_CONNECT)
    try:
        with redirect_stdout(sys.stderr):
            yield
    except Exception as error:
        # Keras wraps every failed download in a bare Exception.
        if "URL fetch failure" not in str(error):
            raise
        raise WeightsUnavailableError(
            f"{weights} weights could not be fetched: {_line(error)}",
            hint=f"fetch them once with a network, set backbone.weights to the path of {file}, "
            "or backbone.weights_missing = 'random'",
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
