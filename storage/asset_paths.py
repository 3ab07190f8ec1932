"""Paths of a photo library's images: in an album's folder, under a key and their own name.

The key is all that a worker needs to fetch an image, and to know whether it is still the same one:
`Alps/P6hfZFcXRWKzLJY_Zq-vpsXdHh0aKyk3~IMG_1.jpg`.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from uuid import UUID

from storage.paths import shown

# Bytes of a checksum that are kept, and characters of a key: base64 of those and the id.
CHECKSUM_BYTES = 8
_KEY = re.compile(rb"([-_0-9A-Za-z]{32})~")
# Bytes of a name, of the 255 that file systems allow.
_MAX_NAME, _MAX_FOLDER = 200, 250


@dataclass(frozen=True, slots=True)
class AssetKey:
    """An image of a library: its id, and the beginning of its SHA-1 (zeros: not known)."""

    asset_id: UUID
    checksum: bytes

    def __bytes__(self) -> bytes:
        return base64.urlsafe_b64encode(self.asset_id.bytes + self.checksum)

    def matches(self, sha1: bytes) -> bool:
        """Check a file's SHA-1 against the beginning of the known one, if there is one."""
        return not any(self.checksum) or sha1.startswith(self.checksum)


def asset_path(folder: str, key: AssetKey, name: str) -> bytes:
    """Return the path of an image, whatever characters a server has in the names."""
    plain = _plain(name)
    stem, dot, extension = plain.rpartition(b".")
    if len(plain) > _MAX_NAME and dot and len(extension) < _MAX_NAME:
        plain = stem[: _MAX_NAME - len(extension)] + dot + extension
    return b"%s/%s~%s" % (_plain(folder)[:_MAX_FOLDER], bytes(key), plain[-_MAX_NAME:])


def key_of(path: bytes) -> AssetKey | None:
    """Return the key in a path; None where there is none."""
    match = _KEY.match(path.rpartition(b"/")[2])
    if match is None:
        return None
    decoded = base64.urlsafe_b64decode(match[1])
    return AssetKey(UUID(bytes=decoded[:16]), decoded[16:])


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
