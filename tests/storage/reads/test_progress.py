"""The activity of a scan: rates by each host's own clock, and the latest errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from storage.database.schema import batch, run
from storage.reads.progress import LATEST_ERRORS, read_activity
from storage.records import ErrorKind, ImageError
from storage.writes import results

if TYPE_CHECKING:
    from tests.storage.conftest import Fill

HOUR = 3600.0


def test_a_host_has_the_rate_of_its_last_minute(fill: Fill) -> None:
    """Old runs do not count; a host whose clock is hours behind counts like any other."""
    results.record_host(fill.store, results.Host("h2", "behind", "aarch64", {"load": 0.5}))
    scan = fill.scan()
    for host_id, images, began, ended in (
        ("h1", 8, 1000.0, 1100.0),
        ("h1", 5, 1990.0, 2000.0),
        ("h1", 3, 1995.0, 2006.0),
        ("h2", 4, 2000.0 - HOUR, 2002.0 - HOUR),
    ):
        made = fill.batch(scan, *(f"{host_id}-{ended}-{n}".encode() for n in range(images)))
        assert made is not None
        at = fill.run(made, host_id)
        results.record_verdicts(fill.store, at, [fill.verdict(one.image_id) for one in made.images])
        with fill.store.write() as connection:
            connection.execute(
                sa.update(run).where(run.c.id == at.run_id).values(started_at=began, ended_at=ended)
            )
    seen = {host.label: host for host in read_activity(fill.store, scan.scan_id).hosts}

    assert 8 / 16 == pytest.approx(seen["pi4"].images_per_second)
    assert 2006.0 == seen["pi4"].last_at
    assert 4 / 2 == pytest.approx(seen["behind"].images_per_second)
    assert {"load": 0.5} == seen["behind"].info


def test_a_rate_is_of_the_time_at_work(fill: Fill) -> None:
    """What was between two runs, as a pause, is no part of it."""
    scan = fill.scan()
    for images, began, ended in ((4, 1000.0, 1002.0), (4, 1040.0, 1042.0)):
        made = fill.batch(scan, *(f"{began}-{n}".encode() for n in range(images)))
        assert made is not None
        at = fill.run(made, "h1")
        results.record_verdicts(fill.store, at, [fill.verdict(one.image_id) for one in made.images])
        with fill.store.write() as connection:
            connection.execute(
                sa.update(run).where(run.c.id == at.run_id).values(started_at=began, ended_at=ended)
            )
    seen = read_activity(fill.store, scan.scan_id)

    assert (42.0, 4.0) == (seen.seconds, seen.active_seconds)
    assert [8 / 4] == [pytest.approx(host.images_per_second) for host in seen.hosts]


@pytest.mark.parametrize(
    ("info", "celsius"),
    [
        ({"temperature_c": 61.5, "cores": 4}, 61.5),
        ({"temperature_c": 48}, 48.0),
        ({"cores": 4}, None),  # its system does not tell it
        ({"temperature_c": "hot"}, None),
        ({"temperature_c": True}, None),
    ],
)
def test_temperature_is_the_last_reported(
    fill: Fill, info: dict[str, object], celsius: float | None
) -> None:
    """A reported temperature that is not a number is ignored."""
    scan = fill.scan()
    made = fill.batch(scan, b"one")
    assert made is not None
    fill.judge(made, fill.verdict(made.images[0].image_id))
    results.record_host(fill.store, results.Host("h1", "pi4", "aarch64", info))
    (host,) = read_activity(fill.store, scan.scan_id).hosts

    assert celsius == host.temperature_c


def test_the_oldest_batch_is_of_those_that_are_not_done(fill: Fill) -> None:
    """The oldest batch is neither done nor unpublished."""
    scan = fill.scan()
    made = [fill.batch(scan, name) for name in (b"done", b"waits", b"waits too", b"not yet")]
    ids = [one.batch_id for one in made if one is not None]
    for batch_id, at in zip(ids, (100.0, 200.0, 300.0), strict=False):
        with fill.store.write() as connection:
            connection.execute(
                sa.update(batch).where(batch.c.id == batch_id).values(published_at=at)
            )
    assert made[0] is not None
    fill.judge(made[0], fill.verdict(made[0].images[0].image_id))

    assert 200.0 == read_activity(fill.store, scan.scan_id).oldest_at


def test_the_latest_errors_are_named_and_all_are_counted(fill: Fill) -> None:
    """The latest errors have their text; all are counted by kind."""
    scan = fill.scan()
    made = fill.batch(scan, *(f"{n:02}".encode() for n in range(12)))
    assert made is not None
    kinds = [ErrorKind.EMPTY] * 4 + [ErrorKind.DAMAGED] * 7
    verdicts = [
        fill.failed(image.image_id, ImageError(kind, f"why {image.image_id}"))
        for image, kind in zip(made.images, kinds, strict=False)
    ]
    fill.judge(made, *verdicts, fill.verdict(made.images[-1].image_id))
    seen = read_activity(fill.store, scan.scan_id)

    assert {ErrorKind.EMPTY: 4, ErrorKind.DAMAGED: 7} == seen.errors
    assert [f"{n:02}".encode() for n in range(10, 10 - LATEST_ERRORS, -1)] == [
        one.path for one in seen.latest_errors
    ]
    assert f"why {made.images[10].image_id}" == seen.latest_errors[0].text


def test_nothing_is_known_before_the_first_batch(fill: Fill) -> None:
    """An empty scan has no activity."""
    seen = read_activity(fill.store, fill.scan().scan_id)

    assert ((), None, {}, (), 0.0) == (
        seen.hosts,
        seen.oldest_at,
        seen.errors,
        seen.latest_errors,
        seen.seconds,
    )
