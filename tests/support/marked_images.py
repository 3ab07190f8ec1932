"""Images with the marks that generators leave in pixels, made as their programs do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from workers.marks.catalogue import Mark
    from workers.marks.template import Place

A1111 = "a lighthouse at dusk\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1234, Size: 64x64"
SCALE = 36


def hide(
    name: bytes, body: bytes, size: tuple[int, int] = (96, 80), length: int = -1
) -> Image.Image:
    """Hide a body of `length` bits, its own by default, column by column."""
    count = 8 * len(body) if length < 0 else length
    stored = np.unpackbits(np.frombuffer(name + count.to_bytes(4, "big") + body, np.uint8))
    is_alpha = name.startswith(b"stealth_png")
    pixels = np.full((size[1], size[0], 4 if is_alpha else 3), 254, np.uint8)
    channels = (pixels[..., 3:] if is_alpha else pixels).swapaxes(0, 1).reshape(-1).copy()
    channels[: len(stored)] |= stored[: len(channels)]
    channels = channels.reshape(size[0], size[1], -1).swapaxes(0, 1)
    pixels[..., 3 if is_alpha else 0 :] = channels
    return Image.fromarray(pixels)


def texture(seed: int, side: int = 384) -> Image.Image:
    """Make an image that is smooth in some places and rough in others."""
    rng = np.random.default_rng(seed)
    rough = Image.fromarray(rng.integers(40, 215, (side // 6, side // 6, 3), dtype=np.uint8))
    return rough.resize((side, side), Image.Resampling.BICUBIC)


def embed(image: Image.Image, bits: list[int]) -> Image.Image:
    """Write bits into the blocks of an image, as the library does, block by block."""
    rgb = np.asarray(image, np.float64)
    luma = rgb @ [0.299, 0.587, 0.114]
    chroma = np.rint(0.492 * (rgb[..., 2] - luma)) + 128
    for number in range((image.height // 8) * (image.width // 8)):
        row, column = divmod(number, image.width // 8)
        block = chroma[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
        halved = block.reshape(4, 2, 4, 2).sum((1, 3)) / 2
        flat = halved.ravel()
        index = 1 + int(np.abs(flat[1:]).argmax())
        wanted = (flat[index] // SCALE + 0.25 + 0.5 * bits[number % len(bits)]) * SCALE
        y, x = divmod(index, 4)
        block[2 * y : 2 * y + 2, 2 * x : 2 * x + 2] += (wanted - flat[index]) / 2
    blue = luma + (chroma - 128) / 0.492
    green = (luma - 0.299 * rgb[..., 0] - 0.114 * blue) / 0.587
    marked = np.stack([rgb[..., 0], green, blue], -1)
    return Image.fromarray(np.clip(np.rint(marked), 0, 255).astype(np.uint8))


def scene(size: tuple[int, int], seed: int = 1) -> Image.Image:
    """Make soft shapes of middle brightness, with a little noise."""
    rng = np.random.default_rng(seed)
    soft = Image.fromarray(rng.integers(30, 170, (6, 8, 3), dtype=np.uint8))
    pixels = np.asarray(soft.resize(size, Image.Resampling.BICUBIC), np.float64)
    return Image.fromarray((pixels + rng.normal(0, 3, pixels.shape)).clip(0, 255).astype(np.uint8))


def lay(image: Image.Image, mark: Mark, height: int, place: Place, opacity: float) -> Image.Image:
    """Blend a mark with white over an image."""
    border = height
    shape = mark.draw(height, border) * opacity
    high, wide = shape.shape
    canvas = np.zeros((image.height + 4 * border, image.width + 8 * border), np.float64)
    bottom = image.height - round(place.bottom * height) + border
    right = image.width - round(place.right * height) + border
    top, left = bottom - high + 2 * border, right - wide + 5 * border
    canvas[top : top + high, left : left + wide] = shape
    alpha = canvas[2 * border :, 5 * border :][: image.height, : image.width, None]
    pixels = np.asarray(image, np.float64)
    return Image.fromarray(np.rint(pixels * (1 - alpha) + 255 * alpha).astype(np.uint8))
