"""JPEG XL (ISO/IEC 18181): the size in its header, and its decoder, which is an extra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from storage.records import ErrorKind
from workers.images.bmff import boxes
from workers.images.errors import DecodeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CODESTREAM = b"\xff\x0a"
# The size and number of channels stand within these bytes of a codestream.
_HEADER_BYTES = 64
_NEEDS_EXTRA = "is JPEG XL, which needs the extra `jxl`: pip install 'ai-photo-scanner[jxl]'"
# Width by height, by the number in the header.
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
# The fields of variable size (part 1, 9.2.2): for each selector a number to add, and bits to read.
_Choices = tuple[tuple[int, int], ...]
_SIDE: _Choices = ((1, 9), (1, 13), (1, 18), (1, 30))
_PREVIEW_SIDE: _Choices = ((1, 6), (65, 8), (321, 10), (1345, 12))
_PREVIEW_EIGHTHS: _Choices = ((16, 0), (32, 0), (1, 5), (33, 9))
_ANIMATION: tuple[_Choices, ...] = (
    ((100, 0), (1000, 0), (1, 10), (1, 30)),
    ((1, 0), (1001, 0), (1, 8), (1, 10)),
    ((0, 0), (0, 3), (0, 16), (0, 32)),
)
_INTEGER_BITS: _Choices = ((8, 0), (10, 0), (12, 0), (1, 6))
_FLOAT_BITS: _Choices = ((32, 0), (16, 0), (24, 0), (1, 6))
_EXTRA_CHANNELS: _Choices = ((0, 0), (1, 0), (2, 4), (1, 12))


class Header(NamedTuple):
    """What a codestream's header states: width, height, channels beside colour, bits a channel."""

    width: int
    height: int
    extra_channels: int = 0
    bits: int = 8

    @property
    def peak_bytes(self) -> int:
        """Return the memory that decoding takes for a pixel.

        Measured: 2.3 to 2.5 bytes for each byte of a channel, colour or not.
        """
        sample_bytes = 1 if self.bits <= 8 else 2 if self.bits <= 16 else 4  # noqa: PLR2004
        return 3 * (3 + self.extra_channels) * sample_bytes


def read_header(data: bytes) -> Header:
    """Read the header of a file's codestream; ValueError where it is damaged."""
    bits = _Bits(_codestream(data)[len(_CODESTREAM) : _HEADER_BYTES])
    width, height = _size_header(bits)
    if bits.read(1):  # everything else has its default
        return Header(width, height)
    if bits.read(1):
        _skip_extra_fields(bits)
    if bits.read(1):
        depth = bits.choose(_FLOAT_BITS)
        bits.read(4)  # of the exponent
    else:
        depth = bits.choose(_INTEGER_BITS)
    bits.read(1)  # whether 16 bits are enough in between
    return Header(width, height, bits.choose(_EXTRA_CHANNELS), depth)


def decode(data: bytes) -> Image.Image:
    """Decode the first frame, upright, to at most eight bits a channel.

    Raise DecodeError without the extra or for a truncated file, RuntimeError for a damaged one.
    """
    try:
        from imagecodecs import jpegxl_decode  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise DecodeError(ErrorKind.UNSUPPORTED, _NEEDS_EXTRA) from error
    # There are as many pool processes as cores.
    try:
        pixels: NDArray[Any] = jpegxl_decode(data, 0, numthreads=1)
    except RuntimeError as error:
        if "NEED_MORE_INPUT" in str(error):
            raise DecodeError(ErrorKind.TRUNCATED, "this JXL file is incomplete") from error
        raise
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    elif pixels.dtype != np.uint8:
        pixels = (np.nan_to_num(pixels).clip(0, 1) * 255).round().astype(np.uint8)
    return Image.fromarray(pixels)


class _Bits:
    """Reads numbers from bytes, the lowest bit first; ValueError past the end."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "little")
        self._left = 8 * len(data)

    def read(self, count: int) -> int:
        """Return the next bits as a number."""
        if count > self._left:
            raise ValueError("a header that ends early")
        value = self._number & ((1 << count) - 1)
        self._number >>= count
        self._left -= count
        return value

    def choose(self, choices: _Choices) -> int:
        """Return a number of variable size."""
        offset, count = choices[self.read(2)]
        return offset + self.read(count)


def _codestream(data: bytes) -> bytes:
    """Return the beginning of the codestream, bare or in a box; ValueError if there is none."""
    start = 0 if data.startswith(_CODESTREAM) else None
    if start is None:
        for name, first, _ in boxes(data, 0, len(data)):
            if name in (b"jxlc", b"jxlp"):
                # A part begins with its number.
                start = first if name == b"jxlc" else first + 4
                break
    if start is None or not data.startswith(_CODESTREAM, start):
        raise ValueError("a file without a codestream")
    return data[start : start + _HEADER_BYTES]


def _size_header(bits: _Bits) -> tuple[int, int]:
    is_small = bits.read(1)
    height = _side(bits, is_small)
    ratio = bits.read(3)
    if ratio:
        numerator, denominator = _RATIOS[ratio]
        return height * numerator // denominator, height
    return _side(bits, is_small), height


def _side(bits: _Bits, is_small: int) -> int:
    return 8 * (bits.read(5) + 1) if is_small else bits.choose(_SIDE)


def _skip_extra_fields(bits: _Bits) -> None:
    """Read over orientation, intended size, preview and animation."""
    bits.read(3)
    if bits.read(1):
        _size_header(bits)
    if bits.read(1):
        choices = _PREVIEW_EIGHTHS if bits.read(1) else _PREVIEW_SIDE
        bits.choose(choices)
        if not bits.read(3):
            bits.choose(choices)
    if bits.read(1):
        for choices in _ANIMATION:
            bits.choose(choices)
        bits.read(1)
