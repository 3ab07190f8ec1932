"""Checks of a set-up, each with what to do if it fails."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis

from scanner.config import ConfigError, config_file, file_settings, state_dir
from scanner.fleet.broker import (
    KEEPING,
    OPEN_BROKER,
    error_text,
    evicting_policy,
    lacks_password,
    open_broker,
    without_password,
)
from scanner.processes.embedded_broker import EmbeddedServerError, find_program
from storage.database.engine import WORK_ANSWER_S
from storage.database.schema import HEAD
from storage.database.store import Store
from storage.database.upgrade import version
from storage.database.urls import shown_url
from storage.database.urls import store_url as parse_store_url
from storage.errors import ScannerError, StoreError, StoreUnavailable
from storage.paths import shown
from workers.broker.app import make_redis
from workers.broker.dead_letters import read_letters
from workers.confinement.process import missing_means
from workers.detectors import installed
from workers.detectors.card import CardError
from workers.provenance import trust_lists
from workers.provenance.trust_lists import TrustListError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# The first SQLite without the race that can lose commits when two connections checkpoint.
SAFE_SQLITE = (3, 51, 3)
# Free bytes below which the next writes may fail, and below which a long scan's may.
FULL_BYTES = 50 * 10**6
SCARCE_BYTES = 10**9
PACKAGES = ("celery", "kombu", "redis", "sqlalchemy", "pillow", "ai-edge-litert", "c2pa-python")


class Level(StrEnum):
    """How much the result of a check matters."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what was found, and how to fix it."""

    name: str
    level: Level
    result: str
    fix: str = ""


