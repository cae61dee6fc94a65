"""Cold start and peak memory of one artifact, each in a process of its own.

``python -m edgefer.bench.cold ARTIFACT --runtime ID --threads N`` prints one JSON object. Loading includes
the import of the runtime's library: that is what a program on a device waits for. The file's bytes are in the
page cache by then (its hash was checked), so the disk is not part of it. The warm start is loading and first
inference once more in the same process, after the first session was closed: what a program waits for that opens a
model again. The least of a few is taken, for a single one is at the mercy of the machine; peak memory is read before.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgefer.errors import EdgeferError

if TYPE_CHECKING:
    from edgefer.contract import DeviceFile
    from edgefer.runtimes.base import Runtime

WARM_STARTS = 3
TIMEOUT_SECONDS = 300
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Cold:
    """Nanoseconds to load and for the first inference at batch 1; peak resident memory in bytes.

    ``warm_load_ns`` and ``warm_first_ns`` are of a second start in that process.
    """

    load_ns: int
    first_ns: int
    peak_memory_bytes: int
    warm_load_ns: int | None = None
    warm_first_ns: int | None = None


def measure_cold(artifact: Path, runtime: str, threads: int) -> Cold:
    """Load and run ``artifact`` once in a fresh process.

    Raises:
        EdgeferError: that process failed, hung or answered nonsense.
    """
    # -P: what lies in the current folder is not to be imported in place of a library.
    command = [sys.executable, "-P", "-m", __name__, str(artifact)]
    command += ["--runtime", runtime, "--threads", str(threads)]
    failure = f"{artifact}: the cold start in a process of its own failed"
    try:
        done = subprocess.run(
            command, env=_surroundings(), capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
        if done.returncode:
            raise EdgeferError(f"{failure} (exit {done.returncode}): {_last_line(done.stderr)}")
        return Cold(**json.loads(_last_line(done.stdout)))
    except subprocess.TimeoutExpired:
        raise EdgeferError(f"{failure}: no answer in {TIMEOUT_SECONDS} s") from None
    except (ValueError, TypeError) as error:
        raise EdgeferError(f"{failure}: its answer cannot be read ({error})") from error


def _surroundings() -> dict[str, str]:
    """The environment, in which this very package is found first."""
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def load_and_run(artifact: Path, runtime: str, threads: int) -> Cold:
    """Do it in this process: open ``artifact`` with the runtime of that id and run its first golden image."""
    from edgefer.contract import open_on_device
    from edgefer.registry import discover, lookup

    opened = open_on_device(artifact)
    engine = lookup("runtime", runtime, discover("edgefer.runtimes", "RUNTIMES"))
    load, first = _start(opened, engine, threads)
    peak = peak_memory()
    warm = min((_start(opened, engine, threads) for _ in range(WARM_STARTS)), key=sum)
    return Cold(load, first, peak, *warm)


def _start(opened: DeviceFile, engine: Runtime, threads: int) -> tuple[int, int]:
    """Nanoseconds to open a session and for its first inference; the session is gone afterwards."""
    start = time.perf_counter_ns()
    session = engine.open(opened, threads)
    loaded = time.perf_counter_ns()
    feed = session.prepare(opened.golden.inputs[:1])
    begin = time.perf_counter_ns()
    session.run(feed)
    end = time.perf_counter_ns()
    return loaded - start, end - begin


def peak_memory() -> int:
    """Peak resident memory of this process in bytes.

    Linux carries ``ru_maxrss`` over from the parent across exec, so there the kernel's high-water mark of
    this very address space is read instead; macOS counts ``ru_maxrss`` in bytes and starts afresh.
    """
    if STATUS.exists():
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Answer ``measure_cold`` from inside the fresh process."""
    parser = argparse.ArgumentParser(prog="python -m edgefer.bench.cold")
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--runtime", required=True)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    try:
        cold = load_and_run(options.artifact, options.runtime, options.threads)
    except EdgeferError as error:
        sys.exit(str(error))
    print(json.dumps(asdict(cold)))


def _last_line(text: str) -> str:
    """The last line that says something."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"


if __name__ == "__main__":
    main()
