"""File names as evidence: those that generators give, and none of photographs."""

from __future__ import annotations

import csv
import os
import unicodedata
from pathlib import Path

import pytest

from storage.records import Finding
from workers.provenance import file_names
from workers.provenance.file_names import PATTERNS, finding, match

HERE = Path(__file__).parent
with (HERE / "generated_names.csv").open(encoding="utf-8") as _table:
    GENERATED = [(row["generator"], row["name"]) for row in csv.DictReader(_table)]
# Of cameras, phones, scanners, screenshot tools, editors, messengers, websites, stock sites, and
# of people, who share words with generators.
PHOTOGRAPHS = (HERE / "photograph_names.txt").read_text(encoding="utf-8").splitlines()

FULLWIDTH_COPY = "\N{FULLWIDTH LEFT PARENTHESIS}3\N{FULLWIDTH RIGHT PARENTHESIS}"


def generator(name: str) -> str | None:
    """Return the generator whose pattern a name follows."""
    found = match(name)
    return None if found is None else found.generator


@pytest.mark.parametrize(("expected", "name"), GENERATED)
def test_generators_name(expected: str, name: str) -> None:
    """A name that a generator gives is recognised, in either form of its accents, and copied."""
    stem, _, extension = name.rpartition(".")

    assert expected == generator(name)
    assert expected == generator(unicodedata.normalize("NFD", name))
    for mark in (" (3)", FULLWIDTH_COPY, " copy", " copy 2", " - Kopie (2)", "~2"):
        assert expected == generator(f"{stem}{mark}.{extension}")


def test_every_pattern_has_an_example() -> None:
    """No pattern is without a name that follows it."""
    followed = {found.shape for _, name in GENERATED if (found := match(name)) is not None}

    assert {pattern.shape for pattern in PATTERNS} == followed


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_name(name: str) -> None:
    """A name that a camera or a program gives to a photograph follows no pattern, copied or not."""
    stem, dot, extension = name.rpartition(".")

    assert generator(name) is None
    assert generator(f"{stem} (1){dot}{extension}") is None
    assert generator(f"Copy of {name}") is None
    assert generator(name.replace(" ", "_")) is None


def test_finding_in_words() -> None:
    """The finding names the generator and the pattern, and not the file."""
    path = b"a folder/ChatGPT Image Mar 28, 2025, 10_12_33 AM.png"

    assert finding(path) == Finding(
        "file_names",
        "file_name",
        0.5,
        "The file's name follows ChatGPT's pattern: “ChatGPT Image …”.",
        {"generator": "ChatGPT"},
    )


@pytest.mark.parametrize(
    "path",
    [
        b"ComfyUI_00001_/IMG_1234.jpg",
        b"Gemini_Generated_Image_abc/a.png",
        b"ChatGPT Image 2025/DSC_0001.JPG",
        b"photos/\xff\xfe\x00.png",
        b"",
        b"/",
        os.fsencode("x" * 5_000 + ".png"),
    ],
)
def test_no_finding(path: bytes) -> None:
    """Folders are no evidence, and any bytes may be a name."""
    assert finding(path) is None


def test_name_that_is_not_utf_8() -> None:
    """A name with bytes of another encoding is compared, too."""
    assert finding(b"Gemini_Generated_Image_abc\xe9.png") is not None


def test_numbers_count_in_lossless_files_alone() -> None:
    """The web UI's numbers count in the formats that it saves: cameras number JPEGs alike."""
    names = ["00012-1234567890.png", "00012-1234567890.webp", "00012-1234567890.jpg"]

    assert ["Stable Diffusion web UI"] * 2 + [None] == list(map(generator, names))


def test_only_the_beginning_of_a_long_name_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of any length takes no longer than one of the maximum."""
    seen = []
    monkeypatch.setattr(file_names, "_SPACES", _Recorder(seen))
    match("a_" * 100_000)

    assert [file_names.MAX_CHARACTERS] == seen


class _Recorder:
    """Notes the lengths of texts in place of an expression."""

    def __init__(self, seen: list[int]) -> None:
        self._seen = seen

    def sub(self, _new: str, text: str) -> str:
        """Note the length of a text, and return it."""
        self._seen.append(len(text))
        return text
