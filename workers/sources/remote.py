"""A collection's images from any file system that fsspec knows: sftp, s3, http, smb."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from storage.extras import with_extra
from storage.records import ErrorKind
from workers.sources.local import Fetched, FetchError, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

_NO_NAMES = frozenset({"", ".", ".."})
_WEB = frozenset({"http", "https"})
_NO_FILE = "there is no such file"
# What a web server says of itself, or of who asks, and not of the file.
_OF_THE_SERVER = frozenset({401, 407, 408, 429})
_CLIENT_ERRORS = range(400, 500)


@dataclass(frozen=True, slots=True)
class Url:
    """A folder by its URL, which may hold a password."""

    url: str

    def __str__(self) -> str:
        """Without what may be a password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def has_password(self) -> bool:
        """Whether it has one where URLs have them."""
        return urlsplit(self.url).password is not None


class RemoteSource:
    """A folder on such a file system; not for two threads at a time."""

    def __init__(self, place: Url, max_bytes: int) -> None:
        """SourceUnavailable where it cannot be reached, or what it takes is not installed."""
        self.place = self.identity = place
        self._max_bytes = max_bytes
        self._fs, self._base = _until_world(place, lambda: _open(place.url))

    def fetch(self, relative: bytes, expected_size: int | None = None) -> Fetched:
        """The bytes of the file at a relative path, of the size in bytes that was listed.

        Raises FetchError as `workers.sources.local.Root` does, SourceUnavailable where it
        cannot be reached.
        """
        name = os.fsdecode(relative)
        if any(part in _NO_NAMES for part in name.split("/")) or "\0" in name:
            raise FetchError(ErrorKind.OUTSIDE, "its path leaves the collection")
        data = self._read(f"{self._base}/{name}", expected_size)
        if not data:
            raise FetchError(ErrorKind.EMPTY, "has no bytes at all")
        return Fetched(data, sha256(data).digest())

    def close(self) -> None:
        """Nothing: connections are kept for the next time."""

    def _read(self, path: str, expected_size: int | None) -> bytes:
        try:
            size = _until_world(self.place, lambda: self._fs.size(path))
            if size is not None:
                _require(size, expected_size, self._max_bytes)
            data: bytes = _until_world(self.place, lambda: self._bytes(path, size))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
            self._require_base(error)
            why = error.strerror or _NO_FILE
            raise FetchError(ErrorKind.UNREADABLE, f"cannot be read ({why})") from error
        except UnicodeError as error:
            raise FetchError(
                ErrorKind.UNREADABLE, "cannot be read (its name is no text, which URLs are)"
            ) from error
        _require(len(data), expected_size, self._max_bytes)
        return data

    def _bytes(self, path: str, size: int | None) -> bytes:
        """All of a file; of one that the server gives no length of, not more than is allowed."""
        if size is not None:
            return bytes(self._fs.cat_file(path))
        with self._fs.open(path, "rb") as file:
            return bytes(file.read(self._max_bytes + 1))

    def _require_base(self, error: Exception) -> None:
        """Tell a file that is not there from a folder that is not."""
        if urlsplit(self.place.url).scheme in _WEB:
            self._require_answer(error)
        elif not _until_world(self.place, lambda: self._fs.exists(self._base)):
            raise SourceUnavailable(f"{self.place} is not there") from error

    def _require_answer(self, error: Exception) -> None:
        """Tell what a web server says of a file from one that says nothing.

        It need not know of folders, and to fsspec all that fails is a file that is not there.
        """
        cause = error.__cause__
        if not (cause is None or isinstance(cause, FileNotFoundError) or _is_of_a_file(cause)):
            raise SourceUnavailable(
                f"{self.place} cannot be read just now ({type(cause).__name__})"
            )


def _open(url: str) -> tuple[Any, str]:
    import fsspec.core  # noqa: PLC0415 - an extra, and for few

    fs, base = fsspec.core.url_to_fs(url)
    return fs, str(base).rstrip("/")


def _until_world(place: Url, action: Callable[[], Any]) -> Any:  # noqa: ANN401 - fsspec has no types
    """What the action gives; what is wrong with the connection becomes SourceUnavailable."""
    try:
        return action()
    except (
        FileNotFoundError,
        IsADirectoryError,
        NotADirectoryError,
        PermissionError,
        UnicodeError,
    ):
        raise
    except ImportError as error:
        raise SourceUnavailable(
            f"{place} needs a package that is not installed ({error}): {with_extra('remote')}"
        ) from error
    except Exception as error:
        if _is_of_a_file(error):
            raise PermissionError(errno.EACCES, "the server does not give it") from error
        # Each library behind fsspec has errors of its own; none of them is a picture's.
        raise SourceUnavailable(
            f"{place} cannot be read just now ({type(error).__name__})"
        ) from error


def _is_of_a_file(error: BaseException) -> bool:
    """Whether it is a web server's answer about the file that was asked for."""
    status = getattr(error, "status", None)
    return status in _CLIENT_ERRORS and status not in _OF_THE_SERVER


def _require(size: int, expected_size: int | None, max_bytes: int) -> None:
    if expected_size is not None and size != expected_size:
        text = f"has {size} bytes now, {expected_size} when it was listed"
        raise FetchError(ErrorKind.CHANGED, text)
    if size > max_bytes:
        raise FetchError(ErrorKind.TOO_LARGE, f"has {size} bytes, more than {max_bytes}")
