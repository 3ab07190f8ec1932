"""Verdicts and answers that a scan keeps from earlier scans of the same folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from celery import Celery

from scanner.fleet import producer
from scanner.fleet.producer import ScanRequest, enqueue, open_scan
from scanner.listing.walk import WalkOptions
from storage.reads.progress import count_images
from storage.reads.verdicts import verdict_rows
from storage.records import Batch, Outcome, Plan, Sidecar, Timings, Verdict
from storage.writes import results, reviews, scans
from storage.writes.reviews import Answer

if TYPE_CHECKING:
    from pathlib import Path

    from storage.database.store import Store
    from storage.writes.scans import Scan


@dataclass
class Folder:
    """A folder of images, scanned and judged again and again."""

    store: Store
    request: ScanRequest
    published: list[Batch] = field(default_factory=list)

    def __post_init__(self) -> None:
        results.record_host(self.store, results.Host("h", "pi4", "aarch64", {}))

    def put(self, *names: str, mtime: int = 1) -> None:
        """Create or replace files with a modification time (seconds since the epoch)."""
        for name in names:
            path = self.request.root / f"{name}.jpg"
            path.write_bytes(b"\xff\xd8")
            os.utime(path, (mtime, mtime))

    def delete(self, *names: str) -> None:
        """Delete files."""
        for name in names:
            (self.request.root / f"{name}.jpg").unlink()

    def put_sidecar(self, name: str, content: bytes = b"x", mtime: int = 1) -> None:
        """Create or replace a file next to the images."""
        path = self.request.root / name
        path.write_bytes(content)
        os.utime(path, (mtime, mtime))

    def scan(self, request: ScanRequest | None = None) -> tuple[Scan, set[str]]:
        """Scan the folder and judge what was published; return the scan and these images."""
        self.published.clear()
        request = request or self.request
        opened = open_scan(self.store, request)
        enqueue(self.store, Celery(), opened, request, lambda: None)
        for batch in self.published:
            run = results.begin_run(self.store, batch.batch_id, 1, ("h", "w"))
            assert run is not None
            verdicts = [
                Verdict(
                    image.image_id, Outcome.AI, 0.9, "d", True, (), None, None, Timings(1, 1, 1)
                )
                for image in batch.images
            ]
            results.record_verdicts(self.store, run[0], verdicts)
            results.finish_batch(self.store, run[0])
        judged = {image.path.decode()[:-4] for batch in self.published for image in batch.images}
        return scans.find_scan(self.store, opened.scan.scan_id), judged

    def ids(self, scan: Scan) -> dict[str, int]:
        """Return the ids of a scan's images by name."""
        rows = verdict_rows(self.store, scan.scan_id)
        return {row.path.decode()[:-4]: row.image_id for row in rows}

    def answer(self, scan: Scan, name: str, answer: Answer, reviewer: str = "ann") -> None:
        """Answer for an image of a scan."""
        image_id = self.ids(scan)[name]
        reviews.record_answer(self.store, scan.scan_id, image_id, answer, reviewer)

    def answers(self, scan: Scan) -> dict[str, set[tuple[str, str]]]:
        """Return the current answers of a scan: (reviewer, answer) by name."""
        current = {
            name: {
                (given.reviewer, given.answer.value)
                for given in reviews.list_reviews(self.store, scan.scan_id, image_id)
                if given.is_current
            }
            for name, image_id in self.ids(scan).items()
        }
        return {name: given for name, given in current.items() if given}


