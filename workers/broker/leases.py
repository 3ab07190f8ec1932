"""Leases on parts of batches: which worker is working on what, by Redis' own clock.

A part being worked on has a key that its worker renews and that expires soon after the worker dies.
Its name stays in a hash until the work ends in an orderly way, so a name in the hash without a key
is an orphaned part: the rescuer publishes it again. So is a part whose worker gives it up, or whose
process was killed, at once. Leases are hints: losing one costs double work, never verdicts.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import redis

from workers.broker.batch_parts import BatchPart
from workers.log_context import with_log_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from storage.records import BatchImage
    from workers.broker.namespace import Namespace

log = logging.getLogger(__name__)

LEASE_SECONDS = 20
# Three renewals may fail before a lease expires.
RENEW_SECONDS = 5.0
# A part's name in Redis; 18 digits always fit 64 bits.
_PART_NAME = re.compile(rb"(\d{1,18})(?:\.(\d{1,18}))?")
_IMAGE_ID = re.compile(rb"\d{1,18}")

# Take a free lease, renew one's own, take it again if Redis lost it; leave another worker's.
_ACQUIRE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('HSET', KEYS[2], ARGV[3], ARGV[1])
return 1
"""
# The name is removed before the key, so that the part never looks orphaned.
_RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[2], ARGV[2])
redis.call('DEL', KEYS[1])
return 1
"""
# The key is removed, and the name stays: an orphan.
_ABANDON = """
local holder = redis.call('GET', KEYS[1])
if holder and string.sub(holder, 1, string.len(ARGV[1])) ~= ARGV[1] then return 0 end
redis.call('HSETNX', KEYS[2], ARGV[2], '')
redis.call('DEL', KEYS[1])
return 1
"""
# The image that is to blame is noted. The key stays until the process is dead and its parent gives
# the part up, or it expires: both at once would publish the batch twice.
_BLAME = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('HSET', KEYS[2], ARGV[2], ARGV[3]) end
return 1
"""
# The scripts of workers.
SCRIPTS = (_ACQUIRE, _RELEASE, _ABANDON, _BLAME)
# As one script: a part that is released between two queries would look orphaned.
_ORPHANED = """
local orphaned = {}
local parts = redis.call('HGETALL', KEYS[1])
for i = 1, #parts, 2 do
    if redis.call('EXISTS', ARGV[1] .. parts[i]) == 0 then
        orphaned[#orphaned + 1] = parts[i]
        orphaned[#orphaned + 1] = parts[i + 1]
    end
end
return orphaned
"""


class ImageTimer:
    """The time that the current image has taken, and that since the last progress of any kind."""

    def __init__(self, limit_seconds: float) -> None:
        self._limit = limit_seconds
        self._started: float | None = None
        self._progress_at = time.monotonic()
        self.image_id: int | None = None

    def start(self, image: BatchImage | None = None) -> None:
        """Start the time of an image."""
        self.progress()
        self.image_id = None if image is None else image.image_id
        self._started = self._progress_at

    def stop(self) -> None:
        """Stop: no image is being judged."""
        self.progress()
        self._started = None

    def progress(self) -> None:
        """Note that the work goes on."""
        self._progress_at = time.monotonic()

    def is_overdue(self) -> bool:
        """Return whether the current image has exceeded its limit."""
        started = self._started
        return started is not None and time.monotonic() - started > self._limit

    def is_stalled(self) -> bool:
        """Return whether there was no progress for twice the limit of an image."""
        return time.monotonic() - self._progress_at > 2 * self._limit


