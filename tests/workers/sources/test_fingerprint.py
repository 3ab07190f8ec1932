"""Whether a place has the collection that a worker was told it has."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING

import pytest

from workers.broker.app import make_redis
from workers.broker.fingerprints import collections, leave_sample, sample_of, samples_key
from workers.broker.namespace import Space
from workers.sources.fingerprint import SampleFile, WrongPlace, prove
from workers.sources.local import Root, RootGone
from workers.sources.registry import Roots

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workers.sources.places import Place


@pytest.fixture
def space(clean_redis: str) -> Iterator[Space]:
    """An empty Redis."""
    client = make_redis(clean_redis)
    yield Space(client, "s1")
    client.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of five files."""
    made = tmp_path / "photos"
    made.mkdir()
    for number in range(5):
        (made / f"{number}.jpg").write_bytes(b"%d" % number)
    return made


SAMPLE = [
    SampleFile(b"%d.jpg" % number, 1, hashlib.sha256(b"%d" % number).digest())
    for number in range(5)
]


def test_left_and_found(space: Space) -> None:
    """A sample comes back as it was left, whatever the files are called."""
    strange = SampleFile(b"\xff.jpg", 3, b"\x01" * 32)
    leave_sample(space, "photos", [strange])

    assert (strange,) == sample_of(space, "photos")
    assert () == sample_of(space, "other")
    assert ["photos"] == collections(space)


@pytest.mark.parametrize("raw", ["", "5", "{", "[[1]]", '[["a", -1, "x"]]', '[[["a"], 1, "x"]]'])
def test_no_sample(space: Space, raw: str) -> None:
    """What is no sample proves nothing, and ends nothing."""
    space.client.hset(samples_key(space), "photos", raw)

    assert () == sample_of(space, "photos")


def test_the_right_place(folder: Path) -> None:
    """The files are there; two that were changed since do not make it another place."""
    (folder / "0.jpg").write_bytes(b"changed")
    (folder / "1.jpg").unlink()
    with Root(folder) as root:
        prove(root, SAMPLE)
        prove(root, [])


def test_another_place(folder: Path) -> None:
    """Files of the same names and sizes are not the same files."""
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(b"x")
    with Root(folder) as root, pytest.raises(WrongPlace, match="3 of 5 files"):
        prove(root, SAMPLE)


def test_before_anything_is_taken(space: Space, folder: Path) -> None:
    """A worker that was sent to another folder reads nothing there as if it were the collection."""
    leave_sample(space, "photos", SAMPLE)
    other = folder.with_name("other")
    other.mkdir()
    (other / "0.jpg").write_bytes(b"x")
    places: dict[str, Place] = {"photos": other}
    roots = Roots(places, lambda _name: other, partial(sample_of, space), 1000)
    with pytest.raises(RootGone, match="other is not photos: 5 of 5 files"):
        roots.root("photos")
    # Whoever mounts the right one there need not start the worker again.
    other.rename(folder.with_name("away"))
    folder.rename(other)

    assert b"4" == roots.root("photos").fetch(b"4.jpg").data
    roots.forget("photos")


def test_proved_once(space: Space, folder: Path) -> None:
    """The sample is read once, and again when another disk is in the place."""
    leave_sample(space, "photos", SAMPLE)
    roots = Roots({"photos": folder}, lambda _name: folder, partial(sample_of, space), 1000)
    roots.root("photos")
    roots.forget("photos")
    for file in folder.iterdir():
        file.write_bytes(b"changed")
    roots.root("photos")
    roots.forget("photos")
    folder.rename(folder.with_name("away"))
    folder.mkdir()
    (folder / "x").touch()
    with pytest.raises(RootGone, match="is not photos"):
        roots.root("photos")
