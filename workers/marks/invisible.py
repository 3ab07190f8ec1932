"""The invisible watermark that Stable Diffusion's own programs embed, and those built on them.

The library `invisible-watermark` (method `dwtDct`) takes the chrominance U of an image, halves it
by a Haar transform, and in each block of 4x4 moves the largest coefficient to a quarter or to three
quarters of a step of 36: one bit of a message that repeats over the blocks. Its own decoder asks
the largest coefficient of a block, which need not be the moved one any more. Here each block votes
by how near any of its coefficients is to either place, which reads more of the files than the
library does. An image is marked if every bit of a published message is read.

JPEG, resizing and cropping remove the mark, so only lossless files are tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from PIL import Image

# The library refuses images of fewer pixels; of narrower ones no row of blocks has a message.
MIN_PIXELS, MIN_SIDE = 256 * 256, 64
# Side in pixels of the part of an image that carries one bit.
BLOCK = 8
# Blocks that are read first, in rows spread over the image; the rest follow only if so many of a
# message's bits are right, which takes a few milliseconds for a whole megapixel.
FIRST_BLOCKS, FIRST_SHARE = 1536, 0.75
# Blocks that are read at most: 4 megapixels.
MAX_BLOCKS = 1 << 16

# The distance of coefficients on which bits are written, in sums of four values of U: a Haar
# coefficient is half such a sum. Beyond _REACH from its place a coefficient gives no vote.
_STEP, _REACH = 72, 8
# Programs embed in 8-bit values, with U around 128, or in floating point, with U around 0.5.
_ZEROS = (0, 2 * 255)
_SUMS = 4 * 255 + 1
# U by red, green and blue (BT.601), as Pillow takes it.
_CHROMA = (-0.147108, -0.288804, 0.435912, 128.0)


@dataclass(frozen=True, slots=True)
class Message:
    """A published message, and the programs that embed it."""

    generator: str
    bits: NDArray[np.bool_]


def _of_number(generator: str, number: int) -> Message:
    return Message(generator, np.array([digit == "1" for digit in f"{number:048b}"]))


def _of_text(generator: str, text: str) -> Message:
    return Message(generator, np.unpackbits(np.frombuffer(text.encode(), np.uint8)).astype(bool))


# Each as it stands in the program's source: SDXL and Stable Video Diffusion (generative-models,
# diffusers), FLUX.1 (flux), Stable Diffusion 1 and 2 (scripts/txt2img.py), InvokeAI.
MESSAGES = (
    _of_number("Stable Diffusion XL", 0b101100111110110010010000011110111011000110011110),
    _of_number("FLUX.1", 0b001010101111111010000111100111001111010100101110),
    _of_text("Stable Diffusion 1", "StableDiffusionV1"),
    _of_text("Stable Diffusion 2", "SDV2"),
    _of_text("InvokeAI", "InvokeAI"),
)


def read(image: Image.Image) -> Message | None:
    """Return the message that an image at full resolution carries, None if it carries none.

    Takes images of mode RGB and RGBA; those of other modes carry none.
    """
    is_small = min(image.size) < MIN_SIDE or image.width * image.height < MIN_PIXELS
    if is_small or image.mode not in {"RGB", "RGBA"}:
        return None
    wide, high = image.width // BLOCK, image.height // BLOCK
    first = _votes(image, _spread(high, FIRST_BLOCKS // wide or 1))
    candidates = [
        (zero, message)
        for zero in range(len(_ZEROS))
        for message in MESSAGES
        if _right_bits(first[zero], message) >= FIRST_SHARE * len(message.bits)
    ]
    if not candidates:
        return None
    every = _votes(image, range(min(high, MAX_BLOCKS // wide)))
    for zero, message in candidates:
        if _right_bits(every[zero], message) == len(message.bits):
            return message
    return None


def _spread(rows: int, wanted: int) -> list[int]:
    """Return so many of the rows, spread evenly."""
    return sorted({index * rows // wanted for index in range(min(wanted, rows))})


@dataclass(frozen=True, slots=True)
class _Votes:
    """The place of each block in the image's order of blocks, and its vote: positive for a one."""

    place: NDArray[np.int64]
    vote: NDArray[np.int64]


def _right_bits(votes: _Votes, message: Message) -> int:
    """Return how many bits of a message the blocks' votes read rightly."""
    sums = np.bincount(votes.place % len(message.bits), votes.vote, len(message.bits))
    return int(np.count_nonzero(np.where(message.bits, sums, -sums) > 0))


def _votes(image: Image.Image, rows: Iterable[int]) -> list[_Votes]:
    """Return the votes of the blocks in these rows of blocks, for each zero of the scale."""
    wide = image.width // BLOCK
    places = []
    coefficients = []
    for row in rows:
        box = (0, row * BLOCK, wide * BLOCK, (row + 1) * BLOCK)
        coefficients.append(_coefficients(image.crop(box)))
        places.append(np.arange(row * wide, (row + 1) * wide))
    place, sums = np.concatenate(places), np.concatenate(coefficients)
    return [
        _Votes(place, near[1][sums].max(1).astype(np.int64) - near[0][sums].max(1))
        for near in _nearness()
    ]


def _coefficients(blocks: Image.Image) -> NDArray[np.int64]:
    """Return sums of four values of U, (blocks, 15), of one row of blocks.

    The first coefficient of a block carries nothing.
    """
    chroma = np.asarray(blocks.convert("RGB").convert("L", _CHROMA), np.int64)
    rows = chroma[0::2] + chroma[1::2]
    sums = (rows[:, 0::2] + rows[:, 1::2]).reshape(4, -1, 4).swapaxes(0, 1)
    return sums.reshape(-1, 16)[:, 1:]


@cache
def _nearness() -> list[tuple[NDArray[np.int8], NDArray[np.int8]]]:
    """Return by sum how near it is to the place of a zero and of a one, for each zero of the scale.

    The library writes on absolute values.
    """
    tables = []
    for zero in _ZEROS:
        phase = np.abs(np.arange(_SUMS) - zero) % _STEP
        near = [
            np.maximum(0, _REACH - np.abs(phase - place)).astype(np.int8)
            for place in (_STEP // 4, 3 * _STEP // 4)
        ]
        tables.append((near[0], near[1]))
    return tables
