"""Marks that generators leave in an image's pixels: hidden settings, watermarks, visible marks.

They survive what removes metadata. An image without any proves nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from storage.records import MARKS, Finding
from workers.images.orientation import UPRIGHT
from workers.marks import colour_bar, invisible, stealth, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.images.decode import Decoded

__all__ = ["LOSSLESS", "Kind", "read"]

# Formats in which the lowest bits of pixels survive (WebP in its lossless form).
LOSSLESS = frozenset({"PNG", "WEBP", "TIFF", "BMP"})


class Kind(StrEnum):
    """The kinds of findings of this detector, as short stable words to count by."""

    HIDDEN_SETTINGS = "hidden_settings"  # a generator's settings in the lowest bits of the pixels
    INVISIBLE_MARK = "invisible_mark"  # a published watermark, each bit of it
    VISIBLE_MARK = "visible_mark"  # a generator's sign, at its place


# Stated, as those of `workers.provenance.evidence`; settings have that of their kind there.
SCORES = {Kind.INVISIBLE_MARK: 0.98, Kind.VISIBLE_MARK: 0.95}


def read(decoded: Decoded) -> Iterator[Finding]:
    """Yield the marks of a decoded image; none where its pixels are not at full resolution."""
    image = decoded.native
    if image is None:
        return
    if decoded.header.format in LOSSLESS:
        if (hidden := stealth.settings(image)) is not None:
            where, said = hidden
            detail = {**said.detail, "where": where}
            text = f"{said.detail['generator']} hid its settings in {where}."
            yield Finding(MARKS, Kind.HIDDEN_SETTINGS, said.score, text, detail)
        if (message := invisible.read(image)) is not None:
            yield _mark(Kind.INVISIBLE_MARK, message.generator, "invisible watermark (DWT-DCT)")
    if decoded.orientation != UPRIGHT:
        return
    if (bar := colour_bar.find(image)) is not None:
        yield _mark(Kind.VISIBLE_MARK, "DALL-E", "colour bar", bar)
    elif (seen := visible.find(image)) is not None:
        yield _mark(Kind.VISIBLE_MARK, seen.mark.generator, seen.mark.name, seen.box)


def _mark(
    kind: Kind, generator: str, name: str, box: tuple[int, int, int, int] | None = None
) -> Finding:
    detail: dict[str, object] = {"generator": generator, "where": name}
    text = f"{generator} left its {name} in the pixels."
    if box is not None:
        detail["box"] = list(box)
        text = f"{generator} left its {name} at {box[0]}, {box[1]} to {box[2]}, {box[3]}."
    return Finding(MARKS, kind, SCORES[kind], text, detail)
