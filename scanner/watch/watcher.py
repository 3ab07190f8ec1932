"""Watch a folder until stopped: look where something changed, and wait out what is missing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NoReturn

import redis
from kombu.exceptions import OperationalError

from scanner.error_messages import as_scanner_error
from scanner.listing.walk import WalkError
from scanner.watch.changes import Changes, NotTold
from storage.errors import ServiceUnavailable
from workers.sources.source import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scanner.watch.growth import Growth
    from scanner.watch.root import Root

# Seconds between two looks at the least, and how many times as long as the last look took.
STEP_SECONDS = 0.5
STEP_SHARE = 5.0
# Seconds between two attempts while something is missing.
RETRY_SECONDS = 5.0
# Seconds between two looks at everything where the file system does not tell.
POLL_SECONDS = 60.0
# What may pass: the store or the broker does not answer, the folder cannot be read.
_MAY_PASS = (ServiceUnavailable, redis.RedisError, OperationalError, SourceUnavailable)


class Watcher:
    """Looks at a folder again and again."""

    def __init__(
        self,
        root: Root,
        growth: Growth,
        make_changes: Callable[[float | None], Changes],
        say: Callable[[str], object],
        on_step: Callable[[], object],
    ) -> None:
        """Take `on_step`, which is called about twice a second and may raise to end the watch."""
        self._root = root
        self._growth = growth
        self._make_changes = make_changes
        self._say = say
        self._on_step = on_step
        # By what found it: looking, and `on_step`. The end of one is not the end of the other.
        self._troubles = {"look": "", "step": ""}

    def run(self, poll: float | None) -> NoReturn:
        """Watch until `on_step` raises; look at everything every `poll` seconds, if not None."""
        while True:
            while self._is_missing():
                self._step(RETRY_SECONDS)
            try:
                with self._make_changes(poll) as changes:
                    self._follow(changes)
            except NotTold as error:
                poll = POLL_SECONDS
                self._say(f"{error}: looking at everything every {poll:.0f} s instead")

    def _is_missing(self) -> bool:
        trouble = self._root.trouble()
        self._tell("look", f"{trouble}: waiting, and nothing is forgotten" if trouble else "")
        return bool(trouble)

    def _follow(self, changes: Changes) -> None:
        """Look wherever something changed, until another folder is at the root, or none."""
        while not self._root.is_new():
            pause = STEP_SECONDS
            folders = changes.due()
            # After the question: what is due at once was due by then, and is looked at once.
            start = time.monotonic()
            try:
                if folders:
                    look = self._growth.look(folders)
                    changes.looked(folders, start, look.waiting)
                    if look.new or look.changed:
                        self._say(look.text())
                    pause = max(pause, STEP_SHARE * (time.monotonic() - start))
                    self._tell("look", "")
            except WalkError:
                pass  # the root is gone, or is no longer readable: see above
            except _MAY_PASS as error:
                self._tell("look", f"{as_scanner_error(error) or error}: trying again")
                pause = RETRY_SECONDS
            self._step(pause)

    def _step(self, seconds: float) -> None:
        """Wait, and call `on_step` in between."""
        end = time.monotonic() + seconds
        while True:
            try:
                self._on_step()
                self._tell("step", "")
            except _MAY_PASS as error:
                self._tell("step", f"{as_scanner_error(error) or error}: trying again")
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, STEP_SECONDS))

    def _tell(self, source: str, trouble: str) -> None:
        """Say what is missing, once, and that all is there again."""
        before = self._trouble()
        self._troubles[source] = trouble
        now = self._trouble()
        if now != before:
            self._say(now or "all is there again")

    def _trouble(self) -> str:
        return self._troubles["look"] or self._troubles["step"]


def changes_of(root: Path, settle: float) -> Callable[[float | None], Changes]:
    """Return a function for the changes below a root."""
    return lambda poll: Changes(root, settle, poll=poll)
