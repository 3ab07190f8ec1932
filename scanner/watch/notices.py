"""Send new findings to a webhook or by e-mail, together once no more have come for a while."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scanner.follow import mail
from scanner.follow.webhook import deliver
from scanner.processes.atomic_write import atomic_write
from scanner.report.formats.row import row_json
from scanner.report.text.why import why
from storage.errors import StoreError
from storage.paths import shown
from storage.private import make_private_folder
from storage.reads.verdicts import images_with, verdict_row
from storage.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Self

    from scanner.follow.mail import MailServer
    from storage.database.store import Store
    from storage.reads.verdicts import VerdictRow
    from storage.writes.scans import Scan

log = logging.getLogger(__name__)

# Seconds between two looks for new findings.
STEP_SECONDS = 2.0
# Findings are sent after so many quiet periods at the latest, though more keep coming.
MAX_PERIODS = 10
# Seconds after a failure; the last one repeatedly.
PAUSES = (60.0, 300.0, 900.0, 3600.0)
# Findings that are named in a message.
NAMED_IN_MAIL = 20
NAMED_IN_WEBHOOK = 200

TEXT = """\
{number} in {folder} {look} AI-generated, the most certain first:

{names}
{more}
These are detections, not proof: look at the images before you act on them.
`scanner report {scan}` has the figures of scan {scan}, `scanner serve` its pages.
"""


@dataclass(frozen=True, slots=True)
class Bundle:
    """New findings: their number, and the most certain ones of them."""

    scan: Scan
    number: int
    rows: Sequence[VerdictRow]


def send_to_webhook(url: str, bundle: Bundle) -> bool:
    """POST new findings as JSON; return whether that succeeded, and log why not."""
    return deliver(url, to_json(bundle))


def to_json(bundle: Bundle) -> dict[str, Any]:
    """Return what a webhook gets."""
    thresholds = bundle.scan.plan.thresholds()
    return {
        "event": "findings",
        "scan": bundle.scan.scan_id,
        "collection": bundle.scan.collection,
        "count": bundle.number,
        "findings": [
            row_json(row) | {"reason": why(row.verdict, thresholds)}
            for row in bundle.rows
            if row.verdict is not None
        ],
    }


def send_by_mail(server: MailServer, bundle: Bundle) -> bool:
    """Send new findings by e-mail; return whether that succeeded, and log why not."""
    images = f"{bundle.number:,} new {'image' if bundle.number == 1 else 'images'}"
    subject = f"scanner: {images} in {shown(bundle.scan.collection.encode())}"
    trouble = mail.send(server, subject, to_text(bundle))
    if trouble:
        log.warning("the mail server %s: %s", server.host, trouble)
    return not trouble


def to_text(bundle: Bundle) -> str:
    """Return the text of an e-mail."""
    thresholds = bundle.scan.plan.thresholds()
    rows = [row for row in bundle.rows[:NAMED_IN_MAIL] if row.verdict is not None]
    names = "\n".join(
        f"  {shown(row.path)}\n    {why(row.verdict, thresholds)}"
        for row in rows
        if row.verdict is not None
    )
    rest = bundle.number - len(rows)
    return TEXT.format(
        number=f"{bundle.number:,} {'image' if bundle.number == 1 else 'images'}",
        look="looks" if bundle.number == 1 else "look",
        folder=shown(bundle.scan.root),
        names=names,
        more=f"\n  and {rest:,} more\n" if rest else "",
        scan=bundle.scan.scan_id,
    )


class _NotSent(Exception):
    """A notice was not sent."""


class Notices(threading.Thread):
    """Sends the new findings of one scan by one way, in a thread of its own.

    What was sent is kept in a file, which is on the disk before it is sent, so that each finding is
    sent once, also after a restart and on a full disk; again only if the process is killed while it
    is sent. What could not be sent is sent later, with what came meanwhile.
    """

    def __init__(
        self, store: Store, scan: Scan, way: str, quiet: float, send: Callable[[Bundle], bool]
    ) -> None:
        super().__init__(name=way, daemon=True)
        self._store = store
        self._scan = scan
        self._quiet = quiet
        self._send = send
        self._stop = threading.Event()
        self._sent: set[int] = set()
        self._file = Path()
        self._waiting: frozenset[int] = frozenset()
        self._first_at = self._last_at = self._retry_at = 0.0
        self._failures = 0

    def remember(self, folder: Path) -> Self:
        """Keep in a folder what was sent; return self.

        At the first start what the scan has found already counts as sent.
        """
        make_private_folder(folder)
        self._file = folder / f"{self._store.identity}-{self._scan.scan_id}-{self.name}.json"
        try:
            self._sent = set(map(int, json.loads(self._file.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError):
            self._sent = set(images_with(self._store, self._scan.scan_id, Outcome.AI))
            with self._replaced(self._sent):
                pass
        return self

    def run(self) -> None:
        """Send until stopped; nothing that goes wrong ends it."""
        while not self._stop.wait(STEP_SECONDS):
            try:
                self.step(time.monotonic())
            except (StoreError, OSError) as error:
                log.warning("new findings are sent later: %s", error)

    def step(self, now: float) -> None:
        """Send what is new, if it is time to."""
        flagged = images_with(self._store, self._scan.scan_id, Outcome.AI)
        # An image that changed and is judged again may be a new finding.
        self._sent &= set(flagged)
        new = [image_id for image_id in flagged if image_id not in self._sent]
        if frozenset(new) != self._waiting:
            self._first_at = self._first_at if self._waiting else now
            self._last_at = now
            self._waiting = frozenset(new)
        is_quiet = now - self._last_at >= self._quiet
        is_late = now - self._first_at >= MAX_PERIODS * self._quiet
        if not new or now < self._retry_at or not (is_quiet or is_late):
            return
        rows = (verdict_row(self._store, self._scan.scan_id, one) for one in new[:NAMED_IN_WEBHOOK])
        bundle = Bundle(self._scan, len(new), [row for row in rows if row is not None])
        # Until it is sent: then nothing is sent while the disk is full.
        self._retry_at = time.monotonic() + PAUSES[min(self._failures, len(PAUSES) - 1)]
        self._failures += 1
        with suppress(_NotSent), self._replaced(self._sent.union(new)):
            if not self._send(bundle):
                raise _NotSent
            self._sent.update(new)
            self._waiting = frozenset()
            self._failures, self._retry_at = 0, 0.0

    @contextmanager
    def _replaced(self, sent: set[int]) -> Iterator[None]:
        """Write what was sent, and put it in the file's place at the end of the context."""
        with atomic_write(self._file) as file:
            file.write(json.dumps(sorted(sent)).encode())
            file.flush()
            os.fsync(file.fileno())
            yield

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Not waited for: a server that does not answer must not hold the end up.
        self._stop.set()
