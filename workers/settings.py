"""What a worker has to know; read once by `scanner.config`, frozen from then on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from workers.host.availability import Hours
    from workers.sources.hub import ShareAt
    from workers.sources.places import Place

# The keeper of a fleet's scans; a `scan` with a broker of its own has a token instead.
FLEET = "fleet"


# What runs a machine's nets.
LITERT, TENSORFLOW = "litert", "tensorflow"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one image may cost at most."""

    # Pixels of a picture that has no scaled decode: 64 megapixels are 200 MB as RGB.
    max_pixels: int = 64_000_000
    # Bytes of one file; no picture of a camera or a generator comes near it.
    max_bytes: int = 512 * 2**20
    # Seconds; whatever takes longer is tried once more by itself and then `error: timeout`.
    image_seconds: float = 60.0
    # Bytes of address space for an image that is tried by itself.
    sandbox_bytes: int = 3 * 2**30


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
    roots: Mapping[str, Place] = field(default_factory=dict)
    share: ShareAt | None = None
    # When it may take work; at any time where it is None.
    hours: Hours | None = None
    strong: str | None = None
    # Whether fewer processes work while the board is slowed down by heat or its supply.
    cool: bool = False
    runtime: str = LITERT
    limits: Limits = field(default_factory=Limits)
