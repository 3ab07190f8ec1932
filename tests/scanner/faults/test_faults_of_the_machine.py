"""Every command where home, settings, folder or output are not as usual: a sentence or the work."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import NoReturn

import pytest
from commands import COMMANDS, REFUSED, USAGE, WORKED, Here, check, content, with_option

from scanner.exits import FAILED


def _unknown(_: object) -> NoReturn:
    raise KeyError("uid not found")


@pytest.mark.parametrize("line", COMMANDS)
def test_user_without_home_and_name(here: Here, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """A user with neither HOME nor an entry in the list of users gets a sentence or the work."""
    for name in os.environ:
        if name in {"HOME", "LOGNAME", "USER", "LNAME", "USERNAME"} or name.startswith("XDG_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(pwd, "getpwuid", _unknown)
    monkeypatch.setattr(pwd, "getpwnam", _unknown)
    monkeypatch.chdir(here.folder)
    check(line, here.words(line), WORKED | REFUSED)

    assert not (here.folder / "~").exists()


@pytest.mark.parametrize("line", COMMANDS)
def test_home_is_a_file(here: Here, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """A HOME that is a file is one sentence, and the file is kept."""
    home = here.folder / "home"
    home.write_text("kept")
    for name in os.environ:
        if name.startswith("XDG_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    check(line, here.words(line), WORKED | REFUSED)

    assert "kept" == home.read_text()


@pytest.mark.parametrize("content", ["store = [", "nonsense = 1", "store = 5", b"\xff", None])
@pytest.mark.parametrize("line", COMMANDS)
def test_config_file(
    here: Here, monkeypatch: pytest.MonkeyPatch, line: str, content: str | bytes | None
) -> None:
    """A config file that cannot be used is one sentence in each command that reads it."""
    file = here.folder / "config.toml"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    monkeypatch.setenv("SCANNER_CONFIG", str(file))
    check(line, here.words(line), WORKED | REFUSED)


@pytest.mark.parametrize("line", COMMANDS)
def test_current_folder_is_gone(here: Here, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """A shell in a folder that was deleted gets a sentence, or the work."""
    gone = here.folder / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    check(line, here.words(line), WORKED | REFUSED)


@pytest.mark.parametrize("fault", ["folder", "parent is a file", "no parent", "full", "loop"])
@pytest.mark.parametrize("line", [*with_option("--output"), "store backup"])
def test_output(here: Here, line: str, fault: str) -> None:
    """An output that cannot be written is one sentence, and nothing is replaced."""
    file = here.folder / "out" / "file"
    file.parent.mkdir()
    match fault:
        case "folder":
            (file / "kept").mkdir(parents=True)
        case "parent is a file":
            file.parent.rmdir()
            file.parent.write_text("kept")
        case "no parent":
            file = here.folder / "nothing" / "file"
        case "full":
            file = Path("/dev/full")
        case "loop":
            file.symlink_to(file)
    before, device = content(file.parent) if fault != "full" else None, file.is_char_device()
    if line == "store backup":
        words = ["store", "backup", str(file), "--store", str(here.store)]
    else:
        named = ("--store", here.store) if line in with_option("--store") else ()
        words = here.words(line, "--output", file, *named)
    check(line, words, {FAILED, USAGE})

    assert device == file.is_char_device()
    if fault != "full":
        assert before == content(file.parent)
