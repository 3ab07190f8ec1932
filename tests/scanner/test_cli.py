"""The command group: exit codes of errors, and imports that `--help` should not cost."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from scanner import cli
from scanner.commands import serve
from scanner.commands.worker import command as worker
from scanner.error_messages import NO_HOME
from storage.errors import InvalidInput, ScannerError, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (ScannerError("broken"), 1),
        (StoreError("broken"), 1),
        (OSError(28, "broken"), 1),
        (InvalidInput("broken"), 2),
        (StoreUnavailable("broken"), 4),
        (KeyboardInterrupt(), 130),
    ],
)
def test_error_is_a_sentence_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, exit_code: int
) -> None:
    """An error of any package ends a command with one sentence and its exit code."""

    @click.command()
    def command() -> None:
        raise error

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: command)
    done = CliRunner().invoke(cli.cli, ["scan"])

    assert exit_code == done.exit_code
    assert done.stderr == ("interrupted\n" if exit_code == 130 else "Error: broken\n")


@pytest.mark.parametrize(
    ("words", "meant"),
    [(["scna"], "scan"), (["detectors", "lst"], "list"), (["hbu"], "hub")],
)
def test_mistyped_command(words: list[str], meant: str) -> None:
    """A command that does not exist is an error that names what is near."""
    result = CliRunner().invoke(cli.cli, words)

    assert 2 == result.exit_code
    assert "Did you mean" in result.stderr
    assert f"'{meant}'" in result.stderr


def test_help_imports_nothing_large() -> None:
    """The help of every command is there without the libraries that do the work."""
    script = """
import sys
from click.testing import CliRunner
from scanner.cli import COMMANDS, cli
for name in COMMANDS:
    assert CliRunner().invoke(cli, [name, "--help"]).exit_code == 0, name
print({"celery", "redis", "sqlalchemy", "numpy", "PIL", "rich", "starlette"} & set(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "set()\n" == done.stdout


@pytest.mark.parametrize("option", ["--no-rescuer", "--no-keeper"])
def test_former_name_of_an_option(home: object, option: str) -> None:
    """`scanner worker` accepts the names that its options had in 0.1."""
    context = worker.make_context("worker", [option])

    assert not context.params["rescuer"]


@pytest.mark.parametrize("option", ["--second-stage", "--strong"])
@pytest.mark.parametrize("command", [("scan", "."), ("enqueue", "."), ("worker",)])
def test_second_stage_is_refused(home: object, command: tuple[str, ...], option: str) -> None:
    """The options of the second stage, which is gone, are options that do not exist."""
    refused = CliRunner().invoke(cli.cli, [*command, option, "scenes"])

    assert 2 == refused.exit_code
    assert f"No such option '{option}'" in refused.stderr


# `scanner` for a user without an entry in the list of users.
NAMELESS = """
import pwd
def unknown(_): raise KeyError("uid not found")
pwd.getpwuid = pwd.getpwnam = unknown
from scanner.cli import main
main()
"""
NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER")


def _nameless(words: tuple[str, ...], home: str | None) -> tuple[int, str]:
    """Run a command as a user without a name; return its exit code and the last line of stderr."""
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in {"HOME", "SCANNER_CONFIG", *NAMES} and not name.startswith("XDG_")
    } | ({} if home is None else {"HOME": home})
    env["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, "-c", NAMELESS, *words]
    done = subprocess.run(command, env=env, check=False, capture_output=True, text=True, timeout=60)

    assert "Traceback" not in done.stderr
    return done.returncode, (done.stderr.splitlines() or [""])[-1]


@pytest.mark.parametrize(
    "words",
    [
        ("scans",),
        ("scan", "."),
        ("check", __file__),
        ("report", "--store", "~/store.db"),
        ("detectors",),
        ("doctor",),
        ("worker", "install", "--print"),
    ],
    ids=" ".join,
)
def test_user_without_a_home(words: tuple[str, ...]) -> None:
    """A command of a user with neither HOME nor a name is one sentence and exit code 2."""
    assert (2, f"Error: {NO_HOME}") == _nameless(words, None)


def test_home_that_is_a_file(tmp_path: Path) -> None:
    """A command of a user whose HOME is a file says that the config file cannot be read."""
    (tmp_path / "home").touch()
    code, line = _nameless(("scans",), str(tmp_path / "home"))

    assert 2 == code
    assert line.endswith("cannot be read: Not a directory")


def test_user_without_a_name(tmp_path: Path) -> None:
    """A user with a home but no name can scan nothing yet, and cannot be named in a service."""
    code, line = _nameless(("scans",), str(tmp_path))

    assert (1, True) == (code, line.startswith("Error: Store not found"))

    code, line = _nameless(("worker", "install", "--print"), str(tmp_path))

    assert (1, True) == (code, "has no name on this machine" in line)


def test_reviewer_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reviews of a user without a name are those of their number."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)

    def unknown(_: int) -> None:
        raise KeyError("uid not found")

    monkeypatch.setattr("pwd.getpwuid", unknown)

    assert str(os.getuid()) == serve._user()


@pytest.mark.parametrize(
    "words",
    [("report",), ("verdicts",), ("scans",), ("scan", "."), ("store", "upgrade"), ("status",)],
    ids=" ".join,
)
@pytest.mark.usefixtures("home")
def test_store_that_is_a_folder(words: tuple[str, ...], tmp_path: Path) -> None:
    """A folder instead of a store is one sentence, and not something to try again."""
    result = CliRunner().invoke(cli.cli, [*words, "--store", str(tmp_path)])

    assert (1, f"Error: Invalid store '{tmp_path}': expected a file, not a folder\n") == (
        result.exit_code,
        result.stderr,
    )
