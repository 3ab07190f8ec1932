"""What surrounds the pixels of a file: a camera's metadata, or sizes that generators write.

None of it proves anything: metadata is easily removed or copied, and anyone may cut a photograph to
1024 by 1024 pixels. It shifts the odds, by likelihood ratios that were measured by owner and stand
on the card of `context`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from storage.records import CONTEXT, LIKELIHOOD_RATIO, Finding
from workers.images import tiff
from workers.images.decode import decode
from workers.images.errors import DecodeError
from workers.images.metadata import find_exif

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from workers.images.decode import Decoded, Header


class Surroundings(StrEnum):
    """The kinds of surroundings of an image, as short stable words."""

    CAMERA = "camera"  # make, model, exposure and more, all in agreement
    CAMERA_IN_PART = "camera_in_part"  # some of it, or not in agreement
    GENERATOR_FILE = "generator_file"  # lossless, in a size that generators write
    GENERATOR_SIZE = "generator_size"  # compressed, in a size that generators write
    OTHER = "other"  # anything else, such as a photograph from a messenger


TEXTS = {
    Surroundings.CAMERA: "the metadata of a camera, in agreement with the image",
    Surroundings.CAMERA_IN_PART: "a part of a camera's metadata",
    Surroundings.GENERATOR_FILE: "a size and a format that generators write",
    Surroundings.GENERATOR_SIZE: "a size that generators write",
    Surroundings.OTHER: "nothing that shifts the odds",
}

# Sizes in pixels that generators write, the longer side first; upright images have them turned.
# From their documentation: Stable Diffusion 1 to XL's training buckets, the sizes of the APIs of
# OpenAI's, Google's, Black Forest Labs', Alibaba's and ByteDance's models, Midjourney's aspect
# ratios. Sizes of cameras and screens (1024x768, 1280x960, 1920x1080, ...) are left out.
SIZES = frozenset(
    {
        (512, 512),
        (768, 512),
        (768, 768),
        (1024, 1024),
        (1152, 896),
        (1216, 832),
        (1344, 768),
        (1536, 640),
        (1536, 1024),
        (1792, 1024),
        (1248, 832),
        (1184, 864),
        (1184, 880),
        (1344, 896),
        (1456, 816),
        (1232, 928),
        (1280, 896),
        (1408, 768),
        (1376, 768),
        (1360, 768),
        (1392, 752),
        (1536, 672),
        (1328, 1328),
        (1664, 928),
        (1472, 1104),
        (1472, 1140),
        (1584, 1056),
        (2048, 2048),
        (2304, 1728),
        (2496, 1664),
        (2816, 1536),
        (2752, 1536),
        (5504, 3072),
        (4096, 4096),
    }
)

_EXPOSURE = frozenset({tiff.EXPOSURE_TIME, tiff.F_NUMBER, tiff.SENSITIVITY})
_CAMERA = frozenset({tiff.MAKE, tiff.MODEL}) | _EXPOSURE
_MORE = frozenset({tiff.FOCAL_LENGTH, tiff.LENS_MODEL, tiff.MAKER_NOTE})
_LOSSLESS = ("PNG", "BMP", "TIFF")
# A cut photograph has another shape than the one that its camera states.
_MAX_SHAPE_RATIO = 1.03
# Of grey values of thumbnail and image, at this side in pixels; that of two photographs is lower.
_THUMBNAIL_SIDE, _MIN_CORRELATION = 24, 0.7


def finding(
    data: bytes, decoded: Decoded, likelihood_ratios: Mapping[str, float]
) -> Finding | None:
    """Return the finding on an image's surroundings, None where they shift no odds.

    `likelihood_ratios` are those of the card, by kind.
    """
    kind = surroundings(data, decoded)
    likelihood_ratio = likelihood_ratios.get(kind, 1.0)
    if likelihood_ratio == 1.0:
        return None
    effect = "has to be surer" if likelihood_ratio < 1 else "may be less sure"
    text = f"{TEXTS[kind]}: a model {effect}"
    return Finding(CONTEXT, kind, None, text, {LIKELIHOOD_RATIO: likelihood_ratio})


def surroundings(data: bytes, decoded: Decoded) -> Surroundings:
    """Return the kind of surroundings that an image's file has."""
    header = decoded.header
    exif = find_exif(data)
    values = tiff.camera_values(exif)
    if values.keys() & _CAMERA:
        whole = values.keys() >= _CAMERA and values.keys() & _MORE
        if whole and _has_stated_shape(values, header) and _has_own_thumbnail(exif, decoded):
            return Surroundings.CAMERA
        return Surroundings.CAMERA_IN_PART
    size = max(header.width, header.height), min(header.width, header.height)
    if size not in SIZES:
        return Surroundings.OTHER
    is_lossless = header.format in _LOSSLESS
    return Surroundings.GENERATOR_FILE if is_lossless else Surroundings.GENERATOR_SIZE


def _has_stated_shape(values: Mapping[int, int], header: Header) -> bool:
    """Check whether the image has the aspect ratio that its camera states, if it states one."""
    width, height = values.get(tiff.PIXEL_WIDTH, 0), values.get(tiff.PIXEL_HEIGHT, 0)
    if min(width, height) < 1:
        return True
    ratios = sorted([_aspect(width, height), _aspect(header.width, header.height)])
    return ratios[1] <= ratios[0] * _MAX_SHAPE_RATIO


def _aspect(width: int, height: int) -> float:
    return max(width, height) / min(width, height)


def _has_own_thumbnail(exif: bytes, decoded: Decoded) -> bool:
    """Check whether the thumbnail shows the image, if there is one that can be read."""
    body = tiff.thumbnail(exif)
    if not body:
        return True
    try:
        small = decode(body).pixels
    except DecodeError:
        return True
    both = np.stack([_grey(_without_bars(small, decoded.header)), _grey(decoded.pixels)])
    if both.std(axis=1).min() < 1:
        return True
    centred = both - both.mean(axis=1, keepdims=True)
    correlation = centred[0] @ centred[1] / np.linalg.norm(centred, axis=1).prod()
    return bool(correlation >= _MIN_CORRELATION)


def _without_bars(thumbnail: NDArray[np.uint8], header: Header) -> NDArray[np.uint8]:
    """Cut a thumbnail to the image's aspect ratio: cameras fill up the rest with black bars."""
    height, width = thumbnail.shape[:2]
    kept_height = min(height, round(width * header.height / header.width)) or 1
    kept_width = min(width, round(height * header.width / header.height)) or 1
    top, left = (height - kept_height) // 2, (width - kept_width) // 2
    return thumbnail[top : top + kept_height, left : left + kept_width]


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    side = (_THUMBNAIL_SIDE, _THUMBNAIL_SIDE)
    small = Image.fromarray(pixels).convert("L").resize(side, Image.Resampling.BOX)
    return np.asarray(small, np.float64).ravel()
