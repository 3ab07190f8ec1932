"""Checks of a worker before it takes work: hub version, clock, folders, speed of the detectors."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from scanner.fleet.self_test import TIMEOUT_SECONDS, SelfTestError, run_self_test
from scanner.version import own_version
from storage.errors import ScannerError
from storage.text import nearest
from workers.batch.sinks import not_mapped
from workers.broker.collection_fingerprints import collections_with_fingerprint, fingerprint_of
from workers.broker.handshake import MAX_SKEW_SECONDS, Handshake, clock_skew_seconds, read_handshake
from workers.sources.fingerprint import WrongCollection, verify_fingerprint
from workers.sources.location import display_name
from workers.sources.registry import open_source
from workers.sources.source import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workers.broker.namespace import Namespace
    from workers.settings import WorkerSettings
    from workers.sources.location import SourceLocation

CLOCK_PAUSE_SECONDS = 2.0


class PreflightError(ScannerError):
    """This worker must not take work; the message says why and what to do."""


def preflight(namespace: Namespace, settings: WorkerSettings, say: Callable[[str], object]) -> None:
    """Report what the worker will do, one line per call of `say`.

    Wait while the clock differs from the broker's. Raise PreflightError and redis.RedisError.
    """
    if settings.store_url is None:
        for line in _check_version(read_handshake(namespace)):
            say(line)
    _wait_for_clock(namespace, say)
    for line in _check_collections(namespace, settings):
        say(line)


def speed_line() -> str:
    """Measure how fast one process is and return that as a line. Raise PreflightError."""
    try:
        speed = run_self_test()
    except SelfTestError as error:
        raise PreflightError(
            f"The detectors do not run on this machine: {error}; run `scanner doctor` for details"
        ) from error
    if speed is None:
        return f"  each process: too slow to be measured within {TIMEOUT_SECONDS:.0f} seconds"
    return (
        f"  each process: about {speed.photos_per_second:,.1f} photos/s (1600 x 1200) or "
        f"{speed.tiny_per_second:,.0f} images/s (32 x 32), {speed.process_mb} MB of memory"
    )


def _check_version(hub: Handshake | None) -> Iterator[str]:
    version = own_version()
    if hub is None:
        yield "the hub is not running: results wait in its queue"
        return
    if not hub.is_compatible:
        raise PreflightError(
            f"The hub runs scanner {hub.version}, this machine {version}: the versions are "
            "incompatible, upgrade the older one"
        )
    if hub.version != version:
        yield f"the hub runs scanner {hub.version}, this machine {version} (compatible)"


def _wait_for_clock(namespace: Namespace, say: Callable[[str], object]) -> None:
    is_waiting = False
    while abs(skew := clock_skew_seconds(namespace)) > MAX_SKEW_SECONDS:
        if not is_waiting:
            direction = "ahead of" if skew > 0 else "behind"
            say(
                f"this machine's clock is {abs(skew):,.0f} seconds {direction} the broker's: "
                "waiting until they agree (`timedatectl set-ntp true` sets it by the network)"
            )
            is_waiting = True
        time.sleep(CLOCK_PAUSE_SECONDS)
    if is_waiting:
        say("the clocks agree")


def _check_collections(namespace: Namespace, settings: WorkerSettings) -> Iterator[str]:
    known = collections_with_fingerprint(namespace)
    for name, location in settings.roots.items():
        meant = nearest(name, set(known) - settings.roots.keys())
        # Another collection may not be listed yet.
        if name not in known and meant is not None:
            raise PreflightError(f"invalid --root {name}=…: did you mean the collection {meant}?")
        yield _check_collection(namespace, name, location, settings.limits.max_bytes)
    for name in known:
        if name in settings.roots:
            continue
        if settings.share is not None:
            yield f"  {name}: from {settings.share}"
        elif settings.store_url is None:
            yield f"  {name}: {not_mapped(name)}; its batches are left to others"


def _check_collection(
    namespace: Namespace, name: str, location: SourceLocation, max_bytes: int
) -> str:
    """Return a line about a mapped collection; raise PreflightError if the folder is not its."""
    fingerprint = fingerprint_of(namespace, name)
    if not fingerprint:
        return f"  {name}: in {display_name(location)}, checked with its first batch"
    try:
        source = open_source(location, max_bytes)
        try:
            verify_fingerprint(source, fingerprint)
        finally:
            source.close()
    except SourceUnavailable as error:
        return f"  {name}: {error}; its batches wait"
    except WrongCollection as error:
        raise PreflightError(
            f"{display_name(location)} is not the collection {name}: {error}; give its folder "
            f"on this machine with --root {name}=PATH"
        ) from error
    return f"  {name}: in {display_name(location)}"
