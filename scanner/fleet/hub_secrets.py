"""A hub's secrets, in a private file: those of its own commands, and that of its join line."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct, json

from scanner.fleet.access_list import JOIN
from scanner.fleet.hub_config import parse_join_line, write_private
from storage.errors import ScannerError
from storage.private import make_private_folder

if TYPE_CHECKING:
    from pathlib import Path


class HubError(ScannerError):
    """The hub cannot be started with these options; the message is one sentence."""


class HubSecrets(Struct, frozen=True):
    """The password of commands on the hub's machine, and the secret of the join line.

    Those of earlier versions, which had one for all, are replaced.
    """

    password: str
    join: str = ""


def hub_folder(state_dir: Path) -> Path:
    """Return the folder of the hub's files, which only its user can open. Raise OSError."""
    folder = state_dir / "hub"
    make_private_folder(folder)
    folder.chmod(0o700)
    return folder


def read_secrets(folder: Path) -> HubSecrets:
    """Return the stored secrets, created at the first start. Raise HubError and OSError."""
    file = folder / "secrets.json"
    try:
        stored = json.decode(file.read_bytes(), type=HubSecrets)
    except FileNotFoundError:
        stored = None
    except ValueError as error:
        raise HubError(
            f"{file} is damaged: remove it, and join every machine again with the new line"
        ) from error
    if stored is not None and stored.join:
        return stored
    created = HubSecrets(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
    _write(folder, created)
    return created


def save_line(folder: Path, line: str) -> None:
    """Keep the join line for `new_line`. Raise OSError."""
    write_private(folder / "line", line + "\n")


def new_line(folder: Path) -> str:
    """Change the secret of the join line and return the new one; a running hub notices.

    Raise HubError where no hub has run on this machine, and OSError.
    """
    try:
        hub = parse_join_line((folder / "line").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise HubError("No hub has run on this machine: start one with `scanner hub`") from None
    before, secret = read_secrets(folder), secrets.token_urlsafe(32)
    broker = hub.broker
    if urlsplit(broker).username == JOIN:
        broker = hub.broker_as(JOIN, secret)
    line = replace(hub, broker=broker, join=secret).join_line()
    _write(folder, HubSecrets(before.password, secret))
    save_line(folder, line)
    return line


def _write(folder: Path, stored: HubSecrets) -> None:
    write_private(folder / "secrets.json", json.encode(stored).decode() + "\n")
