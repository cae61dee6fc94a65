from __future__ import annotations

from pathlib import Path

import pytest

from edgefer.files import atomic_directory


def test_a_folder_is_as_it_was_where_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    target = tmp_path / "model.mlpackage"
    target.mkdir()
    (target / "weights").write_text("old")
    rename = Path.rename

    def interrupted(path, to):
        if to == target and (path / "weights").read_text() == "new":
            raise KeyboardInterrupt
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_directory(target) as work:
        (work / "weights").write_text("new")
    assert (target / "weights").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model.mlpackage"]
