"""Labels from folders and from CSV files."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.listing.labels import CsvLabels, LabelError, label_from_folders


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
def test_nearest_folder_decides(path: bytes, expected: bool | None) -> None:  # noqa: FBT001
    """The nearest folder above the image whose whole name, in any case, is a label decides."""
    assert expected is label_from_folders(path, Path("/collection"))


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
def test_root_and_its_parents_come_last(
    root: str,
    path: bytes,
    expected: bool | None,  # noqa: FBT001
) -> None:
    """If no folder inside the root is a label, the root's name and those above it count."""
    assert expected is label_from_folders(path, Path(root))


def test_relative_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of the current folder counts for the root `.`."""
    (tmp_path / "Fake").mkdir()
    monkeypatch.chdir(tmp_path / "Fake")

    assert label_from_folders(b"a.jpg", Path()) is True


def _read(tmp_path: Path, text: bytes) -> CsvLabels:
    (tmp_path / "labels.csv").write_bytes(text)
    return CsvLabels.read(tmp_path / "labels.csv", Path("/photos"))


def test_labels_from_csv(tmp_path: Path) -> None:
    """A file may have any spelling and columns, quotes, CRLF, a BOM, blank lines, any bytes."""
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
        (b"", "line 1: missing column path and label."),
        (b"path,truth\na.jpg,1\n", "line 1: missing column label."),
        (
            b"path,label\na.jpg,1\nb.jpg,maybe\n",
            "line 3: invalid label 'maybe': expected one of fake, ai, generated, ",
        ),
        (b"path,label\na.jpg\n", "line 2: invalid label ''"),
        (b"path,label\na.jpg,\n", "line 2: invalid label ''"),
        (b"path,label\n../a.jpg,1\n", "line 2: the path is not below the scanned folder."),
        (b"path,label\n/photosx/a.jpg,1\n", "line 2: the path is not below the scanned folder."),
        (b"path,label\n,1\n", "line 2: the path is not below the scanned folder."),
        (b"path,label\n.,1\n", "line 2: the path is not below the scanned folder."),
        (b"path,label\na.jpg,1\na.jpg,0\n", "line 3: a.jpg has a different label above."),
        (
            b"path,label\n" + b"x" * 140_000 + b",1\n",
            "is not valid CSV after line 1: field larger than",
        ),
    ],
)
def test_invalid_csv(tmp_path: Path, text: bytes, sentence: str) -> None:
    """An error is one sentence with the number of its line."""
    with pytest.raises(LabelError) as caught:
        _read(tmp_path, text)

    assert sentence in str(caught.value)
    assert 1 == len(str(caught.value).splitlines())


def test_missing_csv(tmp_path: Path) -> None:
    """A missing file is an error that names it."""
    with pytest.raises(LabelError) as caught:
        CsvLabels.read(tmp_path / "none.csv", tmp_path)

    assert f"{tmp_path}/none.csv cannot be read: No such file or directory." == str(caught.value)
