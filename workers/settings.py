"""What a worker has to know; read once by `scanner.config`, frozen from then on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workers.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from workers.hours import Hours
    from workers.sources.location import HubLocation, SourceLocation

# The keeper of a fleet's scans; a `scan` with a broker of its own has a token instead.
FLEET = "fleet"


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """One worker: where its work comes from, where its verdicts go, and where its images are.

    `store_id` is what the store calls itself: its queue in the broker has that name. Without a
    `store_url` verdicts go to the store's recorder, and images of collections that are in no root
    come from the hub's `share`. With a `strong` detector it takes what waits for that one, too.
    """

    broker_url: str
    store_url: str | None
    store_id: str
    state_dir: Path
    concurrency: int
    label: str
    roots: Mapping[str, SourceLocation] = field(default_factory=dict)
    share: HubLocation | None = None
    # When it may take work; at any time where it is None.
    hours: Hours | None = None
    strong: str | None = None
    # Whether fewer processes work while the board is slowed down by heat or its supply.
    cool: bool = False
    limits: Limits = field(default_factory=Limits)