class Lease:
    """A lease on a part of a batch, renewed by a thread until it is released or lost.

    The thread also calls `on_overdue` once the timer's image has exceeded its limit, and gives the
    part up then, or when the work makes no progress: whatever it waits for does not answer.
    """

    def __init__(
        self,
        namespace: Namespace,
        part: BatchPart,
        holder: str,
        timer: ImageTimer,
        on_overdue: Callable[[], object],
    ) -> None:
        self._namespace = namespace
        self._part = part
        # Unique even among processes of the same name and number on different machines.
        self._holder = f"{holder}/{uuid.uuid4().hex}"
        self._timer = timer
        self._on_overdue = on_overdue
        self._ended = threading.Event()
        # A renewal concurrent with the release would acquire the lease again.
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.lost = False

    def acquire(self) -> bool:
        """Acquire the lease if it is free and start to renew it. Return whether it was free."""
        if not self._run(_ACQUIRE, LEASE_SECONDS, self._part.name):
            return False
        renew = with_log_context(self._renew_until_ended)
        self._thread = threading.Thread(target=renew, daemon=True)
        self._thread.start()
        return True

    def release(self) -> None:
        """Release the lease: the work is done, or has gone back to the queue."""
        with self._lock:
            self._run(_RELEASE, self._part.name)
            self._ended.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop renewing; a lease that was not released expires, and the rescuer notices."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _renew_until_ended(self) -> None:
        while not self._ended.wait(RENEW_SECONDS):
            if self._timer.is_overdue():
                self._give_up(_BLAME, self._timer.image_id or 0)
                self._on_overdue()
                return
            if self._timer.is_stalled() and not self.lost:
                log.error("no progress: the batch is left to other workers")
                self._give_up(_ABANDON)
                self.lost = True
            if self.lost:
                # Another worker has the part, but an image may still hang here.
                continue
            try:
                with self._lock:
                    if self._ended.is_set():
                        return
                    renewed = self._run(_ACQUIRE, LEASE_SECONDS, self._part.name)
            except redis.RedisError as error:
                log.warning("the lease could not be renewed: %s", error)
                continue
            self.lost = not renewed

    def _give_up(self, script: str, *arguments: int) -> None:
        try:
            with self._lock:
                if not self.lost:
                    self._run(script, self._part.name, *arguments)
        except redis.RedisError as error:
            log.warning("the lease could not be given up, and will expire: %s", error)

    def _run(self, script: str, *arguments: int | str) -> bool:
        """Run a script on the part's two keys and return whether it succeeded.

        By its digest: machines that joined a hub may run no others than those that it has loaded.
        """
        keys = (lease_key(self._namespace, self._part), working_key(self._namespace))
        run = self._namespace.client.register_script(script)
        return bool(run(keys, (self._holder, *arguments)))


def lease_key(namespace: Namespace, part: BatchPart) -> str:
    """Return the key that exists while a worker is working on the part."""
    return namespace.key("lease", part.name)


def working_key(namespace: Namespace) -> str:
    """Return the key of the hash of all parts being worked on."""
    return namespace.key("working")


@dataclass(frozen=True, slots=True, order=True)
class Orphan:
    """A part whose worker died or gave it up, and the image that is to blame for it, or 0."""

    part: BatchPart
    hung_image: int = 0


def orphaned_parts(namespace: Namespace) -> list[Orphan]:
    """Return the parts whose worker died or gave them up, sorted; invalid names are ignored."""
    fields = namespace.client.eval(_ORPHANED, 1, working_key(namespace), namespace.key("lease", ""))
    pairs = zip(fields[::2], fields[1::2], strict=True)
    return sorted(
        Orphan(part, int(value) if _IMAGE_ID.fullmatch(value) else 0)
        for name, value in pairs
        for part in _parts([name])
    )


def abandon(namespace: Namespace, part: BatchPart, holder: str) -> None:
    """Make a part an orphan, unless its lease is held by another process than the holder."""
    keys = (lease_key(namespace, part), working_key(namespace))
    namespace.client.register_script(_ABANDON)(keys, (f"{holder}/", part.name))


def batches_without_lease(namespace: Namespace, batches: list[int]) -> list[int]:
    """Return those of the batches of which no worker is working on any part."""
    if not batches:
        return []
    leased = {part.batch_id for part in _parts(namespace.client.hkeys(working_key(namespace)))}
    return [batch_id for batch_id in batches if batch_id not in leased]


def remove_part(namespace: Namespace, part: BatchPart) -> None:
    """Remove a part from those being worked on."""
    namespace.client.hdel(working_key(namespace), part.name)


def _parts(names: Iterable[bytes | str]) -> list[BatchPart]:
    matches = [_PART_NAME.fullmatch(name) for name in names if isinstance(name, bytes)]
    return sorted(BatchPart(int(match[1]), int(match[2] or 0)) for match in matches if match)
