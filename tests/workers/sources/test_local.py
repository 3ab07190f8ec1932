"""Fetching: what is read, what is refused, and when it is the root that is gone."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from storage.records import ErrorKind
from workers.images.decode import decode
from workers.images.errors import DecodeError
from workers.sources.files import fetch_file
from workers.sources.local import LocalSource
from workers.sources.source import FetchError, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A collection with one image in it, beside a secret."""
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    root = tmp_path / "photos"
    (root / "2019").mkdir(parents=True)
    (root / "2019" / "a.jpg").write_bytes(b"picture")
    return root


@pytest.fixture
def root(folder: Path) -> Iterator[LocalSource]:
    """That collection, opened."""
    with LocalSource(folder, max_bytes=1000) as opened:
        yield opened


def _refused(root: LocalSource, path: bytes, size: int | None = None) -> ErrorKind:
    with pytest.raises(FetchError) as caught:
        root.fetch(path, size)
    assert 1 == len(str(caught.value).splitlines())
    return caught.value.kind


def _failing(real: Callable[..., int], name: object, code: int) -> Callable[..., int]:
    """`os.open` that fails for one name as the system would."""

    def fails(path: object, *args: object, **kwargs: object) -> int:
        if path == name:
            raise OSError(code, os.strerror(code))
        return real(path, *args, **kwargs)

    return fails


def test_bytes_and_digest(root: LocalSource) -> None:
    """The file's bytes come with their SHA-256, at the first and at the second fetch."""
    fetched = [root.fetch(b"2019/a.jpg", 7), root.fetch(b"2019/a.jpg")]

    assert [b"picture"] * 2 == [one.data for one in fetched]
    assert [hashlib.sha256(b"picture").digest()] * 2 == [one.digest for one in fetched]


def test_any_name_of_bytes(root: LocalSource, folder: Path) -> None:
    """Names that are not UTF-8, and dots that are no steps upwards, are names like any other."""
    for name in (b"M\xf6we.jpg", b"..a.jpg", b"...", b"two\nlines"):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(name)

        assert name == root.fetch(name).data


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"/",
        b".",
        b"..",
        b"../secret.jpg",
        b"2019/../../secret.jpg",
        b"2019/../2019/a.jpg",
        b"./2019/a.jpg",
        b"2019//a.jpg",
        b"2019/",
        b"2019/..",
        b"2019/a.jpg\0",
        b"20\x0019/a.jpg",
        b"/etc/passwd",
        b"//etc/passwd",
    ],
)
def test_paths_that_are_not_plainly_inside_are_refused(root: LocalSource, path: bytes) -> None:
    """Absolute paths, steps upwards and paths that no walk would write are outside."""
    assert ErrorKind.OUTSIDE is _refused(root, path)


def test_an_absolute_path_into_the_root_is_refused(root: LocalSource, folder: Path) -> None:
    """Messages carry relative paths, even where an absolute one would do no harm."""
    assert ErrorKind.OUTSIDE is _refused(root, os.fsencode(folder / "2019/a.jpg"))


@pytest.mark.parametrize("target", ["../secret.jpg", "{outside}/secret.jpg", "/etc/passwd"])
def test_a_link_out_of_the_root_is_refused(root: LocalSource, folder: Path, target: str) -> None:
    """A file that is a link, relative or absolute, to a file outside is not read."""
    (folder / "b.jpg").symlink_to(target.format(outside=folder.parent))

    assert ErrorKind.OUTSIDE is _refused(root, b"b.jpg")


def test_a_folder_link_out_of_the_root_is_refused(root: LocalSource, folder: Path) -> None:
    """A folder in the path that links outside is not entered, at any depth."""
    (folder / "out").symlink_to("..")
    (folder / "2019" / "out").symlink_to(folder.parent)

    assert ErrorKind.OUTSIDE is _refused(root, b"out/secret.jpg")
    assert ErrorKind.OUTSIDE is _refused(root, b"2019/out/secret.jpg")


