"""Names that were mistyped."""

from __future__ import annotations

import pytest

from storage.text import nearest


@pytest.mark.parametrize(
    ("name", "meant"),
    [("phtos", "photos"), ("atic", "attic"), ("pi5", None), ("photos-2025", None), ("other", None)],
)
def test_nearest_name(name: str, meant: str | None) -> None:
    """A name with a slip of the finger is recognised; another number is another name."""
    assert meant == nearest(name, ["photos", "photos-2024", "attic", "pi4"])
