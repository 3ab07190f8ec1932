"""Paths of a library's images, from names that a server gives."""

from __future__ import annotations

from uuid import UUID

import pytest

from storage.asset_paths import AssetKey, asset_path, key_of, shown_image, without_key
from workers.provenance import file_names

KEY = AssetKey(UUID("3fa85f64-5717-4562-b3fc-2c963f66afa6"), bytes.fromhex("ff00ff00ff00ff00"))


def test_path_has_folder_key_and_name() -> None:
    """The key is read from a path, and taken out of it, without a table of any kind."""
    path = asset_path(["Alps"], KEY, "IMG_1.jpg")

    assert b"Alps/P6hfZFcXRWKz_CyWP2avpv8A_wD_AP8A~IMG_1.jpg" == path
    assert KEY == key_of(path)
    assert b"Alps/IMG_1.jpg" == without_key(path)
    assert "Alps/IMG_1.jpg" == shown_image(path)


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("..", ".."),
        ("/etc", "/etc/passwd"),
        ("a/../../b", "../x.jpg"),
        ("", ""),
        (".", "\0"),
        ("line\nbreak", "a\r\nb.jpg"),
        ("\ud800", "\udfff.jpg"),
        ("x" * 9_000, "y" * 9_000 + ".jpg"),
        ("相" * 900, "片" * 900 + ".jpg"),
    ],
)
def test_names_stay_in_their_folder(folder: str, name: str) -> None:
    """Whatever a server calls albums and files, a path is one folder and one file in it."""
    path = asset_path([folder], KEY, name)
    parts = path.split(b"/")

    assert 2 == len(parts)
    assert not {b"", b".", b".."} & set(parts)
    assert b"\0" not in path
    assert all(len(part) <= 255 for part in parts)
    assert KEY == key_of(path)
    assert path.endswith(b".jpg") == name.endswith(".jpg")


@pytest.mark.parametrize("path", [b"a.jpg", b"x~a.jpg", b"Alps/" + b"A" * 31 + b"~a", b"~", b""])
def test_path_without_key(path: bytes) -> None:
    """A file of a folder has no key, and keeps its name."""
    assert key_of(path) is None
    assert path == without_key(path)


def test_generator_is_found_in_the_name_behind_the_key() -> None:
    """A name that a generator gave is found, whatever key is before it."""
    found = file_names.finding(asset_path(["Alps"], KEY, "ChatGPT Image May 1, 2025.png"))

    assert found is not None
    assert {"generator": "ChatGPT"} == found.detail
