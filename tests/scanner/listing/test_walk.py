"""Walk a folder: what is listed, skipped and counted."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from scanner.listing.external_sort import sort_names
from scanner.listing.walk import Candidate, Unreadable, Walk, WalkError, WalkOptions


def _make(root: Path, *paths: str) -> None:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(path.encode())


def _paths(root: Path, **options: object) -> list[bytes]:
    return [candidate.path for candidate in Walk(root, WalkOptions(**options))]  # type: ignore[arg-type]


def test_order_is_by_name_depth_first(tmp_path: Path) -> None:
    """A folder is walked at the position of its name among the files."""
    _make(tmp_path, "b.jpg", "a/z.jpg", "a/b/c.jpg", "a.jpg", "c/a.jpg", "B.jpg")

    assert [
        b"B.jpg",
        b"a/b/c.jpg",
        b"a/z.jpg",
        b"a.jpg",
        b"b.jpg",
        b"c/a.jpg",
    ] == _paths(tmp_path)


def test_candidate_has_size_and_time(tmp_path: Path) -> None:
    """Size and modification time are the file's, to the nanosecond."""
    (tmp_path / "a.jpg").write_bytes(b"12345")
    os.utime(tmp_path / "a.jpg", ns=(1, 1_700_000_000_123_456_789))

    assert [Candidate(b"a.jpg", 5, 1_700_000_000_123_456_789)] == list(Walk(tmp_path))


@pytest.mark.parametrize(
    ("year", "nearest"), [(9999, 9_223_372_036_854_775_807), (-9999, -9_223_372_036_854_775_807)]
)
def test_time_beyond_64_bits_is_clamped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, year: int, nearest: int
) -> None:
    """A file of the year 9999 is listed with the last time that fits 64 bits."""
    _make(tmp_path, "a.jpg")
    real = os.stat

    # Few file systems keep such a time.
    def stat(path: bytes, *, follow_symlinks: bool = True) -> object:
        status = real(path, follow_symlinks=follow_symlinks)
        if not path.endswith(b"a.jpg"):
            return status
        mtime_ns = (year - 1970) * 31_556_952 * 10**9
        return SimpleNamespace(st_mode=status.st_mode, st_size=5, st_mtime_ns=mtime_ns)

    monkeypatch.setattr("scanner.listing.walk.os.stat", stat)

    assert [Candidate(b"a.jpg", 5, nearest)] == list(Walk(tmp_path))


def test_extensions_decide_in_any_case(tmp_path: Path) -> None:
    """Files with an image extension, in any case, are listed, others counted by kind."""
    images = ["a.JPG", "b.jpeg", "c.Png", "d.webp", "e.HEIC", "f.avif", "g.gif", "h.bmp", "i.tiff"]
    _make(tmp_path, *images, "r.CR2", "r.dng", "v.mp4", "d.pdf", "s.xmp", "z.zip", "o.xyz", "none")

    walk = Walk(tmp_path)

    assert [name.encode() for name in images] == [candidate.path for candidate in walk]
    assert {
        "raw": 2,
        "video": 1,
        "document": 1,
        "sidecar": 1,
        "archive": 1,
        "other": 1,
        "none": 1,
    } == walk.skipped


def test_raw_takes_raw_files(tmp_path: Path) -> None:
    """With `raw`, cameras' RAW files are listed as images are, and nothing else."""
    _make(tmp_path, "a.jpg", "b.CR2", "c.dng", "d.psd")

    walk = Walk(tmp_path, WalkOptions(raw=True))

    assert [b"a.jpg", b"b.CR2", b"c.dng"] == [candidate.path for candidate in walk]
    assert {"other_image": 1} == walk.skipped


def test_all_files_takes_everything_regular(tmp_path: Path) -> None:
    """With `all_files` files of any extension are listed, but no FIFOs."""
    _make(tmp_path, "a.jpg", "b", "c.txt")
    os.mkfifo(tmp_path / "d.jpg")

    walk = Walk(tmp_path, WalkOptions(all_files=True))

    assert [b"a.jpg", b"b", b"c.txt"] == [candidate.path for candidate in walk]
    assert {"special": 1} == walk.skipped


