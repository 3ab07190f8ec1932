"""Local sources: what is read, what is refused, and when the root is unavailable."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from storage.records import ErrorKind, Sidecar
from workers.images.decode import decode
from workers.images.errors import DecodeError
from workers.sources.files import fetch_file
from workers.sources.local import LocalSource
from workers.sources.source import FetchError, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a collection with one image, next to a secret file."""
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    root = tmp_path / "photos"
    (root / "2019").mkdir(parents=True)
    (root / "2019" / "a.jpg").write_bytes(b"content")
    return root


@pytest.fixture
def root(folder: Path) -> Iterator[LocalSource]:
    """Yield that collection as a source."""
    with LocalSource(folder, max_bytes=1000) as opened:
        yield opened


def _refused(root: LocalSource, path: bytes, size: int | None = None) -> ErrorKind:
    with pytest.raises(FetchError) as caught:
        root.fetch(path, size)
    assert 1 == len(str(caught.value).splitlines())
    return caught.value.kind


def test_sidecar(root: LocalSource, folder: Path) -> None:
    """A sidecar is read next to its image if it is as listed, and confined as any other file."""
    (folder / "2019" / "a.xmp").write_bytes(b"<x:xmpmeta>")
    (folder / "2019" / "link.xmp").symlink_to(folder.parent / "secret.jpg")
    listed = Sidecar(b"a.xmp", 11, 1)

    assert b"<x:xmpmeta>" == root.fetch_sidecar(b"2019/a.jpg", listed)
    for sidecar, kind in [
        (Sidecar(b"a.xmp", 12, 1), ErrorKind.CHANGED),
        (Sidecar(b"gone.xmp", 12, 1), ErrorKind.UNREADABLE),
        (Sidecar(b"link.xmp", 6, 1), ErrorKind.OUTSIDE),
        (Sidecar(b"../../secret.jpg", 6, 1), ErrorKind.OUTSIDE),
    ]:
        with pytest.raises(FetchError) as caught:
            root.fetch_sidecar(b"2019/a.jpg", sidecar)
        assert kind is caught.value.kind, sidecar


def _failing(real: Callable[..., int], name: object, code: int) -> Callable[..., int]:
    """Return `os.open` that fails for one name as the system does."""

    def fails(path: object, *args: object, **kwargs: object) -> int:
        if path == name:
            raise OSError(code, os.strerror(code))
        return real(path, *args, **kwargs)

    return fails


def test_bytes_and_digest(root: LocalSource) -> None:
    """A file comes with its SHA-256, at the first and at later fetches."""
    fetched = [root.fetch(b"2019/a.jpg", 7), root.fetch(b"2019/a.jpg")]

    assert [b"content"] * 2 == [file.data for file in fetched]
    assert [hashlib.sha256(b"content").digest()] * 2 == [file.digest for file in fetched]


def test_any_name_of_bytes(root: LocalSource, folder: Path) -> None:
    """Names may have bytes that are not UTF-8, leading dots and line breaks."""
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
def test_paths_that_leave_the_root(root: LocalSource, path: bytes) -> None:
    """Absolute paths and paths with empty, `.` or `..` parts are outside."""
    assert ErrorKind.OUTSIDE is _refused(root, path)


def test_absolute_path_into_the_root(root: LocalSource, folder: Path) -> None:
    """An absolute path is outside even if it leads into the root."""
    assert ErrorKind.OUTSIDE is _refused(root, os.fsencode(folder / "2019/a.jpg"))


@pytest.mark.parametrize("target", ["../secret.jpg", "{outside}/secret.jpg", "/etc/passwd"])
def test_link_out_of_the_root(root: LocalSource, folder: Path, target: str) -> None:
    """A relative or absolute link to a file outside is not read."""
    (folder / "b.jpg").symlink_to(target.format(outside=folder.parent))

    assert ErrorKind.OUTSIDE is _refused(root, b"b.jpg")


def test_folder_link_out_of_the_root(root: LocalSource, folder: Path) -> None:
    """A folder link to the outside is not followed, at any depth."""
    (folder / "out").symlink_to("..")
    (folder / "2019" / "out").symlink_to(folder.parent)

    assert ErrorKind.OUTSIDE is _refused(root, b"out/secret.jpg")
    assert ErrorKind.OUTSIDE is _refused(root, b"2019/out/secret.jpg")


