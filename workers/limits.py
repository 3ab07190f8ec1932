"""Limits on the resources that one image may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on the resources that one image may take."""

    # For formats without scaled decoding: 8192x8192, as images of 2048x2048 are when upscaled four
    # times, take 201 MB as RGB.
    max_pixels: int = 2**26
    # Of one file; no image of a camera or a generator comes near it.
    max_bytes: int = 512 * 2**20
    # An image that takes longer is tried once more by itself, then it is `error: timeout`.
    image_seconds: float = 60.0
    # How long a collection's folder may have other files, or no machine know where it is, or have
    # its detectors, before its batches are given up.
    give_up_seconds: float = 600.0
    # Address space of the sandbox.
    sandbox_bytes: int = 3 * 2**30
