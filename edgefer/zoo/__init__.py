"""Trained models that come with the package: one folder a model, with its files and its model card.

A folder ``<id>/`` holds ``<id>.keras`` with its sidecar, artifacts made of it, and ``MODEL_CARD.md``, whose first line
is the model's title. The artifacts' golden images are drawn faces: no picture of a person is in the package.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from edgefer.errors import InputError
from edgefer.files import atomic_directory
from edgefer.registry import lookup

FOLDER = Path(__file__).parent
CARD = "MODEL_CARD.md"


def models() -> dict[str, Path]:
    """Folders of the shipped models by id, sorted."""
    return {card.parent.name: card.parent for card in sorted(FOLDER.glob(f"*/{CARD}"))}


def files_of(folder: Path) -> list[Path]:
    """What a model's folder holds, its card first."""
    return sorted(folder.iterdir(), key=lambda path: (path.name != CARD, path.name))


def title_of(folder: Path) -> str:
    """The card's heading."""
    return (folder / CARD).read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def copy_model(name: str, out: Path) -> Sequence[Path]:
    """Put the files of model ``name`` into the new folder ``out``/``name``; all of them or none.

    Raises:
        InputError: no such model (a similar name is suggested), or the folder is there already.
    """
    source: Path = lookup("model", name, models())
    target = out / name
    if target.exists():
        raise InputError(f"{target} is there already", hint="remove it or give another --out")
    with atomic_directory(target) as work:
        shutil.copytree(source, work, dirs_exist_ok=True)
    return [target / path.name for path in files_of(source)]
