"""The configuration of a machine that has joined a hub, and the join line that contains it.

The join line is the broker's URL with `scanner+` before it and the rest in its query. With it a
machine may ask to join, and do nothing else; what it is given then (`scanner.fleet.joining`) is
stored in a file that only its user can read.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import platformdirs
from msgspec import json

from scanner.config import APP
from scanner.processes.atomic_write import atomic_write
from storage.errors import ScannerError
from storage.paths import shown
from storage.private import make_private_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = "scanner+"
INVALID_LINE = "not a valid join line: `scanner hub` prints it, and it begins with scanner+redis://"
_STORE_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
# Parameters that are not part of the broker's URL.
_PARAMETERS = ("store", "key", "join", "share", "cert")
# A public key of 32 bytes.
_KEY = re.compile(r"[0-9A-Za-z_-]{43}=")


class JoinError(ScannerError):
    """The join line, or the file with the hub's configuration, cannot be used."""


@dataclass(frozen=True, slots=True)
class HubConfig:
    """A hub as its workers know it: the URL of the broker, and the id and public key of the store.

    `share` is the URL of its file server, and `cert` the PEM of a self-signed certificate. `join`
    is the secret of the join line; a machine that has joined has its id as `machine`, a user of its
    own in the broker's URL, and a `token` for the share. `store_url` is known on the hub's machine
    only.
    """

    broker: str = field(repr=False)
    store: str
    key: str
    join: str | None = field(default=None, repr=False)
    machine: str | None = None
    share: str | None = None
    token: str | None = field(default=None, repr=False)
    cert: str | None = None
    store_url: str | None = field(default=None, repr=False)

    def join_line(self) -> str:
        """Return the argument for `scanner join`."""
        cert = base64.urlsafe_b64encode((self.cert or "").encode()).decode()
        parameters = {
            "store": self.store,
            "key": self.key,
            "join": self.join,
            "share": self.share,
            "cert": cert,
        }
        query = [*_query(self.broker), *((name, v) for name, v in parameters.items() if v)]
        return PREFIX + _with_query(self.broker, query)

    def broker_as(self, user: str, password: str) -> str:
        """Return the broker's URL for another user."""
        parts = urlsplit(self.broker)
        location = f"{user}:{quote(password, safe='')}@{parts.netloc.rpartition('@')[2]}"
        return urlunsplit((parts.scheme, location, parts.path, parts.query, ""))

    def broker_url(self, cert_file: Path | None = None) -> str:
        """Return the broker's URL, with the file of the hub's certificate if it has one.

        The file is that of the saved hub by default.
        """
        if self.cert is None:
            return self.broker
        # The certificate is pinned, so the host's name does not matter.
        file = cert_file or certificate_file()
        tls = [("ssl_ca_certs", str(file)), ("ssl_check_hostname", "false")]
        return _with_query(self.broker, [*_query(self.broker), *tls])


def parse_join_line(line: str) -> HubConfig:
    """Return the hub of a join line; raise JoinError, which does not quote the line."""
    from workers.broker.app import make_redis  # noqa: PLC0415 - 0.2 s that `--help` should not cost

    try:
        # The whole command may have been pasted, with quotes.
        line = line.strip().removeprefix("scanner join").strip(" '\"")
        url = line.removeprefix(PREFIX)
        parameters = {name: value for name, value in _query(url) if name in _PARAMETERS}
        cert = parameters.get("cert")
        hub = HubConfig(
            broker=_with_query(url, [pair for pair in _query(url) if pair[0] not in _PARAMETERS]),
            store=parameters["store"],
            key=parameters["key"],
            join=parameters["join"],
            share=parameters.get("share"),
            cert=None if cert is None else base64.urlsafe_b64decode(cert).decode("ascii"),
        )
        make_redis(hub.broker).close()
        is_share_valid = not hub.share or urlsplit(hub.share).hostname is not None
    except (KeyError, ValueError, binascii.Error):
        raise JoinError(INVALID_LINE) from None
    is_valid = _STORE_ID.fullmatch(hub.store) and _KEY.fullmatch(hub.key) and is_share_valid
    if not (line.startswith(PREFIX) and is_valid):
        raise JoinError(INVALID_LINE)
    return hub


def _query(url: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(url).query)


def _with_query(url: str, query: Sequence[tuple[str, str]]) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(query), ""))


def hub_file() -> Path:
    """Return the path of the configuration of the hub that this machine has joined."""
    return Path(platformdirs.user_config_path(APP)) / "hub.json"


def certificate_file() -> Path:
    """Return the path of the hub's certificate."""
    return hub_file().with_name("hub.pem")


def save_hub(hub: HubConfig) -> Path:
    """Save the hub's configuration in a private file, and return its path."""
    file = hub_file()
    make_private_folder(file.parent)
    if hub.cert is not None:
        write_private(certificate_file(), hub.cert)
    write_private(file, json.format(json.encode(hub), indent=1).decode() + "\n")
    return file


def load_hub() -> HubConfig | None:
    """Return the hub that this machine has joined, if any. Raise JoinError."""
    file = hub_file()
    try:
        return json.decode(file.read_bytes(), type=HubConfig)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JoinError(f"{shown(os.fsencode(file))} cannot be read: {error.strerror}") from error
    except ValueError:
        raise JoinError(
            f"{shown(os.fsencode(file))} is damaged, or of an earlier version: join again with "
            "the hub's join line"
        ) from None


def write_private(file: Path, text: str) -> None:
    """Write a file atomically that only its user can read. Raise OSError."""
    with atomic_write(file) as output:
        output.write(text.encode())
