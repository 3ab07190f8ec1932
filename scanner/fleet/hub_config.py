"""What a machine that has joined a hub knows of it, and the one line that tells it.

The line is the broker's URL with `scanner+` before it, and what else is needed in its query. It
holds the hub's password: so it is kept in a file that only its user can read.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import platformdirs

from scanner.config import APP
from scanner.processes.atomic_write import atomic_write
from storage.errors import ScannerError
from storage.paths import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PREFIX = "scanner+"
NO_JOIN_URL = (
    "this is no line of a hub's: `scanner hub` prints it, and it begins with scanner+redis://"
)
_STORE_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
# What the line holds beside the broker's own query.
_OURS = ("store", "share", "token", "cert")


class JoinError(ScannerError):
    """The line, or the file that was made of it, cannot be used."""


@dataclass(frozen=True, slots=True)
class Hub:
    """A hub as its workers know it.

    `share` is the URL of its files and `token` the word that opens them; `cert` its own
    certificate as PEM, where it has made one. `store_url` is known on the hub's own machine only.
    """

    broker: str
    store: str
    share: str | None = None
    token: str | None = None
    cert: str | None = None
    store_url: str | None = None

    def line(self) -> str:
        """What `scanner join` takes."""
        cert = base64.urlsafe_b64encode((self.cert or "").encode()).decode()
        ours = {"store": self.store, "share": self.share, "token": self.token, "cert": cert}
        query = [*_query(self.broker), *((name, value) for name, value in ours.items() if value)]
        return PREFIX + _with_query(self.broker, query)

    def broker_url(self, cert_file: Path | None = None) -> str:
        """The broker's URL, naming the file with the hub's certificate where there is one.

        That is where a hub that is remembered has it, unless it is named.
        """
        if self.cert is None:
            return self.broker
        # The certificate is the hub's own, whatever name the hub is called by.
        file = cert_file or certificate_file()
        own = [("ssl_ca_certs", str(file)), ("ssl_check_hostname", "false")]
        return _with_query(self.broker, [*_query(self.broker), *own])


def parse_line(line: str) -> Hub:
    """The hub that a line is about; JoinError, which quotes nothing of it, where it is none."""
    from workers.broker.app import make_redis  # noqa: PLC0415 - 0.2 s that `--help` should not cost

    try:
        # As it is pasted: the whole command, quotes and all.
        line = line.strip().removeprefix("scanner join").strip(" '\"")
        url = line.removeprefix(PREFIX)
        ours = {name: value for name, value in _query(url) if name in _OURS}
        cert = ours.get("cert")
        hub = Hub(
            broker=_with_query(url, [pair for pair in _query(url) if pair[0] not in _OURS]),
            store=ours["store"],
            share=ours.get("share"),
            token=ours.get("token"),
            cert=None if cert is None else base64.urlsafe_b64decode(cert).decode("ascii"),
        )
        make_redis(hub.broker).close()
        has_share = not hub.share or urlsplit(hub.share).hostname is not None
    except (KeyError, ValueError, binascii.Error):
        raise JoinError(NO_JOIN_URL) from None
    if not (line.startswith(PREFIX) and _STORE_ID.fullmatch(hub.store) and has_share):
        raise JoinError(NO_JOIN_URL)
    return hub


def _query(url: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(url).query)


def _with_query(url: str, query: Sequence[tuple[str, str]]) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(query), ""))


def joined_file() -> Path:
    """Where the hub that this machine has joined is written down."""
    return Path(platformdirs.user_config_path(APP)) / "hub.json"


def certificate_file() -> Path:
    """Where its certificate lies, if it has one of its own."""
    return joined_file().with_name("hub.pem")


def remember(hub: Hub) -> Path:
    """Write the hub down for `scanner worker`; the file, which only this user can read."""
    file = joined_file()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hub.cert is not None:
        write_private(certificate_file(), hub.cert)
    write_private(file, json.dumps(asdict(hub), indent=1) + "\n")
    return file


def the_hub() -> Hub | None:
    """The hub that this machine has joined; None where it has joined none."""
    file = joined_file()
    try:
        return _hub(json.loads(file.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JoinError(f"{shown(os.fsencode(file))} cannot be read: {error.strerror}") from error
    except (AttributeError, TypeError, ValueError, KeyError):
        raise JoinError(
            f"{shown(os.fsencode(file))} is damaged: join again with the hub's line"
        ) from None


def _hub(raw: Mapping[str, Any]) -> Hub:
    texts = {field.name: raw[field.name] for field in fields(Hub)}
    if not all(value is None or isinstance(value, str) for value in texts.values()):
        raise TypeError("a hub is made of texts")
    return Hub(**texts)


def write_private(file: Path, text: str) -> None:
    """Replace a file's content at once; nobody but its user can ever read it. Raises OSError."""
    with atomic_write(file) as made:
        made.write(text.encode())
