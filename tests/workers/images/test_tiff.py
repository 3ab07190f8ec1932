"""Directories of TIFF structures: values in both byte orders, and bounds against bad files."""

from __future__ import annotations

import io
from struct import pack

import pytest
from PIL import Image

from workers.images import tiff
from workers.images.orientation import read_orientation
from workers.images.truncation import is_truncated

ORDERS = ["<", ">"]
SHORT, LONG, ASCII = 3, 4, 2
SOFTWARE, WIDTH = 305, 256


def structure(
    order: str, *entries: tuple[int, int, int, int], big: bool = False, count: int | None = None
) -> bytes:
    """Return a header and one directory of entries (tag, type, number of values, value field)."""
    count = len(entries) if count is None else count
    letters = b"II" if order == "<" else b"MM"
    if big:
        head = letters + pack(f"{order}HHHQ", 43, 8, 0, 16) + pack(f"{order}Q", count)
        return head + b"".join(pack(f"{order}HHQQ", *entry) for entry in entries)
    head = letters + pack(f"{order}HI", 42, 8) + pack(f"{order}H", count)
    return head + b"".join(pack(f"{order}HHII", *entry) for entry in entries)


def inline_short(order: str, value: int) -> int:
    """Return the value field of a single SHORT, which stands in the field's first two bytes."""
    return value if order == "<" else value << 16


@pytest.mark.parametrize("order", ORDERS)
def test_values_in_the_entry(order: str) -> None:
    """A value of up to four bytes is read from the entry itself, in either byte order."""
    data = structure(
        order,
        (tiff.ORIENTATION, SHORT, 1, inline_short(order, 6)),
        (WIDTH, LONG, 1, 70_000),
    )

    assert 6 == tiff.first_integer(data, tiff.ORIENTATION)
    assert 70_000 == tiff.first_integer(data, WIDTH)
    assert tiff.first_integer(data, SOFTWARE) is None


@pytest.mark.parametrize("order", ORDERS)
def test_values_elsewhere(order: str) -> None:
    """Longer values are read at their offset; those past the data are not."""
    data = structure(order, (tiff.STRIP_OFFSETS, LONG, 3, 22), (SOFTWARE, ASCII, 5, 34))
    data = data[:22] + b"" + data[22:]
    values = pack(f"{order}III", 1, 2, 3) + b"GIMP\0"
    data += bytes(34 - len(data)) + values
    (directory,) = tiff.directories(data)

    assert [(22, 34), (34, 39)] == [(e.start, e.end) for e in directory.entries]
    (strips, _) = directory.entries
    assert (1, 2, 3) == tiff.integers(data, strips._replace(start=34, end=46))
    assert () == tiff.integers(data, strips._replace(start=len(data), end=len(data) + 12))


@pytest.mark.parametrize("order", ORDERS)
def test_big_tiff(order: str) -> None:
    """BigTIFF's wider fields are read like those of classic TIFF."""
    shifted = 6 if order == "<" else 6 << 48
    data = structure(order, (tiff.ORIENTATION, SHORT, 1, shifted), big=True)

    assert 6 == tiff.first_integer(data, tiff.ORIENTATION)


@pytest.mark.parametrize("order", ORDERS)
def test_loops_end(order: str) -> None:
    """A directory that points to itself, or to an earlier one, is read once."""
    itself = structure(order, (tiff.EXIF_DIRECTORY, LONG, 1, 8))
    second = len(itself)
    there = structure(order, (tiff.EXIF_DIRECTORY, LONG, 1, second))
    back = there + structure(order, (tiff.EXIF_DIRECTORY, LONG, 1, 8))[8:]

    assert 1 == len(list(tiff.directories(itself, follow={tiff.EXIF_DIRECTORY})))
    assert 2 == len(list(tiff.directories(back, follow={tiff.EXIF_DIRECTORY})))


def test_chain_of_directories_is_bounded() -> None:
    """Of ten thousand directories in a chain only a few are read."""
    chain = b"II*\0" + pack("<I", 8)
    for index in range(10_000):
        following = 8 + 14 * (index + 1)
        chain += pack("<HHHII", 1, tiff.SUB_DIRECTORIES, LONG, 1, following)

    found = list(tiff.directories(chain, follow={tiff.SUB_DIRECTORIES}))

    assert tiff.MAX_DIRECTORIES == len(found)


@pytest.mark.parametrize("order", ORDERS)
def test_number_of_entries_is_bounded(order: str) -> None:
    """Of 60,000 entries only a few hundred are read."""
    data = structure(order, *[(WIDTH, LONG, 1, 1)] * 60_000)
    (directory,) = tiff.directories(data)

    assert tiff.MAX_ENTRIES == len(directory.entries)
    assert len(data) == directory.end


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("big", [False, True])
def test_truncated_anywhere(order: str, *, big: bool) -> None:
    """A structure cut at any byte gives the entries before the cut, and is truncated."""
    entries = [(WIDTH + index, LONG, 1, 1) for index in range(3)]
    data = structure(order, *entries, big=big)
    entry_bytes, first = (20, 24) if big else (12, 10)
    for length in range(len(data)):
        tags = [e.tag for d in tiff.directories(data[:length]) for e in d.entries]

        assert max(0, length - first) // entry_bytes == len(tags), length
        assert is_truncated("TIFF", data[:length])
    assert not is_truncated("TIFF", data)


@pytest.mark.parametrize("data", [b"", b"II", b"IM*\0\x08\0\0\0", b"II*\0", b"Exif\0\0"])
def test_data_without_a_header(data: bytes) -> None:
    """Data without a complete header has no directories."""
    assert [] == list(tiff.directories(data))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_agrees_with_pillow(form: str, orientation: int) -> None:
    """Orientation is what Pillow reads from the same file."""
    exif = Image.Exif()
    exif[tiff.ORIENTATION] = orientation
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, form, exif=exif)

    assert orientation == Image.open(file).getexif()[tiff.ORIENTATION]
    assert orientation == read_orientation(file.getvalue())


def test_tiff_is_not_turned_twice() -> None:
    """Pillow turns a TIFF when it loads it, so no orientation is left to apply."""
    exif = Image.Exif()
    exif[tiff.ORIENTATION] = 6
    exif[SOFTWARE] = "GIMP"
    file = io.BytesIO()
    Image.new("RGB", (20, 10)).save(file, "TIFF", exif=exif)
    image = Image.open(file)
    image.load()

    assert (10, 20) == image.size
    assert 1 == read_orientation(file.getvalue())