def test_a_root_whose_name_is_a_prefix_is_outside(root: LocalSource, folder: Path) -> None:
    """`photos-private` is not inside `photos`."""
    (folder.parent / "photos-private").mkdir()
    (folder.parent / "photos-private" / "a.jpg").write_bytes(b"secret")
    (folder / "link").symlink_to("../photos-private")

    assert ErrorKind.OUTSIDE is _refused(root, b"link/a.jpg")


def test_links_inside_the_root_are_followed(root: LocalSource, folder: Path) -> None:
    """Links to files and folders, also through one another, lead on while they stay inside."""
    (folder / "b.jpg").symlink_to("2019/a.jpg")
    (folder / "c").symlink_to(folder / "2019")
    (folder / "2019" / "d").symlink_to("../c")
    (folder / "e.jpg").symlink_to("2019/d/a.jpg")

    for path in (b"b.jpg", b"c/a.jpg", b"c/a.jpg", b"2019/d/a.jpg", b"c/d/a.jpg", b"e.jpg"):
        assert b"picture" == root.fetch(path, 7).data


def test_a_root_that_is_a_link_itself_is_a_root(folder: Path) -> None:
    """The user may name the collection by a link; what is inside is inside."""
    link = folder.parent / "link"
    link.symlink_to("photos")
    (folder / "b.jpg").symlink_to(link / "2019" / "a.jpg")

    with LocalSource(link) as root:
        assert b"picture" == root.fetch(b"2019/a.jpg").data
        assert b"picture" == root.fetch(b"b.jpg").data


def test_a_folder_swapped_for_a_link_is_not_followed_out(root: LocalSource, folder: Path) -> None:
    """A folder that was good and has become a link outside gives nothing from there."""
    root.fetch(b"2019/a.jpg")
    (folder / "2019").rename(folder / "moved")
    (folder / "2019").symlink_to("..")

    assert ErrorKind.OUTSIDE is _refused(root, b"2019/secret.jpg")


