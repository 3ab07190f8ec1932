"""One named text of a file's metadata."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """One text and where it stands: "png:parameters", "exif:Software", "xmp:CreatorTool"."""

    where: str
    text: str
