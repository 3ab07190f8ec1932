"""How much of a batch a machine keeps."""

from __future__ import annotations

import pytest

from workers.batch import throughput
from workers.batch.throughput import Throughput


def paced(each: float, worked: float = 0.0) -> Throughput:
    """Return the throughput of a process with these seconds per image and seconds of work."""
    throughput = Throughput()
    throughput.start_batch()
    throughput.record_chunk(1, each)
    throughput._worked_seconds = worked
    return throughput


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
    """A machine keeps 20 seconds of work, and at least one image."""
    assert keeps == paced(each, worked).images_to_keep(left)


def test_unknown_throughput() -> None:
    """A new process keeps everything until its first chunk is done."""
    new = Throughput()
    new.start_batch()

    assert 500 == new.images_to_keep(500) == new.images_to_keep_if_queue_is_empty(500)


@pytest.mark.parametrize(("left", "keeps"), [(19, 19), (20, 10), (21, 11), (500, 250)])
def test_empty_queue(left: int, keeps: int) -> None:
    """Half is left to other workers, unless it is less than two seconds of work."""
    assert keeps == paced(0.1).images_to_keep_if_queue_is_empty(left)


def test_moving_average() -> None:
    """One slow chunk changes the estimate little, many change it fully."""
    going = paced(0.01)
    going.record_chunk(10, 1.0)
    assert 300 < int(20 / (going._seconds_per_image or 1)) < 2000
    for _ in range(20):
        going.record_chunk(10, 1.0)

    assert going._seconds_per_image == pytest.approx(0.1, rel=0.01)


def test_queue_checks_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue is checked at most once a second, and not in the first second of a batch."""
    now = [100.0]
    monkeypatch.setattr(throughput.time, "monotonic", lambda: now[0])
    going = Throughput()
    going.start_batch()
    checks = []
    for _ in range(5):
        checks.append(going.is_queue_check_due())
        now[0] += 0.5

    assert [False, False, True, False, True] == checks