def test_fifos_and_sockets_are_special(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FIFOs and sockets are skipped, whatever their extension."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("a.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("b.jpg")
        walk = Walk(tmp_path)

        assert [] == list(walk)
        assert {"special": 2} == walk.skipped


def test_hidden_files_and_folders(tmp_path: Path) -> None:
    """Dot files and dot folders are skipped unless `hidden` is set."""
    _make(tmp_path, "a.jpg", "._a.jpg", ".trash/b.jpg", ".trash/c.jpg")

    walk = Walk(tmp_path)

    assert [b"a.jpg"] == [candidate.path for candidate in walk]
    assert {"hidden": 2} == walk.skipped
    assert 4 == len(_paths(tmp_path, hidden=True))


def test_include_and_exclude(tmp_path: Path) -> None:
    """Exclude wins over include, and an excluded folder is not walked."""
    _make(tmp_path, "2019/a.jpg", "2019/thumbs/a.jpg", "2020/b.jpg", "2019/c.png")

    walk = Walk(tmp_path, WalkOptions(include=("2019",), exclude=("thumbs/", "*.png")))

    assert [b"2019/a.jpg"] == [candidate.path for candidate in walk]
    assert {"excluded": 3} == walk.skipped


def test_invalid_pattern(tmp_path: Path) -> None:
    """An invalid pattern is an error before the walk."""
    with pytest.raises(WalkError, match="invalid pattern"):
        Walk(tmp_path, WalkOptions(exclude=("",)))


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    """Latin-1 names and names with line breaks are listed unchanged."""
    names = [b"M\xf6we.jpg", b"two\nlines.jpg", b"\xff\xfe.png"]
    for name in names:
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_bytes(b"x")  # noqa: PTH118

    assert sorted(names) == _paths(tmp_path)


def test_links_are_not_followed(tmp_path: Path) -> None:
    """By default links to files and folders are skipped."""
    _make(tmp_path, "a/a.jpg")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "c.jpg").symlink_to("a/a.jpg")

    walk = Walk(tmp_path)

    assert [b"a/a.jpg"] == [candidate.path for candidate in walk]
    assert {"symlink": 2} == walk.skipped


def test_followed_links(tmp_path: Path) -> None:
    """Links to files inside the root are followed; loops, broken links and links out are not."""
    root = tmp_path / "root"
    _make(tmp_path, "root/a/a.jpg", "root/.hidden/h.jpg", "root-outside/o.jpg")
    (root / "a" / "loop").symlink_to("..")
    (root / "c.jpg").symlink_to(root / "a" / "a.jpg")
    (root / "d").symlink_to(".hidden")
    (root / "e").symlink_to(tmp_path / "root-outside")
    (root / "f.jpg").symlink_to("gone.jpg")
    (root / "g.jpg").symlink_to("g.jpg")

    walk = Walk(root, WalkOptions(follow_symlinks=True))

    assert [
        Candidate(b"a/a.jpg", 12, (root / "a/a.jpg").stat().st_mtime_ns),
        Candidate(b"c.jpg", 12, (root / "a/a.jpg").stat().st_mtime_ns),
        Candidate(b"d/h.jpg", 18, (root / ".hidden/h.jpg").stat().st_mtime_ns),
    ] == list(walk)
    assert {"repeated": 1, "outside": 1, "symlink": 2, "hidden": 1} == walk.skipped


def test_linked_folders_are_walked_once(tmp_path: Path) -> None:
    """Ten folders that all link to each other are each walked once."""
    for folder in "abcdefghij":
        _make(tmp_path, f"{folder}/{folder}.jpg")
        for other in "abcdefghij":
            (tmp_path / folder / f"to-{other}").symlink_to(f"../{other}")

    assert 10 == len(_paths(tmp_path, follow_symlinks=True))


def test_file_deleted_during_the_walk(tmp_path: Path) -> None:
    """A file deleted after its folder was read is neither listed nor an error."""
    _make(tmp_path, "a.jpg", "b.jpg", "c/d.jpg", "e.jpg")
    walk = Walk(tmp_path)

    candidates = iter(walk)
    first = next(candidates)
    (tmp_path / "b.jpg").unlink()
    shutil.rmtree(tmp_path / "c")

    assert [b"a.jpg", b"e.jpg"] == [first.path, *(candidate.path for candidate in candidates)]
    assert 0 == walk.unreadable_count


