"""By what an image is found among others: date of taking, camera, and what it looks like."""

from __future__ import annotations

import calendar
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from storage.records import Photograph
from workers.images import tiff
from workers.images.metadata import find_exif

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Below this side in pixels many images look alike.
MIN_SIDE = 64
# The shorter side in pixels of the sample that is hashed, at least.
_SAMPLE_SIDE = 128
# Of 256 levels of grey: flatter images have nothing but noise to compare.
_MIN_CONTRAST = 16
_COLUMNS, _ROWS = 9, 8
_MAX_CAMERA = 80
_ZONE = re.compile(r"[+-]\d\d:\d\d", re.ASCII)


def read_photograph(data: bytes, pixels: NDArray[np.uint8]) -> Photograph:
    """Return by what an image is found: from its EXIF, and from its pixels, HxWx3."""
    return replace(read_taken(data), look=difference_hash(pixels))


def read_taken(data: bytes) -> Photograph:
    """Return when and with what an image was taken, as its EXIF says."""
    values = tiff.texts(find_exif(data), (tiff.MAKE, tiff.MODEL, tiff.TAKEN))
    return Photograph(
        taken_at=_seconds(values.get(tiff.TAKEN, "")),
        camera=_camera(values.get(tiff.MAKE, ""), values.get(tiff.MODEL, "")),
    )


def read_zone(data: bytes) -> str:
    """Return the zone of the clock by which an image was taken, as "+08:00"; empty if unknown."""
    zone = tiff.texts(find_exif(data), (tiff.TAKEN_ZONE,)).get(tiff.TAKEN_ZONE, "")
    return zone if _ZONE.fullmatch(zone) else ""


def read_place(data: bytes) -> tuple[float, float] | None:
    """Return where an image was taken, latitude and longitude in degrees, as its EXIF says."""
    return tiff.position(find_exif(data))


def difference_hash(pixels: NDArray[np.uint8]) -> int | None:
    """Return the difference hash of pixels, HxWx3, as a signed integer of 64 bits.

    A bit is set where a cell of 9 by 8 grey ones is darker than the next to the right (N. Krawetz,
    "Kind of Like That", 2013). None for images that are tiny or flat.
    """
    side = min(pixels.shape[:2])
    if side < MIN_SIDE:
        return None
    step = max(1, side // _SAMPLE_SIDE)
    grey = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step])).convert("L")
    cells = np.asarray(grey.resize((_COLUMNS, _ROWS), Image.Resampling.BOX))
    if int(cells.max()) - int(cells.min()) < _MIN_CONTRAST:
        return None
    bits = np.packbits(cells[:, :-1] < cells[:, 1:])
    return int.from_bytes(bits.tobytes(), "big", signed=True)


def _seconds(text: str) -> float | None:
    """Return the seconds of EXIF's date, which has no zone, as if it were UTC."""
    try:
        return float(calendar.timegm(time.strptime(text, "%Y:%m:%d %H:%M:%S")))
    except (OverflowError, ValueError):
        return None


def _camera(make: str, model: str) -> str | None:
    """Return make and model, once where the model begins with the make."""
    maker = make.partition(" ")[0]
    name = model if model.lower().startswith(maker.lower()) else f"{make} {model}"
    return name.strip()[:_MAX_CAMERA].strip() or None
