"""How much of a batch a machine keeps."""

from __future__ import annotations

import pytest

from workers.batch import throughput
from workers.batch.throughput import Throughput


def paced(each: float, worked: float = 0.0) -> Throughput:
    """Return the throughput of a process with these seconds per image and seconds of work."""
    made = Throughput()
    made.start_batch()
    made.record_chunk(1, each)
    made._worked_seconds = worked
    return made


@pytest.mark.parametrize(
    ("each", "worked", "left", "keeps"),
    [
        (0.001, 0.0, 500, 500),  # half a second: all of it
        (0.05, 0.0, 501, 400),  # 25 s: what 20 are enough for
        (0.05, 0.0, 500, 500),  # hardly too much is none to split for
        (1.0, 0.0, 500, 20),
        (1.0, 12.0, 100, 8),
        (1.0, 20.0, 100, 1),
        (1.0, 90.0, 100, 1),
        (60.0, 0.0, 500, 1),
        (60.0, 0.0, 1, 1),
    ],
)
def test_no_more_than_the_target(each: float, worked: float, left: int, keeps: int) -> None:
    """A machine keeps what it can do in 20 seconds, and one image at least."""
    assert keeps == paced(each, worked).images_to_keep(left)


def test_before_anything_is_known() -> None:
    """A process that has done nothing yet keeps all until it has done a chunk."""
    new = Throughput()
    new.start_batch()

    assert 500 == new.images_to_keep(500) == new.images_to_keep_if_queue_is_empty(500)


@pytest.mark.parametrize(("left", "keeps"), [(19, 19), (20, 10), (21, 11), (500, 250)])
def test_when_nothing_waits(left: int, keeps: int) -> None:
    """Half goes to others, unless it is less than two seconds' work."""
    assert keeps == paced(0.1).images_to_keep_if_queue_is_empty(left)


def test_an_estimate_that_follows() -> None:
    """One slow chunk does not make a slow machine; many do."""
    going = paced(0.01)
    going.record_chunk(10, 1.0)
    assert 300 < int(20 / (going._seconds_per_image or 1)) < 2000
    for _ in range(20):
        going.record_chunk(10, 1.0)

    assert going._seconds_per_image == pytest.approx(0.1, rel=0.01)


def test_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue is looked at once a second, and not before a batch has been at work that long."""
    now = [100.0]
    monkeypatch.setattr(throughput.time, "monotonic", lambda: now[0])
    going = Throughput()
    going.start_batch()
    seen = []
    for _ in range(5):
        seen.append(going.is_queue_check_due())
        now[0] += 0.5

    assert [False, False, True, False, True] == seen