def examine(store_url: str, broker_url: str | None, folder: Path | None) -> Iterator[Check]:
    """Yield the result of every check that applies to this machine."""
    yield _scanner()
    yield _machine()
    yield Check("packages", Level.OK, ", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    yield _imports()
    yield _confinement()
    yield _config()
    yield from _models()
    yield _trust_lists()
    yield _store(store_url)
    yield from _disks(store_url)
    yield _sqlite()
    yield _broker(broker_url)
    yield from _dead_letters(store_url, broker_url)
    yield _embedded()
    if folder is not None:
        yield _folder(folder)


def _scanner() -> Check:
    version = f"{_version('ai-photo-scanner')}, Python {platform.python_version()}"
    return Check("scanner", Level.OK, version)


def _machine() -> Check:
    machine = platform.machine()
    if machine in {"armv6l", "armv7l"}:
        fix = "install a 64-bit system: most of the dependencies have no 32-bit build"
        return Check("machine", Level.WRONG, f"{machine} is a 32-bit system", fix)
    return Check("machine", Level.OK, f"{machine}, {os.cpu_count()} cores")


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _imports() -> Check:
    """Check that `storage`, a name that other distributions use too, is this one's."""
    parents = set()
    for name in ("scanner", "workers", "storage"):
        spec = importlib.util.find_spec(name)
        origin = spec.origin if spec is not None else None
        parents.add(str(Path(origin or "").parent.parent))
    result = f"scanner, workers and storage are imported from {', '.join(sorted(parents))}"
    if len(parents) == 1:
        return Check("imports", Level.OK, result)
    fix = "another distribution has one of these names: install scanner in its own environment"
    return Check("imports", Level.WRONG, result, fix)


def _confinement() -> Check:
    """Check what there is to confine the processes that handle files which may be hostile."""
    missing = missing_means()
    if not missing:
        return Check("confinement", Level.OK, "Landlock and seccomp")
    fix = "have somebody else's models converted, and images that kill workers judged, elsewhere"
    return Check("confinement", Level.NOTE, f"this system has no {' and no '.join(missing)}", fix)


def _config() -> Check:
    try:
        settings = file_settings()
    except ConfigError as error:
        fix = "correct it, or name another in SCANNER_CONFIG"
        return Check("config file", Level.WRONG, str(error), fix)
    keys = ", ".join(settings) or "nothing"
    return Check("config file", Level.OK, f"{shown(os.fsencode(config_file()))} sets {keys}")


def _models() -> Iterator[Check]:
    fix = "install scanner again"
    try:
        cards = installed.installed()
    except CardError as error:
        yield Check("models", Level.WRONG, str(error), fix)
        return
    for problem in installed.troubles():
        yield Check("custom detector", Level.NOTE, problem)
    for name, card in cards.items():
        try:
            card.verify()
        except CardError as error:
            if name not in installed.NAMES:
                fix = f"run `scanner detectors remove {name}`, then add it again"
            yield Check(f"model {name}", Level.WRONG, str(error), fix)
        else:
            yield Check(f"model {name}", Level.OK, f"version {card.version}, checksum verified")


def _trust_lists() -> Check:
    fix = "`scanner detectors trust FILE-or-URL` takes one over"
    try:
        lists = trust_lists.installed().values()
    except TrustListError as error:
        return Check("trust lists", Level.WRONG, str(error), fix)
    names = [
        f"{each.name} of {each.issued or each.installed}"
        for each in lists
        if each.authorities or each.signers
    ]
    if not names:
        return Check("trust lists", Level.NOTE, "no trust list installed", fix)
    return Check("trust lists", Level.OK, ", ".join(names))


def _store(url: str) -> Check:
    try:
        with closing(Store.unchecked(url, WORK_ANSWER_S)) as store:
            schema = version(store.engine)
    except StoreError as error:
        return Check("store", Level.WRONG, str(error), _store_fix(url, error))
    where = shown_url(store.engine.url)
    if schema == HEAD:
        return Check("store", Level.OK, f"{where}, schema {schema}")
    if schema is None:
        is_sqlite = "sqlite" in where
        fix = "the first scan creates it" if is_sqlite else "run `scanner store upgrade`"
        return Check("store", Level.NOTE, f"{where} is empty", fix)
    fix = "upgrade scanner on this machine" if schema > HEAD else "run `scanner store upgrade`"
    return Check("store", Level.WRONG, f"{where} has schema {schema}, expected {HEAD}", fix)


def _store_fix(url: str, error: StoreError) -> str:
    if not isinstance(error, StoreUnavailable):
        return "restore a backup, or name another with --store"
    if "://" in url and not url.startswith("sqlite"):
        return "start it, or name another with --store"
    return "make the file and its folder writable, or name another with --store"


def _disks(url: str) -> Iterator[Check]:
    """Check the room for the store and for this machine's own files, each file system once."""
    wanted = [state_dir()]
    with suppress(StoreError):
        parsed = parse_store_url(url)
        if parsed.drivername == "sqlite":
            wanted.insert(0, Path(parsed.database or "").parent)
    seen = set()
    for folder in wanted:
        existing = next(one for one in (folder, *folder.parents) if one.exists())
        if existing.stat().st_dev not in seen:
            seen.add(existing.stat().st_dev)
            yield _disk(existing)


def _disk(folder: Path) -> Check:
    room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize
    result = f"{free / 1e9:,.1f} GB free for {shown(os.fsencode(folder))}"
    if free < FULL_BYTES:
        return Check("disk", Level.WRONG, f"{result}: it is full", "free some space there")
    # Some file systems have no fixed number of files, and say 0.
    if room.f_files and not room.f_favail:
        return Check("disk", Level.WRONG, f"{result}, but no file more", "remove files there")
    if free < SCARCE_BYTES:
        fix = "free some space: a scan waits while the disk is full, and then gives up"
        return Check("disk", Level.NOTE, result, fix)
    return Check("disk", Level.OK, result)


def _sqlite() -> Check:
    if sqlite3.sqlite_version_info >= SAFE_SQLITE:
        return Check("sqlite", Level.OK, sqlite3.sqlite_version)
    return Check(
        "sqlite",
        Level.NOTE,
        f"{sqlite3.sqlite_version} lacks the checkpoint fix of 3.51.3, which matters to other "
        "programs that write to the store; scanner checkpoints from one connection at a time",
        "do not write to the store with other programs while a scan runs",
    )


def _broker(url: str | None) -> Check:
    if url is None:
        return Check("broker", Level.OK, "none is named: `scanner scan` starts its own")
    where = without_password(url)
    try:
        is_open = lacks_password(url)
        client = make_redis(url)
        info = client.info()
        client.close()
    except redis.exceptions.NoPermissionError:
        result = f"{where}, as a user that may not ask for its version"
        return Check("broker", Level.OK, result)
    except redis.AuthenticationError as error:
        fix = "name the right password in --broker"
        return Check("broker", Level.WRONG, f"{where}: {error_text(error)}", fix)
    except ValueError as error:
        return Check("broker", Level.WRONG, str(error), "correct the URL in --broker")
    except redis.RedisError as error:
        fix = "start a Redis server there, or name another with --broker"
        return Check("broker", Level.WRONG, f"{where}: {error_text(error)}", fix)
    return _running_broker(where, info, is_open=is_open)


def _running_broker(where: str, info: Mapping[str, Any], *, is_open: bool) -> Check:
    result = f"{where}, Redis {info['redis_version']}"
    if policy := evicting_policy(info):
        fix = f"set `maxmemory-policy {KEEPING}` there: it may drop batches, results and pauses"
        return Check(
            "broker", Level.WRONG, f"{result}, which drops keys when it is full ({policy})", fix
        )
    if is_open:
        fix = "set `requirepass` there, and write redis://:PASSWORD@HOST"
        return Check("broker", Level.NOTE, OPEN_BROKER % where, fix)
    # Not CONFIG GET: a Redis server that somebody else runs may forbid it.
    if info.get("aof_enabled"):
        return Check("broker", Level.OK, result)
    fix = "set `appendonly yes` there: a restart then loses no batches (`resume` finds them too)"
    return Check("broker", Level.NOTE, f"{result}, without persistence", fix)


def _dead_letters(store_url: str, broker_url: str | None) -> Iterator[Check]:
    """Check for messages that were put aside; nothing where store or broker is not there."""
    if broker_url is None:
        return
    try:
        with (
            closing(Store.open(store_url, make=False)) as store,
            open_broker(broker_url, store.identity) as broker,
        ):
            letters = read_letters(broker.namespace)
    except ScannerError:
        return
    if letters:
        latest = shown(letters[0].reason.encode())
        text = f"{len(letters)} messages were put aside, the latest: {latest}"
        fix = "`scanner deadletters` lists them, sends them again or drops them"
        yield Check("dead letters", Level.NOTE, text, fix)


def _embedded() -> Check:
    try:
        return Check("embedded broker", Level.OK, str(find_program()))
    except EmbeddedServerError as error:
        return Check("embedded broker", Level.NOTE, "not available", str(error))


def _folder(folder: Path) -> Check:
    name = shown(os.fsencode(folder))
    try:
        with os.scandir(folder) as entries:
            is_empty = next(entries, None) is None
    except OSError as error:
        fix = "check its path and its permissions"
        return Check("folder", Level.WRONG, f"{name} cannot be read: {error.strerror}", fix)
    if is_empty:
        return Check("folder", Level.NOTE, f"{name} is empty", "is its disk mounted?")
    return Check("folder", Level.OK, f"{name} is readable")
