"""The licences of the packages that scanner installs are those that NOTICE tells of."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PERMISSIVE = re.compile(
    r"\b(0BSD|Apache|BSD|CC0|ISC|MIT|PSFL?|Python Software Foundation|Unlicense|Zlib)\b"
)
# What says so in its files, and not in its metadata.
UNNAMED = {"namex": ["Apache-2.0"]}
# What packages say that names no licence; "dual" is followed by the two.
NO_LICENCE = {"OSI Approved", "DFSG approved", "Dual License"}
# Longer texts of the field `License` are the licence's own, not its name.
NAME_CHARACTERS = 60


def names(lock: str) -> list[str]:
    """Return the packages of a lock file."""
    text = (ROOT / "requirements" / lock).read_text("utf-8")
    return sorted(set(re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==", text, re.MULTILINE)))


def licences(about: metadata.PackageMetadata) -> list[str]:
    """Return the licences that apply to a package, as it names them."""
    named = about.get("License-Expression") or about.get("License") or ""
    classifiers = [
        classifier.rpartition(" :: ")[2]
        for classifier in about.get_all("Classifier") or []
        if classifier.startswith("License ::")
    ]
    together = named.split(" AND ") if 0 < len(named) < NAME_CHARACTERS else []
    named_ones = [each for each in [*together, *classifiers] if each not in NO_LICENCE]
    return named_ones or UNNAMED.get(about["Name"], [])


def is_permissive(about: metadata.PackageMetadata) -> bool:
    """Tell whether each licence of a package, or one of those to choose from, is permissive."""
    found = licences(about)
    return bool(found) and all(PERMISSIVE.search(each) for each in found)


@pytest.mark.parametrize("lock", ["worker.txt", "train.txt"])
def test_notice_names_every_licence_that_is_not_permissive(lock: str) -> None:
    """NOTICE names each package whose licence asks for more than to be named."""
    others = {}
    for name in names(lock):
        try:
            about = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue  # for another system, or of an extra that is not installed
        if not is_permissive(about):
            others[name] = licences(about)

    notice = (ROOT / "NOTICE").read_text("utf-8").partition("\nNo program of another project")[2]
    assert {"certifi", "pi-heif"} <= others.keys()
    unnamed = [name for name in others if name.removesuffix("-binary") not in notice]
    assert not unnamed, others
    assert not re.findall(r"(?<!L)GPL|Affero|[Pp]roprietary", str(others))
