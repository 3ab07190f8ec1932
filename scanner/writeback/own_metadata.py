"""What an image's own metadata says, as XMP: beside a sidecar, programs read none of it.

Tried with darktable 4.2 and digiKam 7.9: beside a sidecar they ignore the image's XMP, its IPTC
(but for dates), and of its EXIF description, comment, creator, rights and Windows' keywords;
darktable ignores EXIF's rating, too. Dates, place, orientation and camera are still read from EXIF;
in a sidecar, digiKam believes the dates and orientation of XMP, which may be old, more than that.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workers.images import tiff
from workers.images.metadata import find_metadata
from workers.provenance import metadata_fields, text
from workers.provenance.xmp import FORBIDDEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_DC = "http://purl.org/dc/elements/1.1/"
_PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
_IPTC = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_EXIF = "http://ns.adobe.com/exif/1.0/"

# Photoshop's resources: their signature, and the number of the one with IPTC-IIM.
_RESOURCE, _IIM = b"8BIM", 0x0404
_MARKER, _LONG = b"\x1c", 0x8000
_KEYWORDS = 25


@dataclass(frozen=True, slots=True)
class Field:
    """A property of XMP, and what it is read from: data sets of IPTC-IIM first, then EXIF's tags.

    `container` is "" for a plain text.
    """

    uri: str
    name: str
    container: str
    iptc: int | None = None
    exif: tuple[int, ...] = ()

    @property
    def local(self) -> str:
        """Return the name without the prefix."""
        return self.name.partition(":")[2]


# By the XMP specification, part 3, tables 13 and 39; UserComment as both programs show it.
FIELDS = (
    Field(_DC, "dc:title", "Alt", 5),
    Field(_DC, "dc:description", "Alt", 120, (tiff.USER_COMMENT, tiff.DESCRIPTION)),
    Field(_DC, "dc:creator", "Seq", 80, (tiff.ARTIST,)),
    Field(_DC, "dc:rights", "Alt", 116, (tiff.COPYRIGHT,)),
    Field(_EXIF, "exif:UserComment", "Alt", None, (tiff.USER_COMMENT,)),
    Field(_XMP, "xmp:Rating", "", None, (tiff.RATING,)),
    Field(_PHOTOSHOP, "photoshop:Urgency", "", 10),
    Field(_PHOTOSHOP, "photoshop:Category", "", 15),
    Field(_PHOTOSHOP, "photoshop:SupplementalCategories", "Bag", 20),
    Field(_PHOTOSHOP, "photoshop:Instructions", "", 40),
    Field(_PHOTOSHOP, "photoshop:AuthorsPosition", "", 85),
    Field(_PHOTOSHOP, "photoshop:City", "", 90),
    Field(_IPTC, "Iptc4xmpCore:Location", "", 92),
    Field(_PHOTOSHOP, "photoshop:State", "", 95),
    Field(_IPTC, "Iptc4xmpCore:CountryCode", "", 100),
    Field(_PHOTOSHOP, "photoshop:Country", "", 101),
    Field(_PHOTOSHOP, "photoshop:TransmissionReference", "", 103),
    Field(_PHOTOSHOP, "photoshop:Headline", "", 105),
    Field(_PHOTOSHOP, "photoshop:Credit", "", 110),
    Field(_PHOTOSHOP, "photoshop:Source", "", 115),
    Field(_PHOTOSHOP, "photoshop:CaptionWriter", "", 122),
)
_TEXTS = frozenset(tag for each in FIELDS for tag in each.exif) | {tiff.WINDOWS_KEYWORDS}
_DATES = frozenset({tiff.TAKEN, tiff.DIGITIZED})
_TAGS = _TEXTS | _DATES | {tiff.XMP, tiff.IPTC, tiff.PHOTOSHOP_RESOURCES}


@dataclass(frozen=True, slots=True)
class OwnMetadata:
    """An image's XMP packet, empty without one; its other metadata by property, and keywords.

    `iptc_keywords` are in `keywords`, too. `is_dated`: EXIF says when it was taken.
    """

    packet: bytes = b""
    values: Mapping[Field, Sequence[str]] = field(default_factory=dict)
    keywords: tuple[str, ...] = ()
    iptc_keywords: tuple[str, ...] = ()
    is_dated: bool = False

    def __bool__(self) -> bool:
        """Check whether there is anything that a sidecar would hide."""
        return bool(self.packet or self.values or self.keywords)


NONE = OwnMetadata()


def read_own(data: bytes) -> OwnMetadata:
    """Read the metadata of an image's file; nothing from what is damaged, but for its packet.

    Only the first packet counts, as for the programs: they do not read JPEG's extended XMP.
    """
    packet = b""
    iptc: dict[int, list[str]] = defaultdict(list)
    exif: dict[int, list[str]] = {}
    is_dated = False
    for kind, value in metadata_fields.structures(data, find_metadata(data)):
        with suppress(IndexError, struct.error):  # what stands before the damage counts
            if kind == "xmp":
                packet = packet or value
            elif kind == "iim":
                _add_iim(iptc, _iim_of(value))
            else:
                tags = tiff.raw_values(value, _TAGS)
                packet = packet or tags.get(tiff.XMP, b"")
                is_dated = is_dated or any(tags.get(tag, b"").strip(b"\0 :") for tag in _DATES)
                for tag, texts in _exif_texts(value, tags):
                    exif.setdefault(tag, texts)
                _add_iim(iptc, tags.get(tiff.IPTC, b""))
                _add_iim(iptc, _iim_of(tags.get(tiff.PHOTOSHOP_RESOURCES, b"")))
    found = {}
    for each in FIELDS:
        sources = [iptc.get(each.iptc or 0, []), *(exif.get(tag, []) for tag in each.exif)]
        if values := next(filter(None, sources), []):
            found[each] = values if each.container in ("Bag", "Seq") else values[:1]
    keywords = iptc[_KEYWORDS]
    windows = exif.get(tiff.WINDOWS_KEYWORDS, [])
    every = tuple(dict.fromkeys([*keywords, *windows]))
    return OwnMetadata(packet, found, every, tuple(keywords), is_dated)


def _iim_of(resources: bytes) -> bytes:
    """Return the IPTC-IIM among Photoshop's resources (its file format, Image Resources)."""
    position = resources.find(_RESOURCE)
    while position >= 0 and resources.startswith(_RESOURCE, position):
        (number,) = struct.unpack_from(">H", resources, position + 4)
        # A name with its length before it, and the content, are filled up to even sizes.
        size_at = position + 6 + (resources[position + 6] + 2 & ~1)
        (size,) = struct.unpack_from(">I", resources, size_at)
        if number == _IIM:
            return resources[size_at + 4 : size_at + 4 + size]
        position = size_at + 4 + size + (size & 1)
    return b""


