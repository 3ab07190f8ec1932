"""What a file says of its own origin: C2PA manifests, IPTC's source type, generators' tags.

Nothing here looks at pixels, and finding nothing is no evidence of anything. Importing this is
light; what is slow to import is imported when a file needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.images import metadata as _head

if TYPE_CHECKING:
    from storage.records import Finding

__all__ = ["may_speak", "read"]


def may_speak(data: bytes) -> bool:
    """Whether a file carries any metadata that `read` could make something of.

    Microseconds for a small file, and never more than its container's chunk headers for a large.
    """
    return bool(_head.look(data).carriers)


def read(data: bytes) -> tuple[Finding, ...]:
    """All that the file's metadata says of its origin, the strongest evidence first.

    Never raises for what is wrong with the file: broken metadata is no finding, except for a
    C2PA manifest that cannot be read, which is worth knowing.
    """
    head = _head.look(data)
    if not head.carriers:
        return ()
    from workers.provenance import fields, iptc, tags  # noqa: PLC0415

    texts = fields.read(data, head)
    link = next((field.text for field in texts if field.where == "xmp:provenance"), "")
    found = [*tags.findings(texts), *iptc.findings(texts)]
    if link or head.has("c2pa"):
        from workers.provenance import c2pa  # noqa: PLC0415

        found += c2pa.findings(data, head.mime, link)
    return tuple(sorted(found, key=lambda finding: finding.score or 0.0, reverse=True))
