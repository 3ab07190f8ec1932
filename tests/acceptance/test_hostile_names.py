"""Hostile file names through every output: exact in JSON and CSV, harmless on terminal and page.

Newlines, quotes, formulas, escape sequences, marks that reverse the text around them, bytes that
are not UTF-8, names of 255 bytes and paths of 4,096.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    # The types of the fixtures, see conftest.py.
    Cli = Any

END = b".png"
NAMES = [
    b"new\nline" + END,
    b"\r=HYPERLINK(1)" + END,
    b"=1+cmd|' !A1" + END,
    b"@SUM(1),\"quoted\"; 'too'" + END,
    b"-2+3" + END,
    b"\x1b[2J\x1b]0;title\x07\x9b31m" + END,
    b"<script>alert(1)</script><img src=x onerror=alert(1)>" .replace(b"/", b"") + END,
    "photo\u202egnp.exe\u2066\u200f".encode() + END,
    "line\u2028paragraph\u2029\x85".encode() + END,
    b"caf\xe9-\xff\xfe" + END,
    b"\t leading and trailing \x0b" + END + b" " + END,
    b"%s%n{0}{{x}}$(id)`id`;&&|" + END,
    b"x" * (255 - len(END)) + END,
    b"--output" + END,
]  # fmt: skip
# The longest path that the system takes, without the byte that ends it.
LONGEST = 4095
SCAN = ("--detectors", "provenance", "--json")


def deep(root: Path) -> bytes:
    """Return a path below the root with which its own has the length of the longest."""
    left = LONGEST - len(os.fsencode(root)) - 1 - 100
    parts = [b"d" * 199] * (left // 200) + [b"d" * (left % 200), b"e" * (99 - len(END)) + END]
    return b"/".join(filter(None, parts))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write one image under each name."""
    root = tmp_path / "photos"
    root.mkdir()
    file = io.BytesIO()
    Image.new("RGB", (300, 300), "red").save(file, "PNG")
    image = file.getvalue()
    for name in NAMES:
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_bytes(image)
    *folders, last = deep(root).split(b"/")
    # One folder after the other, since no call takes a path of this length.
    opened = os.open(root, os.O_RDONLY)
    for name in folders:
        os.mkdir(name, dir_fd=opened)
        inner = os.open(name, os.O_RDONLY, dir_fd=opened)
        os.close(opened)
        opened = inner
    written = os.open(last, os.O_WRONLY | os.O_CREAT, dir_fd=opened)
    os.write(written, image)
    os.close(written)
    os.close(opened)
    return root


def output(cli: Cli, *arguments: str | Path) -> str:
    """Return what a command prints, with its line ends as they are."""
    command = [sys.executable, "-m", "scanner", *map(str, arguments)]
    done = subprocess.run(command, env=cli.env, stdout=subprocess.PIPE, timeout=150, check=False)
    return done.stdout.decode()


def exact(row: dict[str, str]) -> bytes:
    """Return the path that a row names."""
    named = row.get("path_b64")
    return base64.b64decode(named) if named else row["path"].encode()


def unsafe(text: str) -> Iterator[str]:
    """Yield characters that would move, hide or reverse what a terminal or page shows."""
    for character in text:
        if character != "\n" and unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"}:
            yield character


def test_names_through_every_output(cli: Cli, folder: Path, tmp_path: Path) -> None:
    """Every image has its verdict, and its exact name where programs read it."""
    paths = sorted([*NAMES, deep(folder)])
    scanned = json.loads(cli.run("scan", folder, *SCAN, check=None).stdout)
    rows = [json.loads(line) for line in cli.run("verdicts").stdout.splitlines()]
    tables = {name: output(cli, "verdicts", "--format", name) for name in ("table", "csv")}
    reports = {
        name: output(cli, "report", "--format", name) for name in ("table", "json", "csv", "html")
    }
    redacted = output(cli, "report", "--redact", "--full")

    assert len(paths) == scanned["images"]
    assert paths == sorted(exact(row) for row in rows)
    assert {"no_evidence"} == {row["verdict"] for row in rows}
    for text in (tables["csv"], reports["csv"]):
        read = list(csv.DictReader(io.StringIO(text, newline="")))
        # No name has become a row of its own.
        assert [] == [row for row in read if None in row or None in row.values()]
    assert len(paths) == len(list(csv.DictReader(io.StringIO(tables["csv"], newline=""))))
    for text in (tables["table"], reports["table"], reports["html"], redacted):
        assert [] == list(unsafe(text))
    assert "<script>alert" not in reports["html"]
    assert "<img src=x" not in reports["html"]
    assert json.loads(reports["json"])["images"] == len(paths)


def test_names_through_check(cli: Cli, folder: Path) -> None:
    """`check` prints each on one line, and its exact bytes as JSON."""
    files = [
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)) for name in [*NAMES, deep(folder)]
    ]
    shown = output(cli, "check", *files, "--detectors", "provenance")
    rows = [
        json.loads(line)
        for line in cli.run(
            "check", *files, "--detectors", "provenance", "--json"
        ).stdout.splitlines()
    ]

    assert [os.fsencode(file) for file in files] == [exact(row) for row in rows]
    assert ["no_evidence"] * len(files) == [row["verdict"] for row in rows]
    assert len(files) == sum(not line.startswith(" ") for line in shown.splitlines())
    assert [] == list(unsafe(shown))
