"""Atomic writes and hashes: a killed run leaves either the old file or the whole new one."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def workspace(target: Path) -> Iterator[Path]:
    """Yield an empty directory on ``target``'s own file system that is gone when the block ends, however it ends."""
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def replace(source: Path, target: Path) -> None:
    """Move a file or folder to ``target`` on the same file system, taking the place of what is there."""
    if not target.is_dir():
        source.replace(target)
        return
    with workspace(target) as aside:
        before = aside / target.name
        try:
            target.rename(before)
            source.rename(target)
        except BaseException:
            if before.exists() and not target.exists():
                before.rename(target)
            raise


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """Yield an empty directory that takes the place of ``target`` when the block succeeds.

    On any failure, an interrupt included, nothing of it is left and ``target`` is as it was.
    """
    with workspace(target) as work:
        content = work / target.name
        content.mkdir()
        yield content
        replace(content, target)


def write_atomic(target: Path, content: bytes) -> None:
    """Write ``content`` to ``target`` in one step, its folder included."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    work = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        work.chmod(0o644)
        work.replace(target)
    finally:
        work.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Hash of a file, or of a folder's files with their relative paths in sorted order."""
    if path.is_dir():
        return sha256_of_parts({p.relative_to(path).as_posix(): p.read_bytes() for p in files_in(path)})
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_parts(parts: dict[str, bytes]) -> str:
    """Hash of named byte strings, independent of their order."""
    digest = hashlib.sha256()
    for name in sorted(parts):
        digest.update(f"{name}\0{hashlib.sha256(parts[name]).hexdigest()}\n".encode())
    return digest.hexdigest()


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(p.stat().st_size for p in files_in(path)) if path.is_dir() else path.stat().st_size


def name_of(path: Path) -> str:
    """What a file or folder is called: a link by its own name, ``.`` and ``..`` by what they stand for."""
    return path.resolve().name if path.name in ("", "..") else path.name


def files_in(folder: Path) -> list[Path]:
    """All files below a folder, sorted."""
    return sorted(p for p in folder.rglob("*") if p.is_file())
