"""Paths of a photo library's images: in an album's folder, under a key and their own name.

The key is all that a worker needs to fetch an image, and to know whether it is still the same one:
`Alps/P6hfZFcXRWKzLJY_Zq-vpsXdHh0aKyk3~IMG_1.jpg`. Keys of immich and of PhotoPrism look alike; the
location of a collection says which it has.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from storage.paths import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

# Bytes of a checksum that are kept, of a whole one, and of a key.
CHECKSUM_BYTES = 8
SHA1_BYTES = 20
_KEY_BYTES = 24
_KEY = re.compile(rb"([-_0-9A-Za-z]{32})~")
# Bytes of a name, of the 255 that file systems allow, and folders in each other.
_MAX_NAME, _MAX_FOLDER = 200, 250
_MAX_FOLDERS = 16


@dataclass(frozen=True, slots=True)
class AssetKey:
    """An image of immich: its id, and the beginning of its SHA-1 (zeros: not known)."""

    asset_id: UUID
    checksum: bytes

    def __bytes__(self) -> bytes:
        return base64.urlsafe_b64encode(self.asset_id.bytes + self.checksum)


@dataclass(frozen=True, slots=True)
class FileKey:
    """A file of PhotoPrism, which knows it by its SHA-1."""

    sha1: bytes

    def __bytes__(self) -> bytes:
        return base64.urlsafe_b64encode(self.sha1.ljust(_KEY_BYTES, b"\0"))


def asset_path(folders: Sequence[str], key: AssetKey | FileKey, name: str) -> bytes:
    """Return the path of an image, whatever characters a server has in the names."""
    plain = _plain(name)
    stem, dot, extension = plain.rpartition(b".")
    if len(plain) > _MAX_NAME and dot and len(extension) < _MAX_NAME:
        plain = stem[: _MAX_NAME - len(extension)] + dot + extension
    parents = [_plain(folder)[:_MAX_FOLDER] for folder in folders[:_MAX_FOLDERS]]
    return b"/".join([*parents, b"%s~%s" % (bytes(key), plain[-_MAX_NAME:])])


def key_of(path: bytes) -> AssetKey | None:
    """Return the key of an image of immich in its path; None where there is none."""
    text = key_text(path)
    if text is None:
        return None
    decoded = base64.urlsafe_b64decode(text)
    return AssetKey(UUID(bytes=decoded[:16]), decoded[16:])


def file_key_of(path: bytes) -> FileKey | None:
    """Return the key of a file of PhotoPrism in its path; None where there is none."""
    text = key_text(path)
    decoded = b"" if text is None else base64.urlsafe_b64decode(text)
    return FileKey(decoded[:SHA1_BYTES]) if decoded and not any(decoded[SHA1_BYTES:]) else None


def key_text(path: bytes) -> bytes | None:
    """Return the key in a path as it is written there; None where there is none."""
    match = _KEY.match(path.rpartition(b"/")[2])
    return None if match is None else match[1]


def without_key(path: bytes) -> bytes:
    """Return a path without the key in it, if it has one."""
    folder, slash, name = path.rpartition(b"/")
    return folder + slash + _KEY.sub(b"", name, count=1)


def shown_image(path: bytes) -> str:
    """Return the path of an image as text for people, without its key."""
    return shown(without_key(path))


def _plain(name: str) -> bytes:
    """Return a name as that of one file: no other folder, never empty."""
    plain = name.encode(errors="replace").replace(b"/", b"_").replace(b"\0", b"_")
    return b"_" if plain in (b"", b".", b"..") else plain
