"""Exports: their content, and that scripts are safe with any name."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import zipfile
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from scanner.web.pages.export import (
    as_csv,
    as_exiftool,
    as_lines,
    as_move,
    as_nul,
    as_tag,
    as_xmp_zip,
)
from storage.reads.gallery import Tile
from storage.reads.verdicts import verdict_rows
from storage.records import ErrorKind, Outcome
from storage.writes.reviews import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from storage.database.store import Store
    from tests.scanner.web.conftest import Served

NAMES = (
    b"plain.jpg",
    b"-rf.jpg",
    b"a/b/--help",
    b"a b/'quoted' \"twice\".jpg",
    b"$(touch pwned)`touch pwned`.jpg",
    b"line\nbreak/;touch pwned\n.jpg",
    b"not-utf8-\xff\xfe.jpg",
    b"=1+1.jpg",
    b"back\\slash!*?[x]{a,b}~&|<>#.jpg",
)


@pytest.fixture
def tiles(tmp_path: Path) -> list[Tile]:
    """Return files with hostile names below `root`, as selected images."""
    for name in NAMES:
        file = tmp_path / "root" / os.fsdecode(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name)
    return [
        Tile(n, name, Outcome.AI, 0.95, "objects-32", None, Answer.NOT_AI if n == 0 else None)
        for n, name in enumerate(NAMES)
    ]


def run(
    make: Callable[[Iterable[Tile], bytes], Iterator[bytes]],
    tiles: list[Tile],
    folder: Path,
    *arguments: str,
) -> subprocess.CompletedProcess[bytes]:
    """Write a script and run it as its user would."""
    (folder / "script.sh").write_bytes(b"".join(make(tiles, os.fsencode(folder / "root"))))
    return subprocess.run(
        ["sh", "script.sh", *arguments], cwd=folder, capture_output=True, check=False
    )


def files(folder: Path) -> set[bytes]:
    """Return every file below a folder, by its relative path."""
    return {os.fsencode(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_script_moves_files_with_any_name(tiles: list[Tile], tmp_path: Path) -> None:
    """The script moves all files below the other folder, and does nothing else."""
    done = run(as_move, tiles, tmp_path, "-moved")

    assert (0, b"") == (done.returncode, done.stderr)
    assert set(NAMES) == files(tmp_path / "-moved")
    assert set() == files(tmp_path / "root")
    assert {"root", "-moved", "script.sh"} == {one.name for one in tmp_path.iterdir()}


def test_script_overwrites_nothing(tiles: list[Tile], tmp_path: Path) -> None:
    """Existing files are kept and reported; without a folder the script does nothing."""
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / "plain.jpg").write_bytes(b"another")
    nowhere = run(as_move, tiles, tmp_path)
    done = run(as_move, tiles, tmp_path, "moved")

    assert 0 != nowhere.returncode
    assert b"usage:" in nowhere.stderr
    assert 1 == done.returncode
    assert b"already exists" in done.stderr
    assert b"another" == (tmp_path / "moved" / "plain.jpg").read_bytes()
    assert {b"plain.jpg"} == files(tmp_path / "root")


def test_script_tags_every_file(tiles: list[Tile], tmp_path: Path) -> None:
    """Each image gets a sidecar of valid XMP; images and old sidecars are unchanged."""
    (tmp_path / "root" / "-rf.jpg.xmp").write_bytes(b"mine")
    done = run(as_tag, tiles, tmp_path)
    subject = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"
    keywords = []
    for name in NAMES:
        file = tmp_path / "root" / os.fsdecode(name)
        assert name == file.read_bytes()
        sidecar = file.with_name(f"{file.name}.xmp").read_text()
        if name != b"-rf.jpg":
            keywords += [each.text for each in ET.fromstring(sidecar).iter(subject)]

    assert 1 == done.returncode
    assert b"mine" == (tmp_path / "root" / "-rf.jpg.xmp").read_bytes()
    assert ["reviewed:not_ai", *["scanner:ai"] * 7] == keywords
    assert not (tmp_path / "pwned").exists()


def test_lists_have_every_file(tiles: list[Tile]) -> None:
    """The list by NUL has all paths, the list by line those without a line break."""
    wanted = [b"/root/" + name for name in NAMES]

    assert wanted == b"".join(as_nul(tiles, b"/root")).split(b"\0")[:-1]
    assert [name for name in wanted if b"\n" not in name] == b"".join(
        as_lines(tiles, b"/root")
    ).split(b"\n")[:-1]


def test_arguments_for_exiftool_have_every_name_on_a_line(tiles: list[Tile]) -> None:
    """Each file ends its own command; names with a line break are left out."""
    failed = Tile(99, b"failed.jpg", Outcome.ERROR, None, None, ErrorKind.DAMAGED, None)
    lines = b"".join(as_exiftool([*tiles, failed], b"/root")).split(b"\n")[:-1]
    commands = b"\n".join(lines).split(b"\n-execute")[:-1]

    assert [b"/root/" + name for name in NAMES if b"\n" not in name] == [
        command.rpartition(b"\n")[2] for command in commands
    ]
    assert b"-XMP-dc:Subject+=scanner:reviewed_not_ai" in commands[0]
    assert all(b"-XMP-dc:Subject+=scanner:ai" in command for command in commands[1:])


def test_sidecars_in_a_zip_file(tiles: list[Tile]) -> None:
    """There is a sidecar of valid XMP for each name that is UTF-8, in its folder."""
    with zipfile.ZipFile(io.BytesIO(b"".join(as_xmp_zip(tiles, b"/root")))) as archive:
        damaged = archive.testzip()
        packets = {name: archive.read(name) for name in archive.namelist()}
    subject = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"
    words = [{each.text for each in ET.fromstring(one).iter(subject)} for one in packets.values()]
    names = [name for name in NAMES if name.decode(errors="replace").encode() == name]

    assert damaged is None
    assert [name.decode() + ".xmp" for name in names] == list(packets)
    assert "scanner:reviewed_not_ai" in words[0]
    assert all("scanner:ai" in each for each in words[1:])


def test_csv_has_no_formulas(tiles: list[Tile]) -> None:
    """CSV can be read back row by row; no cell begins like a formula."""
    text = b"".join(as_csv(tiles, b"/root")).decode()
    rows = list(csv.DictReader(io.StringIO(text)))

    assert len(NAMES) == len(rows)
    assert "./=1+1.jpg" == rows[7]["path"]
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    assert "bm90LXV0Zjgt//4uanBn" == rows[6]["path_b64"]
    assert ("ai", "0.95", "not_ai") == (rows[0]["verdict"], rows[0]["score"], rows[0]["review"])


@pytest.mark.parametrize("form", ["csv", "list", "nul", "move", "tag", "exiftool"])
def test_an_export_holds_the_selection(site: Served, store: Store, form: str) -> None:
    """Each format is a download with every image of the selection, and no other."""
    answer = site.get(f"/scan/1/export?verdict=ai&form={form}")
    rows = {row.path: row.verdict for row in verdict_rows(store, 1) if row.verdict is not None}
    flagged = [path for path, said in rows.items() if said.outcome is Outcome.AI]

    assert 200 == answer.status
    assert answer.headers["content-disposition"].startswith("attachment")
    assert flagged
    assert all(path in answer.body for path in flagged)
    assert b"plain/dunes.jpg" not in answer.body


def test_unknown_export_format_is_refused(site: Served) -> None:
    """An unknown format is refused with the list of formats."""
    assert "csv, list, nul, move, exiftool, xmp, tag" in site.get("/scan/1/export?form=exe").text
