"""Acceptance tests: the real command as a subprocess, folders of images, and failures."""

from __future__ import annotations

from fleets import (
    cli,
    fleet,
    fleet_on,
    machine,
    photo,
    photos,
    proxy_to,
    scan_once,
    scanned_samples,
    started,
)

__all__ = [
    "cli",
    "fleet",
    "fleet_on",
    "machine",
    "photo",
    "photos",
    "proxy_to",
    "scan_once",
    "scanned_samples",
    "started",
]
