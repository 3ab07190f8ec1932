"""A detector's figures on labelled images, examined as in a scan: all, by source, changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from time import process_time
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from workers.detectors.card import CardError, ChangeFigures
from workers.detectors.loading import load
from workers.images.rgb import to_rgb
from workers.pipeline.inputs import selector_for
from workers.training.data.corruptions import recompressed
from workers.training.data.labelled_images import decoded_from
from workers.training.evaluation.metrics import ScoredImages, measure, roc_auc_of, source_figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from workers.detectors.card import Card
    from workers.images.decode import Decoded
    from workers.training.data.labelled_images import LabelledImage

QUALITIES = (95, 80, 65, 50)
FACTORS = (0.5, 0.75, 1.5, 2.0)
# A screenshot of an image that is shown smaller.
SCREEN, SCREEN_QUALITY = 0.8, 90


@dataclass(frozen=True, slots=True)
class Examined:
    """Scores of the images that a scan would give to the detector, and the number of the others.

    `ms_per_image` is processor time for selecting the inputs and scoring, without decoding.
    """

    scored: ScoredImages
    not_examined: int
    ms_per_image: float


def measured(
    card: Card, images: Iterable[LabelledImage], on: str, report: Callable[[str], None]
) -> Card:
    """Return the card with all its figures on a test set; CardError, DataError for one class.

    The images are gone through several times.
    """
    return with_changes(with_figures(card, examine(card, images, on)), images, report)


def with_figures(card: Card, examined: Examined) -> Card:
    """Return the card with the figures on a test set as it is; DataError for one class."""
    figures = measure(examined.scored, card.thresholds)
    return replace(
        card,
        measured=replace(figures, without_view=examined.not_examined),
        sources=tuple(source_figures(examined.scored, card.thresholds)),
        changes=(),
    )


def with_changes(
    card: Card, images: Iterable[LabelledImage], report: Callable[[str], None]
) -> Card:
    """Return the card with the figures on the same images after each of CHANGES."""
    changes = []
    for name, change in CHANGES.items():
        # One at a time: all images at twice their sides would fill the memory.
        changed = (
            replace(each, decoded=decoded_from(change(_rgb(each.decoded)))) for each in images
        )
        scored = examine(card, changed, name).scored
        if not len(scored.labels):
            continue  # all of a size that the detector does not examine
        changes.append(_change_figures(name, scored, card.thresholds.flagged_from))
        report(f"{name}: ROC AUC {changes[-1].roc_auc:.4f}")
    return replace(card, changes=tuple(changes))


def examine(card: Card, images: Iterable[LabelledImage], on: str) -> Examined:
    """Score images as a scan does; of several scores of one image the highest counts."""
    if card.input is None:
        raise CardError(f"{card.name} has no image model")
    detector, selector = load(card), selector_for(card)
    rows, total, seconds = [], 0, 0.0
    for image in images:
        total += 1
        started = process_time()
        score = selector.select(image.decoded).highest_score(card.name, detector)
        seconds += process_time() - started
        if score is not None:
            rows.append((score, image.label, image.source))
    scores, labels, sources = zip(*rows, strict=True) if rows else ((), (), ())
    scored = ScoredImages(
        on, np.array(scores), np.array(labels, np.uint8), np.array(sources, np.str_)
    )
    return Examined(scored, total - len(rows), 1000 * seconds / max(total, 1))


def _change_figures(change: str, scored: ScoredImages, flag: float) -> ChangeFigures:
    flagged = scored.scores >= flag
    return ChangeFigures(
        change=change,
        images=len(scored.labels),
        roc_auc=roc_auc_of(scored.scores, scored.labels),
        recall=float(np.mean(flagged[scored.labels == 1])),
        false_alarms=float(np.mean(flagged[scored.labels == 0])),
    )


def _rgb(decoded: Decoded) -> Image.Image:
    return Image.fromarray(decoded.pixels) if decoded.native is None else to_rgb(decoded.native)


def _resized(image: Image.Image, factor: float) -> Image.Image:
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image.resize(size, Image.Resampling.BICUBIC)


def _on_screen(image: Image.Image) -> Image.Image:
    return recompressed(_resized(image, SCREEN), SCREEN_QUALITY)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    **{f"JPEG of quality {each}": partial(recompressed, quality=each) for each in QUALITIES},
    **{f"resized to {each:g} of its sides": partial(_resized, factor=each) for each in FACTORS},
    "shown on a screen at 0.8, JPEG 90": _on_screen,
}
