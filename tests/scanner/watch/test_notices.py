"""When new findings are sent, and what is in a message."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scanner.watch.notices import Bundle, Notices, to_json, to_text
from storage.reads.verdicts import VerdictRow
from storage.records import Finding, ListedImage, Outcome, Plan, Timings, Verdict
from storage.writes import listing, results, scans

if TYPE_CHECKING:
    from storage.database.store import Store
    from storage.writes.scans import Scan

TAG = Finding("provenance", "generator_tag", 0.98, "tag", {"generator": "ComfyUI"})


def scan_in(store: Store) -> Scan:
    """Begin a scan."""
    collection = scans.ensure_collection(store, "photos", b"/photos")
    plan = scans.ensure_plan(store, Plan((), rules=1))
    results.record_host(store, results.Host("h1", "pi4", "aarch64", {}))
    return scans.new_scan(store, collection, plan, "fleet")


def find(store: Store, scan: Scan, *names: bytes) -> None:
    """Judge images as AI-generated."""
    batch = listing.add_batch(store, scan, [ListedImage(name, 1, 1) for name in names], None)
    assert batch is not None
    begun = results.begin_run(store, batch.batch_id, 1, ("h1", "w"))
    assert begun is not None
    results.record_verdicts(store, begun[0], [verdict(one.image_id) for one in batch.images])


def verdict(image_id: int) -> Verdict:
    """Return a verdict by a generator's tag."""
    return Verdict(
        image_id, Outcome.AI, 0.98, "provenance", False, (TAG,), None, None, Timings(1, 1, 1)
    )


def test_sent_together_and_once(store: Store, tmp_path: Path) -> None:
    """Findings are sent together after a quiet period, each once, also after a restart."""
    scan = scan_in(store)
    find(store, scan, b"known.png")
    sent: list[list[bytes]] = []

    def send(bundle: Bundle) -> bool:
        sent.append(sorted(row.path for row in bundle.rows))
        return True

    notices = Notices(store, scan, "webhook", 60, send).remember(tmp_path)
    notices.step(0)
    find(store, scan, b"a.png")
    notices.step(10)
    find(store, scan, b"b.png")
    for now in (20, 69, 79):
        notices.step(now)
    before = list(sent)
    notices.step(80)
    find(store, scan, b"c.png")
    again = Notices(store, scan, "webhook", 60, send).remember(tmp_path)
    again.step(0)
    again.step(60)

    assert [] == before
    assert [[b"a.png", b"b.png"], [b"c.png"]] == sent


def test_not_for_ever_later(store: Store, tmp_path: Path) -> None:
    """Findings that keep coming are sent after ten periods."""
    scan = scan_in(store)
    sent: list[int] = []
    notices = Notices(store, scan, "mail", 10, lambda bundle: not sent.append(bundle.number))
    notices.remember(tmp_path)
    for now in range(0, 101, 5):
        find(store, scan, b"%d.png" % now)
        notices.step(now)

    assert [21] == sent


def test_failure_is_tried_again_with_what_came(store: Store, tmp_path: Path) -> None:
    """What could not be sent is sent later, together with what came meanwhile."""
    scan = scan_in(store)
    answers, sent = [False, True], []

    def send(bundle: Bundle) -> bool:
        sent.append(bundle.number)
        return answers.pop(0)

    notices = Notices(store, scan, "mail", 0, send).remember(tmp_path)
    find(store, scan, b"a.png")
    notices.step(0)
    notices.step(1)
    find(store, scan, b"b.png")
    notices.step(10**9)
    notices.step(10**9 + 1)

    assert [1, 2] == sent


def test_nothing_is_sent_while_it_cannot_be_noted(store: Store, tmp_path: Path) -> None:
    """On a full disk a finding waits, and is sent once when there is space again."""
    scan = scan_in(store)
    sent: list[int] = []

    def send(bundle: Bundle) -> bool:
        sent.append(bundle.number)
        return True

    notices = Notices(store, scan, "mail", 0, send).remember(tmp_path)
    kept, notices._file = notices._file, Path("/dev/full")
    find(store, scan, b"a.png")
    with pytest.raises(OSError, match="No space left"):
        notices.step(0)
    notices.step(1)
    before = list(sent)
    notices._file = kept
    notices.step(10**9)
    again = Notices(store, scan, "mail", 0, send).remember(tmp_path)
    again.step(10**9)

    assert [] == before
    assert [1] == sent


def test_message(store: Store) -> None:
    """A message names the images with their reasons; hostile names stay on their line."""
    scan = scan_in(store)
    rows = [VerdictRow(n, b"a\n\x1b[2J%d.png" % n, None, "pi4", verdict(n)) for n in range(30)]
    text = to_text(Bundle(scan, 1030, rows))
    body = to_json(Bundle(scan, 1030, rows))

    assert text.startswith("1,030 images in /photos look AI-generated, the most certain first:\n")
    assert r"  a\n\x1b[2J0.png" + "\n    0.980: tag of ComfyUI\n" in text
    assert "  and 1,010 more\n" in text
    assert "\x1b" not in text
    assert ("findings", "photos", 1030, 30) == (
        body["event"], body["collection"], body["count"], len(body["findings"])
    )  # fmt: skip
    assert "0.980: tag of ComfyUI" == body["findings"][0]["reason"]
