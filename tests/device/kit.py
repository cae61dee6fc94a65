"""The shipped modules in a folder of their own, run by a Python that has nothing else of edgefer's needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

# What a device does not have; an import of one of them fails there, and so it does here.
ABSENT = (
    "msgspec", "click", "rich", "psutil", "platformdirs", "sklearn", "scipy", "pandas", "tensorflow", "keras", "onnx",
    "coremltools", "matplotlib", "jinja2",
)  # fmt: skip
BLOCK = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(f"{{name}} is not on a device", name=name)
sys.meta_path.insert(0, Absent())
"""


class OnDevice:
    """Runs code with the kit below ``folder`` first on the path and the rest of edgefer out of reach."""

    def __init__(self, folder: Path) -> None:
        from edgefer.remote.packing import install_kit

        self.folder = folder / "kit"
        install_kit(self.folder)
        (self.folder / "sitecustomize.py").write_text(BLOCK)

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        """``python WORDS`` on the device."""
        around = {**os.environ, "PYTHONPATH": str(self.folder)}
        command = [sys.executable, *map(str, words)]
        return subprocess.run(
            command, cwd=self.folder, env=around, capture_output=True, text=True, timeout=120
        )

    def agent(self, job: Path, *words: str) -> tuple[int, list[dict]]:
        """Exit code and lines of the agent on a job folder."""
        done = self.run("-m", "edgefer.device.agent", job, *words)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]
