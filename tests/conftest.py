"""What all tests share: a cache of their own, and the real data where it is."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A deadline measures the machine's other work, not the code.
settings.register_profile("edgefer", deadline=None)
settings.load_profile("edgefer")

# As edgefer.backbones.startup does for a command; tests that call the parts alone get the same kernels.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# A shell's background job ignores Ctrl-C, and so would every command that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def data_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One data cache for the session, so that no test sees or fills the user's."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEFER_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real data sets; the test is skipped where there is none."""
    given = os.environ.get("EDGEFER_DATA")
    if not given:
        pytest.skip("EDGEFER_DATA is not set: the real data is not here")
    folder = Path(given)
    missing = [name for name in ("fer2013.csv.gz", "fer2013new.csv", "CK+48") if not (folder / name).exists()]
    if missing:
        pytest.skip(f"EDGEFER_DATA lacks {', '.join(missing)}")
    return folder
