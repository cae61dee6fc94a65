"""Every failure a user can meet, with the exit code it ends in.

Exit codes: 0 done, 1 anything unforeseen, 2 usage or bad input, 3 verification or gate failed,
4 target not available.
"""

from __future__ import annotations


class EdgeferError(Exception):
    """Base of all typed errors.

    ``message`` is one line that says what is wrong and where; ``hint`` is one line that says what to do next.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class InputError(EdgeferError):
    """A file, option or data set that cannot be used as it is."""

    exit_code = 2


class SettingError(InputError):
    """A setting that cannot be used as it is; ``key`` is its dotted place in the recipe, ``backbone.frozen`` say."""

    def __init__(self, message: str, *, key: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.key = key


class UntrustedCodeError(InputError):
    """A model file that carries code, opened without ``--trust``."""


class NotFiniteError(InputError):
    """A network whose answers are NaN or infinite."""


class MissingExtraError(InputError):
    """A command needs packages that are not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} is not installed", hint=f"run: pip install 'edgefer[{extra}]'")


class ConversionError(EdgeferError):
    """A converter refused the model, or its result does not do what the backbone does."""


class VerificationError(EdgeferError):
    """An artifact does not reproduce what it was made from."""

    exit_code = 3


class TargetUnavailableError(EdgeferError):
    """A target that this machine does not have."""

    exit_code = 4


class TargetMismatchError(EdgeferError):
    """A runtime ran somewhere else than it was asked to."""

    exit_code = 4


class WeightsUnavailableError(InputError):
    """Named pretrained weights that can be had neither from a cache nor from the network."""


class TrainingError(EdgeferError):
    """A training run that cannot go on."""
