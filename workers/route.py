"""Which detector suits an image: by what it is, never by what scores best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.records import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workers.decode import Header
    from workers.detectors.card import Input

NO_DETECTOR = Finding("router", "no_detector", None, "no detector for this size yet")


class Router:
    """Picks among the detectors of one plan by the sizes that their cards say they are made for."""

    def __init__(self, inputs: Mapping[str, Input]) -> None:
        self._inputs = inputs

    def route(self, header: Header) -> str | Finding:
        """The name of the detector that the image goes to, or the finding that says why none.

        An image that no net was made for gets no score from one that was made for others.
        """
        shorter, longer = sorted((header.width, header.height))
        for name, made_for in self._inputs.items():
            if made_for.smallest_side <= shorter and longer <= made_for.largest_side:
                return name
        return NO_DETECTOR
