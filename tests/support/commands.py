"""Every command of Click's tree with what it needs to run, for tests that try all of them.

Which faults apply to a command follows from its options. So a new command is tried without a change
here, unless it has a required parameter of a new name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.testing import CliRunner

from scanner.cli import cli
from scanner.exits import FAILED, INCOMPLETE, UNAVAILABLE
from scanner.fleet.hub_config import HubConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USAGE = 2  # Click's exit code for wrong usage
# The exit codes of a command that cannot do its work.
REFUSED = {FAILED, USAGE, UNAVAILABLE}
WORKED = {0, INCOMPLETE}
PASSWORD = "s3cret-of-the-test"
# No server listens here.
CLOSED = f"redis://:{PASSWORD}@127.0.0.1:1/0"


def _commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))
            if not command.invoke_without_command:
                continue
        yield " ".join((*path, name)), command


COMMANDS = dict(_commands(cli))


def with_option(*names: str) -> list[str]:
    """Return the commands that have one of the options."""
    return [
        line
        for line, command in COMMANDS.items()
        if any(set(names) & set(parameter.opts) for parameter in command.params)
    ]


class Here:
    """The folder of one test, and the values of required parameters by their names."""

    def __init__(self, folder: Path, samples: Path) -> None:
        self.folder = folder
        self.store = folder / "store.db"
        model = folder / "model.onnx"
        model.write_bytes(b"not a model")
        line = HubConfig(CLOSED, "s1", "A" * 43 + "=", join="line").join_line()
        self.values = {
            "classes": "real,ai",
            "data": samples,
            "file": model,
            "files": samples / "photo.jpg",
            "folder": samples,
            "host": "pi",
            "images": samples,
            "letter": "1",
            "line": line,
            "name": "scenes",
            "out": folder / "trained",
            "real": samples,
            "scan_id": "1",
            "url": "http://127.0.0.1:1",
            "user": "ann",
        }

    def words(self, line: str, *options: object) -> list[str]:
        """Return a command's line with a value for each parameter that it requires."""
        command, words = COMMANDS[line], line.split()
        given = {str(option) for option in options}
        for parameter in command.params:
            if not parameter.required or given & set(parameter.opts):
                continue
            value = str(self.values[parameter.name or ""])
            words += (
                [value] if isinstance(parameter, click.Argument) else [parameter.opts[0], value]
            )
        return [*words, *SHORT.get(line, ()), *map(str, options)]


# What keeps a command short, or from changing this machine.
SHORT = {
    "bench": ("--seconds", "0.1", "/dev/null"),
    "cancel": ("--yes",),
    "hub": ("--broker", CLOSED),
    "scans forget": ("--yes",),
    "users add": ("--password-file", "-"),
    "watch": ("--broker", CLOSED),
    "worker": ("--broker", CLOSED),
    "worker install": ("--print",),
    "worker uninstall": ("--user",),
}


def content(path: Path) -> object:
    """Return all that a path has in it, for a comparison; without SQLite's other files."""
    if path.is_symlink():
        return path.readlink()
    if path.is_dir():
        return {one.name: content(one) for one in path.iterdir() if "store.db-" not in one.name}
    return path.read_bytes() if path.is_file() else None


def check(line: str, words: list[str], expected: set[int]) -> None:
    """Run a command; it has to end with an expected exit code, and one sentence on stderr."""
    done = CliRunner().invoke(cli, words)

    assert isinstance(done.exception, SystemExit | None), repr(done.exception)
    assert done.exit_code in expected, done.output
    assert "Traceback" not in done.output
    assert PASSWORD not in done.output
    # These tell their findings on stdout.
    if line in {"doctor", "worker health"} or done.exit_code in WORKED:
        return
    *others, last = done.stderr.splitlines()
    assert last.startswith("Error: "), done.stderr
    assert not [other for other in others if other.startswith("Error: ")], done.stderr
    assert 12 < len(last.removeprefix("Error: ")) < 600
