"""Exports: their content, and that scripts are safe with any name."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from described_images import XMP, jpeg

from scanner.web.pages.export import (
    LEFT_OUT,
    Selected,
    as_csv,
    as_exiftool,
    as_lines,
    as_move,
    as_nul,
    as_tag,
    as_xmp_zip,
    read_selected,
)
from scanner.writeback.new_packet import new_packet
from scanner.writeback.xmp_packet import with_keyword
from storage.reads.exports import ExportedImage
from storage.reads.gallery import Tile, read_tiles
from storage.reads.verdicts import verdict_rows
from storage.records import Outcome
from storage.writes.reviews import Answer, record_answer
from storage.writes.scans import find_scan

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
def tiles(tmp_path: Path) -> list[Selected]:
    """Return files with hostile names below `root`, as selected images."""
    for name in NAMES:
        file = tmp_path / "root" / os.fsdecode(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name)
    return [
        selected(tmp_path / "root", name, Outcome.AI, *([Answer.NOT_AI] if n == 0 else []))
        for n, name in enumerate(NAMES)
    ]


def selected(root: Path, name: bytes, outcome: Outcome, *answers: Answer) -> Selected:
    """Return a file as a selected image with some answers."""
    status = (root / os.fsdecode(name)).stat()
    size, changed = status.st_size, status.st_mtime_ns
    tile = Tile(1, name, outcome, 0.95, "objects-32", None, (), size, changed)
    image = ExportedImage(1, name, size, changed, (), outcome, frozenset(answers), is_signed=False)
    return Selected(tile, image)


def run(
    make: Callable[[Iterable[Selected], bytes], Iterator[bytes]],
    tiles: list[Selected],
    folder: Path,
    *arguments: str,
) -> subprocess.CompletedProcess[bytes]:
    """Write a script and run it as its user would."""
    (folder / "script.sh").write_bytes(b"".join(make(tiles, os.fsencode(folder / "root"))))
    return subprocess.run(
        ["sh", "script.sh", *arguments], cwd=folder, capture_output=True, check=False
    )


def packets(tiles: Iterable[Selected], root: Path) -> dict[str, bytes]:
    """Return the content of the ZIP file of sidecars by name."""
    parts = b"".join(as_xmp_zip(tiles, os.fsencode(root)))
    with zipfile.ZipFile(io.BytesIO(parts)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def files(folder: Path) -> set[bytes]:
    """Return every file below a folder, by its relative path."""
    return {os.fsencode(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_script_moves_files_with_any_name(tiles: list[Selected], tmp_path: Path) -> None:
    """The script moves all files below the other folder, and does nothing else."""
    done = run(as_move, tiles, tmp_path, "-moved")

    assert (0, b"") == (done.returncode, done.stderr)
    assert set(NAMES) == files(tmp_path / "-moved")
    assert set() == files(tmp_path / "root")
    assert {"root", "-moved", "script.sh"} == {one.name for one in tmp_path.iterdir()}


def test_script_overwrites_nothing(tiles: list[Selected], tmp_path: Path) -> None:
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


def test_script_tags_every_file(tiles: list[Selected], tmp_path: Path) -> None:
    """Each image gets a sidecar of valid XMP; images and old sidecars are unchanged."""
    (tmp_path / "root" / "-rf.jpg.xmp").write_bytes(b"mine")
    done = run(as_tag, tiles, tmp_path)
    written = []
    for name in NAMES:
        file = tmp_path / "root" / os.fsdecode(name)
        assert name == file.read_bytes()
        if name != b"-rf.jpg":
            written.append(file.with_name(f"{file.name}.xmp").read_bytes())
    reviewed, judged = new_packet("scanner:reviewed_not_ai"), new_packet("scanner:ai")

    assert 1 == done.returncode
    assert b"mine" == (tmp_path / "root" / "-rf.jpg.xmp").read_bytes()
    assert [reviewed, *[judged] * 7] == written
    assert not (tmp_path / "pwned").exists()


def test_every_keyword_of_a_script_can_be_taken_back(tmp_path: Path) -> None:
    """What tag.sh writes is what `scanner export xmp --remove` removes; errors get no sidecar."""
    root = tmp_path / "root"
    root.mkdir()
    answered = [(Outcome.UNSURE, answer) for answer in Answer]
    judged = [(outcome,) for outcome in Outcome]
    images = []
    for n, words in enumerate([*answered, *judged]):
        name = f"{n}.jpg".encode()
        (root / f"{n}.jpg").write_bytes(name)
        images.append(selected(root, name, *words))
    run(as_tag, images, tmp_path)
    sidecars = sorted(root.glob("*.xmp"))

    assert len(answered) + len(judged) - 1 == len(sidecars)
    assert all(with_keyword(each.read_bytes(), None) is None for each in sidecars)


def test_script_keeps_what_the_image_says_of_itself(tmp_path: Path) -> None:
    """A sidecar of a script is that of `scanner export xmp`, whatever stands in it."""
    root = tmp_path / "root"
    root.mkdir()
    body = f"<xmp:Label>END\nEND ' $(touch {root}/pwned) `touch {root}/pwned`</xmp:Label>"
    (root / "a.jpg").write_bytes(jpeg(XMP.format(attributes='xmp:Rating="4"', body=body)))
    image = selected(root, b"a.jpg", Outcome.AI)
    gone = replace(image, image=replace(image.image, path=b"gone\n.jpg"))
    of_zip = packets([image], root)
    done = run(as_tag, [image, gone], tmp_path)

    assert (0, b"") == (done.returncode, done.stderr)
    assert of_zip["a.jpg.xmp"] == (root / "a.jpg.xmp").read_bytes()
    assert b'xmp:Rating="4"' in (root / "a.jpg.xmp").read_bytes()
    assert {b"a.jpg", b"a.jpg.xmp"} == files(root)


def test_lists_have_every_file(tiles: list[Selected]) -> None:
    """The list by NUL has all paths, the list by line those without a line break."""
    wanted = [b"/root/" + name for name in NAMES]

    assert wanted == b"".join(as_nul(tiles, b"/root")).split(b"\0")[:-1]
    assert [name for name in wanted if b"\n" not in name] == b"".join(
        as_lines(tiles, b"/root")
    ).split(b"\n")[:-1]


def test_arguments_for_exiftool_have_every_name_on_a_line(
    tiles: list[Selected], tmp_path: Path
) -> None:
    """Each file ends its own command; names with a line break, signed and gone files are not in."""
    root = os.fsencode(tmp_path / "root")
    gone = replace(tiles[0], image=replace(tiles[0].image, path=b"gone.jpg"))
    failed = replace(tiles[0], image=replace(tiles[0].image, outcome=Outcome.ERROR, answers=()))
    signed = replace(tiles[0], image=replace(tiles[0].image, path=b"signed.jpg", is_signed=True))
    text = b"".join(as_exiftool([failed, signed, gone, *tiles], root))
    comments = [line for line in text.split(b"\n") if line.startswith(b"# ")]
    lines = [line for line in text.split(b"\n") if not line.startswith(b"# ")][:-1]
    commands = b"\n".join(lines).split(b"\n-execute")[:-1]

    assert [root + b"/" + name for name in NAMES if b"\n" not in name] == [
        command.rpartition(b"\n")[2] for command in commands
    ]
    assert 3 == len(comments)
    assert comments[0].startswith(b"# left out: signed.jpg: it is signed with C2PA")
    assert comments[1].startswith(b"# left out: gone.jpg: the image cannot be read")
    assert b"-XMP-dc:Subject+=scanner:reviewed_not_ai" in commands[0]
    assert all(b"-XMP-dc:Subject+=scanner:ai" in command for command in commands[1:])


def test_sidecars_in_a_zip_file(tiles: list[Selected], tmp_path: Path) -> None:
    """There is a sidecar for each name that is UTF-8, in its folder; others are listed."""
    made = packets(tiles, tmp_path / "root")
    left_out = made.pop(LEFT_OUT).decode()
    names = [name for name in NAMES if name.decode(errors="replace").encode() == name]

    assert [name.decode() + ".xmp" for name in names] == list(made)
    assert new_packet("scanner:reviewed_not_ai") == made.pop("plain.jpg.xmp")
    assert {new_packet("scanner:ai")} == set(made.values())
    assert r"not-utf8-\xff\xfe.jpg: its name is not UTF-8, which no ZIP file holds" in left_out


def test_sidecars_that_exist_are_in_the_zip_file_with_all_they_have(
    tiles: list[Selected], tmp_path: Path
) -> None:
    """Unpacked over the folder, others' fields stay; what cannot be read is only listed."""
    root = tmp_path / "root"
    mine = new_packet("scanner:unsure").replace(
        b'rdf:about=""', b'rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"'
    )
    (root / "plain.jpg.xmp").write_bytes(mine)
    (root / "-rf.jpg.xmp").write_bytes(b"mine")
    (root / "=1+1.jpg.xmp").symlink_to("plain.jpg.xmp")
    (root / "a" / "b" / "--help").write_bytes(b"changed since")
    (root / "a b" / "'quoted' \"twice\".jpg.xmp").write_bytes(new_packet("scanner:ai"))
    made = packets(tiles, root)
    left_out = made[LEFT_OUT].decode()

    assert b'xmp:Rating="4"' in made["plain.jpg.xmp"]
    assert b"scanner:reviewed_not_ai" in made["plain.jpg.xmp"]
    assert b"scanner:unsure" not in made["plain.jpg.xmp"]
    assert "-rf.jpg: the sidecar is not well-formed XML" in left_out
    assert "=1+1.jpg: the sidecar is a link" in left_out
    assert "a/b/--help: the image has changed since the scan" in left_out
    assert {LEFT_OUT, "plain.jpg.xmp", "$(touch pwned)`touch pwned`.jpg.xmp",
            "line\nbreak/;touch pwned\n.jpg.xmp",
            "back\\slash!*?[x]{a,b}~&|<>#.jpg.xmp"} == set(made)  # fmt: skip


