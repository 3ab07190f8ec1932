"""Mistakes of users and failures of the system: one sentence and an exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    # The types of the fixtures, see conftest.py.
    Cli = Any


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Write a file in its own folder; it need not be an image."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"?")
    return folder / "a.jpg"


def shell(cli: Cli, line: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which `scanner` is the command."""
    line = f'scanner() {{ "{sys.executable}" -m scanner "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        env=cli.env | env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hun@s3cret@localhost:notaport/0",
        "redis://:hunt/s3cret@localhost:1/0",
        "redis://:1/s3cret@localhost:1/0",
        "redis://localhost:1/0?foo=s3cret",
        "redis://localhost:1/s3cret",
        "ftp://s3cret",
        "s3cret",
    ],
)
def test_invalid_redis_url(cli: Cli, image: Path, url: str) -> None:
    """An invalid URL is refused without being quoted, by `doctor` too."""
    enqueued = cli.run("enqueue", image.parent, "--broker", url, check=2)
    doctor = cli.run("doctor", "--broker", url, check=1)

    for output in (enqueued.stderr, doctor.stdout):
        assert "invalid Redis URL" in output
        assert "s3cret" not in output
    assert "Traceback" not in enqueued.stderr + doctor.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--include", "[z-a].jpg"),
        ("--exclude", "a//b"),
        ("--detectors", ","),
    ],
)
def test_options_are_checked_before_a_scan_is_recorded(
    cli: Cli, image: Path, home: Path, options: tuple[str, str]
) -> None:
    """An invalid option is a usage error, and nothing is written."""
    done = cli.run("scan", image.parent, *options, check=2)

    assert options[0] in done.stderr
    assert "Traceback" not in done.stderr
    assert [] == list(home.rglob("*"))


def test_file_names_are_escaped(cli: Cli, image: Path) -> None:
    """A name with an escape sequence is printed escaped."""
    evil = image.rename(image.with_name("a\x1b[2J.jpg"))

    assert "\x1b" not in cli.run("scan", evil, check=2).stderr
    assert "\x1b" not in cli.run("doctor", evil, check=1).stdout


def test_state_folder_is_a_file(cli: Cli, image: Path, home: Path) -> None:
    """A state folder that cannot be created is reported in one sentence with its path."""
    (home / ".local").mkdir()
    (home / ".local" / "state").write_text("")
    done = cli.run("scan", image.parent, check=1)

    assert "Traceback" not in done.stderr
    assert f"{home}/.local/state/scanner" in done.stderr


@pytest.mark.parametrize("line", ["scanner scans list --json", "scanner verdicts"])
def test_full_disk(scanned_samples: Cli, line: str) -> None:
    """A full disk is reported in one sentence."""
    full = shell(scanned_samples, f"{line} > /dev/full")

    assert (1, "Error: No space left on device\n") == (full.returncode, full.stderr)


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "--version",
        "scan --help",
        "scans list --json",
        "scans",
        "verdicts",
        "verdicts --format csv",
        "verdicts --format table",
        "report",
        "report --full",
        "report --format json",
        "report --format html",
        "status",
        "review",
        "detectors",
        "detectors show scenes",
        "doctor",
        "check $PHOTO",
        "check $PHOTO --json",
    ],
)
def test_closed_pipe(scanned_samples: Cli, samples: Path, command: str) -> None:
    """A pipe that its reader closes ends a command with 141, without a message."""
    # The reader closes its end before anything is written.
    photo = str(samples / "plain" / "dunes.jpg")
    closed = shell(scanned_samples, f"scanner {command} | exec 0<&-", PHOTO=photo)

    assert (141, "") == (closed.returncode, closed.stderr)


@pytest.mark.parametrize("option", ["--json-lines", "--json", ""])
def test_closed_pipe_of_a_scan(cli: Cli, samples: Path, option: str) -> None:
    """A scan whose output is closed says what is judged, and is resumed by the same command."""
    closed = shell(cli, f'scanner scan "$PHOTOS" {option} | exec 0<&-', PHOTOS=str(samples))
    cli.run("scan", samples, check=3)
    counts = cli.json("report", "--format", "json")["verdicts"]

    assert 141 == closed.returncode
    assert "Traceback" not in closed.stderr
    assert ("run the same command again to resume" in closed.stderr) is (option == "--json-lines")
    assert 0 == counts["pending"]


def test_closed_output(scanned_samples: Cli) -> None:
    """A closed standard output is reported in one sentence."""
    closed = shell(scanned_samples, "scanner verdicts >&-")

    assert 1 == closed.returncode
    assert "Error: Cannot print: standard output is closed\n" == closed.stderr


def test_terminal_that_is_not_utf8(cli: Cli) -> None:
    """Characters that a terminal cannot show are escaped."""
    done = shell(cli, "scanner doctor no-such-folder", PYTHONIOENCODING="latin-1")

    assert "Traceback" not in done.stderr
    assert "\\u2192" in done.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_locked_folder_is_a_finding(cli: Cli, image: Path) -> None:
    """`doctor` reports why it may not read a folder."""
    image.parent.chmod(0)
    done = cli.run("doctor", image.parent, check=1)
    image.parent.chmod(0o700)

    assert "cannot be read: Permission denied" in done.stdout


def test_broker_is_checked_before_a_scan_is_recorded(cli: Cli, image: Path) -> None:
    """A scan whose broker does not answer leaves no unfinished scan behind."""
    done = cli.run("scan", image.parent, "--broker", "redis://127.0.0.1:1/0", check=4)
    scans = cli.run("scans", "--json").stdout

    assert "redis://127.0.0.1:1/0 is not available" in done.stderr
    assert json.loads(scans)["scans"] == []


def test_store_that_is_a_folder(cli: Cli, image: Path) -> None:
    """A folder in place of a store's file is named as such."""
    done = cli.run("scan", image.parent, "--store", image.parent, check=1)

    assert f"Invalid store '{image.parent}': expected a file, not a folder" in done.stderr


def test_scan_that_is_not_a_number(cli: Cli) -> None:
    """A word in place of a scan's number is a usage error."""
    done = cli.run("report", "latest", check=2)

    assert "'latest' is not a valid scan number" in done.stderr
