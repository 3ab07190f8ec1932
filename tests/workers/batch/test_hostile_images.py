"""Each file of two public suites of broken and malicious images, judged as a worker judges."""

from __future__ import annotations

import zipfile
from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING

from storage.records import BatchImage, ErrorKind
from workers.batch.sandbox import Sandbox
from workers.detectors import installed
from workers.detectors.card import load_card
from workers.limits import Limits
from workers.pipeline.plan import make_plan
from workers.sources.source import Fetched

if TYPE_CHECKING:
    from pathlib import Path

    from storage.records import Sidecar


class Archive:
    """A source whose files are in a zip."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def fetch(self, path: bytes, _expected_bytes: int | None = None) -> Fetched:
        """Return a file of the archive."""
        data = self._archive.read(path.decode())
        return Fetched(data, sha256(data).digest())

    def fetch_sidecar(self, _image: bytes, _sidecar: Sidecar) -> bytes:
        """Return nothing: no sidecar is listed."""
        return b""


def test_each_has_a_verdict(test_data: Path) -> None:
    """Metadata and pixels of 1,199 files: none crashes, hangs or is a bug, in one process."""
    plan = make_plan({"provenance": load_card(installed.MODELS / "provenance.toml")})
    outcomes: Counter[str] = Counter()
    bad = []
    with zipfile.ZipFile(test_data / "hostile.zip") as archive, Sandbox(plan, Limits()) as sandbox:
        source, processes = Archive(archive), set()
        for number, entry in enumerate(e for e in archive.infolist() if not e.is_dir()):
            image = BatchImage(number, entry.filename.encode(), entry.file_size)
            verdict = sandbox.judge(source, image)
            kind = "decoded" if verdict.error is None else verdict.error.kind
            outcomes[kind] += 1
            processes.add(sandbox._process)
            if kind in {ErrorKind.CRASHED, ErrorKind.TIMEOUT, ErrorKind.INTERNAL}:
                bad.append((kind, entry.filename))

    assert [] == bad
    assert 1199 == outcomes.total()
    assert 1 == len(processes)
    assert outcomes["decoded"] > 600
