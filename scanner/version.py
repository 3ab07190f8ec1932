"""Our own version."""

from __future__ import annotations

import importlib.metadata


def own_version() -> str:
    """As it was installed; `unknown` in a clone that was not."""
    try:
        return importlib.metadata.version("ai-photo-scanner")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
