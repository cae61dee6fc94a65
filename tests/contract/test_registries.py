"""What every format and runtime has to keep to, whoever adds it."""

import pytest

from edgefer.agreement import TOLERANCES
from edgefer.contract import SUFFIXES
from edgefer.registry import discover

FORMATS = discover("edgefer.formats", "FORMATS")
RUNTIMES = discover("edgefer.runtimes", "RUNTIMES")


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_a_format_is_named_container_precision_and_can_be_run_and_judged(form):
    assert form.id == f"{form.container}-{form.precision}"
    assert SUFFIXES[form.suffix] == form.container
    assert form.precision in TOLERANCES
    assert form.container in {runtime.container for runtime in RUNTIMES.values()}


def test_no_two_formats_write_the_same_file():
    files = [(form.precision, form.suffix) for form in FORMATS.values()]
    assert len(set(files)) == len(files)


@pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=RUNTIMES)
def test_a_runtime_says_what_it_lacks(runtime):
    missing = runtime.missing()
    assert missing == "" or missing.startswith("needs ")