def _add_iim(values: dict[int, list[str]], iim: bytes) -> None:
    """Add the texts of record 2 (IPTC-NAA Information Interchange Model 4.2, chapters 1 and 6)."""
    position = 0
    while iim.startswith(_MARKER, position):
        record, number, size = struct.unpack_from(">BBH", iim, position + 1)
        if size & _LONG:
            return  # of 32 KiB or more: no text is
        value = _clean(text.decode(iim[position + 5 : position + 5 + size]))
        if record == 2 and value and value not in values[number]:  # noqa: PLR2004
            values[number].append(value)
        position += 5 + size


def _exif_texts(exif: bytes, tags: Mapping[int, bytes]) -> Iterator[tuple[int, list[str]]]:
    for tag in tags.keys() & _TEXTS:
        value = tags[tag]
        if tag == tiff.RATING:
            rating = tiff.first_integer(exif, tag)
            values = [str(rating)] if rating else []
        elif tag == tiff.USER_COMMENT:
            values = [text.decode_user_comment(value)]
        elif tag == tiff.WINDOWS_KEYWORDS:
            values = value.decode("utf-16-le", "replace").split(";")
        elif tag == tiff.COPYRIGHT:  # of the photographer, and after a NUL of the editor
            values = [", ".join(filter(None, map(_clean, text.decode(value).split("\0"))))]
        else:
            values = [text.decode(value)]
        if cleaned := list(filter(None, map(_clean, values))):
            yield tag, cleaned


def _clean(value: str) -> str:
    """Return a text without what no XML may have."""
    return FORBIDDEN.sub(" ", value.rstrip("\0")).strip()
