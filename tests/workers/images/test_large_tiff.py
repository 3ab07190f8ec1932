"""TIFFs of more pixels than an image may have: the same picture as when decoded as a whole."""

from __future__ import annotations

import io
import zlib
from struct import pack

import numpy as np
import pytest
from PIL import Image

from storage.records import ErrorKind
from workers.images.decode import decode
from workers.images.errors import DecodeError

WIDTH, HEIGHT = 300, 211
LIMIT = 25_000  # pixels; the image has more than twice as many
SIDE = 32


def _image(mode: str = "RGB") -> Image.Image:
    noise = np.random.default_rng(5).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    if mode == "RGBA":
        image.putalpha(image.getchannel("G"))
    elif mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 256)
    return image.convert(mode)


def _saved(mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    # Two rows of RGB a strip, more rows of other modes.
    _image(mode).save(file, "TIFF", **({"strip_size": 2 * 3 * WIDTH} | options))
    return file.getvalue()


def _tiled(order: str = "<", *, side: int = 64, compression: int = 8) -> bytes:
    """Return a TIFF of tiles, those at the edges padded."""
    padded = Image.new("RGB", (-(-WIDTH // side) * side, -(-HEIGHT // side) * side), "red")
    padded.paste(_image())
    tiles = [
        padded.crop((left, top, left + side, top + side)).tobytes()
        for top in range(0, padded.height, side)
        for left in range(0, padded.width, side)
    ]
    if compression == 8:
        tiles = [zlib.compress(tile) for tile in tiles]
    places = [8 + sum(map(len, tiles[:number])) for number in range(len(tiles))]
    body = b"".join(tiles)
    values = [
        (256, [WIDTH]), (257, [HEIGHT]), (258, [8, 8, 8]), (259, [compression]), (262, [2]),
        (277, [3]), (322, [side]), (323, [side]), (324, places), (325, list(map(len, tiles))),
    ]  # fmt: skip
    entries = b""
    for tag, numbers in values:
        listed = pack(f"{order}{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            listed, body = pack(f"{order}I", 8 + len(body)), body + listed
        entries += pack(f"{order}HHI", tag, 4, len(numbers)) + listed
    start = b"II" if order == "<" else b"MM"
    directory = pack(f"{order}H", len(values)) + entries + bytes(4)
    return start + pack(f"{order}HI", 42, 8 + len(body)) + body + directory


FILES = {
    **{
        f"{mode}, {compression}": _saved(mode, compression=compression)
        for mode in ("RGB", "L", "RGBA", "CMYK", "P", "I;16")
        for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")
        if (mode, compression) != ("I;16", "packbits")
    },
    "fax": _saved("1", compression="group4", strip_size=400),
    "jpeg": _saved(compression="jpeg", strip_size=16 * 3 * WIDTH),
    "BigTIFF": _saved(big_tiff=True),
    "one strip without compression": _saved(strip_size=2**30),
    "few strips without compression": _saved(strip_size=50 * 3 * WIDTH),
    "tiles": _tiled(),
    "tiles, big-endian": _tiled(">"),
    "tiles without compression": _tiled(compression=1, side=32),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("native", [False, True])
def test_bands_are_the_image(name: str, *, native: bool) -> None:
    """Over the limit the same pixels come, whatever the strips, but for rounding of fine lines."""
    whole = decode(FILES[name], long_side=SIDE)
    banded = decode(FILES[name], max_pixels=LIMIT, long_side=SIDE, native=native)
    difference = np.abs(whole.pixels.astype(int) - banded.pixels)

    assert whole.header == banded.header
    assert banded.native is None
    assert whole.pixels.shape == banded.pixels.shape
    # Others are averaged before they become RGB, instead of after, or smoothed between strips.
    is_exact = not name.startswith(("RGBA", "CMYK", "I;16", "jpeg"))
    assert difference.max() <= (0 if is_exact else 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned(orientation: int) -> None:
    """Bands are turned as Pillow turns a TIFF, once they are put together."""
    file = io.BytesIO()
    even = _image().crop((0, 0, 297, 207))
    even.save(file, "TIFF", tiffinfo={274: orientation}, strip_size=2000)
    whole = decode(file.getvalue(), long_side=SIDE)
    banded = decode(file.getvalue(), max_pixels=LIMIT, long_side=SIDE)

    assert whole.header == banded.header
    assert (whole.pixels == banded.pixels).all()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (_saved(compression="tiff_lzw", strip_size=2**30), "strips of more than that"),
        (_tiled(side=128), "rows of tiles of more than that"),
        (_saved("F"), "32 bits a channel"),
    ],
)
def test_without_bands_it_is_too_large(data: bytes, why: str) -> None:
    """A TIFF of one compressed strip, and the like, is refused by its header."""
    with pytest.raises(DecodeError, match=why) as caught:
        decode(data, max_pixels=LIMIT)

    assert ErrorKind.TOO_LARGE is caught.value.kind


def test_far_over_the_limit() -> None:
    """Eight times the limit is too large, as it is for JPEG."""
    with pytest.raises(DecodeError, match="more than 0 megapixels") as caught:
        decode(_saved(), max_pixels=WIDTH * HEIGHT // 8 - 1)

    assert ErrorKind.TOO_LARGE is caught.value.kind
    assert WIDTH == decode(_saved(), max_pixels=WIDTH * HEIGHT // 8 + 1).header.width


@pytest.mark.parametrize("name", ["RGB, raw", "RGB, tiff_lzw", "jpeg", "tiles"])
def test_incomplete_or_damaged(name: str) -> None:
    """Half of a file is truncated or damaged."""
    with pytest.raises(DecodeError) as caught:
        decode(FILES[name][: len(FILES[name]) // 2], max_pixels=LIMIT)

    assert caught.value.kind in {ErrorKind.TRUNCATED, ErrorKind.DAMAGED}


def test_strips_in_one_place() -> None:
    """Strips that share a place would make a small file slow: it is damaged."""
    data = FILES["RGB, tiff_lzw"]
    with Image.open(io.BytesIO(data)) as image:
        places, sizes = image.tag_v2[273], image.tag_v2[279]
    listed = [pack(f"<{len(places)}I", *places), pack(f"<{len(sizes)}H", *sizes)]
    whole = [pack("<I", 8) * len(places), pack("<H", 60_000) * len(sizes)]
    assert [1, 1] == [data.count(each) for each in listed]

    with pytest.raises(DecodeError, match="overlap") as caught:
        decode(data.replace(listed[0], whole[0]).replace(listed[1], whole[1]), max_pixels=LIMIT)

    assert ErrorKind.DAMAGED is caught.value.kind
