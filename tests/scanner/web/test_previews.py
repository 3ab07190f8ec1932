"""Previews: upright, bounded, only of what was judged, and cached within bounds."""

from __future__ import annotations

import io
import os
import re
import stat
from typing import TYPE_CHECKING

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image, ImageOps

from scanner.web.disk_cache import DiskCache
from storage.database.schema import verdict
from storage.reads.gallery import find_image
from storage.reads.verdicts import verdict_rows
from workers.images.orientation import apply_orientation, read_orientation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from storage.database.store import Store
    from tests.scanner.web.conftest import Scanned, Served


def ids(store: Store) -> dict[bytes, int]:
    """Return the images of the scan by path."""
    return {row.path: row.image_id for row in verdict_rows(store, 1)}


def opened(body: bytes) -> Image.Image:
    """Return an image that was sent."""
    return Image.open(io.BytesIO(body))


@pytest.mark.parametrize("turned", range(1, 9))
def test_orientation_is_applied(turned: int) -> None:
    """Each of the eight orientations is applied as by Pillow."""
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    exif = Image.Exif()
    exif[0x0112] = turned
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", exif=exif)
    found = read_orientation(file.getvalue())
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(file)))

    assert turned == found
    assert np.array_equal(wanted, apply_orientation(pixels, found))


@pytest.mark.parametrize("exif", [b"Exif\0\0junk", b"Exif\0\0II*\0\xff\xff\xff\xff", b""])
def test_damaged_exif_is_ignored(exif: bytes) -> None:
    """Damaged EXIF leaves the image as it is."""
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "JPEG", exif=exif)

    assert 1 == read_orientation(file.getvalue())


def test_previews_are_small_and_reencoded(site: Served, store: Store) -> None:
    """A thumbnail has at most 320 pixels; a tiny image is enlarged by whole pixels."""
    numbers = ids(store)
    photo, tiny = numbers[b"plain/dunes.jpg"], numbers[b"tiny/10.jpg"]
    small = site.get(f"/scan/1/image/{photo}/thumbnail")
    large = site.get(f"/scan/1/image/{photo}/large")
    enlarged = site.get(f"/scan/1/image/{tiny}/large")

    assert ("image/jpeg", "image/png") == (
        small.headers["content-type"],
        enlarged.headers["content-type"],
    )
    assert 320 == max(opened(small.body).size)
    assert (480, 320) == opened(large.body).size
    assert (280, 280) == opened(enlarged.body).size
    assert "private" in small.headers["cache-control"]
    again = site.get(f"/scan/1/image/{photo}/thumbnail", **{"If-None-Match": small.headers["etag"]})
    assert (304, b"") == (again.status, again.body)


def test_unreadable_image_has_a_placeholder(site: Served, store: Store) -> None:
    """An unreadable image has a placeholder that says why."""
    broken = ids(store)[b"broken/cut-off.jpg"]
    answer = site.get(f"/scan/1/image/{broken}/thumbnail")

    assert (404, "image/svg+xml") == (answer.status, answer.headers["content-type"])
    assert re.search("could not.*be read", answer.text)


def test_image_that_killed_its_decoder_is_not_decoded(site: Served, store: Store) -> None:
    """An image that is `ai` by its metadata, and crashed a worker, has a placeholder."""
    photo = ids(store)[b"plain/dunes.jpg"]
    crashed = {"outcome": "ai", "error_kind": "crashed", "error_text": "killed the process"}
    with store.write() as connection:
        connection.execute(sa.update(verdict).where(verdict.c.image_id == photo).values(**crashed))
    answers = [site.get(f"/scan/1/image/{photo}/{size}") for size in ("thumbnail", "large")]
    page = site.get(f"/scan/1/image/{photo}").text

    assert [404, 404] == [answer.status for answer in answers]
    assert "could not" in answers[0].text
    assert "killed the process" in page
    assert "AI-generated" in page


def test_only_the_bytes_that_were_judged_are_decoded(
    serve: Callable[..., Served], store: Store, scanned: Scanned, tmp_path: Path
) -> None:
    """A changed file, a link out of the collection and a missing file are not shown."""
    numbers = ids(store)
    changed, link, gone = (numbers[b"tiny/%d.jpg" % n] for n in (10, 11, 12))
    folder = tmp_path / "elsewhere"
    (folder / "tiny").mkdir(parents=True)
    (tmp_path / "secret.jpg").write_bytes((scanned.folder / "tiny" / "11.jpg").read_bytes())
    (folder / "tiny" / "10.jpg").write_bytes((scanned.folder / "tiny" / "12.jpg").read_bytes())
    (folder / "tiny" / "11.jpg").symlink_to(tmp_path / "secret.jpg")
    site = serve(store, roots={"photos": folder})
    said = [site.get(f"/scan/1/image/{one}/large") for one in (changed, link, gone)]

    assert [404] * 3 == [answer.status for answer in said]
    for answer, words in zip(said, ("changed", "leaves", "cannot be"), strict=True):
        assert words in answer.text


def test_preview_is_cached(
    serve: Callable[..., Served], store: Store, scanned: Scanned, tmp_path: Path
) -> None:
    """A cached preview is shown without the collection, and readable by its user only."""
    number = ids(store)[b"plain/dunes.jpg"]
    address = f"/scan/1/image/{number}/thumbnail"
    first = serve(store).get(address)
    without = serve(store, roots={"photos": tmp_path / "away"})
    kept = [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]

    assert first.body == without.get(address).body
    assert 1 == len(kept)
    assert 0o600 == stat.S_IMODE(kept[0].stat().st_mode)
    assert 0o700 == stat.S_IMODE((tmp_path / "cache").stat().st_mode)
    listed = find_image(store, 1, number)
    assert listed is not None
    assert listed.digest is not None
    assert kept[0].name.startswith(listed.digest.hex())


def test_the_cache_is_bounded(tmp_path: Path) -> None:
    """Above its size limit the cache deletes the least recently used files."""
    cache = DiskCache(tmp_path / "cache", max_bytes=1000)
    for n in range(9):
        cache.put(f"{n:02}", bytes(100))
        os.utime(tmp_path / "cache" / f"{n:02}" / f"{n:02}", (n, n))
    cache.get("00")
    cache.put("09", bytes(200))
    left = {n for n in range(10) if cache.get(f"{n:02}") is not None}
    total = sum(file.stat().st_size for file in (tmp_path / "cache").glob("*/*"))

    assert total <= 1000
    assert {0, 9} <= left
    assert not {1, 2} & left


def test_unwritable_cache_is_ignored(tmp_path: Path) -> None:
    """A cache whose folder cannot be created keeps nothing, without an error."""
    (tmp_path / "file").write_bytes(b"")
    cache = DiskCache(tmp_path / "file" / "cache")
    cache.put("aa", b"1")

    assert cache.get("aa") is None
