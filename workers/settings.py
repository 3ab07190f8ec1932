"""The settings of a worker, read once by `scanner.config`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workers.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from workers.sources.location import HubLocation, SourceLocation
    from workers.working_hours import Hours

# The owner of a fleet's scans; a `scan` with an embedded broker has a random token instead.
FLEET = "fleet"


@dataclass(frozen=True, slots=True)
class Membership:
    """What proves messages for a machine without the store.

    The store's public key checks batches, and the machine's own private key signs its results.
    """

    machine_id: str
    store_key: bytes
    private_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """The settings of one worker: where its work, its images and its results are.

    `store_id` names the store's queue in the broker. Without a `store_url` the worker sends results
    to the store's result writer, signed as a member of its fleet, and reads collections that are
    not in `roots` from the hub's `share`.
    """

    broker_url: str
    store_url: str | None
    store_id: str
    state_dir: Path
    concurrency: int
    label: str
    roots: Mapping[str, SourceLocation] = field(default_factory=dict)
    share: HubLocation | None = None
    membership: Membership | None = None
    # When the worker may take work; None is at any time.
    hours: Hours | None = None
    # Whether fewer processes work while the board is throttled by heat or its power supply.
    cool: bool = False
    limits: Limits = field(default_factory=Limits)

    @property
    def machine_id(self) -> str:
        """Return the id with which this machine joined a hub; empty if it has not."""
        return "" if self.membership is None else self.membership.machine_id
