"""A collection at a URL, on any file system that fsspec opens: sftp, s3, http, smb."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from storage.optional_packages import with_extra
from storage.records import ErrorKind
from workers.sources.source import (
    FetchError,
    SourceUnavailable,
    outside,
    require_size,
    to_fetched,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.records import Sidecar
    from workers.sources.location import UrlLocation
    from workers.sources.source import Fetched

_NOT_NAMES = frozenset({"", ".", ".."})
_WEB = frozenset({"http", "https"})
# Client errors that a web server gives about itself or about who asks, not about the file.
_SERVER_STATUSES = frozenset({401, 407, 408, 429})
_CLIENT_ERRORS = range(400, 500)
# Errors about one path. What else goes wrong is the connection's.
_FILE_ERRORS = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


class RemoteSource:
    """A folder on a remote file system; for use by several threads only if `is_concurrent`."""

    def __init__(self, location: UrlLocation, max_bytes: int) -> None:
        """Connect; raise SourceUnavailable where that fails, or a package is not installed."""
        self.location = self.identity = location
        self._max_bytes = max_bytes
        self._fs, self._base = self._call(lambda: _open(location.url))
        # Those for HTTP, S3 and other object stores; not SFTP or SMB.
        self.is_concurrent = bool(getattr(self._fs, "async_impl", False))

    def fetch(self, relative: bytes, expected_size: int | None = None) -> Fetched:
        """Read the file at a relative path, see `workers.sources.source.Source.fetch`."""
        name = os.fsdecode(relative)
        if any(part in _NOT_NAMES for part in name.split("/")) or "\0" in name:
            raise outside()
        return to_fetched(self._read(f"{self._base}/{name}", expected_size))

    def fetch_sidecar(self, image: bytes, sidecar: Sidecar) -> bytes:
        """Read a sidecar, see `workers.sources.source.Source.fetch_sidecar`."""
        return self.fetch(sidecar.path(image), sidecar.size_bytes).data

    def close(self) -> None:
        """Do nothing: fsspec keeps connections for the next use."""

    def _read(self, path: str, expected_size: int | None) -> bytes:
        try:
            size = self._call(lambda: self._fs.size(path))
            if size is not None:
                require_size(size, expected_size, self._max_bytes)
            data: bytes = self._call(lambda: self._read_bytes(path, size))
        except _FILE_ERRORS as error:
            self._require_base(error)
            reason = error.strerror or "there is no such file"
            raise FetchError(ErrorKind.UNREADABLE, f"cannot be read ({reason})") from error
        except UnicodeError as error:
            text = "cannot be read (its name is not Unicode, which URLs need)"
            raise FetchError(ErrorKind.UNREADABLE, text) from error
        require_size(len(data), expected_size, self._max_bytes)
        return data

    def _read_bytes(self, path: str, size: int | None) -> bytes:
        """Read a file; where the server gives no size, one byte more than allowed at the most."""
        if size is not None:
            return bytes(self._fs.cat_file(path))
        with self._fs.open(path, "rb") as file:
            return bytes(file.read(self._max_bytes + 1))

    def _require_base(self, error: Exception) -> None:
        """Raise SourceUnavailable where a file is missing because the whole folder is."""
        if urlsplit(self.location.url).scheme not in _WEB:
            if not self._call(lambda: self._fs.exists(self._base)):
                raise SourceUnavailable(f"{self.location} not found") from error
            return
        # A web server need not know folders, and fsspec reports all failures as missing files.
        cause = error.__cause__
        if not (cause is None or isinstance(cause, FileNotFoundError) or _is_about_file(cause)):
            raise self._unavailable(cause)

    def _call(self, action: Callable[[], Any]) -> Any:  # noqa: ANN401 - fsspec has no types
        """Return what an action returns; raise SourceUnavailable for errors of the connection."""
        try:
            return action()
        except (*_FILE_ERRORS, UnicodeError):
            raise
        except ImportError as error:
            raise SourceUnavailable(
                f"{self.location} needs a package that is not installed ({error}): "
                f"{with_extra('remote')}"
            ) from error
        except Exception as error:
            if _is_about_file(error):
                raise PermissionError(errno.EACCES, "the server refuses access") from error
            # Each library behind fsspec has its own errors.
            raise self._unavailable(error) from error

    def _unavailable(self, error: BaseException) -> SourceUnavailable:
        return SourceUnavailable(
            f"{self.location} cannot be read just now ({type(error).__name__})"
        )


def _open(url: str) -> tuple[Any, str]:
    import fsspec.core  # noqa: PLC0415 - an extra that few users need

    fs, base = fsspec.core.url_to_fs(url)
    return fs, str(base).rstrip("/")


def _is_about_file(error: BaseException) -> bool:
    """Check whether a web server's answer is about the file that was requested."""
    status = getattr(error, "status", None)
    return status in _CLIENT_ERRORS and status not in _SERVER_STATUSES
