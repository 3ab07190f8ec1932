"""What one image may cost at most."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What one image may cost at most."""

    # Pixels of a picture that has no scaled decode: 64 megapixels are 200 MB as RGB.
    max_pixels: int = 64_000_000
    # Bytes of one file; no picture of a camera or a generator comes near it.
    max_bytes: int = 512 * 2**20
    # Seconds; whatever takes longer is tried once more by itself and then `error: timeout`.
    image_seconds: float = 60.0
    # Bytes of address space for an image that is tried by itself.
    sandbox_bytes: int = 3 * 2**30
