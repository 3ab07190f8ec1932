"""JPEG XL: sizes, pixels, metadata boxes and manifests; without the extra, all but the pixels."""

from __future__ import annotations

import sys
from struct import pack
from typing import TYPE_CHECKING

import brotli
import numpy as np
import pytest
from PIL import Image

from storage.records import ErrorKind
from workers.images import jpeg_xl
from workers.images.decode import decode
from workers.images.errors import DecodeError
from workers.images.metadata import find_metadata
from workers.images.orientation import read_orientation
from workers.provenance import read

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

imagecodecs = pytest.importorskip("imagecodecs")

GENERATED = (
    'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/'
    'trainedAlgorithmicMedia"'
)
ACTIONS = [{"action": "c2pa.created", "digitalSourceType": "digsrctype:trainedAlgorithmicMedia"}]
CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0\0\0\x14ftypjxl \0\0\0\0jxl "


def noise(*shape: int, dtype: str = "u1") -> NDArray[np.generic]:
    """Return random pixels of a shape."""
    values = np.random.default_rng(0).random(shape)
    return (values * {"u1": 255, "u2": 65_535, "f4": 1}[dtype]).astype(dtype)


def encoded(pixels: NDArray[np.generic], **options: object) -> bytes:
    """Return a lossless JPEG XL."""
    return bytes(imagecodecs.jpegxl_encode(pixels, lossless=True, **options))


def box(name: bytes, payload: bytes) -> bytes:
    """Return a box of ISO/IEC 14496-12."""
    return pack(">I4s", 8 + len(payload), name) + payload


def contained(*boxes: bytes) -> bytes:
    """Return a JPEG XL in a container, with these boxes before the pixels."""
    return CONTAINER + b"".join(boxes) + box(b"jxlc", encoded(noise(32, 48, 3)))


def exif(tag: int, text: str) -> bytes:
    """Return the payload of a box "Exif": an offset, and a TIFF structure with one text."""
    tags = Image.Exif()
    tags[tag] = text
    return bytes(4) + tags.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("container", [False, True])
@pytest.mark.parametrize(
    "shape",
    [(33, 70), (33, 70, 2), (257, 1000, 3), (8, 8, 4), (600, 600, 3), (480, 640, 3), (1, 1, 3)],
)
def test_header_states_what_is_decoded(
    shape: tuple[int, ...], dtype: str, *, container: bool
) -> None:
    """Size and number of extra channels in the header are those that libjxl wrote."""
    data = encoded(noise(*shape, dtype=dtype), usecontainer=container)
    channels = shape[2] if len(shape) > 2 else 1

    bits = {"u1": 8, "u2": 16, "f4": 32}[dtype]

    assert (shape[1], shape[0], int(channels in (2, 4)), bits) == jpeg_xl.read_header(data)


def test_pixels() -> None:
    """Pixels are those that were encoded, and the header has format and size."""
    pixels = noise(32, 48, 3)
    decoded = decode(encoded(pixels))

    assert ("JXL", 48, 32) == (
        decoded.header.format,
        decoded.header.width,
        decoded.header.height,
    )
    assert np.array_equal(pixels, decoded.pixels)


@pytest.mark.parametrize(("dtype", "most"), [("u2", 1), ("f4", 1)])
def test_deep_pixels_are_scaled_to_eight_bits(dtype: str, most: int) -> None:
    """Sixteen bits and floats become eight bits, white stays white."""
    pixels = noise(32, 48, 3, dtype=dtype)
    largest = 65_535 if dtype == "u2" else 1
    expected = pixels.astype(float) / largest * 255

    assert np.abs(decode(encoded(pixels)).pixels - expected).max() <= most


def test_transparency_is_laid_over_white() -> None:
    """A transparent image is white, as in every other format."""
    pixels = noise(32, 48, 4)
    pixels[..., 3] = 0

    assert 255 == decode(encoded(pixels)).pixels.min()


def test_animation_is_its_first_frame() -> None:
    """Of an animation only the first frame is decoded."""
    frames = noise(3, 32, 48, 3)

    assert np.array_equal(frames[0], decode(encoded(frames)).pixels)


def test_large_image_is_refused_by_its_header() -> None:
    """An image over the limit is too large before anything is decoded."""
    data = encoded(noise(300, 400, 3))
    with pytest.raises(DecodeError, match="400x300") as caught:
        decode(data, max_pixels=100_000)

    assert ErrorKind.TOO_LARGE == caught.value.kind
    # A header that claims 2^30 by 2^30 pixels.
    bits = (0b1111_1111_1111_1111_1111_1111_1111_11 << 3 | 0b11 << 1) | 1 << 36
    with pytest.raises(DecodeError) as caught:
        decode(b"\xff\x0a" + bits.to_bytes(8, "little") + bytes(200))
    assert ErrorKind.TOO_LARGE == caught.value.kind


