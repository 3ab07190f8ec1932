"""Surroundings of the pixels: a camera's metadata, a generator's size, and their effect."""

from __future__ import annotations

import io
from struct import pack, unpack_from

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from storage.records import CONTEXT, LIKELIHOOD_RATIO
from workers.detectors import installed
from workers.images.decode import decode
from workers.provenance.context import Surroundings, finding, surroundings

MAKE, MODEL, EXIF_DIRECTORY = 271, 272, 0x8769
EXPOSURE = {
    0x829A: IFDRational(1, 250),
    0x829D: IFDRational(28, 10),
    0x8827: 200,
    0x920A: IFDRational(50, 1),
}
THUMBNAIL, THUMBNAIL_BYTES = 513, 514


def scene(width: int, height: int, seed: int = 1) -> Image.Image:
    """Return a smooth image that differs by seed."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def jpeg(image: Image.Image, exif: Image.Exif | bytes = b"") -> bytes:
    """Return the image as JPEG, with metadata if given."""
    body = io.BytesIO()
    image.save(body, "JPEG", exif=exif)
    return body.getvalue()


def camera(width: int = 600, height: int = 400) -> Image.Exif:
    """Return the metadata of a camera for an image of this size."""
    exif = Image.Exif()
    exif[MAKE], exif[MODEL] = "Canon", "Canon EOS 60D"
    exif.get_ifd(EXIF_DIRECTORY).update(EXPOSURE | {0xA002: width, 0xA003: height})
    return exif


def with_thumbnail(exif: Image.Exif, thumbnail: bytes) -> bytes:
    """Return the metadata with a second directory for a thumbnail, as cameras write it."""
    tiff = exif.tobytes().removeprefix(b"Exif\0\0")
    order = "<" if tiff.startswith(b"II") else ">"
    (first,) = unpack_from(f"{order}I", tiff, 4)
    (count,) = unpack_from(f"{order}H", tiff, first)
    pointer = first + 2 + 12 * count
    second = len(tiff)
    start = second + 2 + 2 * 12 + 4
    entries = pack(f"{order}HHHII", 2, THUMBNAIL, 4, 1, start)
    entries += pack(f"{order}HHIII", THUMBNAIL_BYTES, 4, 1, len(thumbnail), 0)
    linked = tiff[:pointer] + pack(f"{order}I", second) + tiff[pointer + 4 :]
    return b"Exif\0\0" + linked + entries + thumbnail


def kind(body: bytes) -> Surroundings:
    """Return the kind of surroundings of a file."""
    return surroundings(body, decode(body))


def test_complete_metadata_of_a_camera() -> None:
    """Make, model, exposure and focal length of an image of the stated shape are a camera's."""
    assert kind(jpeg(scene(600, 400), camera())) is Surroundings.CAMERA
    assert kind(jpeg(scene(300, 200), camera())) is Surroundings.CAMERA


@pytest.mark.parametrize("missing", [MAKE, 0x829A, 0x8827, 0x920A])
def test_incomplete_metadata_of_a_camera(missing: int) -> None:
    """Metadata without one of its parts is a camera's in part."""
    exif = camera()
    if missing in exif:
        del exif[missing]
    else:
        del exif.get_ifd(EXIF_DIRECTORY)[missing]
    assert kind(jpeg(scene(600, 400), exif)) is Surroundings.CAMERA_IN_PART


def test_metadata_of_another_shape() -> None:
    """An image of another shape than its camera states is not as the camera left it."""
    assert kind(jpeg(scene(512, 512), camera())) is Surroundings.CAMERA_IN_PART


@pytest.mark.parametrize(
    ("seed", "expected"), [(1, Surroundings.CAMERA), (2, Surroundings.CAMERA_IN_PART)]
)
def test_thumbnail(seed: int, expected: Surroundings) -> None:
    """A thumbnail of the image agrees, with black bars too; one of another image does not."""
    small = Image.new("RGB", (160, 120))
    small.paste(scene(160, 106, seed), (0, 7))
    exif = with_thumbnail(camera(), jpeg(small))
    assert kind(jpeg(scene(600, 400), exif)) is expected


def test_zero_is_no_value() -> None:
    """Tags that editors leave behind without a value do not count."""
    exif = Image.Exif()
    exif[MAKE], exif[MODEL] = "   ", ""
    exif.get_ifd(EXIF_DIRECTORY).update({0x8827: 0})
    assert kind(jpeg(scene(600, 400), exif)) is Surroundings.OTHER


@pytest.mark.parametrize(
    ("size", "lossless", "expected"),
    [
        ((1024, 1024), True, Surroundings.GENERATOR_FILE),
        ((832, 1216), True, Surroundings.GENERATOR_FILE),
        ((1216, 832), False, Surroundings.GENERATOR_SIZE),
        ((1024, 768), True, Surroundings.OTHER),
        ((1600, 1200), False, Surroundings.OTHER),
    ],
)
def test_sizes(size: tuple[int, int], lossless: bool, expected: Surroundings) -> None:  # noqa: FBT001
    """Sizes that generators write count, upright or not; those of cameras and screens do not."""
    body = io.BytesIO()
    scene(*size).save(body, "PNG" if lossless else "JPEG")
    assert kind(body.getvalue()) is expected


def test_damaged_metadata() -> None:
    """Metadata that ends too early, or points anywhere, raises nothing."""
    body = jpeg(scene(600, 400), with_thumbnail(camera(), jpeg(scene(160, 120))))
    decoded = decode(body)
    start = body.index(b"Exif\0\0")
    for position in range(start, start + 400, 3):
        for value in (b"\0", b"\xff"):
            damaged = body[:position] + value + body[position + 1 :]
            assert surroundings(damaged, decoded) in Surroundings


def test_finding() -> None:
    """A finding has no score, so that it decides nothing; without a ratio there is none."""
    body = jpeg(scene(1024, 1024))
    made = finding(body, decode(body), {"generator_size": 3.0})
    assert made is not None
    assert (CONTEXT, "generator_size", None) == (made.detector, made.kind, made.score)
    assert made.detail == {LIKELIHOOD_RATIO: 3.0}
    assert finding(body, decode(body), {}) is None


def test_card() -> None:
    """The card states a ratio for each kind that may shift the odds, within the bounds it names."""
    card = installed.built_in()[CONTEXT]
    assert {ratio.kind for ratio in card.ratios} == set(Surroundings) - {Surroundings.OTHER}
    assert all(0.1 <= ratio.likelihood_ratio <= 10 for ratio in card.ratios)
