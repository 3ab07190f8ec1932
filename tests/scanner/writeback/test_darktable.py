"""Sidecars in darktable itself: what it reads, and what it wrote stays."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from typing import TYPE_CHECKING, Any

import pytest

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