def test_root_that_vanishes(tmp_path: Path) -> None:
    """A root that goes away during the walk is an error, not an empty folder."""
    root = tmp_path / "root"
    _make(root, "a.jpg", "b.jpg")
    candidates = iter(Walk(root))
    next(candidates)
    root.rename(tmp_path / "elsewhere")

    with pytest.raises(WalkError, match=r"Folder not found: .*root"):
        next(candidates)


def test_root_that_is_replaced(tmp_path: Path) -> None:
    """An empty mount point in place of the root is an error."""
    root = tmp_path / "root"
    _make(root, "a.jpg", "b.jpg")
    candidates = iter(Walk(root))
    next(candidates)
    root.rename(tmp_path / "elsewhere")
    root.mkdir()

    with pytest.raises(WalkError, match="was replaced"):
        next(candidates)


def test_unreadable_folders_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All unreadable folders are counted, the first 20 named, and the walk continues."""
    _make(tmp_path, *(f"{i:02}/a.jpg" for i in range(30)), "z.jpg")
    real = os.scandir

    def denied(path: bytes) -> object:
        if path.endswith(b"/"):
            name = path.rstrip(b"/").rpartition(b"/")[2]
            if name.isdigit() and int(name) >= 5:
                raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path)

    monkeypatch.setattr("scanner.listing.walk.os.scandir", denied)
    walk = Walk(tmp_path)

    assert 6 == len(list(walk))
    assert 25 == walk.unreadable_count
    assert [Unreadable(b"%02d" % i, "Permission denied") for i in range(5, 25)] == walk.unreadable


def test_missing_root(tmp_path: Path) -> None:
    """A missing root is an error before the walk."""
    with pytest.raises(WalkError) as caught:
        Walk(tmp_path / "no\nsuch")

    assert f"Folder not found: {tmp_path}/no\\nsuch." == str(caught.value)


def test_file_as_root(tmp_path: Path) -> None:
    """The error for a single file points to `scanner check`."""
    _make(tmp_path, "a.jpg")
    with pytest.raises(WalkError) as caught:
        Walk(tmp_path / "a.jpg")

    assert f"{tmp_path}/a.jpg is not a folder; use `scanner check` for single files." == str(
        caught.value
    )


def test_tree_deeper_than_the_call_stack(tmp_path: Path) -> None:
    """A tree of 1,500 nested folders is walked."""
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1_500):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(os.open("a.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.close(folder)

    paths = _paths(tmp_path)
    # Now, because pytest's own clean-up recurses.
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)

    assert [b"d/" * 1_500 + b"a.jpg"] == paths


def test_large_folder_is_complete_and_sorted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is sorted in a temporary file is listed completely and once."""
    _make(tmp_path, *(f"{i * 7919 % 1000:03}.jpg" for i in range(1000)), "500/x.jpg")
    monkeypatch.setattr("scanner.listing.walk.sort_names", lambda names: sort_names(names, 64))

    expected = sorted([*(b"%03d.jpg" % i for i in range(1000)), b"500/x.jpg"])

    assert expected == sorted(paths := _paths(tmp_path))
    assert 500 == paths.index(b"500/x.jpg")


def test_one_folder(tmp_path: Path) -> None:
    """A single folder is listed as in the whole walk, alone or with those below it."""
    _make(tmp_path, "a.jpg", "b/1.jpg", "b/c/2.jpg", "b/c/d/3.jpg", "bb/4.jpg", ".h/i/5.jpg")
    (tmp_path / "link").symlink_to("b")
    options = WalkOptions(exclude=("d/",))

    def below(folder: bytes, *, deep: bool) -> list[bytes]:
        return [file.path for file in Walk(tmp_path, options).below(folder, deep=deep)]

    assert [b"b/1.jpg"] == below(b"b/", deep=False)
    assert [b"b/1.jpg", b"b/c/2.jpg"] == below(b"b/", deep=True)
    assert [b"a.jpg"] == below(b"", deep=False)
    for skipped in (b".h/i/", b"b/c/d/", b"link/", b"none/", b"a.jpg/"):
        assert [] == below(skipped, deep=True)
