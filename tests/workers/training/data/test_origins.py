"""Owners, generators and originals of labelled images, from listings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workers.training.data.datasets import DataError, LabelledFile
from workers.training.data.origins import Origins

if TYPE_CHECKING:
    from pathlib import Path

CROPS = "member,repo,made_by\ntrain/FAKE/flux/1.jpg,Ann/one,flux1-dev\n"
WHOLE = (
    "repo,blob,made_by,crop_of\n"
    "Ann/two,abc,flux1-dev,train/FAKE/flux/1.jpg\n"
    "Bob/three,def,midjourney,\n"
    "Bob/three,ace,,test/REAL/street/5.jpg\n"
)


def file(name: str, source: str) -> LabelledFile:
    """Return an image that is not read."""
    return LabelledFile(name, 1, source, bytes)


CROP = file("train/FAKE/flux/1.jpg", "flux")
ORIGINAL = file("images/train/FAKE/Ann+two/abc.png", "Ann+two")
OTHER = file("images/train/FAKE/Bob+three/def.png", "Bob+three")
STREET = file("images/test/REAL/Bob+three/ace.jpg", "Bob+three")
UNLISTED = file("images/train/FAKE/Cleo+four/fff.png", "Cleo+four")


@pytest.fixture
def origins(tmp_path: Path) -> Origins:
    """Return the origins of both listings."""
    for name, text in (("crops.csv", CROPS), ("whole.csv", WHOLE)):
        (tmp_path / name).write_text(text)
    return Origins.read([tmp_path / "crops.csv", tmp_path / "whole.csv"])


def test_owners_are_people_and_not_their_repositories(origins: Origins) -> None:
    """Two repositories of one owner are no independent sources; a folder says what no list does."""
    assert ["ann", "ann", "bob", "cleo"] == [
        origins.owner(each) for each in (CROP, ORIGINAL, OTHER, UNLISTED)
    ]


def test_sources_are_generators_or_folders(origins: Origins) -> None:
    """An original is counted as its crop is, so that figures of both can be compared."""
    assert ["flux1-dev", "flux", "midjourney", "street", "Cleo+four"] == [
        origins.source(each) for each in (CROP, ORIGINAL, OTHER, STREET, UNLISTED)
    ]


def test_a_crop_is_left_out_where_its_original_is_there(origins: Origins) -> None:
    """No image counts twice."""
    assert [ORIGINAL, OTHER] == origins.without_repeats([CROP, ORIGINAL, OTHER])
    assert [CROP, OTHER] == origins.without_repeats([CROP, OTHER])


def test_a_listing_with_other_columns_is_refused(tmp_path: Path) -> None:
    """So is one that is missing."""
    (tmp_path / "a.csv").write_text("name,place\nx,y\n")
    for name in ("a.csv", "b.csv"):
        with pytest.raises(DataError, match=name):
            Origins.read([tmp_path / name])
