"""The agent's lines: progress is passed on, an error becomes the same typed error here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from edgefer import errors
from edgefer.errors import EdgeferError, TargetUnavailableError

Progress = Callable[[float, float, str], None]
KINDS = {
    kind.__name__: kind
    for kind in (
        errors.EdgeferError, errors.InputError, errors.VerificationError, errors.TargetMismatchError,
        errors.TargetUnavailableError,
    )
}  # fmt: skip


def follow(lines: Iterable[str], where: str, progress: Progress | None = None) -> bool:
    """Read what an agent says until it says no more; True if it finished its job.

    ``where`` stands before every message. Lines that are none of the agent's (a library's chatter) are skipped.

    Raises:
        EdgeferError: the agent reported an error; of its kind and with its exit code.
    """
    finished = False
    for line in lines:
        said = _parse(line)
        if "progress" in said and progress:
            done, total, remark = said["progress"]
            progress(done, total, f"{where}: {remark}")
        if "error" in said:
            raise reported(said["error"], where)
        finished = finished or "result" in said
    return finished


def reported(error: dict[str, Any], where: str) -> EdgeferError:
    """The error that an agent reported. What its file system refused makes the target unusable."""
    kind = KINDS.get(error["kind"], TargetUnavailableError)
    return kind(f"{where}: {error['message']}", hint=error["hint"])


def _parse(line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
