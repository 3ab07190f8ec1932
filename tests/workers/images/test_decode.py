"""Decoding of images: pixels, size limits, and errors for files that cannot be decoded."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import time
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pi_heif
import pytest
from PIL import Image, TiffImagePlugin

from storage.records import ErrorKind
from workers.images.decode import MAX_PIXELS, Header, decode
from workers.images.errors import DecodeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

CRASHING_HEIC = Path(__file__).parents[2] / "cases" / "24-decoder-crash" / "segfault.heic"


def _sample(width: int = 96, height: int = 80) -> Image.Image:
    """Return an image with colours, gradients and edges."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 // width, y * 255 // height, (x // 8 + y // 8) % 2 * 200], -1)
    return Image.fromarray(pixels.astype(np.uint8))


def _saved(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _error(data: bytes, **options: int) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        decode(data, **options)
    assert 1 == len(str(caught.value).splitlines())
    return caught.value


def _files() -> dict[str, bytes]:
    """Return a small file of every variant that is decoded, as Pillow writes it."""
    image = _sample()
    turned = image.rotate(90)
    files = {
        "jpeg": _saved(image, "JPEG"),
        "jpeg, progressive": _saved(image, "JPEG", progressive=True),
        "jpeg, grey": _saved(image.convert("L"), "JPEG"),
        "jpeg, CMYK": _saved(image.convert("CMYK"), "JPEG"),
        "jpeg, scaled": _saved(_sample(1300, 900), "JPEG"),
        "mpo": _saved(image, "MPO", save_all=True, append_images=[turned]),
        "png": _saved(image, "PNG"),
        "png, palette": _saved(image.quantize(16), "PNG"),
        "png, bits": _saved(image.convert("1"), "PNG"),
        "png, alpha": _saved(image.convert("RGBA"), "PNG"),
        "webp": _saved(image, "WEBP"),
        "webp, lossless": _saved(image, "WEBP", lossless=True),
        "webp, animated": _saved(image, "WEBP", save_all=True, append_images=[turned]),
        "avif": _saved(image, "AVIF"),
        "gif": _saved(image.quantize(16), "GIF"),
        "gif, animated": _saved(image, "GIF", save_all=True, append_images=[turned]),
        "bmp": _saved(image, "BMP"),
        "bmp, palette": _saved(image.quantize(16), "BMP"),
        "tiff, float": _saved(image.convert("F"), "TIFF"),
        "tiff, fax": _saved(image.convert("1"), "TIFF", compression="group4"),
    }
    for compression in ("raw", "tiff_lzw", "tiff_deflate", "jpeg", "packbits", "zstd"):
        files[f"tiff, {compression}"] = _saved(image, "TIFF", compression=compression)
    return files


FILES = _files()
# Grey levels of float images are scaled here and clipped by Pillow.
LIKE_PILLOW = sorted(set(FILES) - {"tiff, float", "jpeg, scaled"})


@pytest.fixture(scope="module")
def heic(test_data: Path) -> bytes:
    """Return a small HEIC image from a public suite, as no library here writes HEIC."""
    with zipfile.ZipFile(test_data / "hostile.zip") as archive:
        return archive.read("pillow/files__Tests__images__avif__hopper.heif")


@pytest.mark.parametrize("name", LIKE_PILLOW)
def test_pixels_match_pillow(name: str) -> None:
    """Pixels are those that Pillow's own opening and converting gives, for every variant."""
    with Image.open(io.BytesIO(FILES[name])) as image:
        expected = np.asarray(image.convert("RGB"))

    decoded = decode(FILES[name])

    assert (80, 96, 3) == decoded.pixels.shape
    assert (expected == decoded.pixels).all()


@pytest.mark.parametrize("name", sorted(FILES))
def test_header_has_format_and_size(name: str) -> None:
    """The header has the format by content, and the size before any scaling."""
    form = name.partition(",")[0].upper()
    size = (1300, 900) if name == "jpeg, scaled" else (96, 80)

    assert Header({"MPO": "JPEG"}.get(form, form), *size) == decode(FILES[name]).header


def test_heic(heic: bytes) -> None:
    """A HEIC image is decoded at its own size."""
    decoded = decode(heic)

    assert Header("HEIF", 128, 128) == decoded.header
    assert (128, 128, 3) == decoded.pixels.shape
    assert decoded.pixels.std() > 30


def test_heic_on_whose_metadata_its_decoder_crashes() -> None:
    """A HEIC whose metadata ends pi-heif 1.4 is incomplete, as its pixels are."""
    assert ErrorKind.TRUNCATED is _error(CRASHING_HEIC.read_bytes()).kind


def test_metadata_of_a_heic_is_not_read(test_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder opens the HEIC of a phone without asking libheif for its metadata."""
    with zipfile.ZipFile(test_data / "provenance.zip") as archive:
        data = archive.read("cameras/samplefilehub.heif")
    decoded = decode(data, native=True)
    read = []
    monkeypatch.setattr(pi_heif.heif, "_retrieve_exif", read.append)
    decode(data)

    assert [()] == [tuple(found) for found in read]
    assert decoded.native is not None
    assert not decoded.native.info.get("exif")
    assert (decoded.header.width, decoded.header.height) == decoded.native.size


def _cuts(data: bytes) -> list[int]:
    """Return lengths to cut a file at: most near its start and end, some between."""
    middle = range(100, len(data), max(1, len(data) // 60))
    return sorted({*range(16, min(100, len(data))), *middle, *range(len(data) - 30, len(data))})


@pytest.mark.parametrize("name", sorted(FILES))
def test_file_cut_anywhere_is_truncated(name: str) -> None:
    """A file cut anywhere is `truncated`, or has all of its pixels."""
    data = FILES[name]
    whole = decode(data).pixels
    # The last bytes of a fax are end marks; libtiff sees that they are missing, not that it is
    # the file's end.
    allowed = {ErrorKind.TRUNCATED} | ({ErrorKind.DAMAGED} if name == "tiff, fax" else set())
    wrong = {}
    for length in _cuts(data):
        try:
            if not np.array_equal(whole, decode(data[:length]).pixels):
                wrong[length] = "other pixels"
        except DecodeError as error:
            if error.kind not in allowed:
                wrong[length] = str(error)

    assert {} == wrong


@pytest.mark.parametrize("name", ["jpeg", "jpeg, progressive", "jpeg, scaled", "bmp", "webp"])
def test_half_a_file_is_truncated(name: str) -> None:
    """Half a file of a format that other readers fill up with grey is an error."""
    assert ErrorKind.TRUNCATED is _error(FILES[name][: len(FILES[name]) // 2]).kind


def test_half_a_heic_is_truncated(heic: bytes) -> None:
    """Half a HEIC is truncated, by the sizes of its boxes."""
    assert ErrorKind.TRUNCATED is _error(heic[: len(heic) // 2]).kind


def test_not_an_image() -> None:
    """Text, an empty file and zeros are not images."""
    for data in (b"", b"Hello, world", bytes(1000)):
        assert ErrorKind.NOT_AN_IMAGE is _error(data).kind


def test_unsupported_format_is_named() -> None:
    """The error for a known but unsupported format names it."""
    error = _error(b"%PDF-1.7\n")

    assert (ErrorKind.UNSUPPORTED, "is PDF, which is not supported") == (error.kind, str(error))


def test_unsupported_variant_of_a_format() -> None:
    """A BMP with three bits a pixel is unsupported, not damaged."""
    data = bytearray(FILES["bmp"])
    data[28] = 3

    assert ErrorKind.UNSUPPORTED is _error(bytes(data)).kind


def test_wrong_checksum_is_damage() -> None:
    """A complete PNG with a wrong checksum is damaged."""
    data = bytearray(FILES["png"])
    data[data.index(b"IHDR") + 4] ^= 1

    assert ErrorKind.DAMAGED is _error(bytes(data)).kind


@pytest.mark.parametrize("tags", [{50706: b"\1\4\0\0"}, {254: 1, 330: 8}])
def test_raw_in_a_tiff_is_unsupported(tags: dict[int, object]) -> None:
    """DNG, NEF and similar files are unsupported: their first image is only a preview."""
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        info[tag] = value
    error = _error(_saved(_sample(), "TIFF", tiffinfo=info))

    assert (ErrorKind.UNSUPPORTED, True) == (error.kind, "RAW" in str(error))


@pytest.mark.parametrize(
    ("form", "size", "expected"),
    [
        ("JPEG", (1023, 40), (1023, 40)),
        ("JPEG", (1024, 40), (512, 20)),
        ("PNG", (1023, 40), (1023, 40)),
        ("PNG", (1024, 40), (512, 20)),
        ("PNG", (1600, 900), (534, 300)),
        ("JPEG", (3000, 1), (600, 1)),
        ("PNG", (1, 3000), (1, 600)),
    ],
)
def test_large_images_are_scaled_down(
    form: str, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    """Images of twice the long side and more are scaled to a whole fraction."""
    decoded = decode(_saved(_sample(*size), form), long_side=512)

    assert Header(form, *size) == decoded.header
    assert expected == decoded.pixels.shape[1::-1]


def test_scaled_image_matches_pillow() -> None:
    """A scaled decode differs little from Pillow's own reduction."""
    data = _saved(_sample(2048, 1024), "JPEG", quality=95, subsampling=0)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.reduce(4)).astype(int)

    pixels = decode(data).pixels

    assert (256, 512, 3) == pixels.shape
    assert np.abs(expected - pixels).mean() < 3


def _grey_jpeg(width: int, height: int, *, whole: bool) -> bytes:
    """Return a JPEG of one grey, of any size: each block is `no change, end of block`."""
    small = _saved(Image.new("L", (8, 8), 128), "JPEG")
    frame, scan = small.index(b"\xff\xc0"), small.index(b"\xff\xda")
    head = small[: frame + 5] + struct.pack(">HH", height, width) + small[frame + 9 : scan + 10]
    # 00 is `no change` and 1010 `end of block` in the standard tables: four blocks in three bytes.
    blocks = (width // 8) * (height // 8) // 4
    return head + (b"\x28\xa2\x8a" * blocks + b"\xff\xd9" if whole else b"")


def test_200_megapixel_photo_is_decoded() -> None:
    """The largest JPEG of a phone is decoded at an eighth of its size."""
    decoded = decode(_grey_jpeg(16384, 12288, whole=True))

    assert Header("JPEG", 16384, 12288) == decoded.header
    assert (384, 512, 3) == decoded.pixels.shape
    assert {128} == set(decoded.pixels.ravel().tolist())


def test_truncated_200_megapixel_photo() -> None:
    """Truncation is detected in a scaled decode, too."""
    data = _grey_jpeg(16384, 12288, whole=True)

    assert ErrorKind.TRUNCATED is _error(data[: len(data) - 1000]).kind


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _bombs() -> dict[str, bytes]:
    """Return small files whose headers declare huge images."""
    huge = 60_000
    progressive = bytearray(FILES["jpeg, progressive"])
    struct.pack_into(">HH", progressive, progressive.index(b"\xff\xc2") + 5, huge, huge)
    gif, bmp = bytearray(FILES["gif"]), bytearray(FILES["bmp"])
    struct.pack_into("<HH", gif, 6, huge, huge)
    struct.pack_into("<HH", gif, gif.index(b"\x2c") + 5, huge, huge)
    struct.pack_into("<ii", bmp, 18, huge, huge)
    avif = bytearray(FILES["avif"])
    struct.pack_into(">II", avif, avif.index(b"ispe") + 8, 16_000, 16_000)
    tiff = bytearray(FILES["tiff, tiff_deflate"])
    (directory,) = struct.unpack_from("<I", tiff, 4)
    for entry in range(directory + 2, len(tiff) - 12, 12):
        if struct.unpack_from("<H", tiff, entry)[0] in {256, 257}:
            struct.pack_into("<HII", tiff, entry + 2, 4, 1, huge)
    header = struct.pack(">IIBBBBB", huge, huge, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1_000_000))
    png = b"\x89PNG\r\n\x1a\n" + _png_chunk(b"IHDR", header) + _png_chunk(b"IDAT", pixels)
    scans = bytearray(FILES["jpeg, progressive"])
    struct.pack_into(">HH", scans, scans.index(b"\xff\xc2") + 5, 5_000, 5_000)
    last = scans.rindex(b"\xff\xda")
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + b"\x5f\xea\0" * 2
    webp = b"WEBP" + canvas + FILES["webp"][12:]
    return {
        "JPEG": _grey_jpeg(huge, huge, whole=False),
        "progressive JPEG": bytes(progressive),
        "JPEG of many scans": bytes(scans[:-2]) + bytes(scans[last:-2]) * 600 + b"\xff\xd9",
        "PNG": png + _png_chunk(b"IEND", b""),
        "GIF": bytes(gif),
        "BMP": bytes(bmp),
        "TIFF": bytes(tiff),
        "AVIF": bytes(avif),
        "WebP": b"RIFF" + struct.pack("<I", len(webp)) + webp,
    }


@pytest.mark.parametrize("name", sorted(_bombs()))
def test_decompression_bomb_is_too_large(name: str) -> None:
    """An image over the limit is refused by its header."""
    assert ErrorKind.TOO_LARGE is _error(_bombs()[name]).kind


def test_bombs_allocate_nothing(tmp_path: Path) -> None:
    """Refusing decompression bombs takes no more memory than a small image."""
    for name, data in _bombs().items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "a").write_bytes(FILES["jpeg"])
    script = """
import pathlib, resource, sys
from workers.images.decode import decode
from workers.images.errors import DecodeError
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for module in ("Png", "WebP", "Avif", "Gif", "Bmp", "Tiff"):
    __import__(f"PIL.{module}ImagePlugin")
before = peak()
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        decode(path.read_bytes())
    except DecodeError as error:
        assert error.kind == "too_large", path
print(peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
        text=True,
    )

    # ru_maxrss counts kilobytes on Linux and bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 30_000_000


@pytest.mark.parametrize("size", [(40_000, 40_000), (40_000, 64), (16_385, 16_384)])
@pytest.mark.parametrize("max_pixels", [MAX_PIXELS, 2**40])
def test_avif_larger_than_its_decoder_takes_is_too_large(
    size: tuple[int, int], max_pixels: int
) -> None:
    """An AVIF that declares more pixels than its decoder takes is too large, not damaged."""
    data = bytearray(FILES["avif"])
    struct.pack_into(">II", data, data.index(b"ispe") + 8, *size)
    with pytest.raises(DecodeError) as caught:
        decode(bytes(data), max_pixels=max_pixels)

    assert ErrorKind.TOO_LARGE is caught.value.kind


@pytest.mark.parametrize(
    "file",
    sorted((Path(__file__).parents[2] / "cases" / "19-png-big-icc-or-text").iterdir()),
    ids=lambda file: file.name,
)
def test_cases_with_large_metadata_are_decoded(file: Path) -> None:
    """Whole PNGs with an ICC profile or text of more than a mebibyte are decoded."""
    assert "PNG" == decode(file.read_bytes()).header.format


LARGE = os.urandom(2_000_000) + bytes(1_000_000)
LARGE_CHUNKS = {
    "ICC profile": (b"iCCP", b"name\0\0" + zlib.compress(LARGE)),
    "text": (b"tEXt", b"name\0" + LARGE),
    "compressed text": (b"zTXt", b"name\0\0" + zlib.compress(LARGE)),
    "international text": (b"iTXt", b"name\0\0\0en\0\0" + b"x" * 3_000_000),
    "compressed international text": (b"iTXt", b"n\0\1\0\0\0" + zlib.compress(bytes(3_000_000))),
    "bomb": (b"iCCP", b"name\0\0" + zlib.compress(bytes(100_000_000))),
}


def _with_chunk(*chunks: tuple[bytes, bytes], at_end: bool = False) -> bytes:
    """Return a PNG with these chunks after the header, or after the pixels."""
    data = FILES["png"]
    place = len(data) - 12 if at_end else 33
    return data[:place] + b"".join(_png_chunk(*chunk) for chunk in chunks) + data[place:]


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("name", LARGE_CHUNKS)
def test_large_metadata_of_a_png_is_not_damage(name: str, *, at_end: bool) -> None:
    """A large chunk of metadata, before or after the pixels, leaves the pixels as they are."""
    decoded = decode(_with_chunk(LARGE_CHUNKS[name], at_end=at_end))

    assert np.array_equal(decode(FILES["png"]).pixels, decoded.pixels)


def test_many_large_chunks_are_decoded() -> None:
    """A hundred texts that inflate to 3 MB each are left out one by one."""
    chunks = [LARGE_CHUNKS["compressed international text"]] * 100

    assert "PNG" == decode(_with_chunk(*chunks)).header.format


def test_thousands_of_large_chunks_are_too_large() -> None:
    """Chunks that would take minutes to inflate are refused after a bounded part of them."""
    chunks = [LARGE_CHUNKS["compressed international text"]] * 2_000
    started = time.monotonic()

    assert ErrorKind.TOO_LARGE is _error(_with_chunk(*chunks)).kind
    assert time.monotonic() - started < 5


def test_large_chunk_with_a_wrong_checksum_is_damage() -> None:
    """A damaged chunk is not left out."""
    data = bytearray(_with_chunk(LARGE_CHUNKS["text"]))
    data[1_000_000] ^= 1

    assert ErrorKind.DAMAGED is _error(bytes(data)).kind


def test_text_of_many_small_chunks_is_too_large() -> None:
    """Text of more than 64 MiB in chunks below the limit of one is too large, not damaged."""
    text = (b"zTXt", b"name\0\0" + zlib.compress(bytes(1_000_000)))

    assert ErrorKind.TOO_LARGE is _error(_with_chunk(*[text] * 70)).kind


def test_unknown_compression_in_a_png_is_unsupported() -> None:
    """A profile compressed by an unknown method is unsupported, not damage."""
    data = _with_chunk((b"iCCP", b"name\0\7" + bytes(100)))

    assert ErrorKind.UNSUPPORTED is _error(data).kind


def test_image_of_8192_pixels_a_side() -> None:
    """The largest size that upscalers of generated images write is decoded by default."""
    data = _saved(Image.new("L", (8192, 8192), 90), "PNG")

    assert Header("PNG", 8192, 8192) == decode(data).header
    assert ErrorKind.TOO_LARGE is _error(_saved(Image.new("1", (8193, 8192)), "PNG")).kind


def _with_tag(tiff: bytes, tag: int, value: int) -> bytes:
    """Return a little-endian TIFF with another value of a short tag."""
    (directory,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, directory)
    body = bytearray(tiff)
    for start in range(directory + 2, directory + 2 + 12 * count, 12):
        if struct.unpack_from("<H", tiff, start) == (tag,):
            struct.pack_into("<H", body, start + 8, value)
    return bytes(body)


@pytest.mark.parametrize("compression", [50001, 50002, 34712, 34892, 9, 65000])
def test_unknown_compression_of_a_tiff(compression: int) -> None:
    """A TIFF with WebP, JPEG XL, JPEG 2000 or a scanner's compression is unsupported."""
    error = _error(_with_tag(FILES["tiff, tiff_lzw"], 259, compression))

    assert ErrorKind.UNSUPPORTED is error.kind
    assert f"compression {compression}" in error.text


