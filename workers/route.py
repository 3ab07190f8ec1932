"""Which detector suits an image: by what it is, never by what scores best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.records import Finding

if TYPE_CHECKING:
    from workers.decode import Header
    from workers.plan import Plan

TINY = "objects-32"
# Images whose longer side is at most this are what the tiny net was made for (its card says how
# it fares above the 32 pixels that it was trained on).
TINY_MAX_SIDE = 64
# Below this there is too little of a picture to tell anything by.
TINY_MIN_SIDE = 16

TOO_SMALL = Finding("router", "too_small", None, "too small for any detector")
NO_DETECTOR = Finding("router", "no_detector", None, "no detector for this size yet")
NOT_PLANNED = Finding("router", "not_planned", None, "the scan's plan leaves its detector out")


class Router:
    """Picks among the detectors of one plan."""

    def __init__(self, plan: Plan) -> None:
        self._names = plan.names()

    def route(self, header: Header) -> str | Finding:
        """The name of the detector that the image goes to, or the finding that says why none."""
        if max(header.width, header.height) > TINY_MAX_SIDE:
            return NO_DETECTOR
        if min(header.width, header.height) < TINY_MIN_SIDE:
            return TOO_SMALL
        return TINY if TINY in self._names else NOT_PLANNED
