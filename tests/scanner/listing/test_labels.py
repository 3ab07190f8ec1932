"""Labels from folders and from CSV files."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.listing.labels import CsvLabels, LabelError, from_folders


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"FAKE/a.jpg", True),
        (b"ai/a.jpg", True),
        (b"x/Generated/y/a.jpg", True),
        (b"real/a.jpg", False),
        (b"Photo/a.jpg", False),
        (b"FAKE/x/REAL/a.jpg", False),
        (b"REAL/x/FAKE/y/a.jpg", True),
        (b"FAKES/a.jpg", None),
        (b"photos/a.jpg", None),
        (b"x/fake", None),
        (b"fake", None),
        (b"a.jpg", None),
        (b"M\xf6we/real/a.jpg", False),
    ],
)
def test_the_nearest_folder_decides(path: bytes, expected: bool | None) -> None:  # noqa: FBT001
    """Folder names in any case, whole names only, the nearest above the image first."""
    assert expected is from_folders(path, Path("/collection"))


@pytest.mark.parametrize(
    ("root", "path", "expected"),
    [
        ("/data/FAKE", b"a.jpg", True),
        ("/data/FAKE/set", b"x/a.jpg", True),
        ("/data/FAKE", b"real/a.jpg", False),
        ("/data/REAL/FAKE", b"a.jpg", True),
        ("/data/set", b"a.jpg", None),
    ],
)
def test_the_root_and_its_parents_come_last(
    root: str,
    path: bytes,
    expected: bool | None,  # noqa: FBT001
) -> None:
    """Where no folder inside the root says, the root's own name and those above it do."""
    assert expected is from_folders(path, Path(root))


def test_a_relative_root_has_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`.` has a name, too."""
    (tmp_path / "Fake").mkdir()
    monkeypatch.chdir(tmp_path / "Fake")

    assert from_folders(b"a.jpg", Path()) is True


def _read(tmp_path: Path, text: bytes) -> CsvLabels:
    (tmp_path / "labels.csv").write_bytes(text)
    return CsvLabels.read(tmp_path / "labels.csv", Path("/photos"))


def test_a_csv_gives_labels(tmp_path: Path) -> None:
    """All spellings, extra columns in any order, quotes, CRLF, a BOM, other bytes, blank lines."""
    labels = _read(
        tmp_path,
        b"\xef\xbb\xbfsource,label,path\r\n"
        b"x,FAKE,a.jpg\r\n"
        b'x,real,"b, c.jpg"\r\n'
        b"\r\n"
        b"x, Ai ,d/e.jpg\r\n"
        b"x,generated,./f.jpg\r\n"
        b"x,photo,g//h.jpg\r\n"
        b"x,1,/photos/i.jpg\r\n"
        b"x,0,M\xf6we.jpg\r\n"
        b"x,0,M\xf6we.jpg\r\n",
    )

    assert {
        b"a.jpg": True,
        b"b, c.jpg": False,
        b"d/e.jpg": True,
        b"f.jpg": True,
        b"g/h.jpg": False,
        b"i.jpg": True,
        b"M\xf6we.jpg": False,
        b"unknown.jpg": None,
    } == {
        path: labels(path)
        for path in (
            b"a.jpg",
            b"b, c.jpg",
            b"d/e.jpg",
            b"f.jpg",
            b"g/h.jpg",
            b"i.jpg",
            b"M\xf6we.jpg",
            b"unknown.jpg",
        )
    }
    assert 7 == len(labels)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "has no column path and no column label in line 1."),
        (b"path,truth\na.jpg,1\n", "has no column label in line 1."),
        (b"path,label\na.jpg,1\nb.jpg,maybe\n", "line 3: a label is one of fake, ai, generated, "),
        (b"path,label\na.jpg\n", "line 2: a label is one of "),
        (b"path,label\na.jpg,\n", "line 2: a label is one of "),
        (b"path,label\n../a.jpg,1\n", "line 2: this path is not below the root."),
        (b"path,label\n/photosx/a.jpg,1\n", "line 2: this path is not below the root."),
        (b"path,label\n,1\n", "line 2: this path is not below the root."),
        (b"path,label\n.,1\n", "line 2: this path is not below the root."),
        (b"path,label\na.jpg,1\na.jpg,0\n", "line 3: a.jpg has the other label already."),
        (b"path,label\n" + b"x" * 140_000 + b",1\n", "is not CSV after line 1: field larger than"),
    ],
)
def test_a_wrong_csv_is_one_sentence(tmp_path: Path, text: bytes, sentence: str) -> None:
    """What is wrong is said with the number of its line."""
    with pytest.raises(LabelError) as caught:
        _read(tmp_path, text)

    assert sentence in str(caught.value)
    assert 1 == len(str(caught.value).splitlines())


def test_a_missing_csv_is_one_sentence(tmp_path: Path) -> None:
    """A file that is not there is told of by name."""
    with pytest.raises(LabelError) as caught:
        CsvLabels.read(tmp_path / "none.csv", tmp_path)

    assert f"{tmp_path}/none.csv cannot be read: No such file or directory." == str(caught.value)
