"""The hours of the day in which a worker may take work."""

from __future__ import annotations

import re
from dataclasses import dataclass

MINUTES_A_DAY = 24 * 60
_HOURS = re.compile(r"(\d{1,2})(?::(\d\d))?-(\d{1,2})(?::(\d\d))?")


@dataclass(frozen=True, slots=True)
class Hours:
    """A part of the day, in minutes since midnight; it may go past midnight."""

    start: int
    end: int

    def includes(self, minute: int) -> bool:
        """Whether a minute of the day is one of it."""
        if self.start <= self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end

    def __str__(self) -> str:
        return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in (self.start, self.end))


def parse_hours(text: str) -> Hours:
    """Hours from `22-7` or `22:30-7:15`; ValueError for anything else."""
    found = _HOURS.fullmatch(text)
    if found is None:
        raise ValueError(text)
    numbers = [int(part or 0) for part in found.groups()]
    start, end = numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]
    if max(numbers[1], numbers[3]) >= 60 or max(start, end) > MINUTES_A_DAY or start == end:  # noqa: PLR2004 - minutes
        raise ValueError(text)
    return Hours(start, end)
