"""A device as a folder, and artifacts that need no TensorFlow."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "unit"))

from sshd import faces, sshd  # noqa: F401 - fixtures
