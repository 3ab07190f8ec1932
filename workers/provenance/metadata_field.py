"""One text of a file's metadata, with the place where it was read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """A text and its place: "png:parameters", "exif:Software", "xmp:CreatorTool"."""

    where: str
    text: str
