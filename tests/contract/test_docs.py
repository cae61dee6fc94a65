"""README and docs against the code and the committed records. ``make docs`` regenerates what is generated."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import msgspec
import pytest

from benchmarks.costs import ROOT
from benchmarks.readme import PARTS, commands, present
from edgefer.backbones.base import Sidecar
from edgefer.bench.target import targets
from edgefer.recipe_loading import recipe_ids
from edgefer.registry import discover

PAGES = tuple(sorted(page for folder in (".", "docs", "benchmarks") for page in (ROOT / folder).rglob("*.md")
                     if ".venv" not in page.parts and "tests" not in page.parts))  # fmt: skip
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEXT = README + (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#]+)")
FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)


def fenced(language: str) -> list[str]:
    return [found["body"] for found in FENCE.finditer(README) if found["language"] == language]


def test_generated_parts_are_fresh():
    """In a process of its own: a command that another test called by itself keeps help texts of that call."""
    command = [sys.executable, "-m", "benchmarks.readme", "--check"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_every_generated_part_has_its_place():
    assert present() == set(PARTS)


@pytest.mark.parametrize("words", [words for words, _ in commands()], ids=" ".join)
def test_every_command_is_mentioned(words: tuple[str, ...]):
    assert f"edgefer {' '.join(words)}" in TEXT


@pytest.mark.parametrize("kind", ["FORMATS", "targets", "recipes", "label sets"])
def test_everything_with_an_id_is_mentioned(kind: str):
    readers = discover("edgefer.datasets", "READERS").values()
    ids = {
        "FORMATS": discover("edgefer.formats", "FORMATS"),
        "targets": targets(),
        "recipes": recipe_ids(),
        "label sets": {name for reader in readers for name in reader.label_sets},
    }
    assert not [name for name in ids[kind] if f"`{name}`" not in README]


def test_every_exit_code_is_mentioned():
    from edgefer import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert not [kind for kind in kinds if f"| {kind.exit_code} |" not in README]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_relative_link_is_dead(page: Path):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert not [link for link in links if not (page.parent / link).exists()]


def test_the_sidecar_example_can_be_read():
    examples = fenced("json")
    assert examples
    for example in examples:
        assert msgspec.json.decode(example, type=Sidecar).labels.names


def test_command_lines_use_options_that_exist():
    known = dict(commands())
    lines = [shlex.split(line) for block in fenced("sh") for line in joined(block)]
    calls = [line[1:] for line in lines if line[:1] == ["edgefer"]]
    assert calls
    for call in calls:
        words = tuple(call[:2]) if tuple(call[:2]) in known else tuple(call[:1])
        assert not unknown_options(known[words], call)


def joined(block: str) -> list[str]:
    """Its lines, those that a backslash continues as one."""
    return block.replace("\\\n", " ").splitlines()


def unknown_options(command: click.Command, call: list[str]) -> list[str]:
    options = {option for parameter in command.params for option in parameter.opts}
    return [word for word in call if word.startswith("--") and word not in options]
