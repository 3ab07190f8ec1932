"""Conversion of images of any mode to RGB with eight bits a channel."""

from __future__ import annotations

import numpy as np
from PIL import Image

_WHITE = (255, 255, 255)
_MAX_8_BIT, _MAX_16_BIT = 255, 65535


def to_rgb(image: Image.Image, shrink: int = 1) -> Image.Image:
    """Convert a loaded image to RGB, each side divided by `shrink` (block averages).

    Transparent pixels are laid over white, as viewers show them. 16-bit values are scaled to
    eight bits; wider integers and floats by their own range, unless floats lie in [0, 1].
    """
    if image.mode == "RGB" and shrink == 1 and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16"):
        image = image.convert("I")
        image.info["bits"] = 16
    elif image.mode in {"P", "PA", "1"} or "transparency" in image.info:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    small = image.reduce(shrink) if shrink > 1 else image
    if small.mode in {"I", "F"}:
        return _scale_range(small, is_16_bit=image.info.get("bits") == 16)  # noqa: PLR2004
    if small.has_transparency_data:
        rgba = small.convert("RGBA")
        rgb = Image.new("RGB", rgba.size, _WHITE)
        rgb.paste(rgba, mask=rgba.getchannel("A"))
        return rgb
    return small.convert("RGB")


def _scale_range(image: Image.Image, *, is_16_bit: bool) -> Image.Image:
    values = np.nan_to_num(np.asarray(image, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if is_16_bit:
        low, high = 0.0, float(_MAX_16_BIT)
    elif image.mode == "F" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scaled = (values - low) * (_MAX_8_BIT / (high - low if high > low else 1.0))
    grey = np.clip(np.rint(scaled), 0, _MAX_8_BIT).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")
