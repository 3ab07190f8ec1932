"""What may be wrong with a set-up, each finding with its mend."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import redis

from scanner.config import ConfigError, config_file, file_settings
from scanner.fleet.broker import error_text, without_password
from scanner.processes.embedded_broker import EmbeddedServerError, find_program
from storage.database.engine import shown_url, version
from storage.database.schema import HEAD
from storage.database.store import Store
from storage.errors import StoreError, StoreUnavailable
from storage.paths import shown
from workers.broker.app import make_redis
from workers.detectors import installed
from workers.detectors.card import CardError

if TYPE_CHECKING:
    from collections.abc import Iterator

# The first SQLite without the race that can lose commits when two connections checkpoint.
SAFE_SQLITE = (3, 51, 3)
PACKAGES = ("celery", "kombu", "redis", "sqlalchemy", "pillow", "ai-edge-litert", "c2pa-python")


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Checked:
    """One thing that was looked at: what was found, and what to do about it."""

    what: str
    level: Level
    found: str
    mend: str = ""


def examine(store_url: str, broker_url: str | None, folder: Path | None) -> Iterator[Checked]:
    """Everything that can be looked at on this machine, one finding each."""
    yield from _versions()
    yield _packages_are_ours()
    yield _config()
    yield from _models()
    yield _store(store_url)
    yield _sqlite()
    yield _broker(broker_url)
    yield _embedded()
    if folder is not None:
        yield _folder(folder)


def _versions() -> Iterator[Checked]:
    ours = _version("ai-photo-scanner")
    yield Checked("scanner", Level.OK, f"{ours}, Python {platform.python_version()}")
    found = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    machine = platform.machine()
    if machine in {"armv6l", "armv7l"}:
        mend = "install a 64-bit system: most of what scanner needs has no 32-bit build"
        yield Checked("machine", Level.WRONG, f"{machine} is a 32-bit system", mend)
    else:
        yield Checked("machine", Level.OK, f"{machine}, {os.cpu_count()} cores")
    yield Checked("packages", Level.OK, found)


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _packages_are_ours() -> Checked:
    """`storage` is a name that others use too: say whose was imported."""
    homes = set()
    for name in ("scanner", "workers", "storage"):
        spec = importlib.util.find_spec(name)
        origin = spec.origin if spec is not None else None
        homes.add(str(Path(origin or "").parent.parent))
    where = ", ".join(sorted(homes))
    if len(homes) == 1:
        return Checked("imports", Level.OK, f"scanner, workers and storage are those in {where}")
    mend = "another distribution has one of these names: give scanner an environment of its own"
    return Checked("imports", Level.WRONG, f"scanner, workers and storage come from {where}", mend)


def _config() -> Checked:
    try:
        settings = file_settings()
    except ConfigError as error:
        mend = "correct it, or name another in SCANNER_CONFIG"
        return Checked("config file", Level.WRONG, str(error), mend)
    named = shown(os.fsencode(config_file()))
    found = f"{named} sets {', '.join(settings)}" if settings else f"{named} sets nothing"
    return Checked("config file", Level.OK, found)


def _models() -> Iterator[Checked]:
    mend = "install scanner again"
    try:
        cards = installed.installed()
    except CardError as error:
        yield Checked("models", Level.WRONG, str(error), mend)
        return
    for trouble in installed.troubles():
        yield Checked("added detector", Level.NOTE, trouble)
    for name, card in cards.items():
        try:
            card.verify()
        except CardError as error:
            if name not in installed.NAMES:
                mend = f"run `scanner detectors remove {name}`, then add it again"
            yield Checked(f"model {name}", Level.WRONG, str(error), mend)
        else:
            yield Checked(f"model {name}", Level.OK, f"version {card.version}, checksum right")


def _store(url: str) -> Checked:
    try:
        store = Store.unchecked(url)
        found = version(store.engine)
    except StoreError as error:
        return Checked("store", Level.WRONG, str(error), _mend_of_store(url, error))
    where = shown_url(store.engine.url)
    store.close()
    if found == HEAD:
        return Checked("store", Level.OK, f"{where}, schema {found}")
    if found is None:
        mend = "the first scan makes it" if "sqlite" in where else "run `scanner store upgrade`"
        return Checked("store", Level.NOTE, f"{where} is empty", mend)
    newer = found > HEAD
    mend = "upgrade scanner on this machine" if newer else "run `scanner store upgrade`"
    return Checked("store", Level.WRONG, f"{where} is of schema {found}, ours is {HEAD}", mend)


def _mend_of_store(url: str, error: StoreError) -> str:
    if not isinstance(error, StoreUnavailable):
        return "restore a backup, or name another with --store"
    if "://" in url and not url.startswith("sqlite"):
        return "start it, or name another with --store"
    return "see that the file and its folder can be written, or name another with --store"


def _sqlite() -> Checked:
    found = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info >= SAFE_SQLITE:
        return Checked("sqlite", Level.OK, found)
    return Checked(
        "sqlite",
        Level.NOTE,
        f"{found} is older than 3.51.3, whose fix for checkpoints matters to other programs that "
        "write to the store; scanner itself checkpoints from one connection at a time",
        "do not write to the store with other programs while a scan runs",
    )


def _broker(url: str | None) -> Checked:
    if url is None:
        return Checked("broker", Level.OK, "none is named: `scanner scan` starts its own")
    where = without_password(url)
    mend = "start a Redis there, or name another with --broker"
    try:
        client = make_redis(url)
        info = client.info()
        client.close()
    except redis.AuthenticationError as error:
        mend = "name the right password in --broker"
        return Checked("broker", Level.WRONG, f"{where}: {error_text(error)}", mend)
    except ValueError as error:
        return Checked("broker", Level.WRONG, str(error), "correct the one in --broker")
    except redis.RedisError as error:
        return Checked("broker", Level.WRONG, f"{where}: {error_text(error)}", mend)
    found = f"{where}, Redis {info['redis_version']}"
    # Not CONFIG GET: a Redis that somebody else runs may forbid it.
    if info.get("aof_enabled"):
        return Checked("broker", Level.OK, found)
    mend = "set `appendonly yes` there: a restart then loses no batches (`resume` finds them too)"
    return Checked("broker", Level.NOTE, f"{found}, which keeps nothing on disk", mend)


def _embedded() -> Checked:
    try:
        return Checked("embedded broker", Level.OK, str(find_program()))
    except EmbeddedServerError as error:
        return Checked("embedded broker", Level.NOTE, "none to start", str(error))


def _folder(folder: Path) -> Checked:
    named = shown(os.fsencode(folder))
    try:
        with os.scandir(folder) as entries:
            empty = next(entries, None) is None
    except OSError as error:
        mend = "check its path and its permissions"
        return Checked("folder", Level.WRONG, f"{named} cannot be read: {error.strerror}", mend)
    if empty:
        return Checked("folder", Level.NOTE, f"{named} is empty", "is its disk mounted?")
    return Checked("folder", Level.OK, f"{named} can be read")
