"""What the files next to an image declare about it: XMP, settings as text, Takeout's JSON."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from storage.paths import shown
from workers.provenance import aigc, generators, iptc, text, xmp
from workers.provenance.evidence import Kind, finding
from workers.provenance.metadata_field import Field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.records import Finding

# `scanner export xmp` writes what the image says of itself, and it may be another image by now.
_OF_SCANNER = re.compile(rb'x:xmptk="ai-photo-scanner [0-9a-f]{16}"')
_EXTENSION = re.compile(r"\.(\w+)\Z")
_NUMBER = re.compile(r"\(\d+\)\Z")
_OTHER_CHARACTERS = re.compile(r"[\W_]+")


def read(data: bytes, name: bytes, image: bytes) -> Iterator[Finding]:
    """Yield the evidence in a sidecar, by its name, of the image at a path; each names it."""
    fields = list(_fields(data, name, image))
    for evidence in (*generators.findings(fields), *iptc.findings(fields), *aigc.findings(fields)):
        text = f"{evidence.text} It stands in the sidecar {shown(name)}."
        yield replace(evidence, text=text, detail={**evidence.detail, "sidecar": shown(name)})


def unreadable(name: bytes, why: str) -> Finding:
    """Return the finding on a sidecar that cannot be read."""
    detail = {"sidecar": shown(name), "why": why}
    text = f"The sidecar {shown(name)} {why}."
    return finding(Kind.SIDECAR_UNREADABLE, text, detail)


def _fields(data: bytes, name: bytes, image: bytes) -> Iterator[Field]:
    """Yield the texts of a sidecar, under the names of those of files."""
    extension = name.lower().rpartition(b".")[2]
    if extension == b"xmp" and not _OF_SCANNER.search(data):
        fields = [Field(f"xmp:{name}", value) for name, value in xmp.properties(data)]
        if _is_for(image, fields):
            yield from fields
    elif extension == b"txt":
        yield Field("sidecar:text", text.decode_file(data))
    elif extension == b"json":
        yield from _json_fields(text.decode_file(data), image)


def _is_for(image: bytes, fields: list[Field]) -> bool:
    """Check that a packet is not for the RAW next to the image, which Adobe's programs state."""
    extension = image.rpartition(b".")[2].decode(errors="replace").lower()
    stated = next((f.text for f in fields if f.where == "xmp:SidecarForExtension"), extension)
    return stated.strip().lower() == extension


def _json_fields(content: str, image: bytes) -> Iterator[Field]:
    """Yield the settings of a generator, or the description in a file of Google Takeout."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return
    if not isinstance(body, dict):
        return
    if "photoTakenTime" not in body and "url" not in body:
        yield Field("sidecar:text", content)
    elif _has_title(body, image) and isinstance(body.get("description"), str):
        yield Field("exif:ImageDescription", body["description"])


def _has_title(body: dict[str, Any], image: bytes) -> bool:
    """Check that the title in Takeout's JSON is the image's name, which may have been cut."""
    title = body.get("title")
    if not isinstance(title, str):
        return False
    name = image.rpartition(b"/")[2].decode(errors="replace")
    names = [_plain(each) for each in (title, name)]
    return names[0].startswith(names[1]) or names[1].startswith(names[0])


def _plain(name: str) -> str:
    """Return a name without extension, number and the characters that Takeout replaces."""
    return _OTHER_CHARACTERS.sub("", _NUMBER.sub("", _EXTENSION.sub("", name))).lower()
