"""When a file counts as still."""

from __future__ import annotations

import time

from scanner.watch.growth import SURELY_STILL, Stillness, _uncovered
from storage.records import ListedImage

LONG = 1000.0


def file(size: int, *, age: float = 0.0) -> ListedImage:
    """Return a file of a size that was changed so many seconds ago."""
    return ListedImage(b"a.jpg", size, time.time_ns() - int(age * 1e9))


def test_growing_file() -> None:
    """A file counts as still once it is seen twice with the same size and time."""
    stillness = Stillness(0.0)
    first, second = file(1), file(2)

    assert [False, False, True] == [stillness.is_still(seen) for seen in (first, second, second)]


def test_file_that_was_just_written() -> None:
    """A file is not still before the time is over."""
    stillness, seen = Stillness(LONG), file(1)

    assert [False, False] == [stillness.is_still(seen), stillness.is_still(seen)]


def test_old_file() -> None:
    """A file that changed long ago is still at once; unless that time is not over."""
    old = file(1, age=SURELY_STILL + 10)

    assert Stillness(LONG).is_still(old)
    assert not Stillness(2 * SURELY_STILL).is_still(old)


def test_folders_below_others() -> None:
    """A folder below one that is looked at wholly is not looked at twice."""
    folders = {b"a/": True, b"a/b/": False, b"ab/": False, b"c/": False, b"c/d/": True}

    assert [b"a/", b"ab/", b"c/", b"c/d/"] == list(_uncovered(folders))
    assert [b""] == list(_uncovered({b"": True, **folders}))