def test_root_name_as_prefix(root: LocalSource, folder: Path) -> None:
    """`photos-private` is not inside `photos`."""
    (folder.parent / "photos-private").mkdir()
    (folder.parent / "photos-private" / "a.jpg").write_bytes(b"secret")
    (folder / "link").symlink_to("../photos-private")

    assert ErrorKind.OUTSIDE is _refused(root, b"link/a.jpg")


def test_links_inside_the_root_are_followed(root: LocalSource, folder: Path) -> None:
    """Links to files and folders are followed while they stay inside."""
    (folder / "b.jpg").symlink_to("2019/a.jpg")
    (folder / "c").symlink_to(folder / "2019")
    (folder / "2019" / "d").symlink_to("../c")
    (folder / "e.jpg").symlink_to("2019/d/a.jpg")

    for path in (b"b.jpg", b"c/a.jpg", b"c/a.jpg", b"2019/d/a.jpg", b"c/d/a.jpg", b"e.jpg"):
        assert b"content" == root.fetch(path, 7).data


def test_root_that_is_a_link(folder: Path) -> None:
    """The root itself may be a link."""
    link = folder.parent / "link"
    link.symlink_to("photos")
    (folder / "b.jpg").symlink_to(link / "2019" / "a.jpg")

    with LocalSource(link) as root:
        assert b"content" == root.fetch(b"2019/a.jpg").data
        assert b"content" == root.fetch(b"b.jpg").data


def test_folder_replaced_by_a_link(root: LocalSource, folder: Path) -> None:
    """An open folder that is replaced by a link to the outside is not followed."""
    root.fetch(b"2019/a.jpg")
    (folder / "2019").rename(folder / "moved")
    (folder / "2019").symlink_to("..")

    assert ErrorKind.OUTSIDE is _refused(root, b"2019/secret.jpg")


