"""The files of provenance.zip, compared with labels.csv."""

from __future__ import annotations

import csv
import io
import zipfile
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from workers.provenance import read

if TYPE_CHECKING:
    from pathlib import Path

    from storage.records import Finding

# What the tags that labels.csv lists are known to be, and how many files have them.
GENERATORS_BY_TAGS = {
    "exif:UserComment": ("Stable Diffusion web UI", 9),
    "parameters": ("Stable Diffusion web UI", 1),
    "parameters fooocus_scheme": ("Fooocus", 1),
    "prompt workflow": ("ComfyUI", 12),
    "Dream": ("InvokeAI", 1),
    "invokeai_metadata": ("InvokeAI", 1),
    "sd-metadata Dream": ("InvokeAI", 1),
    "Comment Software Title Description": ("NovelAI", 1),
}
# It hides its settings in the transparency of its pixels, which metadata readers do not see.
STEALTH = "sd-parsers/automatic1111_stealth.png"
# labels.csv has them as unreadable because the library could not read the file itself.
NOT_MANIFESTS = {
    "c2pa-fixtures/sample3.svg",  # a drawing, which scans do not take
    "c2pa-fixtures/tiff_poc.tiff",  # a circle of directories, with no manifest in it
}


@dataclass(frozen=True)
class Sample:
    """A file of the data set: its row in labels.csv and its findings."""

    label: dict[str, str]
    findings: tuple[Finding, ...]

    @property
    def kinds(self) -> list[str]:
        """Return the kinds of its findings."""
        return [finding.kind for finding in self.findings]


@pytest.fixture(scope="module")
def samples(test_data: Path) -> dict[str, Sample]:
    """Return every file of the data set by its path."""
    with zipfile.ZipFile(test_data / "provenance.zip") as archive:
        labels = csv.DictReader(io.StringIO(archive.read("labels.csv").decode()))
        return {row["path"]: Sample(row, read(archive.read(row["path"]))) for row in labels}


@pytest.mark.parametrize("tags", GENERATORS_BY_TAGS)
def test_generators_are_named(samples: dict[str, Sample], tags: str) -> None:
    """The generator of each file with a generator's tags is named."""
    known = [
        s for s in samples.values() if s.label["known_ai"] == "yes" and s.label["tags"] == tags
    ]
    found = Counter(s.findings[0].detail["generator"] for s in known if s.findings)

    generator, count = GENERATORS_BY_TAGS[tags]
    assert {generator: count} == found
    assert ["generator_tag"] * count == [kind for s in known for kind in s.kinds]


def test_all_known_ai_is_ai(samples: dict[str, Sample]) -> None:
    """All files known to be AI-generated score at least 0.9, except the stealth one."""
    missed = {
        path
        for path, sample in samples.items()
        if sample.label["known_ai"] == "yes"
        and not any((finding.score or 0) >= 0.9 for finding in sample.findings)
    }

    assert {STEALTH} == missed


def test_photos_give_no_evidence(samples: dict[str, Sample]) -> None:
    """Files of cameras give no findings, whatever software and comments they have."""
    cameras = [s for s in samples.values() if s.label["known_ai"] == "no"]

    assert 12 == len(cameras)
    assert [] == [finding for sample in cameras for finding in sample.findings]


def test_files_without_manifest(samples: dict[str, Sample]) -> None:
    """Files without a manifest have no finding about one."""
    free = [s for s in samples.values() if s.label["c2pa"] == "none"]

    assert [] == [kind for s in free for kind in s.kinds if kind.startswith("c2pa")]


def test_manifests_are_read_as_labelled(samples: dict[str, Sample]) -> None:
    """Each manifest is reported once, with the program that made it."""
    present = {p: s for p, s in samples.items() if s.label["c2pa"] == "present"}
    found = {path: [f.detail["generator"] for f in s.findings] for path, s in present.items()}

    expected = {path: [sample.label["c2pa_generator"]] for path, sample in present.items()}
    assert expected == found


def test_manifests_are_evidence_where_labelled(samples: dict[str, Sample]) -> None:
    """Only the labelled source types make a manifest evidence."""
    found = {
        path: sample.kinds[0]
        for path, sample in samples.items()
        if sample.label["c2pa"] == "present" and sample.kinds != ["c2pa_other"]
    }

    expected = {
        "gpt-image/11.png": "c2pa_generated",
        "gpt-image/32.png": "c2pa_generated",
        # Photoshop opened a composite; the Firefly image in it is a part of the whole.
        "c2pa-fixtures/ocsp.jpg": "c2pa_edited",
    }
    assert expected == found


def test_remote_and_unreadable_manifests_differ(samples: dict[str, Sample]) -> None:
    """Remote, damaged and missing manifests are told apart."""
    unreadable = {p: s for p, s in samples.items() if s.label["c2pa"] == "unreadable"}
    found = {path: sample.kinds for path, sample in unreadable.items()}

    expected = {
        path: []
        if path in NOT_MANIFESTS
        else ["c2pa_remote" if s.label["c2pa_state"] == "Remote" else "c2pa_unreadable"]
        for path, s in unreadable.items()
    }
    assert expected == found


def test_expired_signer_is_not_tampering(samples: dict[str, Sample]) -> None:
    """ChatGPT's files, invalid to the library, are intact: their signer has expired."""
    (finding,) = samples["gpt-image/11.png"].findings

    assert "expired" == finding.detail["signature"]
    assert finding.detail["from_ingredient"] is True
    assert "signingCredential.expired" in finding.detail["validation"]


@pytest.mark.parametrize(
    "path",
    [
        "c2pa-fixtures/E-sig-CA.jpg",  # a signature that is not of its claim
        "c2pa-fixtures/adobe-20220124-E-clm-CAICAI.jpg",  # a claim that is not its assertions'
    ],
)
def test_changed_manifests_are_invalid(samples: dict[str, Sample], path: str) -> None:
    """A manifest that does not match its own signature is invalid."""
    (finding,) = samples[path].findings

    assert "invalid" == finding.detail["signature"]
