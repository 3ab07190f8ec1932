"""The token of `scanner serve`: where it may come from, and what is said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from scanner.cli import cli
from storage.database.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

TOKEN = "a-token-of-27-characters-ab"


@pytest.fixture(autouse=True)
def store(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a store, and let the server end at once."""
    Store.open(str(home / ".local/share/scanner/store.db")).close()
    monkeypatch.setattr("scanner.web.server.serve", lambda *_: None)


def serve(*words: str, given: str = "", env: str | None = None) -> Result:
    """Run the command on a free port."""
    variables = {"SCANNER_WEB_TOKEN": env} if env else {}
    return CliRunner().invoke(cli, ["serve", "--port", "0", *words], input=given, env=variables)


def test_token_of_a_file(tmp_path: Path) -> None:
    """A token from a file, standard input or the environment is used without a warning."""
    (tmp_path / "token").write_text(f"{TOKEN}\nmore\n")
    for done in (
        serve("--token-file", str(tmp_path / "token")),
        serve("--token-file", "-", given=f"{TOKEN}\n"),
        serve(env=TOKEN),
    ):
        assert 0 == done.exit_code
        assert done.stdout.endswith(f"/?token={TOKEN}\n")
        assert "warning" not in done.stderr


def test_token_in_the_list_of_processes() -> None:
    """A token among the arguments works, and is said to be readable."""
    done = serve("--token", TOKEN)

    assert 0 == done.exit_code
    assert "warning: everyone on this machine can read the token" in done.stderr
    assert TOKEN not in done.stderr


@pytest.mark.parametrize("text", ["", "short", "x" * 201, "\n" + TOKEN])
def test_token_that_is_none(tmp_path: Path, text: str) -> None:
    """A file without a token on its first line is refused in one sentence."""
    (tmp_path / "token").write_text(text)
    done = serve("--token-file", str(tmp_path / "token"))

    assert 2 == done.exit_code
    assert "invalid token: expected 16 to 200 characters" in done.stderr


def test_one_token(tmp_path: Path) -> None:
    """A token and a file exclude each other."""
    (tmp_path / "token").write_text(TOKEN)

    assert 2 == serve("--token", TOKEN, "--token-file", str(tmp_path / "token")).exit_code


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    """The server does not start on a folder that is not there, and names it."""
    done = serve("--root", f"photos={tmp_path}/nowhere")

    assert 0 != done.exit_code
    assert f"invalid --root 'photos={tmp_path}/nowhere'" in done.stderr
