"""Addresses of brokers: what Celery and scanner's own Redis client make of one URL.

    redis://[USER:PASSWORD@]HOST[:PORT][/NUMBER]   a server; rediss:// with TLS
    unix://[USER:PASSWORD@]/PATH[?db=NUMBER]       a socket; or Celery's redis+socket://
    sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…][/NUMBER]?master=NAME
                                                   user and password are the master's; those of the
                                                   Sentinels: sentinel_user=, sentinel_password=

Each may have `prefix=TEXT` in its query, which then begins every key and queue, and those of
servers `no_password=allowed`. A URL is taken apart here only, so that Celery and the client cannot
see different servers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from urllib.parse import SplitResult

INVALID_REDIS_URL = (
    "invalid Redis URL: expected redis://[:PASSWORD@]HOST[:PORT][/NUMBER], or one that begins with "
    "rediss://, unix:/// or sentinel://, with / ? # and @ in the password written as %2F %3F %23 "
    "and %40"
)
LOCALHOST = "127.0.0.1"
SENTINEL_PORT = 26379

_TLS_OPTIONS = {"ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"}
_TLS_CHOICES = {
    "ssl_cert_reqs": ("required", "optional", "none"),
    "ssl_check_hostname": ("true", "false"),
}
_CHOICES = _TLS_CHOICES | {"no_password": ("allowed",)}
# The options of each scheme. Others would reach Celery's constructors as arguments.
_OPTIONS: dict[str, Collection[str]] = {
    "redis": ("no_password", "prefix"),
    "rediss": ("no_password", "prefix", *sorted(_TLS_OPTIONS | _TLS_CHOICES.keys())),
    "unix": ("db", "prefix"),
    "redis+socket": ("prefix", "virtual_host"),
    "sentinel": ("master", "no_password", "prefix", "sentinel_password", "sentinel_user"),
}
# Without what has a meaning in patterns of keys.
_PREFIX = re.compile(r"[\w.:/{}-]{1,100}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{0,9}")
# What separates Celery's addresses of several Sentinels.
_NEXT_SENTINEL = re.compile(r"(?:/[0-9]*)?;sentinel://(?:[^/;@]*@)?")


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """A broker's URL in the forms that Celery and redis-py understand, both with the password.

    `hosts` is empty for a socket. It `is_open` if it has neither a password nor a client's
    certificate, and `allows_open` if the URL says that this is meant. `sentinels` and `master` are
    those of a sentinel:// URL, where `redis_url` has only the credentials and the database's number
    for the master, and `sentinel_login` those for the Sentinels.
    """

    celery_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    hosts: tuple[str, ...]
    is_open: bool = False
    allows_open: bool = False
    prefix: str = ""
    sentinels: tuple[tuple[str, int], ...] = ()
    master: str | None = None
    sentinel_login: Mapping[str, str] = field(default_factory=dict, repr=False)


def parse_address(url: str) -> BrokerAddress:
    """Return the address at a URL. Raise ValueError, which quotes nothing of a password."""
    try:
        parts = urlsplit(one_netloc(url))
    except ValueError:
        raise ValueError(INVALID_REDIS_URL) from None
    if parts.scheme not in _OPTIONS or _is_ambiguous(parts):
        raise ValueError(INVALID_REDIS_URL)
    options = _options(parts)
    prefix = options.pop("prefix", "")
    if prefix and not _PREFIX.fullmatch(prefix):
        raise ValueError("invalid prefix in the broker's URL: expected letters, digits and .:/_-{}")
    allows_open = options.pop("no_password", None) is not None
    address = _make_address(parts, options)
    is_open = bool(address.hosts) and not (parts.password or "ssl_certfile" in options)
    return replace(address, is_open=is_open, allows_open=allows_open, prefix=prefix)


def one_netloc(url: str) -> str:
    """Return a URL in which Celery's `sentinel://A;sentinel://B` is `sentinel://A,B`."""
    return _NEXT_SENTINEL.sub(",", url) if url.startswith("sentinel://") else url


def _is_ambiguous(parts: SplitResult) -> bool:
    """Return whether a password with / ? or # in it may have ended the host's part early."""
    return bool(parts.fragment or (parts.netloc and "@" in parts.path + parts.query))


def _options(parts: SplitResult) -> dict[str, str]:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    known = _OPTIONS[parts.scheme]
    if not options.keys() <= set(known):
        raise ValueError(
            f"invalid Redis URL: unknown option in it, expected one of {', '.join(known)}"
        )
    for name, choices in _CHOICES.items():
        if name in options and options[name].lower() not in choices:
            raise ValueError(f"invalid {name} in the broker's URL: expected {', '.join(choices)}")
    return {name: value.lower() if name in _CHOICES else value for name, value in options.items()}


def _make_address(parts: SplitResult, options: dict[str, str]) -> BrokerAddress:
    if parts.scheme in ("unix", "redis+socket"):
        return _socket(parts, options)
    hosts = _hosts(parts)
    if not _NUMBER.fullmatch(parts.path.removeprefix("/")):
        raise ValueError(INVALID_REDIS_URL)
    if parts.scheme == "sentinel":
        return _sentinel(parts, options, hosts)
    if len(hosts) != 1:
        raise ValueError(INVALID_REDIS_URL)
    if parts.scheme == "rediss":
        # Celery's own default is not to verify the server.
        options.setdefault("ssl_cert_reqs", "required")
    text = urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(options), ""))
    return BrokerAddress(text, text, (hosts[0][0],))


def _socket(parts: SplitResult, options: dict[str, str]) -> BrokerAddress:
    number = options.get("db", options.get("virtual_host", "0")) or "0"
    _, _, host = parts.netloc.rpartition("@")
    if host or parts.path in ("", "/") or not _NUMBER.fullmatch(number):
        raise ValueError("invalid Redis URL: expected unix:///PATH[?db=NUMBER] for a socket")
    location = f"://{parts.netloc}{parts.path}"
    return BrokerAddress(
        f"redis+socket{location}?virtual_host={number}", f"unix{location}?db={number}", ()
    )


def _hosts(parts: SplitResult) -> list[tuple[str, int | None]]:
    """Return the hosts and their ports."""
    hosts = []
    for location in parts.netloc.rpartition("@")[2].split(","):
        try:
            one = urlsplit(f"//{location}")
            hosts.append((one.hostname or LOCALHOST, one.port))
        except ValueError:
            raise ValueError(INVALID_REDIS_URL) from None
    return hosts


def _sentinel(
    parts: SplitResult, options: dict[str, str], hosts: list[tuple[str, int | None]]
) -> BrokerAddress:
    master = options.get("master")
    if not master:
        raise ValueError(
            "invalid Redis URL: expected the name of the Sentinels' master, as in "
            "sentinel://HOST:26379/0?master=NAME"
        )
    credentials, at, locations = parts.netloc.rpartition("@")
    path = parts.path.rstrip("/") or "/0"
    return BrokerAddress(
        ";".join(f"sentinel://{credentials}{at}{each}{path}" for each in locations.split(",")),
        f"redis://{credentials}{at}{LOCALHOST}{path}",
        tuple(host for host, _ in hosts),
        sentinels=tuple((unquote(host), port or SENTINEL_PORT) for host, port in hosts),
        master=master,
        sentinel_login={
            name: options[f"sentinel_{option}"]
            for name, option in (("username", "user"), ("password", "password"))
            if f"sentinel_{option}" in options
        },
    )
