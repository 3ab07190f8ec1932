"""Thumbnails and large previews of images, made on demand and cached.

A file is opened by the id of its image, through the same confined fetch that workers use, and
decoded only if its bytes are those that a worker decoded before. Previews are always re-encoded.
"""

from __future__ import annotations

import json
import threading
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache, partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from PIL import Image

from scanner.config import APP
from scanner.language import gettext
from scanner.web.disk_cache import DiskCache
from workers.errors import ImageProblem
from workers.images.decode import decode
from workers.images.orientation import apply_orientation, is_sideways, read_orientation
from workers.images.photograph import read_place, read_taken, read_zone
from workers.pipeline.crops import upright
from workers.sources.files import MAX_BYTES
from workers.sources.location import mapped_location
from workers.sources.registry import open_source
from workers.sources.source import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from storage.reads.gallery import ListedFile
    from storage.writes.scans import Scan
    from workers.pipeline.crops import Box
    from workers.sources.location import LibraryLocation, SourceLocation

# Images decoded at a time: each may take some hundred megabytes.
PARALLEL = 2
# Images with a longer side below this are enlarged by whole pixels, and saved without loss.
SMALL_SIDE = 256
CACHED_SIZES = 4_096


class Size(Enum):
    """Sizes of previews: (maximum of the longer side in pixels, JPEG quality)."""

    THUMBNAIL = (320, 80)
    LARGE = (1600, 92)
    FULL = (32_768, 92)


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of an image as stored, in pixels, and how it is turned for viewing."""

    stored: tuple[int, int]
    orientation: int

    @property
    def upright(self) -> tuple[int, int]:
        """Return width and height as viewed."""
        width, height = self.stored
        return (height, width) if is_sideways(self.orientation) else (width, height)

    def to_upright(self, box: Box) -> Box:
        """Convert a box of the stored image to the image as viewed."""
        return upright(box, self.orientation, self.stored)


@dataclass(frozen=True, slots=True)
class Taken:
    """When, by the camera's clock in its zone, with what, and where in degrees, if it is known."""

    at: float | None = None
    camera: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    zone: str = ""


def user_cache() -> DiskCache:
    """Return this user's cache of previews."""
    return DiskCache(Path(platformdirs.user_cache_path(APP)) / "pictures")


class NoPreview(Exception):
    """An image has no preview; the message is the reason."""


class Previews:
    """Previews of the images of every collection of a store."""

    def __init__(self, roots: Mapping[str, SourceLocation], cache: DiskCache) -> None:
        """Take the roots of collections that are elsewhere on this machine; URLs are not read."""
        self._roots = roots
        self._cache = cache
        self._decoding = threading.BoundedSemaphore(PARALLEL)
        self._shapes = lru_cache(CACHED_SIZES)(self._measure)

    def root(self, scan: Scan) -> Path | LibraryLocation:
        """Return the location of a scan's collection on this machine."""
        return mapped_location(self._roots, scan.collection, scan.root)

    def get(self, scan: Scan, listed: ListedFile, size: Size) -> bytes:
        """Return a preview as PNG or JPEG; raises NoPreview."""
        return self.cached(scan, listed, size.name.lower(), partial(_render, size=size))

    def cached(
        self, scan: Scan, listed: ListedFile, name: str, make: Callable[[bytes], bytes]
    ) -> bytes:
        """Return what `make` makes of the judged bytes of an image, cached by their digest.

        Raises NoPreview where they cannot be read, or are not those that were judged.
        """
        digest = self._digest(listed)
        file = f"{digest.hex()}-{name}"
        made = self._cache.get(file)
        if made is None:
            with self._decoding:
                made = make(_fetch(self.root(scan), listed, digest))
            self._cache.put(file, made)
        return made

    def taken(self, scan: Scan, listed: ListedFile) -> Taken:
        """Return when, where and with what an image was taken; raises NoPreview."""
        return Taken(*json.loads(self.cached(scan, listed, "taken-2", _read_taken)))

    def shape(self, scan: Scan, listed: ListedFile) -> Shape:
        """Return the size of an image as stored and its orientation; raises NoPreview."""
        return self._shapes(scan.collection, scan.root, listed)

    def _measure(self, collection: str, root: bytes, listed: ListedFile) -> Shape:
        with self._decoding:
            where = mapped_location(self._roots, collection, root)
            data = _fetch(where, listed, self._digest(listed))
            try:
                header = decode(data).header
            except ImageProblem as problem:
                raise NoPreview(problem.text) from problem
        return Shape((header.width, header.height), read_orientation(data))

    @staticmethod
    def _digest(listed: ListedFile) -> bytes:
        if listed.outcome is None:
            raise NoPreview(gettext("not judged yet"))
        if listed.has_error or listed.digest is None:
            raise NoPreview(gettext("could not be read"))
        return listed.digest


def full_size(shape: Shape) -> tuple[int, int]:
    """Return the size of the preview of an image at its own resolution, as viewed."""
    width, height = shape.upright
    factor = _enlargement(max(width, height))
    return width * factor, height * factor


def _enlargement(longer: int) -> int:
    """Return by how many whole pixels an image with that longer side is enlarged."""
    return -(-SMALL_SIDE // longer) if longer < SMALL_SIDE else 1


def _fetch(root: Path | LibraryLocation, listed: ListedFile, digest: bytes) -> bytes:
    """Return the bytes that were judged: others might crash the decoder."""
    try:
        # Opened for each image: an open folder would keep its disk from being unmounted.
        with closing(open_source(root, MAX_BYTES)) as source:
            fetched = source.fetch(listed.path)
    except SourceUnavailable as error:
        raise NoPreview(gettext("its collection is not reachable from this machine")) from error
    except ImageProblem as problem:
        raise NoPreview(problem.text) from problem
    if fetched.digest != digest:
        raise NoPreview(gettext("the file has changed since it was judged"))
    return fetched.data


def _read_taken(data: bytes) -> bytes:
    photograph = read_taken(data)
    place = read_place(data) or (None, None)
    zone = read_zone(data)
    return json.dumps([photograph.taken_at, photograph.camera, *place, zone]).encode()


def _render(data: bytes, size: Size) -> bytes:
    side, quality = size.value
    try:
        decoded = decode(data, long_side=side)
    except ImageProblem as problem:
        raise NoPreview(problem.text) from problem
    image = Image.fromarray(apply_orientation(decoded.pixels, read_orientation(data)).copy())
    encoded = BytesIO()
    longer = max(image.size)
    if longer < SMALL_SIDE:
        factor = _enlargement(longer)
        enlarged = image.resize(
            (image.width * factor, image.height * factor), Image.Resampling.NEAREST
        )
        enlarged.save(encoded, "PNG")
    else:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        image.save(encoded, "JPEG", quality=quality)
    return encoded.getvalue()
