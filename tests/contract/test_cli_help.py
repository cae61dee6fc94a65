"""Every command explains itself, quickly; a mistyped one is answered with a suggestion."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from benchmarks.readme import commands
from edgefer.cli.main import cli

HEAVY = {
    "numpy", "tensorflow", "keras", "tf_keras", "tf2onnx", "onnx", "onnxruntime", "coremltools", "ai_edge_litert",
    "pandas", "sklearn", "scipy", "matplotlib", "h5py", "jinja2", "rich",
}  # fmt: skip
IMPORTED = """
import sys
from edgefer.cli.main import main
try:
    main()
finally:
    print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""
COMMANDS = dict(commands())


def edgefer(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgefer", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_has_help(words: tuple[str, ...]):
    command = COMMANDS[words]
    assert command.help
    assert command.get_short_help_str()


@pytest.mark.parametrize("words", [(), *COMMANDS], ids=" ".join)
def test_every_option_has_help(words: tuple[str, ...]):
    command = COMMANDS.get(words, cli)
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert not [option.name for option in options if not option.help]


def test_every_seed_is_one_that_all_generators_take():
    options = [option for command in COMMANDS.values() for option in command.params if option.name == "seed"]
    assert [(option.type.min, option.type.max) for option in options] == [(0, 2**32 - 1)] * len(options)
    assert options


@pytest.mark.parametrize(
    "words", [words for words in COMMANDS if words[-1] in {"inspect", "verify", "bench"}]
)
def test_what_prints_a_table_prints_json_too(words: tuple[str, ...]):
    assert "--json" in [option for parameter in COMMANDS[words].params for option in parameter.opts]


@pytest.mark.parametrize("words", [(), *COMMANDS], ids=" ".join)
def test_help_imports_nothing_heavy(words: tuple[str, ...]):
    command = [sys.executable, "-c", IMPORTED, *words, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: ")
    assert not HEAVY & set(done.stderr.split())


@pytest.mark.parametrize(
    ("typed", "meant"), [("convrt", "convert"), ("benhc", "bench"), ("completions", "completion")]
)
def test_a_mistyped_command_gets_a_suggestion(typed: str, meant: str):
    done = edgefer(typed)
    assert done.returncode == 2
    assert f"did you mean {meant!r}?" in done.stderr
    assert not done.stdout


@pytest.mark.parametrize(
    "words", [("data", "inspct"), ("bench",), ("convert", "--tp", "x"), ("completion", "tcsh")]
)
def test_wrong_usage_is_one_line_and_exit_2(words: tuple[str, ...]):
    done = edgefer(*words)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str):
    done = edgefer("completion", shell)
    assert done.returncode == 0, done.stderr
    assert "_EDGEFER_COMPLETE" in done.stdout


def test_version():
    assert edgefer("--version").stdout.startswith("edgefer, version ")
