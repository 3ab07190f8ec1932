"""Leases on batches, or parts of them: who is at work on what, by Redis' own clock.

A batch at work has a key that its worker renews and that expires soon after the worker dies; the
batch's number stays in a hash until its work ends in an orderly way. A number in the hash without
a key is a batch that somebody left: the keeper publishes it again. Leases are hints: losing them
costs double work, never rows.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import uuid
from typing import TYPE_CHECKING, Self

import redis

from workers.broker.batch_parts import BatchPart
from workers.log_context import with_log_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from workers.broker.namespace import Namespace

log = logging.getLogger(__name__)

# Seconds until the lease of a worker that died has run out,
LEASE_SECONDS = 20
# and between two renewals: three may fail.
RENEW_SECONDS = 5.0
# A part's name in Redis; an id has one digit less than the largest that a store gives out.
_PART = re.compile(rb"(\d{1,18})(?:\.(\d{1,18}))?")

# Take a free lease, renew our own (asked twice where an answer was lost), take it back where Redis
# lost it; leave it where another one has it.
_HOLD = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('HSET', KEYS[2], ARGV[3], ARGV[1])
return 1
"""
# The number goes before the key: between the two nobody may think that the batch was left.
_RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[2], ARGV[2])
redis.call('DEL', KEYS[1])
return 1
"""


# In one go: a batch that is released between two looks would seem to be left.
_LEFT_BEHIND = """
local left = {}
for _, number in ipairs(redis.call('HKEYS', KEYS[1])) do
    if redis.call('EXISTS', ARGV[1] .. number) == 0 then left[#left + 1] = number end
end
return left
"""


class Watch:
    """When the image at work was begun, and how long one may take."""

    def __init__(self, limit_seconds: float) -> None:
        self._limit = limit_seconds
        self._began: float | None = None

    def begin(self, _image: object = None) -> None:
        """An image is begun, or a wait that is nobody's fault is over."""
        self._began = time.monotonic()

    def pause(self) -> None:
        """No image is at work."""
        self._began = None

    def overrun(self) -> bool:
        """Whether the image at work has had more than its time."""
        began = self._began
        return began is not None and time.monotonic() - began > self._limit


class Lease:
    """A lease on one part, renewed by a thread until it is released, lost or overrun."""

    def __init__(
        self,
        namespace: Namespace,
        part: BatchPart,
        holder: str,
        watch: Watch,
        on_overrun: Callable[[], object],
    ) -> None:
        self._namespace = namespace
        self._part = part
        # Unlike any other, even of a process of the same name and number on another machine.
        self._holder = f"{holder}/{uuid.uuid4().hex}"
        self._watch = watch
        self._on_overrun = on_overrun
        self._ended = threading.Event()
        # A renewal that is on its way when the lease is released would set it up again.
        self._asking = threading.Lock()
        self._thread: threading.Thread | None = None
        self.lost = False

    def acquire(self) -> bool:
        """Whether the part was free and is ours now; renewed from here on."""
        if not self._run(_HOLD, LEASE_SECONDS, self._part.name):
            return False
        renew = with_log_context(self._renew_until_ended)
        self._thread = threading.Thread(target=renew, daemon=True)
        self._thread.start()
        return True

    def release(self) -> None:
        """The work ended in an orderly way: done, or given back."""
        with self._asking:
            self._run(_RELEASE, self._part.name)
            self._ended.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop renewing; a lease that was not released runs out, and the keeper sees it."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _renew_until_ended(self) -> None:
        while not self._ended.wait(RENEW_SECONDS):
            if self._watch.overrun():
                self._on_overrun()
                return
            if self.lost:
                # Somebody else has the part, but an image that hangs here hangs on.
                continue
            try:
                with self._asking:
                    if self._ended.is_set():
                        return
                    renewed = self._run(_HOLD, LEASE_SECONDS, self._part.name)
            except redis.RedisError as error:
                log.warning("the lease could not be renewed: %s", error)
                continue
            self.lost = not renewed

    def _run(self, script: str, *arguments: int | str) -> bool:
        """Run one of the scripts on our two keys; whether it did what it is for."""
        keys = (lease_key(self._namespace, self._part), working_key(self._namespace))
        return bool(self._namespace.client.eval(script, 2, *keys, self._holder, *arguments))


def lease_key(namespace: Namespace, part: BatchPart) -> str:
    """The key that stands while somebody is at work on the part."""
    return namespace.key("lease", part.name)


def working_key(namespace: Namespace) -> str:
    """The hash of all parts at work."""
    return namespace.key("working")


def left_behind(namespace: Namespace) -> list[BatchPart]:
    """The parts whose worker is gone without a word; what is no part's name is passed over."""
    return _parts(
        namespace.client.eval(_LEFT_BEHIND, 1, working_key(namespace), namespace.key("lease", ""))
    )


def unleased(namespace: Namespace, batches: list[int]) -> list[int]:
    """Of these batches, those of which nobody is at work on any part."""
    if not batches:
        return []
    at_work = {part.batch_id for part in _parts(namespace.client.hkeys(working_key(namespace)))}
    return [number for number in batches if number not in at_work]


def second_stages(namespace: Namespace) -> set[int]:
    """The batches that a strong detector is at."""
    parts = _parts(namespace.client.hkeys(working_key(namespace)))
    return {part.batch_id for part in parts if part.is_second_stage}


def forget(namespace: Namespace, part: BatchPart) -> None:
    """Strike a part off the list of those at work."""
    namespace.client.hdel(working_key(namespace), part.name)


def _parts(names: Iterable[bytes | str]) -> list[BatchPart]:
    found = [_PART.fullmatch(name) for name in names if isinstance(name, bytes)]
    return sorted(BatchPart(int(one[1]), int(one[2] or 0)) for one in found if one is not None)