@pytest.fixture
def folder(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """Return an empty folder, on each kind of store."""
    root = tmp_path / "photos"
    root.mkdir()
    opened = Folder(store, ScanRequest(root, "photos", Plan(()), "fleet"))
    monkeypatch.setattr(
        producer, "publish", lambda _store, _app, _scan, batch: opened.published.append(batch)
    )
    return opened


def test_sidecars(folder: Folder) -> None:
    """An image is judged again when a sidecar comes, changes or goes; answers about it stay."""
    folder.put("a", "b", "c", "d")
    folder.put_sidecar("d.txt")
    first, _ = folder.scan()
    folder.answer(first, "a", Answer.AI)
    sidecars = {image.path: image.sidecars for image in folder.published[0].images}
    assert {b"d.jpg": (Sidecar(b"d.txt", 1, 10**9),)} == {p: s for p, s in sidecars.items() if s}

    folder.put_sidecar("a.xmp")
    # Older than the image, as if it was copied from elsewhere.
    folder.put_sidecar("b.jpg.json", mtime=0)
    second, judged = folder.scan()
    assert {"a", "b"} == judged
    assert {"a": {("ann", "ai")}} == folder.answers(second)

    folder.put_sidecar("a.xmp", mtime=2)
    folder.put_sidecar("b.jpg.json", b"longer", mtime=0)
    assert {"a", "b"} == folder.scan()[1]
    assert set() == folder.scan()[1]

    folder.request.root.joinpath("a.xmp").unlink()
    folder.request.root.joinpath("d.txt").rename(folder.request.root / "d.jpg.json")
    assert {"a", "d"} == folder.scan()[1]
    assert set() == folder.scan()[1]


def test_unfinished_batches_keep_their_sidecars(folder: Folder) -> None:
    """A batch that is published again has the sidecars that were listed."""
    folder.put("a", "b")
    folder.put_sidecar("b.xmp")
    opened = open_scan(folder.store, folder.request)
    enqueue(folder.store, Celery(), opened, folder.request, lambda: None)
    (published,) = folder.published

    again = results.requeue_batch(folder.store, published.batch_id, failed=False)

    assert (opened.scan.scan_id, published) == again
    assert [0, 1] == [len(image.sidecars) for image in published.images]


def test_ten_scans_judge_only_new_and_changed_files(folder: Folder) -> None:
    """Over ten scans only new and changed files are judged, and every answer persists."""
    ai, not_ai = ("ann", "ai"), ("ann", "not_ai")
    names = set("abcdefghijkl")
    folder.put(*names)
    first, judged = folder.scan()
    assert judged == names

    folder.answer(first, "a", Answer.AI)
    folder.answer(first, "b", Answer.NOT_AI)
    folder.delete("j", "k", "l")
    second, judged = folder.scan()
    assert judged == set()
    assert folder.answers(second) == {"a": {ai}, "b": {not_ai}}

    folder.answer(second, "d", Answer.AI)
    folder.put("e", mtime=2)
    third, judged = folder.scan()
    assert judged == {"e"}

    folder.answer(third, "e", Answer.NOT_AI)
    fourth, judged = folder.scan()
    assert judged == set()
    expected = {"a": {ai}, "b": {not_ai}, "d": {ai}, "e": {not_ai}}
    assert folder.answers(fourth) == expected

    folder.put("new")
    fifth, judged = folder.scan()
    assert judged == {"new"}

    folder.delete("f")
    sixth, judged = folder.scan()
    assert judged == set()
    folder.answer(fifth, "g", Answer.AI)  # on a page of the earlier scan
    folder.answer(sixth, "b", Answer.AI)  # replaces the answer of the first scan

    folder.put("a", mtime=3)
    seventh, judged = folder.scan()
    assert judged == {"a"}
    expected = {"b": {ai}, "d": {ai}, "e": {not_ai}, "g": {ai}}
    assert folder.answers(seventh) == expected

    folder.put("j")  # as it was in the first scan
    eighth, judged = folder.scan()
    assert judged == set()
    assert folder.answers(eighth) == expected

    _, judged = folder.scan()
    assert judged == set()
    folder.put("newer")
    tenth, judged = folder.scan()
    assert judged == {"newer"}
    assert folder.answers(tenth) == expected
    counts = count_images(folder.store, tenth.scan_id)
    assert (counts.images, counts.kept, counts.pending) == (11, 10, 0)


def test_scan_of_few_files_loses_nothing(folder: Folder) -> None:
    """Verdicts and answers survive scans that list only a few of the files, however many."""
    folder.put("a", "b")
    first, _ = folder.scan()
    folder.answer(first, "a", Answer.NOT_AI)
    for number in range(12):
        few = WalkOptions(include=("b.jpg",), exclude=(f"{number}.png",))
        assert (
            folder.scan(ScanRequest(folder.request.root, "photos", Plan(()), "fleet", few))[1]
            == set()
        )
    last, judged = folder.scan()

    assert judged == set()
    assert folder.answers(last) == {"a": {("ann", "not_ai")}}


def test_answers_survive_a_rescan(folder: Folder) -> None:
    """A `--rescan`, and a scan by another plan, judge all, and keep the answers about them."""
    folder.put("a", "b")
    first, _ = folder.scan()
    folder.answer(first, "a", Answer.NOT_AI)
    folder.answer(first, "b", Answer.AI)
    folder.put("b", mtime=2)
    request = ScanRequest(folder.request.root, "photos", Plan(()), "fleet", rescan=True)
    rescan, judged = folder.scan(request)
    last, kept = folder.scan()
    other, by_other = folder.scan(
        ScanRequest(folder.request.root, "photos", Plan((), rules=9), "fleet")
    )

    assert (judged, kept, by_other) == ({"a", "b"}, set(), {"a", "b"})
    assert last.keep_from == rescan.scan_id
    for scan in (rescan, last, other):
        assert folder.answers(scan) == {"a": {("ann", "not_ai")}}


def test_latest_state_of_each_reviewer_is_kept(folder: Folder) -> None:
    """Each reviewer has the answer that they gave, replaced or withdrew last, in any scan."""
    folder.put("a", "b", "c")
    first, _ = folder.scan()
    folder.answer(first, "a", Answer.AI)
    folder.answer(first, "b", Answer.AI)
    folder.answer(first, "c", Answer.AI, "ben")
    second, _ = folder.scan()
    folder.answer(first, "a", Answer.NOT_AI)  # in the earlier scan, after the later one
    folder.answer(second, "a", Answer.CANT_TELL, "ben")
    reviews.withdraw_answer(folder.store, second.scan_id, "ann")
    third, _ = folder.scan()

    assert folder.answers(third) == {
        "a": {("ann", "not_ai"), ("ben", "cant_tell")},
        "c": {("ben", "ai")},
    }
