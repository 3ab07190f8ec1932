"""The version of scanner."""

from __future__ import annotations

import importlib.metadata


def own_version() -> str:
    """Return the installed version; `unknown` in a clone that is not installed."""
    try:
        return importlib.metadata.version("ai-photo-scanner")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
