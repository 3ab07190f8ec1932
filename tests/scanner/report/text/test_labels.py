"""Number formats and names of reports."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from scanner.report.text import labels


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 10, "0.0 %"),
        (1, 3, "33.3 %"),
        (1, 1_000_000, "<0.1 %"),
        (999_999, 1_000_000, ">99.9 %"),
        (10, 10, "100.0 %"),
        (0, 0, "-"),
    ],
)
def test_share(part: int, whole: int, shown: str) -> None:
    """A share is never rounded to 0 % or to 100 % where it is not exactly that."""
    assert labels.percent(part, whole) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.44, "0.4 s"), (59.9, "59.9 s"), (61, "1 min 1 s"), (7384, "2 h 3 min")],
)
def test_duration(seconds: float, shown: str) -> None:
    """A time span is given in units that fit it."""
    assert labels.duration(seconds) == shown


@pytest.mark.parametrize(
    ("us", "shown"), [(40, "0.04"), (9_994, "9.99"), (12_340, "12.3"), (1_234_567, "1,235")]
)
def test_milliseconds(us: int, shown: str) -> None:
    """Microseconds become milliseconds with about three digits."""
    assert labels.milliseconds(us) == shown


def test_unreachable_threshold() -> None:
    """A detector whose threshold is 1 never returns `ai`, however high the score."""
    assert ("0.9521", "never") == (labels.threshold(0.9521), labels.threshold(1.0))


def test_skipped_kinds() -> None:
    """Skipped kinds are listed by frequency, in words, without those that did not occur."""
    kinds = {"none": 1, "other_image": 10, "video": 0, "symlink": 1_234}

    assert "symlink 1,234, unsupported image formats 10, without an extension 1" == (
        labels.skipped(kinds)
    )


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("UTC0", "2019-05-02 13:14:15 UTC"),
        ("CET-1", "2019-05-02 14:14:15 UTC+01:00"),
        ("XXX3:30", "2019-05-02 09:44:15 UTC-03:30"),
    ],
)
def test_times_have_their_zone(monkeypatch: pytest.MonkeyPatch, zone: str, text: str) -> None:
    """A time is that of this machine's clock, with its distance from UTC."""
    try:
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        said = labels.moment(datetime(2019, 5, 2, 13, 14, 15, tzinfo=UTC).timestamp())
    finally:
        monkeypatch.undo()
        time.tzset()

    assert text == said