def test_no_sidecars_in_a_zip_file_where_the_folder_is_elsewhere(
    tiles: list[Selected], tmp_path: Path
) -> None:
    """Where the server cannot look for sidecars, none is in the file, and the reason is."""
    made = packets(tiles, tmp_path / "nowhere")

    assert [LEFT_OUT] == list(made)
    assert len(NAMES) - 1 == made[LEFT_OUT].decode().count("folder not found: ")


def test_reviewers_who_contradict_each_other_have_no_answer(store: Store) -> None:
    """All exports say of two reviewers what `scanner export --from reviews` says."""
    for image_id, answer, reviewer in [
        (2, Answer.AI, "ann"), (2, Answer.NOT_AI, "bob"),
        (3, Answer.CANT_TELL, "ann"), (3, Answer.AI, "bob"), (3, Answer.CANT_TELL, "cy"),
    ]:  # fmt: skip
        record_answer(store, 1, image_id, answer, reviewer)
    images = list(read_selected(store, 1, read_tiles(store, find_scan(store, 1), [2, 3, 4])))
    rows = list(csv.DictReader(io.StringIO(b"".join(as_csv(images, b"/root")).decode("utf-8-sig"))))
    keywords = [each.wanted.keyword for each in images]

    assert ["", "ai", ""] == [row["review"] for row in rows]
    assert [None, "scanner:reviewed_ai"] == keywords[:2]
    assert images[2].tile.outcome is Outcome.ERROR or keywords[2] == f"scanner:{rows[2]['verdict']}"
    # Those are not here to be read, which both say of the one image that has a keyword.
    assert 1 == b"".join(as_tag(images[:2], b"/nowhere")).count(b"# left out: ")
    assert 1 == b"".join(as_exiftool(images[:2], b"/nowhere")).count(b"# left out: ")


def test_csv_has_no_formulas(tiles: list[Selected]) -> None:
    """CSV can be read back row by row; no cell begins like a formula."""
    written = b"".join(as_csv(tiles, b"/root"))
    text = written.removeprefix(b"\xef\xbb\xbf").decode()

    assert len(text.encode()) + 3 == len(written)
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
    assert "csv, move, xmp, tag, list, exiftool, nul" in site.get("/scan/1/export?form=exe").text
