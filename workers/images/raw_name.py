"""What a camera's RAW file is: its format, the camera and the size of the photograph."""

from __future__ import annotations

from struct import error, unpack_from

from workers.images import tiff
from workers.images.formats import identify
from workers.images.photograph import read_taken

# Of formats that are TIFF, and are known by their camera only.
_FORMATS = {
    "nikon": "NEF",
    "sony": "ARW",
    "pentax": "PEF",
    "samsung": "SRW",
    "hasselblad": "3FR",
    "seiko": "ERF",
    "epson": "ERF",
}
# Phase One's own directory: where it begins, its tags of 16 bytes, and those of width and height.
_IIQ_START, _IIQ_ENTRY_BYTES, _IIQ_SIZE = 8, 16, (0x10C, 0x10D)
_IIQ_MOST = 256


def raw_name(data: bytes) -> str:
    """Return what a RAW file is, as far as it says: a camera's RAW (NEF, NIKON D70, 3040x2014)."""
    form = identify(data)
    name = "" if form is None else form.name.partition("(")[2].rstrip(")")
    camera = read_taken(data).camera or ""
    if not name:
        maker = camera.partition(" ")[0].lower()
        is_dng = tiff.first_integer(data, tiff.DNG_VERSION) is not None
        name = "DNG" if is_dng else _FORMATS.get(maker, "")
    width, height = _iiq_size(data) if name == "IIQ" else tiff.largest_size(data)
    size = f"{width}x{height}" if min(width, height) > 1 else ""
    known = ", ".join(filter(None, (name, camera, size)))
    return f"a camera's RAW ({known})" if known else "a camera's RAW"


def _iiq_size(data: bytes) -> tuple[int, int]:
    """Return width and height that Phase One's directory states; (0, 0) without."""
    order = "<" if data.startswith(b"I") else ">"
    values: dict[int, int] = {}
    try:
        start = _IIQ_START + unpack_from(f"{order}I", data, _IIQ_START + 8)[0]
        for number in range(min(unpack_from(f"{order}I", data, start)[0], _IIQ_MOST)):
            place = start + 8 + number * _IIQ_ENTRY_BYTES
            tag, _, _, value = unpack_from(f"{order}4I", data, place)
            values[tag] = value
    except error:
        return 0, 0
    width, height = (values.get(tag, 0) for tag in _IIQ_SIZE)
    return width, height
