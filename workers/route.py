"""Which detector suits an image: by what it is, never by what scores best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.records import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workers.decode import Header
    from workers.detectors.card import Input

NO_DETECTOR = Finding("router", "no_detector", None, "no detector for this size yet")
TOO_SMALL = Finding("router", "too_small", None, "smaller than any detector is made for")
NOT_PLANNED = Finding(
    "router", "not_planned", None, "the detector for this size is not part of this scan's plan"
)


class Router:
    """Picks among the detectors of one plan by the sizes that their cards say they are made for.

    `shipped` are those that this installation has, of the plan or not: they decide on nothing but
    what is said of an image that no planned one is for.
    """

    def __init__(
        self, planned: Mapping[str, Input], shipped: Mapping[str, Input] | None = None
    ) -> None:
        self._planned = planned
        self._known = [*planned.values(), *(shipped or {}).values()]

    def route(self, header: Header) -> str | Finding:
        """The name of the detector that the image goes to, or the finding that says why none.

        An image that no net was made for gets no score from one that was made for others.
        """
        shorter, longer = sorted((header.width, header.height))
        for name, made_for in self._planned.items():
            if _suits(made_for, shorter, longer):
                return name
        return self._why_none(shorter, longer)

    def _why_none(self, shorter: int, longer: int) -> Finding:
        if any(_suits(made_for, shorter, longer) for made_for in self._known):
            return NOT_PLANNED
        is_small = all(shorter < made_for.smallest_side for made_for in self._known)
        if is_small and any(longer <= made_for.largest_side for made_for in self._known):
            return TOO_SMALL
        return NO_DETECTOR


def _suits(made_for: Input, shorter: int, longer: int) -> bool:
    return made_for.smallest_side <= shorter and longer <= made_for.largest_side
