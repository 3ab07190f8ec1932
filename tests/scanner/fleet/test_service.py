"""The worker as a systemd service."""

from __future__ import annotations

import configparser
import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from scanner.cli import cli
from scanner.fleet.hub_config import HubConfig, save_hub
from scanner.fleet.service import UNIT, Service, ServiceError


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a `systemctl` on the PATH that logs its arguments; return its log."""
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    asked = tmp_path / "asked"
    program.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n[ ! -e {tmp_path}/broken ]\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return asked


@pytest.fixture
def joined(home: Path) -> None:
    """Make this a machine that has joined a hub."""
    save_hub(HubConfig("redis://:secret@hub:6379/0", "s1", "key"))


def parsed(unit: str) -> configparser.ConfigParser:
    """Parse the text of a unit."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit)
    return parser


def test_the_unit(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit has the user who called sudo, a memory limit, and waits for the network."""
    monkeypatch.setenv("SUDO_USER", "pi")
    asked = [
        "install",
        "--print",
        "--root",
        "a b=/mnt/100%/$x",
        "--hours",
        "22-7",
        "--name",
        "attic",
        "--cool",
    ]
    done = CliRunner().invoke(cli, ["worker", *asked])
    unit = parsed(done.output)
    service = unit["Service"]

    assert 0 == done.exit_code
    assert ("pi", "on-failure", "80%") == (
        service["User"],
        service["Restart"],
        service["MemoryMax"],
    )
    words = shlex.split(service["ExecStart"].replace("%%", "%").replace("$$", "$"))
    assert [sys.executable, "-m", "scanner", "worker"] == words[:4]
    assert ["--root", "a b=/mnt/100%/$x", "--name", "attic"] == words[4:8]
    assert ["--hours", "22:00-07:00", "--cool"] == words[8:]
    assert "network-online.target" == unit["Unit"]["After"]
    assert "multi-user.target" == unit["Install"]["WantedBy"]


@pytest.mark.usefixtures("joined")
def test_installed_and_removed(home: Path, systemctl: Path) -> None:
    """A user's service is written, enabled and started, and removed again."""
    service = Service((), for_user=True)
    done = CliRunner().invoke(cli, ["worker", "install", "--user"])
    text = service.file.read_text()
    gone = CliRunner().invoke(cli, ["worker", "uninstall", "--user"])

    assert (0, 0) == (done.exit_code, gone.exit_code)
    assert home in service.file.parents
    assert "User=" not in text
    assert "WantedBy=default.target" in text
    assert not service.file.exists()
    assert [
        "--user daemon-reload",
        f"--user enable {UNIT}",
        f"--user restart {UNIT}",
        f"--user disable --now {UNIT}",
        "--user daemon-reload",
    ] == systemctl.read_text().splitlines()


@pytest.mark.usefixtures("joined")
def test_systemctl_fails(systemctl: Path) -> None:
    """A failure of systemctl is one sentence, and leaves what was there before."""
    file = Service((), for_user=True).file
    (systemctl.parent / "broken").touch()
    done = CliRunner().invoke(cli, ["worker", "install", "--user"])

    assert 1 == done.exit_code
    assert "systemctl daemon-reload failed" in done.output
    assert not file.exists()

    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("[Unit]\n")
    CliRunner().invoke(cli, ["worker", "install", "--user"])
    assert "[Unit]\n" == file.read_text()


def test_install_before_join(home: Path, systemctl: Path) -> None:
    """A machine that has not joined a hub gets no service."""
    done = CliRunner().invoke(cli, ["worker", "install", "--user"])

    assert 1 == done.exit_code
    assert f"there is no hub in {home}" in done.output
    assert "join one first" in done.output
    assert not Service((), for_user=True).file.exists()
    assert not systemctl.exists()


@pytest.mark.usefixtures("joined")
def test_no_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without systemd the error names --print."""
    monkeypatch.setenv("PATH", "/nowhere")
    done = CliRunner().invoke(cli, ["worker", "install", "--user"])

    assert 1 == done.exit_code
    assert "--print shows the unit" in done.output


def test_no_secret_in_a_unit(home: Path) -> None:
    """A unit, which all users can read, has no passwords, and absolute folders."""
    secret = ["install", "--print", "--root", "photos=sftp://pi:s3cret@nas/photos"]
    refused = CliRunner().invoke(cli, ["worker", *secret])
    relative = CliRunner().invoke(cli, ["worker", "install", "--print", "--root", "photos=pics"])

    assert 2 == refused.exit_code
    assert "s3cret" not in refused.output
    assert f"photos={Path.cwd()}/pics" in relative.output


def test_nothing_to_remove(home: Path, systemctl: Path) -> None:
    """Removing a service that is not installed is an error."""
    assert 1 == CliRunner().invoke(cli, ["worker", "uninstall", "--user"]).exit_code


def test_option_with_a_line_break() -> None:
    """An option cannot add lines to the unit."""
    with pytest.raises(ServiceError):
        Service(("--root", "a=/b\nExecStartPre=/bin/evil")).unit()


def test_watch_as_a_service(home: Path, systemctl: Path, tmp_path: Path) -> None:
    """The unit of a watch has the options that were typed, and is installed and removed."""
    folder = tmp_path / "my photos 100%"
    folder.mkdir()
    asked = ["watch", "--settle", "30", str(folder), "--exclude", "raw/**", "--user"]
    printed = CliRunner().invoke(cli, [*asked, "--print-unit"])
    done = CliRunner().invoke(cli, [*asked, "--install"])
    file = home / ".config" / "systemd" / "user" / "scanner-watch-my_20_photos_20_100_25_.service"
    text = file.read_text()
    gone = CliRunner().invoke(cli, [*asked, "--uninstall"])
    unit = parsed(text)

    assert (0, 0, 0) == (printed.exit_code, done.exit_code, gone.exit_code)
    assert printed.output == text
    assert not file.exists()
    words = shlex.split(unit["Service"]["ExecStart"].replace("%%", "%").replace("$$", "$"))
    assert [sys.executable, "-m", "scanner", *asked[:-1]] == words
    assert str(Path.cwd()) == unit["Service"]["WorkingDirectory"]
    assert "WatchdogSec" not in unit["Service"]
    assert f"--user disable --now {file.name}" in systemctl.read_text().splitlines()


@pytest.mark.parametrize("option", ["--webhook=https://x.org/s3cret", "--broker=redis://:s3cret@h"])
def test_no_url_in_the_unit_of_a_watch(home: Path, tmp_path: Path, option: str) -> None:
    """A URL, which may be or have a secret, is refused."""
    done = CliRunner().invoke(cli, ["watch", str(tmp_path), option, "--print-unit"])

    assert 1 == done.exit_code
    assert "put it into the config file" in done.output
    assert "s3cret" not in done.output
