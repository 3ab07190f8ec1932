"""What `scan` and `enqueue` make of their options."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from scanner.cli import cli

if TYPE_CHECKING:
    from pathlib import Path

TAKEOUT = ("Takeout/Google Photos/Photos from 2019", "Takeout/Google Photos/Alps")


@pytest.mark.parametrize("command", ["scan", "enqueue"])
def test_folder_of_a_library_is_announced(tmp_path: Path, command: str) -> None:
    """A folder of Google Takeout is recognised, in one line; `--library none` takes it as it is."""
    for folder in TAKEOUT:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.jpg").write_bytes(b"a picture")
    words = [
        command,
        str(tmp_path),
        "--dry-run",
        *(["--broker", "redis://x"] * (command[0] == "e")),
    ]
    once = CliRunner().invoke(cli, words)
    plain = CliRunner().invoke(cli, [*words, "--library", "none"])

    assert "1 image," in once.stdout
    assert once.stderr.startswith("Google Takeout: ")
    assert 1 == len(once.stderr.splitlines())
    assert "2 images" in plain.stdout
    assert "" == plain.stderr


@pytest.mark.parametrize(("library", "name"), [("google", "Google Takeout"), ("apple", "Apple P")])
def test_library_that_is_not_recognised(tmp_path: Path, library: str, name: str) -> None:
    """`--library` lists an ordinary folder as one of a library, where it says so."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jpg").write_bytes(b"a picture")
    forced = CliRunner().invoke(cli, ["scan", str(tmp_path), "--dry-run", "--library", library])

    assert "1 image," in forced.stdout
    assert forced.stderr.startswith(name)