def test_damaged_tiff_of_a_known_compression() -> None:
    """A TIFF whose data is not in its stated compression is damaged."""
    assert ErrorKind.DAMAGED is _error(_with_tag(FILES["tiff, tiff_lzw"], 259, 8)).kind


@pytest.mark.parametrize("frame", [0xC3, 0xC5, 0xC7, 0xCB, 0xCF, 0xF7])
def test_unknown_kind_of_jpeg(frame: int) -> None:
    """A lossless or hierarchical JPEG, or a JPEG-LS, is unsupported."""
    data = FILES["jpeg"].replace(b"\xff\xc0", bytes([0xFF, frame]), 1)

    assert ErrorKind.UNSUPPORTED is _error(data).kind


@pytest.mark.parametrize("position", [5, 7])
def test_jpeg_with_a_longer_side_than_its_decoder_takes(position: int) -> None:
    """A JPEG of more than 65,500 pixels a side is too large, not damaged."""
    start = FILES["jpeg"].index(b"\xff\xc0") + position
    data = FILES["jpeg"][:start] + struct.pack(">H", 65_501) + FILES["jpeg"][start + 2 :]
    error = _error(data)

    assert ErrorKind.TOO_LARGE is error.kind
    assert "65501" in error.text


def test_avif_with_a_longer_side_than_its_decoder_takes() -> None:
    """An AVIF that declares more than 32,768 pixels a side is too large, not damaged."""
    size = struct.pack(">II", 96, 80)
    data = FILES["avif"].replace(size, struct.pack(">II", 40_000, 80))

    assert ErrorKind.TOO_LARGE is _error(data).kind


