"""Errors of decoding: which of Pillow's are about the file, and what kind each of them is."""

from __future__ import annotations

import re
import struct
import zlib

from PIL import Image

from storage.records import ErrorKind
from workers.errors import ImageProblem
from workers.images.truncation import is_truncated
from workers.images.variants import unknown_variant

# The errors that Pillow and pi-heif raise for bad files, found by fuzzing them.
DECODER_ERRORS = (
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    ZeroDivisionError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

_MAX_DETAIL_CHARACTERS = 200
_UNSUPPORTED = re.compile(
    r"unsupported|not supported|cannot handle|unknown (?:pixel mode|data organi)"
    r"|decoder .* not available|no decod|unknown compression method",
    re.IGNORECASE,
)
# Of Pillow for text in a PNG, and of libheif.
_TOO_LARGE = re.compile(
    r"too much memory|decompressed data too large|security limit", re.IGNORECASE
)


class DecodeError(ImageProblem):
    """The bytes are not an image that can be decoded."""


def to_decode_error(form: str, data: bytes, error: BaseException) -> DecodeError:
    """Classify a decoder's error by its message, and by whether the file is complete."""
    if isinstance(error, (MemoryError, Image.DecompressionBombError)):
        return DecodeError(ErrorKind.TOO_LARGE, f"this {form} needs too much memory")
    message = " ".join(str(error).split())[:_MAX_DETAIL_CHARACTERS]
    if "truncated" in message.lower() or is_truncated(form, data):
        return DecodeError(ErrorKind.TRUNCATED, f"this {form} file is incomplete")
    if _TOO_LARGE.search(message):
        return DecodeError(ErrorKind.TOO_LARGE, f"this {form} needs too much memory")
    variant = unknown_variant(form, data)
    if variant is not None:
        text = f"this variant of {form} is not supported ({variant})"
        return DecodeError(ErrorKind.UNSUPPORTED, text)
    detail = message if message.isprintable() and " " in message else type(error).__name__
    if _UNSUPPORTED.search(message):
        text = f"this variant of {form} is not supported ({detail})"
        return DecodeError(ErrorKind.UNSUPPORTED, text)
    return DecodeError(ErrorKind.DAMAGED, f"this {form} is damaged ({detail})")
