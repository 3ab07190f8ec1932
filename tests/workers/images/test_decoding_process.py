"""Decoding in a child gives what decoding here gives, and survives what would end this process."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from storage.records import ErrorKind
from workers import limited_process
from workers.images.decode import decode
from workers.images.decoding_process import DecodingProcess
from workers.images.errors import DecodeError
from workers.images.rgb import to_rgb
from workers.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVIL = """
import os
import sys
import time
import workers.images.decode

decode = workers.images.decode.decode

def evil(data, **how):
    if b"EVIL abort" in data:
        os.abort()
    if b"EVIL hang" in data:
        time.sleep(600)
    if b"EVIL write" in data:
        open(data.partition(b"at ")[2].partition(b";")[0], "w")
    return decode(data, **how)

workers.images.decode.decode = evil
"""


@pytest.fixture(scope="module")
def decoder() -> Iterator[DecodingProcess]:
    """Return a decoder whose child lives through the tests."""
    with DecodingProcess() as opened:
        yield opened


def encoded(mode: str, form: str, **options: object) -> bytes:
    """Return an image of noise as a file."""
    random = np.random.default_rng(len(mode))
    rgba = Image.fromarray(random.integers(0, 256, (61, 83, 4), np.uint8))
    if mode.startswith("I;16"):
        image = Image.fromarray(random.integers(0, 65536, (61, 83), np.uint16))
    elif mode == "P":
        image = rgba.convert("RGB").quantize(40)
    else:
        image = rgba if mode == "RGBA" else rgba.convert("RGB").convert(mode)
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def orientation(value: int) -> Image.Exif:
    """Return EXIF with this orientation."""
    exif = Image.Exif()
    exif[274] = value
    return exif


FILES = {
    "jpeg": encoded("RGB", "JPEG"),
    "turned": encoded("RGB", "JPEG", exif=orientation(6)),
    "cmyk": encoded("CMYK", "JPEG"),
    "grey": encoded("L", "PNG"),
    "alpha": encoded("RGBA", "PNG"),
    "grey alpha": encoded("LA", "PNG"),
    "palette": encoded("P", "PNG"),
    "transparent palette": encoded("P", "PNG", transparency=3),
    "transparent colour": encoded("RGB", "PNG", transparency=(1, 2, 3)),
    "one bit": encoded("1", "PNG"),
    "sixteen bits": encoded("I;16", "PNG"),
    "floats": encoded("F", "TIFF"),
    "webp": encoded("RGBA", "WEBP", lossless=True),
    "gif": encoded("P", "GIF"),
}


@pytest.mark.parametrize("name", FILES)
def test_the_child_decodes_alike(decoder: DecodingProcess, name: str) -> None:
    """Header, pixels, orientation, and the colours of the native image and of its crops."""
    here, there = decode(FILES[name], native=True), decoder.decode(FILES[name])
    box = (7, 5, 50, 41)

    assert (here.header, here.orientation) == (there.header, there.orientation)
    assert np.array_equal(here.pixels, there.pixels)
    assert here.native is not None
    assert there.native is not None
    for shrink in (1, 2):
        expected = to_rgb(here.native.crop(box), shrink)
        assert expected.tobytes() == to_rgb(there.native.crop(box), shrink).tobytes()


def test_plain_pixels_are_pillows(decoder: DecodingProcess) -> None:
    """Training sees what Pillow converts to RGB, and errors in its words."""
    files = [FILES["cmyk"], FILES["grey"], FILES["alpha"]]
    expected = [np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files]

    for here, there in zip(expected, decoder.rgb(files), strict=True):
        assert np.array_equal(here, there)
    with pytest.raises(DecodeError, match="cannot identify image file"):
        decoder.rgb([FILES["grey"], b"no image"])


@pytest.mark.parametrize("data", [b"", b"no image", FILES["jpeg"][:900], FILES["alpha"][:200]])
def test_errors_are_the_same(decoder: DecodingProcess, data: bytes) -> None:
    """An image that cannot be decoded has the kind and the text that it has here."""
    with pytest.raises(DecodeError) as here:
        decode(data, native=True)
    with pytest.raises(DecodeError) as there:
        decoder.decode(data)

    assert (here.value.kind, here.value.text) == (there.value.kind, there.value.text)


def test_an_image_that_kills_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error of that image, and so is one that hangs; the next is decoded."""
    (tmp_path / "sitecustomize.py").write_text(EVIL)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(limited_process.HOME)]))
    fine, target = FILES["jpeg"], tmp_path / "target"
    with DecodingProcess(replace(Limits(), image_seconds=20.0)) as decoder:
        with pytest.raises(DecodeError, match="killed the process") as crashed:
            decoder.decode(fine + b"EVIL abort")
        after = decoder.decode(fine)
        with pytest.raises(DecodeError, match=r"Operation not permitted|Permission denied"):
            decoder.decode(fine + b"EVIL write at %s;" % os.fsencode(target))
    with (
        DecodingProcess(replace(Limits(), image_seconds=5.0)) as hasty,
        pytest.raises(DecodeError, match="took too long") as hung,
    ):
        hasty.decode(fine + b"EVIL hang")

    assert (ErrorKind.CRASHED, ErrorKind.TIMEOUT) == (crashed.value.kind, hung.value.kind)
    assert ("JPEG", 83, 61) == (after.header.format, after.header.width, after.header.height)
    assert not target.exists()


def test_the_child_ends_with_its_parent(decoder: DecodingProcess) -> None:
    """A decoder that is closed leaves no process, and can be used again."""
    decoder.decode(FILES["jpeg"])
    process = decoder._process
    decoder.close()

    assert process is not None
    assert process.popen.returncode is not None
    assert decoder.decode(FILES["jpeg"]).native is not None
