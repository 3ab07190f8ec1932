"""The people who may open the pages: names, and passwords as Argon2 hashes, in a file of mode 0600.

In a file of the serving machine and not in the store: a backup of verdicts, or a report from it,
should carry no password.
"""

from __future__ import annotations

import fcntl
import json
import unicodedata
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from msgspec import DecodeError, Struct
from msgspec import json as typed_json

from scanner.processes.atomic_write import atomic_write
from scanner.web.forms import MAX_NAME_CHARACTERS
from storage.errors import InvalidInput, NotFound, ScannerError
from storage.paths import shown
from storage.private import make_private_folder, open_private

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIN_PASSWORD, MAX_PASSWORD = 10, 200
FILE = "users.json"


class AccountsError(ScannerError):
    """The file with the users cannot be read."""


class User(NamedTuple):
    """A user, with the hash of their password."""

    name: str
    password_hash: str


class _File(Struct):
    """The content of the file: hashes by name."""

    users: dict[str, str]


class Accounts:
    """The users in a file; each call sees what it holds then."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._hasher = PasswordHasher()
        # Of no user: a name that does not exist takes as long to refuse as one that does.
        self._nobody = self._hasher.hash("nobody")

    def hashes(self) -> dict[str, str]:
        """Return the hash of each user by name; raise AccountsError."""
        try:
            return typed_json.decode(self._file.read_bytes(), type=_File).users
        except FileNotFoundError:
            return {}
        except (OSError, DecodeError) as error:
            name = shown(bytes(self._file))
            raise AccountsError(
                f"the users in {name} cannot be read ({error}): repair the file, or remove it and "
                "add them again"
            ) from error

    def put(self, name: str, password: str) -> bool:
        """Add a user, or change their password; return whether they are new."""
        name = valid_name(name)
        if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
            raise InvalidInput(
                f"invalid password: expected {MIN_PASSWORD} to {MAX_PASSWORD} characters"
            )
        with self._change() as users:
            is_new = name not in users
            users[name] = self._hasher.hash(_normal(password))
        return is_new

    def remove(self, name: str) -> None:
        """Remove a user; raise NotFound where there is none of this name."""
        with self._change() as users:
            if users.pop(_normal(name), None) is None:
                raise NotFound(f"user not found: {name!r} (`scanner users` lists all)")

    def verified(self, name: str, password: str) -> User | None:
        """Return the user whose password it is, else None."""
        name = _normal(name)
        known = self.hashes().get(name)
        try:
            self._hasher.verify(known or self._nobody, _normal(password[:MAX_PASSWORD]))
        except (VerificationError, InvalidHashError):
            return None
        return None if known is None else User(name, known)

    @contextmanager
    def _change(self) -> Iterator[dict[str, str]]:
        """Yield the users, and write them at the end; one process at a time."""
        try:
            make_private_folder(self._file.parent)
            with open_private(self._file.with_suffix(".lock"), "ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                users = self.hashes()
                yield users
                with atomic_write(self._file) as out:
                    out.write(json.dumps({"users": users}, indent=1).encode())
        except OSError as error:
            name = shown(bytes(self._file))
            raise ScannerError(f"{name} cannot be written: {error.strerror}") from error


def valid_name(name: str) -> str:
    """Return a name in its normal form; raise InvalidInput for one that cannot be shown."""
    name = _normal(name)
    if not 0 < len(name) <= MAX_NAME_CHARACTERS or not name.isprintable() or name != name.strip():
        raise InvalidInput(
            f"invalid name {name!r}: expected 1 to {MAX_NAME_CHARACTERS} printable characters, "
            "without spaces at the ends"
        )
    return name


def _normal(text: str) -> str:
    """Return a text as each keyboard writes it."""
    return unicodedata.normalize("NFC", text)