def test_depth_and_channels_count_for_the_limit() -> None:
    """An image of more bytes a pixel may have fewer pixels."""
    small, deep, wide = (noise(100, 100, *rest) for rest in ((3,), (3,), (4,)))
    decode(encoded(small), max_pixels=12_000)
    for pixels in ((deep * 257.0).astype("u2"), wide):
        with pytest.raises(DecodeError, match="100x100"):
            decode(encoded(pixels), max_pixels=12_000)


def test_truncated_and_damaged() -> None:
    """A file that ends early is truncated, any other damage is damage; neither is a crash."""
    data = encoded(noise(300, 400, 3))
    whole = contained()
    for cut in (data[: len(data) // 2], data[:-1], whole[: len(whole) // 2], whole[:50]):
        with pytest.raises(DecodeError) as caught:
            decode(cut)
        assert ErrorKind.TRUNCATED == caught.value.kind
    with pytest.raises(DecodeError) as caught:
        decode(data[:200] + b"\xff" * 200 + data[400:])
    assert ErrorKind.DAMAGED == caught.value.kind


def test_mutated_headers_raise_only_decode_errors() -> None:
    """No change of a byte of the header is an unexpected exception, in reading or decoding."""
    base = contained(box(b"Exif", exif(305, "x")), box(b"xml ", b"<x/>"))
    for position in range(200):
        data = bytearray(base)
        data[position] ^= 0xFF
        read(bytes(data))
        try:
            decode(bytes(data), max_pixels=10_000)
        except DecodeError:
            continue


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, packet: Callable[..., bytes]) -> None:
    """Without the extra a file is unsupported, the extra is named, and metadata is read."""
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    data = contained(box(b"xml ", packet(GENERATED)))
    with pytest.raises(DecodeError, match=r"needs the extra `jxl`") as caught:
        decode(data)

    assert ErrorKind.UNSUPPORTED == caught.value.kind
    assert ["iptc_generated"] == [finding.kind for finding in read(data)]


@pytest.mark.parametrize("compressed", [False, True])
def test_metadata_boxes(packet: Callable[..., bytes], *, compressed: bool) -> None:
    """XMP and EXIF are read from their boxes, compressed or not, before or behind the pixels."""

    def made(name: bytes, payload: bytes) -> bytes:
        return box(b"brob", name + brotli.compress(payload)) if compressed else box(name, payload)

    by_xmp, by_exif = made(b"xml ", packet(GENERATED)), made(b"Exif", exif(305, "Midjourney"))

    assert ["iptc_generated"] == [finding.kind for finding in read(contained(by_xmp))]
    assert ["generator_tag"] == [finding.kind for finding in read(contained(by_exif))]
    assert ["iptc_generated"] == [finding.kind for finding in read(contained() + by_xmp)]
    assert () == find_metadata(contained()).blocks
    assert () == find_metadata(encoded(noise(8, 8, 3))).blocks


def test_compressed_metadata_is_bounded() -> None:
    """A box that would inflate to much, or is damaged, costs little and is no evidence."""
    bomb = brotli.compress(bytes(32 * 2**20), quality=1)

    assert () == read(contained(box(b"brob", b"xml " + bomb)))
    assert () == read(contained(box(b"brob", b"xml \xff\xff\xff"), box(b"brob", b"xm")))


def test_manifest(sign: Callable[..., bytes]) -> None:
    """A C2PA manifest is read and checked against the file's bytes."""
    signed = bytearray(sign(contained(), ACTIONS, mime="image/jxl"))
    (finding,) = read(bytes(signed))

    assert ("c2pa_generated", "no_trust_list") == (finding.kind, finding.detail["signature"])
    signed[-3] ^= 1
    (finding,) = read(bytes(signed))
    assert ("c2pa_generated", "invalid") == (finding.kind, finding.detail["signature"])


def test_orientation_is_applied_by_the_decoder() -> None:
    """EXIF's orientation is not applied again: the codestream has its own, which libjxl applies."""
    tags = Image.Exif()
    tags[0x0112] = 6
    payload = bytes(4) + tags.tobytes().removeprefix(b"Exif\0\0")

    assert 1 == read_orientation(contained(box(b"Exif", payload)))
