"""A store with a judged scan of a folder of the test's own."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from described_images import jpeg
from PIL import Image

from scanner.cli import cli
from scanner.fleet.producer import ScanRequest, open_listing
from scanner.listing.sidecars import find_sidecars
from storage.asset_paths import without_key
from storage.database.store import Store
from storage.records import ErrorKind, ImageError, ListedImage, Outcome, Plan, Timings, Verdict
from storage.writes import kept, listing, results, reviews, scans
from workers import provenance

if TYPE_CHECKING:
    from click.testing import Result

    from storage.records import Finding
    from storage.writes.reviews import Answer
    from workers.sources.location import LibraryLocation


@dataclass
class Photos:
    """A folder, and a store next to it; `scan` judges each file by what the test says.

    Where there is a library, `scan` lists that instead of the folder.
    """

    root: Path
    file: Path
    library: LibraryLocation | None = None

    def image(self, name: str, size: int = 8) -> Path:
        """Make an image."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        colour = (sum(os.fsencode(name)) * 37 % 256, size, 9)  # no two images are the same
        Image.new("RGB", (size, size), colour).save(path)
        return path

    def described(self, name: str, xmp: str = "", iptc: bytes = b"") -> Path:
        """Make a JPEG with metadata of its own."""
        path = self.root / name
        path.write_bytes(jpeg(xmp, iptc))
        return path

    def scan(self, **outcomes: str) -> int:
        """Record a scan of the files; return how many were judged, not kept.

        `outcomes` has words by the names of files, without what is no letter.
        """
        with closing(Store.open(str(self.file), make=True)) as store:
            results.record_host(store, results.Host("h1", "pi4", "aarch64", {}))
            folder = os.fsencode(self.root if self.library is None else str(self.library))
            scan = scans.new_scan(
                store,
                scans.ensure_collection(store, "photos", folder),
                scans.ensure_plan(store, Plan(())),
                "fleet",
            )
            batch = listing.add_batch(
                store, scan, self._listed(), kept.earlier_scans(store, scan, keeps_verdicts=True)
            )
            scans.mark_listed(store, scan.scan_id, {}, 0)
            if batch is None:
                return 0
            begun = results.begin_run(store, batch.batch_id, batch.attempt, ("h1", "w1"))
            assert begun is not None
            verdicts = [
                _verdict(
                    image.image_id,
                    outcomes.get(_key(image.path), "no_evidence"),
                    self._findings(image.path),
                )
                for image in batch.images
            ]
            results.record_verdicts(
                store, begun[0], [verdict for verdict in verdicts if verdict is not None]
            )
            results.finish_batch(store, begun[0])
            return len(batch.images)

    def answer(self, name: str, answer: Answer, reviewer: str = "ann") -> None:
        """Record a reviewer's answer in the latest scan."""
        with closing(Store.open(str(self.file))) as store:
            scan = scans.find_scan(store)
            with store.read() as connection:
                path = os.fsencode(name)
                image_id = listing._read_ids(connection, scan.collection_id, [path])[path]
            reviews.record_answer(store, scan.scan_id, image_id, answer, reviewer)

    def export(self, *words: str, code: int = 0) -> str:
        """Run `scanner export`; return what it printed."""
        done = self.run(*words)

        assert code == done.exit_code, done.output
        return done.output

    def run(self, *words: str) -> Result:
        """Run `scanner export`."""
        return CliRunner().invoke(cli, ["export", *words, "--store", str(self.file)])

    def sidecars(self) -> list[str]:
        """Return the sidecars in the folder."""
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*.xmp"))

    def _findings(self, path: bytes) -> tuple[Finding, ...]:
        """Return what the metadata of a file in the folder says."""
        file = self.root / os.fsdecode(path)
        return provenance.read(file.read_bytes()) if file.exists() else ()

    def _listed(self) -> list[ListedImage]:
        if self.library is not None:
            files = open_listing(ScanRequest(self.library, "photos", Plan(()), "fleet"))
            return [ListedImage(file.path, file.size_bytes, file.mtime_ns) for file in files]
        return self._in_folder()

    def _in_folder(self) -> list[ListedImage]:
        files = sorted(
            os.fsencode(path)
            for path in self.root.rglob("*")
            if path.is_file() and path.suffix in {".jpg", ".png", ".CR2"}
        )
        sidecars = find_sidecars(files)
        root = os.fsencode(self.root) + b"/"
        return [
            ListedImage(
                file.removeprefix(root),
                Path(os.fsdecode(file)).stat().st_size,
                Path(os.fsdecode(file)).stat().st_mtime_ns,
                sidecars=sidecars[file],
            )
            for file in files
        ]


def _key(path: bytes) -> str:
    plain = os.fsdecode(without_key(path))
    return "".join(character for character in plain if character.isalnum())


def _verdict(image_id: int, word: str, findings: tuple[Finding, ...]) -> Verdict | None:
    if word == "pending":
        return None
    if word == "error":
        return Verdict.of_error(image_id, ImageError(ErrorKind.TRUNCATED, "is cut off"))
    timings = Timings(1, 1, 1)
    return Verdict(
        image_id, Outcome(word), 0.5, "scenes", True, findings, None, b"\x01" * 32, timings
    )


@pytest.fixture
def photos(tmp_path: Path) -> Photos:
    """Return a folder of photographs and a store."""
    (tmp_path / "photos").mkdir()
    return Photos(tmp_path / "photos", tmp_path / "store.db")
