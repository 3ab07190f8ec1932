"""The hours of the day in which a worker may take work."""

from __future__ import annotations

import re
from dataclasses import dataclass

MINUTES_PER_HOUR = 60
MINUTES_PER_DAY = 24 * MINUTES_PER_HOUR
_HOURS = re.compile(r"(\d{1,2})(?::(\d\d))?-(\d{1,2})(?::(\d\d))?")


@dataclass(frozen=True, slots=True)
class Hours:
    """A time range in minutes since midnight; it may extend past midnight."""

    start: int
    end: int

    def includes(self, minute: int) -> bool:
        """Return whether a minute of the day is in the range."""
        if self.start <= self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end

    def __str__(self) -> str:
        return "-".join(
            f"{minute // MINUTES_PER_HOUR:02}:{minute % MINUTES_PER_HOUR:02}"
            for minute in (self.start, self.end)
        )


def parse_hours(text: str) -> Hours:
    """Return the hours that `22-7` or `22:30-7:15` stands for. Raises ValueError."""
    match = _HOURS.fullmatch(text)
    if match is None:
        raise ValueError(text)
    start_hour, start_minute, end_hour, end_minute = (int(group or 0) for group in match.groups())
    start = start_hour * MINUTES_PER_HOUR + start_minute
    end = end_hour * MINUTES_PER_HOUR + end_minute
    has_valid_minutes = max(start_minute, end_minute) < MINUTES_PER_HOUR
    if not has_valid_minutes or max(start, end) > MINUTES_PER_DAY or start == end:
        raise ValueError(text)
    return Hours(start, end)