def test_limit_is_exact(heic: bytes) -> None:
    """An image of exactly `max_pixels` is decoded; one pixel more is too large."""
    for data, pixels in ((FILES["png"], 96 * 80), (FILES["bmp"], 96 * 80), (heic, 128 * 128)):
        decode(data, max_pixels=pixels)

        assert ErrorKind.TOO_LARGE is _error(data, max_pixels=pixels - 1).kind


def test_out_of_memory_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Running out of memory is reported as `too_large`."""

    def fails(*_: object) -> NDArray[np.uint8]:
        raise MemoryError

    monkeypatch.setattr("workers.images.decode.to_rgb", fails)

    assert ErrorKind.TOO_LARGE is _error(FILES["png"]).kind


def test_damaged_metadata_gives_no_warnings(capfd: pytest.CaptureFixture[str]) -> None:
    """Broken EXIF in a JPEG and bad codes in a fax give no warnings in Python or on stderr."""
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(20)
    jpeg = FILES["jpeg"]
    with_exif = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    with_exif = with_exif.replace(b"JFIF\0\1\1\0", b"JFIX\0\1\1\0")
    fax = bytearray(FILES["tiff, fax"])
    fax[200:210] = b"\x55\x00\x13\x77\xff\x01\x00\x24\x61\x99"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Image.open(io.BytesIO(FILES["jpeg"])) as image:
            plain = np.asarray(image)

        assert (plain == decode(with_exif).pixels).all()
        decode(bytes(fax))

    assert ("", "") == capfd.readouterr()
