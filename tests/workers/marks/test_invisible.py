"""The watermark of invisible-watermark: in files that the library made, and in own ones.

The two files beside this one were made by `invisible-watermark` 0.2.0 (`dwtDct`) from a pattern of
sines, with SDXL's message: in 8-bit values, and in floating point as diffusers does it.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from marked_images import embed, texture
from PIL import Image

from workers.marks import invisible

FILES = Path(__file__).parent


@pytest.mark.parametrize("name", ["invisible-8-bit.png", "invisible-float.png"])
def test_files_of_the_library(name: str) -> None:
    """Both ways of embedding are read."""
    with Image.open(FILES / name) as image:
        found = invisible.read(image)

    assert found is not None
    assert "Stable Diffusion XL" == found.generator


@pytest.mark.parametrize("message", invisible.MESSAGES, ids=lambda each: each.generator)
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_published_messages(message: invisible.Message, mode: str) -> None:
    """Each message names its program."""
    image = embed(texture(3), [int(bit) for bit in message.bits]).convert(mode)

    assert message is invisible.read(image)


def test_lengths_of_the_messages() -> None:
    """As published: 48 bits of SDXL and FLUX.1, 8 a letter of the others."""
    assert [48, 48, 136, 32, 64] == [len(message.bits) for message in invisible.MESSAGES]


def test_a_wrong_bit() -> None:
    """A message that differs in one bit is none."""
    bits = [int(bit) for bit in invisible.MESSAGES[0].bits]
    bits[17] = 1 - bits[17]

    assert invisible.read(embed(texture(4), bits)) is None


def test_what_removes_it() -> None:
    """JPEG, resizing and cropping by a pixel leave no message."""
    bits = [int(bit) for bit in invisible.MESSAGES[0].bits]
    marked = embed(texture(5), bits)
    stored = BytesIO()
    marked.save(stored, "JPEG", quality=80)

    assert invisible.read(marked) is not None
    assert invisible.read(Image.open(stored)) is None
    assert invisible.read(marked.resize((300, 300))) is None
    assert invisible.read(marked.crop((1, 1, 384, 384))) is None


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(texture(6), id="texture"),
        pytest.param(Image.new("RGB", (512, 512), (90, 120, 200)), id="flat"),
        pytest.param(Image.linear_gradient("L").resize((512, 512)).convert("RGB"), id="gradient"),
        pytest.param(Image.new("RGB", (1, 1)), id="1x1"),
        pytest.param(Image.new("RGB", (7, 20_000)), id="narrow"),
        pytest.param(Image.new("RGB", (20_000, 7)), id="low"),
        pytest.param(Image.new("RGB", (64, 1024)), id="64x1024"),
        pytest.param(Image.new("L", (512, 512)), id="L"),
        pytest.param(Image.new("LA", (512, 512)), id="LA"),
        pytest.param(Image.new("P", (512, 512)), id="P"),
        pytest.param(Image.new("I;16", (512, 512)), id="16-bit"),
        pytest.param(Image.new("CMYK", (512, 512)), id="CMYK"),
    ],
)
def test_no_message(image: Image.Image) -> None:
    """Images without a message have none, whatever their mode and size."""
    assert invisible.read(image) is None


def test_a_large_image() -> None:
    """A mark is found in an image of more blocks than are read first, of any width."""
    bits = [int(bit) for bit in invisible.MESSAGES[2].bits]
    wide = texture(7, 1024).crop((0, 0, 1023, 901))

    assert invisible.MESSAGES[2] is invisible.read(embed_any(wide, bits))


def embed_any(image: Image.Image, bits: list[int]) -> Image.Image:
    """Embed in the part of an image that consists of whole blocks."""
    wide, high = image.width // 8 * 8, image.height // 8 * 8
    marked = image.copy()
    marked.paste(embed(image.crop((0, 0, wide, high)), bits))
    return marked
