"""Sidecars in darktable itself: what it reads, and what it wrote stays."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from described_images import IPTC, XMP

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Photos

pytestmark = pytest.mark.skipif(
    shutil.which("darktable-cli") is None, reason="darktable is not installed"
)

KEYWORD = "ai-photo-scanner|scanner:ai"

# Lua that runs in darktable: import an image, change it, and tell what the library says of it.
SCRIPT = """
local dt = require "darktable"
local image = dt.database.import([[{image}]])
{change}
local out = io.open([[{out}]], "w")
out:write(image.rating, "\\n", image.title, "\\n", tostring(image.green), "\\n")
for _, tag in ipairs(dt.tags.get_tags(image)) do
  if not tag.name:match("^darktable|") then out:write(tag.name, "\\n") end
end
out:close()
"""


def darktable(image: Path, change: str = "") -> tuple[list[str], set[str]]:
    """Import an image into a new library, change it; return rating, title, label, and the tags.

    Like a person's darktable, it writes the sidecar after a change.
    """
    folder = image.parent.parent / uuid.uuid4().hex
    folder.mkdir()
    script, out, other = folder / "script.lua", folder / "out", folder / "other.jpg"
    script.write_text(SCRIPT.format(image=image, out=out, change=change))
    shutil.copy(image, other)
    core = {
        "--configdir": folder,
        "--cachedir": folder / "cache",
        "--library": folder / "library.db",
        "--conf": "write_sidecar_files=after edit",
        "--luacmd": f"dofile({json.dumps(str(script))})",
    }
    # It exports an image, too: that is what the program is for.
    words: list[Any] = ["darktable-cli", other, folder / "exported.jpg", "--width", "16", "--core"]
    words += ["--disable-opencl", *(word for pair in core.items() for word in pair)]
    subprocess.run(words, check=True, capture_output=True, timeout=120)
    rating, title, label, *tags = out.read_text().splitlines()
    return [rating, title, label], set(tags)


def test_metadata_of_the_image_beside_its_new_sidecar(photos: Photos) -> None:
    """Stars, title, texts and keywords of the image are there with the sidecar as without."""
    body = "<dc:subject><rdf:Bag><rdf:li>Ann</rdf:li></rdf:Bag></dc:subject>"
    edits = 'xmlns:darktable="http://darktable.sf.net/" darktable:history_end="1" xmp:Rating="4"'
    body += (
        '<darktable:history><rdf:Seq><rdf:li darktable:num="0" darktable:operation="exposure" '
        'darktable:enabled="1" darktable:modversion="6" '
        'darktable:params="00000000000000000000803f00004842000080c000000000"/></rdf:Seq>'
        "</darktable:history>"
    )
    xmp = XMP.format(attributes=edits, body=body)
    images = [photos.described("a.jpg", xmp, IPTC), photos.described("b.jpg", iptc=IPTC)]
    before = [darktable(image) for image in images]
    photos.scan(ajpg="ai", bjpg="ai")
    photos.export("xmp", "--write")
    after = [darktable(image) for image in images]
    photos.export("xmp", "--remove", "--write")

    assert ["4", "Alps", "false"] == after[0][0]
    assert [{"Ann", "sea", "scanner:ai"}] * 2 == [tags for _, tags in after]
    assert [{"Ann", "sea"}] * 2 == [tags for _, tags in before]
    assert [] == photos.sidecars()
    assert before == [darktable(image) for image in images]


def test_keyword_beside_what_darktable_wrote(photos: Photos) -> None:
    """The keyword comes to tags, stars, title and label, and goes again; they all stay."""
    image = photos.image("a.jpg", 64)
    change = 'image.rating = 4; image.title = "Alps"; image.green = true; '
    change += 'dt.tags.attach(dt.tags.create("family|ann"), image)'
    darktable(image, change)
    photos.scan(ajpg="ai")
    photos.export("xmp", "--write")
    # Read, and written again with a further tag.
    read = darktable(image, 'dt.tags.attach(dt.tags.create("sea"), image)')
    assert (["4", "Alps", "true"], {"family|ann", "sea", KEYWORD}) == read
    assert "nothing to do, 1 as they should be" in photos.export("xmp", "--write")
    photos.export("xmp", "--remove", "--write")

    assert b"scanner" not in (photos.root / "a.jpg.xmp").read_bytes()
    assert (["4", "Alps", "true"], {"family|ann", "sea"}) == darktable(image)
