"""What a worker looks at before it takes work: the hub's version, the clock, where pictures are.

And whether, and how fast, the detectors run here.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from scanner.fleet.self_test import LONGEST_SECONDS, CannotJudge, run_self_test
from scanner.version import own_version
from storage.errors import ScannerError
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


class NotFit(ScannerError):
    """This worker would do harm, or nothing; the message says why, and what to do."""


def preflight(namespace: Namespace, settings: WorkerSettings, say: Callable[[str], object]) -> None:
    """Say what the worker will do. Raises NotFit, and redis.RedisError.

    Waits while the clock differs from the broker's.
    """
    if settings.store_url is None:
        for line in _about_the_hub(read_handshake(namespace)):
            say(line)
    _wait_for_the_clock(namespace, say)
    for line in _about_the_pictures(namespace, settings):
        say(line)


def speed_line() -> str:
    """How fast one of its processes will be, measured now, in words. Raises NotFit."""
    try:
        speed = run_self_test()
    except CannotJudge as error:
        raise NotFit(
            f"The detectors do not run on this machine: {error}; `scanner doctor` may know why"
        ) from error
    if speed is None:
        return f"  each process: too slow to be measured within {LONGEST_SECONDS:.0f} seconds"
    return (
        f"  each process: about {speed.photographs:,.1f} photographs (1600 x 1200) or "
        f"{speed.tiny:,.0f} pictures of 32 x 32 a second, {speed.process_mb} MB of its own"
    )


def _about_the_hub(said: Handshake | None) -> Iterator[str]:
    ours = own_version()
    if said is None:
        yield "the hub does not run just now: what is found waits on its queue"
        return
    if not said.is_compatible:
        raise NotFit(
            f"The hub runs scanner {said.version}, this machine {ours}, and they do not understand "
            "each other: upgrade the older one"
        )
    if said.version != ours:
        yield f"the hub runs scanner {said.version}, this machine {ours}, which fit together"


def _wait_for_the_clock(namespace: Namespace, say: Callable[[str], object]) -> None:
    told = False
    while abs(skew := clock_skew_seconds(namespace)) > MAX_SKEW_SECONDS:
        if not told:
            direction = "ahead of" if skew > 0 else "behind"
            say(
                f"this machine's clock is {abs(skew):,.0f} seconds {direction} the broker's: "
                "waiting until they agree (`timedatectl set-ntp true` sets it by the network)"
            )
            told = True
        time.sleep(CLOCK_PAUSE_SECONDS)
    if told:
        say("the clocks agree")


def _about_the_pictures(namespace: Namespace, settings: WorkerSettings) -> Iterator[str]:
    known = collections_with_fingerprint(namespace)
    for name, place in settings.roots.items():
        yield _proved(namespace, name, place, settings.limits.max_bytes)
    for name in known:
        if name in settings.roots:
            continue
        if settings.share is not None:
            yield f"  {name}: from {settings.share}"
        elif settings.store_url is None:
            yield f"  {name}: {not_mapped(name)}; its batches are left to others"


def _proved(namespace: Namespace, name: str, place: SourceLocation, max_bytes: int) -> str:
    """What is to be said of a mapped collection; NotFit where it is another one."""
    sample = fingerprint_of(namespace, name)
    if not sample:
        return f"  {name}: in {display_name(place)}, looked at when its first batch comes"
    try:
        source = open_source(place, max_bytes)
        try:
            verify_fingerprint(source, sample)
        finally:
            source.close()
    except SourceUnavailable as gone:
        return f"  {name}: {gone}; its batches wait"
    except WrongCollection as error:
        raise NotFit(
            f"{display_name(place)} is not the collection {name}: {error}; give its folder on this "
            f"machine, --root {name}=PATH"
        ) from error
    return f"  {name}: in {display_name(place)}"
