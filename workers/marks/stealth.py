"""Settings that generators hide in the lowest bits of a file's pixels ("stealth PNG info").

NovelAI, Forge, SwarmUI and extensions of other programs write a name, a length and a text, one bit
into each pixel's alpha or three into its colours, column by column. Nearly all images end the
search with the first 120 bits, which are not that name.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.provenance import generators
from workers.provenance.metadata_field import Field

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from storage.records import Finding

ALPHA, COLOURS = "the lowest bits of alpha", "the lowest bits of the colours"
# By name: where the text is, and whether it is compressed (gzip).
_NAMES = {
    b"stealth_pnginfo": (ALPHA, False),
    b"stealth_pngcomp": (ALPHA, True),
    b"stealth_rgbinfo": (COLOURS, False),
    b"stealth_rgbcomp": (COLOURS, True),
}
_NAME_BYTES, _LENGTH_BYTES = 15, 4
_HEADER_BITS = 8 * (_NAME_BYTES + _LENGTH_BYTES)
# Bytes of a text, as stored and as decompressed; real ones have a few thousand.
MAX_BYTES = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS


def settings(image: Image.Image) -> tuple[str, Finding] | None:
    """Return where an image at full resolution hides settings, and what these say; None if nothing.

    Only a text that a generator writes counts: anyone can hide another one in the same way.
    """
    if image.mode not in {"RGB", "RGBA"}:
        return None
    hidden = _read(image)
    if hidden is None:
        return None
    where, text = hidden
    evidence = generators.findings(_fields(text))
    return (where, evidence[0]) if evidence else None


def _read(image: Image.Image) -> tuple[str, str] | None:
    """Return where a text is hidden, and the text; None where there is none, or a damaged one."""
    for where in (ALPHA, COLOURS) if image.mode == "RGBA" else (COLOURS,):
        header = np.packbits(_bits(image, where, _HEADER_BITS)).tobytes()
        place, is_compressed = _NAMES.get(header[:_NAME_BYTES], ("", False))
        if place != where:
            continue
        length = int.from_bytes(header[_NAME_BYTES:], "big")
        if not 0 < length <= 8 * MAX_BYTES:
            return None
        bits = _bits(image, where, _HEADER_BITS + length)[_HEADER_BITS:]
        body = np.packbits(bits).tobytes()
        return where, (_decompressed(body) if is_compressed else body).decode("utf-8", "replace")
    return None


def _bits(image: Image.Image, where: str, count: int) -> NDArray[np.uint8]:
    """Return the first bits, fewer from a small image, of as few columns as have them."""
    each = 1 if where == ALPHA else 3
    columns = min(image.width, -(-count // (each * image.height)))
    pixels = np.asarray(image.crop((0, 0, columns, image.height)))
    channels = pixels[..., 3:] if where == ALPHA else pixels[..., :3]
    return np.asarray(channels.swapaxes(0, 1).reshape(-1)[:count] & 1, np.uint8)


def _decompressed(body: bytes) -> bytes:
    try:
        return zlib.decompressobj(_GZIP).decompress(body, MAX_BYTES)
    except zlib.error:
        return b""


def _fields(text: str) -> list[Field]:
    """Return a text as the fields of a PNG that it stands for.

    It is the web UI's settings, or an object with a text by keyword, as NovelAI writes it.
    """
    fields = [Field("png:parameters", text)]
    if text.startswith("{"):
        try:
            values: dict[str, Any] = json.loads(text)
        except (ValueError, RecursionError):
            return fields
        fields += [
            Field(f"png:{keyword}", value if isinstance(value, str) else json.dumps(value))
            for keyword, value in values.items()
        ]
    return fields
