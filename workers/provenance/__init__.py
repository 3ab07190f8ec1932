"""Provenance metadata of a file: C2PA manifests, IPTC's source type, marks of generators.

Pixels are not read. A file without metadata proves nothing. Importing this package is quick;
slow libraries are imported when a file needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.images.metadata import find_metadata
from workers.provenance.trust_lists import NO_LISTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from storage.records import Finding
    from workers.provenance.metadata_field import Field
    from workers.provenance.trust_lists import Trust

__all__ = ["has_manifest", "read"]


def read(data: bytes, trust: Trust = NO_LISTS) -> tuple[Finding, ...]:
    """Return the evidence of AI generation in a file's metadata, the strongest first.

    Takes microseconds for a small file without metadata; of a large one only the container's
    headers are read. Signers of C2PA manifests are known by the certificates of `trust`. Raise
    nothing for a damaged file: broken metadata gives no finding, except for a C2PA manifest that
    cannot be read, which is worth knowing.
    """
    metadata = find_metadata(data)
    if not metadata.blocks:
        return ()
    from workers.provenance import aigc, generators, iptc, metadata_fields  # noqa: PLC0415

    texts = metadata_fields.read(data, metadata)
    link = _link(texts)
    findings = [
        *generators.findings(texts),
        *iptc.findings(texts),
        *aigc.findings(texts),
    ]
    if link or metadata.has("c2pa"):
        from workers.provenance import c2pa  # noqa: PLC0415

        findings += c2pa.findings(data, metadata.mime, link, trust)
    return tuple(sorted(findings, key=lambda finding: finding.score or 0.0, reverse=True))


def has_manifest(data: bytes) -> bool:
    """Check whether a file has a C2PA manifest, or names one on a server.

    A manifest fits the file as it was signed; whatever is written into the file invalidates it.
    """
    metadata = find_metadata(data)
    if metadata.has("c2pa"):
        return True
    from workers.provenance import metadata_fields  # noqa: PLC0415

    return bool(_link(metadata_fields.read(data, metadata)))


def _link(texts: Iterable[Field]) -> str:
    """Return the address of a manifest on a server; empty if there is none."""
    return next((field.text for field in texts if field.where == "xmp:provenance"), "")
