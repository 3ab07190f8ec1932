"""A folder that is there, empty, or away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.watch.root import Root

if TYPE_CHECKING:
    from pathlib import Path


def test_empty_folder_that_was_never_full(tmp_path: Path) -> None:
    """An empty folder without images in its scan is watched."""
    assert "" == Root(tmp_path, lambda: False).trouble()


def test_empty_folder_at_the_start(tmp_path: Path) -> None:
    """An empty folder whose scan has images may be a mount point: it is waited for."""
    root = Root(tmp_path, lambda: True)
    at_first = root.trouble()
    (tmp_path / "a.jpg").touch()

    assert "is its disk mounted?" in at_first
    assert "" == root.trouble()


def test_folder_that_becomes_empty(tmp_path: Path) -> None:
    """A folder that is emptied is still watched; another, empty one at its place is not."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").touch()
    root = Root(folder, lambda: True)
    full = root.trouble()
    (folder / "a.jpg").unlink()
    emptied = root.trouble()
    folder.rename(tmp_path / "away")
    gone = root.trouble()
    folder.mkdir()
    replaced = root.trouble()

    assert ("", "") == (full, emptied)
    assert "cannot be read (No such file or directory)" in gone
    assert "is its disk mounted?" in replaced
    assert root.is_new()
