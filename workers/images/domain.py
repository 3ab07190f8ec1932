"""The gate before the detectors, which tells photographs and the like from graphics.

Detectors are measured on photographs and on generated images that look like photographs. What they
say of a drawing means nothing, so they get none. The gate is a small ensemble of decision trees on
the pixels' statistics, and another for tiny images, most of which are icons; the scripts
`benchmarks/fit_domain.py` and `fit_tiny_domain.py` fit them, and `benchmarks/out_of_domain.py`
measures them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from storage.records import OUT_OF_DOMAIN, ROUTER, Finding
from workers.images.statistics import MIN_SIDE, statistics_of_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from workers.images.decode import Decoded

MODELS = Path(__file__).resolve().parent.parent / "models"
TREES, TINY_TREES = MODELS / "domain.json", MODELS / "domain-tiny.json"
# The longest side of a tiny image, in pixels.
TINY_SIDE = 64

TEXT = "looks like a drawing, icon or other graphic: the detectors judge photographs"


@dataclass(frozen=True, slots=True)
class Trees:
    """Complete binary trees of one depth, whose leaves add up to the logit of “a graphic”.

    `statistic` and `bound` are (trees, inner nodes), in breadth-first order: the right child
    follows where the statistic is above the bound. `leaf` is (trees, leaves). Images with a logit
    of at least `limit` are graphics.
    """

    names: tuple[str, ...]
    statistic: NDArray[np.int64]
    bound: NDArray[np.float64]
    leaf: NDArray[np.float64]
    intercept: float
    limit: float

    def logits(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the logits, (n,), of images' statistics, (n, names), in the order of `names`."""
        images, each = np.arange(len(values))[:, None], np.arange(len(self.leaf))
        node = np.zeros((len(values), len(self.leaf)), np.int64)
        inner = self.statistic.shape[1]
        for _ in range(inner.bit_length()):
            above = values[images, self.statistic[each, node]] > self.bound[each, node]
            node = 2 * node + 1 + above
        sums: NDArray[np.float64] = self.leaf[each, node - inner].sum(1)
        return self.intercept + sums


@cache
def trees(path: Path = TREES) -> Trees:
    """Read the gate's trees."""
    body = json.loads(path.read_bytes())
    return Trees(
        names=tuple(body["names"]),
        statistic=np.array(body["statistic"], np.int64),
        bound=np.array(body["bound"], np.float64),
        leaf=np.array(body["leaf"], np.float64),
        intercept=body["intercept"],
        limit=body["limit"],
    )


def out_of_domain(images: Sequence[Decoded]) -> list[Finding | None]:
    """Return a finding for each drawing or other graphic; None for others, and the smallest images.

    Images of one size are measured together, which changes nothing of what is found.
    """
    findings: list[Finding | None] = [None] * len(images)
    same_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, decoded in enumerate(images):
        if _is_measurable(decoded):
            header = decoded.header
            same_size[header.width, header.height, *decoded.pixels.shape].append(index)
    for (width, height, *_), indices in same_size.items():
        gate = trees(TINY_TREES if max(width, height) <= TINY_SIDE else TREES)
        values = statistics_of_each([images[index] for index in indices])
        logits = gate.logits(np.stack([values[name] for name in gate.names], axis=1))
        for index, logit in zip(indices, logits.tolist(), strict=True):
            if logit >= gate.limit:
                detail = {"logit": round(logit, 2)}
                findings[index] = Finding(ROUTER, OUT_OF_DOMAIN, None, TEXT, detail)
    return findings


def _is_measurable(decoded: Decoded) -> bool:
    """Return whether an image is large enough, and its pixels are there at full resolution."""
    header, shape = decoded.header, decoded.pixels.shape
    if min(header.width, header.height) < MIN_SIDE:
        return False
    return decoded.native is not None or shape[:2] == (header.height, header.width)