def test_link_replaced_while_it_is_resolved(
    root: LocalSource, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder replaced by a link after the check is not followed."""
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
    """A broken link and a link to itself are unreadable."""
    (folder / "b.jpg").symlink_to(target)

    assert ErrorKind.UNREADABLE is _refused(root, b"b.jpg")


def test_missing_files_are_unreadable(root: LocalSource) -> None:
    """Missing files and folders, and files instead of folders, are unreadable."""
    for path in (b"b.jpg", b"2019/b.jpg", b"2020/a.jpg", b"2019/a.jpg/b.jpg"):
        assert ErrorKind.UNREADABLE is _refused(root, path)


def test_pipe_and_folder(root: LocalSource, folder: Path) -> None:
    """A pipe without a writer, and a folder, are refused at once."""
    os.mkfifo(folder / "pipe.jpg")
    for path in (b"pipe.jpg", b"2019"):
        assert ErrorKind.UNREADABLE is _refused(root, path)


def test_empty_file(root: LocalSource, folder: Path) -> None:
    """An empty file is `empty`."""
    (folder / "b.jpg").touch()

    assert ErrorKind.EMPTY is _refused(root, b"b.jpg", 0)


def test_size_limit_is_exact(root: LocalSource, folder: Path) -> None:
    """A file of exactly the maximum is read; one byte more is too large."""
    (folder / "b.jpg").write_bytes(bytes(1000))
    (folder / "c.jpg").write_bytes(bytes(1001))

    assert 1000 == len(root.fetch(b"b.jpg", 1000).data)
    assert ErrorKind.TOO_LARGE is _refused(root, b"c.jpg", 1001)


def test_other_size_is_changed(root: LocalSource) -> None:
    """A file of another size than listed has changed."""
    assert ErrorKind.CHANGED is _refused(root, b"2019/a.jpg", 8)


@pytest.mark.parametrize("change", [b"longer than it was", b"shorter", b"same size as"])
def test_write_during_the_read(
    root: LocalSource, folder: Path, monkeypatch: pytest.MonkeyPatch, change: bytes
) -> None:
    """A file that is written to during the read has changed."""
    (folder / "b.jpg").write_bytes(b"it was size!")
    os.utime(folder / "b.jpg", ns=(1, 1))
    real = os.read

    def read(descriptor: int, count: int) -> bytes:
        (folder / "b.jpg").write_bytes(change)
        return real(descriptor, count)

    monkeypatch.setattr("workers.sources.local.os.read", read)

    assert ErrorKind.CHANGED is _refused(root, b"b.jpg", 12)


def test_short_reads(root: LocalSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short reads are put together."""
    real = os.read
    monkeypatch.setattr("workers.sources.local.os.read", lambda descriptor, _: real(descriptor, 3))

    assert b"content" == root.fetch(b"2019/a.jpg", 7).data


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ENAMETOOLONG])
def test_error_of_one_file(root: LocalSource, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A file without permission or on a bad sector is unreadable; the root is available."""
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
def test_temporary_errors(root: LocalSource, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Exhausted resources and broken mounts make the source unavailable.

    This holds even if the root, whose entries are cached, can still be listed.
    """
    monkeypatch.setattr("workers.sources.local.os.open", _failing(os.open, b"a.jpg", code))

    with pytest.raises(SourceUnavailable, match="cannot be read just now"):
        root.fetch(b"2019/a.jpg")


def test_socket_is_unreadable(
    root: LocalSource, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket, whose error is that of a removed disk, is unreadable."""
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
        (b"\0MRM\0\0\0\0", b""),
        (b"Plain text", b""),
    ],
    ids=["video", "targa", "svg", "raw", "text"],
)
def test_large_non_image_is_not_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, head: bytes, tail: bytes
) -> None:
    """A large file that is not an image is refused by its ends, for the reason of decoding."""
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


def test_large_image_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large image is read from its first byte."""
    monkeypatch.setattr("workers.sources.source.LARGE_BYTES", 100_000)
    data = b"\x89PNG\r\n\x1a\n" + bytes(200_000)
    (folder / "b.jpg").write_bytes(data)

    assert data == fetch_file(folder / "b.jpg").data


def test_missing_root(tmp_path: Path) -> None:
    """A missing root makes the source unavailable."""
    (tmp_path / "file").touch()
    for name in ("none", "file"):
        with pytest.raises(SourceUnavailable):
            LocalSource(tmp_path / name)


def test_vanished_root(root: LocalSource, folder: Path) -> None:
    """A file missing with its root makes the source unavailable."""
    shutil.rmtree(folder)

    with pytest.raises(SourceUnavailable, match="cannot be read"):
        root.fetch(b"2019/a.jpg")


def test_replaced_root(root: LocalSource, folder: Path) -> None:
    """Another folder instead of the root makes the source unavailable."""
    (folder / "2019").rename(folder.parent / "2019")
    folder.rename(folder.parent / "old")
    folder.mkdir()
    (folder / "b.jpg").write_bytes(b"content")

    with pytest.raises(SourceUnavailable, match="is not the folder that it was"):
        root.fetch(b"2019/a.jpg")


def test_empty_root(root: LocalSource, folder: Path) -> None:
    """An empty mount point makes the source unavailable."""
    shutil.rmtree(folder / "2019")

    with pytest.raises(SourceUnavailable, match="is empty"):
        root.fetch(b"2019/a.jpg")


@pytest.mark.parametrize("code", [errno.ESTALE, errno.ENOTCONN, errno.EIO, errno.ETIMEDOUT])
def test_broken_mount(
    root: LocalSource, folder: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A broken network mount makes the source unavailable."""
    real = os.stat

    def stat(path: object, **kwargs: object) -> os.stat_result:
        if path == folder:
            raise OSError(code, os.strerror(code))
        return real(path, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr("workers.sources.local.os.open", _failing(os.open, b"a.jpg", code))
    monkeypatch.setattr("workers.sources.local.os.stat", stat)

    with pytest.raises(SourceUnavailable, match="cannot be read"):
        root.fetch(b"2019/a.jpg")


def test_folder_created_again(root: LocalSource, folder: Path) -> None:
    """A folder that was deleted and created again has its new files."""
    root.fetch(b"2019/a.jpg")
    shutil.rmtree(folder / "2019")
    (folder / "2019").mkdir()
    (folder / "2019" / "a.jpg").write_bytes(b"new")

    assert b"new" == root.fetch(b"2019/a.jpg", 3).data


def test_open_folders_are_bounded(folder: Path) -> None:
    """Few folders stay open, and closing the source closes all."""
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


def test_single_file(folder: Path) -> None:
    """A file that the user names is read anywhere, through links too."""
    (folder / "b.jpg").symlink_to("../secret.jpg")

    assert b"secret" == fetch_file(folder / "b.jpg").data
    with pytest.raises(FetchError, match="No such file"):
        fetch_file(folder / "none.jpg")
