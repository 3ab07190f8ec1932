"""The command group: exit codes of errors, and imports that `--help` should not cost."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from scanner import cli
from scanner.commands.worker import command as worker
from storage.errors import InvalidInput, ScannerError, StoreError, StoreUnavailable


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
    context = worker.make_context("worker", [option, "--strong", "clip"])

    assert not context.params["rescuer"]
    assert "clip" == context.params["second_stage"]
