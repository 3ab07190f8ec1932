"""Number formats and names of reports."""

from __future__ import annotations

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
