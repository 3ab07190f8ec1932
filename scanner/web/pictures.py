"""Pictures for the pages: made on demand from the collections' own files, then cached.

A file is opened by the id of its image, through the same confined fetch that workers use, and
decoded only if it has the very bytes that a worker has decoded before. What is sent is always
encoded anew.
"""

from __future__ import annotations

import os
import threading
from enum import Enum
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from storage.records import Outcome
from workers.errors import ImageProblem
from workers.images.decode import decode
from workers.images.orientation import apply_orientation, is_sideways, read_orientation
from workers.sources.local import LocalSource
from workers.sources.source import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scanner.web.cache import Cache
    from storage.reads.gallery import Listed
    from storage.writes.scans import Scan
    from workers.sources.location import SourceLocation

# Pictures that are decoded at a time: each may take some hundred megabytes.
AT_ONCE = 2
# Pictures with a longer side below this are enlarged by whole pixels, and kept without loss.
SMALL_SIDE = 256
SIZES_KEPT = 4_096


class Kind(Enum):
    """What a picture is made for: (longer side in pixels at the most, JPEG quality)."""

    THUMBNAIL = (320, 80)
    LARGE = (1600, 92)


class NoPicture(Exception):
    """There is no picture to show; the message says why."""


class Pictures:
    """Makes the pictures of every collection of a store."""

    def __init__(self, roots: Mapping[str, SourceLocation], cache: Cache) -> None:
        """`roots` are those of collections that lie elsewhere here; URLs are not read."""
        self._roots = roots
        self._cache = cache
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._size = lru_cache(SIZES_KEPT)(self._measured)

    def root(self, scan: Scan) -> Path:
        """Where a scan's collection lies on this machine."""
        return self._root(scan.collection, scan.root)

    def get(self, scan: Scan, listed: Listed, kind: Kind) -> bytes:
        """A picture as PNG or JPEG; raises NoPicture."""
        digest = self._digest(listed)
        name = f"{digest.hex()}-{kind.name.lower()}"
        made = self._cache.get(name)
        if made is None:
            with self._turns:
                made = _made(_fetched(self.root(scan), listed, digest), kind)
            self._cache.put(name, made)
        return made

    def size(self, scan: Scan, listed: Listed) -> tuple[int, int]:
        """Width and height in pixels of the upright picture in the file; raises NoPicture."""
        return self._size(scan.collection, scan.root, listed)

    def _measured(self, collection: str, root: bytes, listed: Listed) -> tuple[int, int]:
        with self._turns:
            data = _fetched(self._root(collection, root), listed, self._digest(listed))
            try:
                header = decode(data).header
            except ImageProblem as trouble:
                raise NoPicture(trouble.text) from trouble
        if is_sideways(read_orientation(data)):
            return header.height, header.width
        return header.width, header.height

    def _root(self, collection: str, root: bytes) -> Path:
        mapped = self._roots.get(collection)
        return mapped if isinstance(mapped, Path) else Path(os.fsdecode(root))

    @staticmethod
    def _digest(listed: Listed) -> bytes:
        if listed.outcome is None:
            raise NoPicture("not looked at yet")
        if listed.outcome is Outcome.ERROR or listed.digest is None:
            raise NoPicture("could not be read")
        return listed.digest


def _fetched(root: Path, listed: Listed, digest: bytes) -> bytes:
    """The bytes that were judged; nobody has seen others decode without harm."""
    try:
        # Opened anew each time: an open folder keeps its disk from being unmounted.
        with LocalSource(root) as opened:
            fetched = opened.fetch(listed.path)
    except SourceUnavailable as gone:
        raise NoPicture("its collection cannot be reached on this machine") from gone
    except ImageProblem as trouble:
        raise NoPicture(trouble.text) from trouble
    if fetched.digest != digest:
        raise NoPicture("is not the file that was judged")
    return fetched.data


def _made(data: bytes, kind: Kind) -> bytes:
    side, quality = kind.value
    try:
        decoded = decode(data, long_side=side)
    except ImageProblem as trouble:
        raise NoPicture(trouble.text) from trouble
    image = Image.fromarray(apply_orientation(decoded.pixels, read_orientation(data)).copy())
    encoded = BytesIO()
    longer = max(image.size)
    if longer < SMALL_SIDE:
        factor = -(-SMALL_SIDE // longer)
        enlarged = image.resize(
            (image.width * factor, image.height * factor), Image.Resampling.NEAREST
        )
        enlarged.save(encoded, "PNG")
    else:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        image.save(encoded, "JPEG", quality=quality)
    return encoded.getvalue()
