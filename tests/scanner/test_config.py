"""The config file: its keys, and when it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from scanner.cli import cli
from scanner.config import ConfigError, FileSettings, file_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of the config file, which does not exist yet."""
    monkeypatch.setenv("SCANNER_CONFIG", str(tmp_path / "config.toml"))
    return tmp_path / "config.toml"


def test_no_file(config: Path) -> None:
    """Without a file nothing is set."""
    assert {} == file_settings()


def test_all_keys(config: Path) -> None:
    """The four documented keys are accepted."""
    config.write_text('store = "s.db"\nbroker = "redis://x"\nroots = ["a=/b"]\nconcurrency = 2\n')

    assert {
        "store": "s.db",
        "broker": "redis://x",
        "roots": ["a=/b"],
        "concurrency": 2,
    } == file_settings()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("stroe = 's.db'", "unknown key 'stroe'"),
        ("rescan = true", "unknown key 'rescan'"),
        ("store = 7", "invalid 'store'"),
        ("roots = 'a=/b'", "expected a list of strings NAME=PATH"),
        ("concurrency = true", "expected a whole number above 0"),
        ("concurrency = 0", "expected a whole number above 0"),
        ("store =", "invalid TOML"),
    ],
)
def test_invalid_file(config: Path, content: str, message: str) -> None:
    """Anything else is an error that names the file and the key."""
    config.write_text(content)
    with pytest.raises(ConfigError) as error:
        file_settings()

    assert str(config) in str(error.value)
    assert message in str(error.value)


def test_help_with_an_invalid_file(config: Path) -> None:
    """`--help` does not read the file, other commands refuse it, `doctor` reports it."""
    config.write_text("stroe = 1")
    helped = CliRunner().invoke(cli, ["scan", "--help"])
    listed = CliRunner().invoke(cli, ["scans", "list"])
    config.write_text('broker = "redis://:s3cret@laptop"')
    with_password = CliRunner().invoke(cli, ["enqueue", "--help"])
    config.write_text("stroe = 1")
    doctor = CliRunner().invoke(cli, ["doctor"])

    assert 0 == helped.exit_code
    assert "s3cret" not in with_password.output
    assert 2 == listed.exit_code
    assert "stroe" in listed.stderr
    assert 1 == doctor.exit_code
    assert "WRONG config file" in doctor.stdout


def test_lenient_settings_are_empty(config: Path) -> None:
    """What `doctor` is given of a broken file is nothing."""
    config.write_text("stroe = 1")

    assert "store" not in FileSettings(lenient=True)