def test_a_link_swapped_while_it_is_resolved_is_not_followed_out(
    root: LocalSource, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who replaces a folder by a link after it was checked gains nothing: opening follows none."""
    (folder / "b.jpg").symlink_to("2019/secret.jpg")
    (folder / "2019" / "secret.jpg").write_bytes(b"harmless")
    real = os.path.realpath

    def realpath(path: bytes, *, strict: bool = False) -> bytes:
        target = real(path, strict=strict)
        if target.endswith(b"2019/secret.jpg"):
            shutil.rmtree(folder / "2019")
            (folder / "2019").symlink_to("..")
        return target

    monkeypatch.setattr("workers.sources.local.os.path.realpath", realpath)

    assert ErrorKind.OUTSIDE is _refused(root, b"b.jpg")


@pytest.mark.parametrize("target", ["gone.jpg", "b.jpg"])
def test_links_to_nothing_are_unreadable(root: LocalSource, folder: Path, target: str) -> None:
    """A broken link and a link to itself are the file's trouble."""
    (folder / "b.jpg").symlink_to(target)

    assert ErrorKind.UNREADABLE is _refused(root, b"b.jpg")


def test_missing_files_are_unreadable(root: LocalSource) -> None:
    """Missing files and folders, and files in a folder's place, are told per image."""
    for path in (b"b.jpg", b"2019/b.jpg", b"2020/a.jpg", b"2019/a.jpg/b.jpg"):
        assert ErrorKind.UNREADABLE is _refused(root, path)


def test_what_is_no_file_never_blocks(root: LocalSource, folder: Path) -> None:
    """A pipe that nobody writes to and a folder are refused at once."""
    os.mkfifo(folder / "pipe.jpg")
    for path in (b"pipe.jpg", b"2019"):
        assert ErrorKind.UNREADABLE is _refused(root, path)


def test_an_empty_file(root: LocalSource, folder: Path) -> None:
    """No bytes is a kind of its own."""
    (folder / "b.jpg").touch()

    assert ErrorKind.EMPTY is _refused(root, b"b.jpg", 0)


def test_a_file_above_the_limit(root: LocalSource, folder: Path) -> None:
    """A file of the limit passes, one byte more does not."""
    (folder / "b.jpg").write_bytes(bytes(1000))
    (folder / "c.jpg").write_bytes(bytes(1001))

    assert 1000 == len(root.fetch(b"b.jpg", 1000).data)
    assert ErrorKind.TOO_LARGE is _refused(root, b"c.jpg", 1001)


def test_a_file_of_another_size_has_changed(root: LocalSource) -> None:
    """Not the size that was listed: not the image that was listed."""
    assert ErrorKind.CHANGED is _refused(root, b"2019/a.jpg", 8)


@pytest.mark.parametrize("change", [b"longer than it was", b"shorter", b"same size as"])
def test_a_file_written_to_while_it_is_read_has_changed(
    root: LocalSource, folder: Path, monkeypatch: pytest.MonkeyPatch, change: bytes
) -> None:
    """Growing, shrinking and being rewritten between the first and the last look are told."""
    (folder / "b.jpg").write_bytes(b"it was size!")
    os.utime(folder / "b.jpg", ns=(1, 1))
    real = os.read

    def read(descriptor: int, count: int) -> bytes:
        (folder / "b.jpg").write_bytes(change)
        return real(descriptor, count)

    monkeypatch.setattr("workers.sources.local.os.read", read)

    assert ErrorKind.CHANGED is _refused(root, b"b.jpg", 12)


def test_reads_that_come_in_pieces_are_put_together(
    root: LocalSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system may give less than was asked for without being at the end."""
    real = os.read
    monkeypatch.setattr("workers.sources.local.os.read", lambda descriptor, _: real(descriptor, 3))

    assert b"picture" == root.fetch(b"2019/a.jpg", 7).data


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ENAMETOOLONG])
def test_trouble_with_one_file_is_its_own(
    root: LocalSource, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A file that may not be read or lies on a bad sector is an error; the root is still there."""
    monkeypatch.setattr("workers.sources.local.os.open", _failing(os.open, b"a.jpg", code))

    with pytest.raises(FetchError) as caught:
        root.fetch(b"2019/a.jpg")

    assert (ErrorKind.UNREADABLE, f"cannot be read ({os.strerror(code)})") == (
        caught.value.kind,
        str(caught.value),
    )


@pytest.mark.parametrize(
    "code",
    [
        errno.EMFILE,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENOTCONN,
        errno.ENODEV,
        errno.ENXIO,
    ],
)
def test_what_is_wrong_with_the_world_is_not_the_images_fault(
    root: LocalSource, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """What is short here, or a mount that broke, is waited for and no error of the image.

    Also where the root itself, whose entries are still cached, answers as if nothing had happened.
    """
    monkeypatch.setattr("workers.sources.local.os.open", _failing(os.open, b"a.jpg", code))

    with pytest.raises(SourceUnavailable, match="cannot be read just now"):
        root.fetch(b"2019/a.jpg")


def test_a_socket_holds_no_batch_up(
    root: LocalSource, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket says what a disk that was pulled out says, and is the file's own trouble."""
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("b.jpg")

        assert ErrorKind.UNREADABLE is _refused(root, b"b.jpg")


@pytest.mark.parametrize(
    ("head", "tail"),
    [
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", b""),
        (b"", b"TRUEVISION-XFILE.\0"),
        (b"<?xml version='1.0'?>\n<svg", b""),
        (b"II*\0\x10\0\0\0CR\2\0", b""),
        (b"Plain text", b""),
    ],
    ids=["video", "targa", "svg", "raw", "text"],
)
def test_a_large_file_that_is_no_image_is_not_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, head: bytes, tail: bytes
) -> None:
    """Its ends tell a video, and what is said is what decoding it would say."""
    monkeypatch.setattr("workers.sources.source.LARGE_BYTES", 100_000)
    data = head + bytes(200_000) + tail
    (folder / "b.jpg").write_bytes(data)
    with pytest.raises(DecodeError) as expected:
        decode(data)
    monkeypatch.setattr("workers.sources.local.os.read", lambda *_: pytest.fail("was read"))

    for fetch in (
        lambda: LocalSource(folder).fetch(b"b.jpg"),
        lambda: fetch_file(folder / "b.jpg"),
    ):
        with pytest.raises(FetchError) as caught:
            fetch()
        assert (expected.value.kind, expected.value.text) == (caught.value.kind, caught.value.text)


def test_a_large_image_is_read_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be an image by its first bytes is read from the first byte on."""
    monkeypatch.setattr("workers.sources.source.LARGE_BYTES", 100_000)
    data = b"\x89PNG\r\n\x1a\n" + bytes(200_000)
    (folder / "b.jpg").write_bytes(data)

    assert data == fetch_file(folder / "b.jpg").data


def test_a_missing_root_is_gone(tmp_path: Path) -> None:
    """A root that is not there cannot be opened, nor can a file."""
    (tmp_path / "file").touch()
    for name in ("none", "file"):
        with pytest.raises(SourceUnavailable):
            LocalSource(tmp_path / name)


def test_a_root_that_vanishes_is_gone(root: LocalSource, folder: Path) -> None:
    """A file missing because the root is missing says nothing of the file."""
    shutil.rmtree(folder)

    with pytest.raises(SourceUnavailable, match="cannot be read"):
        root.fetch(b"2019/a.jpg")


def test_a_replaced_root_is_gone(root: LocalSource, folder: Path) -> None:
    """Another folder in its place is another collection."""
    (folder / "2019").rename(folder.parent / "2019")
    folder.rename(folder.parent / "old")
    folder.mkdir()
    (folder / "b.jpg").write_bytes(b"picture")

    with pytest.raises(SourceUnavailable, match="is not the folder that it was"):
        root.fetch(b"2019/a.jpg")


def test_an_empty_root_is_gone(root: LocalSource, folder: Path) -> None:
    """A mount point with nothing mounted is not a collection whose files were deleted."""
    shutil.rmtree(folder / "2019")

    with pytest.raises(SourceUnavailable, match="is empty"):
        root.fetch(b"2019/a.jpg")


@pytest.mark.parametrize("code", [errno.ESTALE, errno.ENOTCONN, errno.EIO, errno.ETIMEDOUT])
def test_a_root_that_answers_with_trouble_is_gone(
    root: LocalSource, folder: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A network mount that broke fails for the file and for the root alike."""
    real = os.stat

    def stat(path: object, **kwargs: object) -> os.stat_result:
        if path == folder:
            raise OSError(code, os.strerror(code))
        return real(path, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr("workers.sources.local.os.open", _failing(os.open, b"a.jpg", code))
    monkeypatch.setattr("workers.sources.local.os.stat", stat)

    with pytest.raises(SourceUnavailable, match="cannot be read"):
        root.fetch(b"2019/a.jpg")


def test_a_folder_made_anew_is_found(root: LocalSource, folder: Path) -> None:
    """A folder that was opened, deleted and made again gives its new files."""
    root.fetch(b"2019/a.jpg")
    shutil.rmtree(folder / "2019")
    (folder / "2019").mkdir()
    (folder / "2019" / "a.jpg").write_bytes(b"new")

    assert b"new" == root.fetch(b"2019/a.jpg", 3).data


def test_open_folders_are_few_and_given_back(folder: Path) -> None:
    """Going through many folders keeps few of them open, and closing gives all back."""
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208
    for i in range(100):
        (folder / str(i)).mkdir()
        (folder / str(i) / "a.jpg").write_bytes(b"x")

    with LocalSource(folder) as root:
        for i in range(100):
            root.fetch(b"%d/a.jpg" % i)
            with pytest.raises(FetchError):
                root.fetch(b"%d/b.jpg" % i)
        during = len(os.listdir("/dev/fd"))  # noqa: PTH208

    assert during <= before + 17
    assert before == len(os.listdir("/dev/fd"))  # noqa: PTH208


def test_a_single_file_by_name(folder: Path) -> None:
    """A file that the user names is read wherever it lies, through links too."""
    (folder / "b.jpg").symlink_to("../secret.jpg")

    assert b"secret" == fetch_file(folder / "b.jpg").data
    with pytest.raises(FetchError, match="No such file"):
        fetch_file(folder / "none.jpg")
