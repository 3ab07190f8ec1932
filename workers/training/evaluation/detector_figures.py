"""A detector's figures on pictures that it sees as workers show them: whole, by source, changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from time import process_time
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from sklearn.metrics import roc_auc_score

from workers.detectors.card import CardError, Changed
from workers.detectors.loading import load
from workers.images.rgb import to_rgb
from workers.pipeline.inputs import selector_for
from workers.training.data.corruptions import saved
from workers.training.data.labelled_images import of
from workers.training.evaluation.metrics import Scored, by_source, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from workers.detectors.card import Card
    from workers.images.decode import Decoded
    from workers.training.data.labelled_images import Picture

QUALITIES = (95, 80, 65, 50)
FACTORS = (0.5, 0.75, 1.5, 2.0)
# What a screen does to a picture that is shown on it and photographed by its own computer.
SCREEN, SCREEN_QUALITY = 0.8, 90


@dataclass(frozen=True, slots=True)
class Seen:
    """The scores of pictures that had something for the detector in them, and of how many none.

    `ms_per_image` is what showing and scoring took, of processor time, reading left out.
    """

    scored: Scored
    without_view: int
    ms_per_image: float


def measured(card: Card, pictures: Sequence[Picture], on: str) -> Card:
    """The card with its figures on these pictures; CardError, and DataError for one class."""
    return with_figures(card, look(card, pictures, on))


def with_figures(card: Card, as_is: Seen) -> Card:
    """The card with the figures of what was seen; DataError for pictures of one class."""
    figures = measure(as_is.scored, card.thresholds)
    return replace(
        card,
        measured=replace(figures, without_view=as_is.without_view),
        sources=tuple(by_source(as_is.scored, card.thresholds.flagged_from)),
        changes=(),
    )


def changed(card: Card, pictures: Sequence[Picture], tell: Callable[[str], None]) -> Card:
    """The card with its figures on these pictures after each of CHANGES."""
    changes = []
    for name, change in CHANGES.items():
        # One at a time: all of them at twice their sides would fill the memory.
        after = (replace(each, decoded=of(change(_picture(each.decoded)))) for each in pictures)
        changes.append(_after(card, name, look(card, after, name).scored))
        tell(f"{name}: ROC AUC {changes[-1].roc_auc:.4f}")
    return replace(card, changes=tuple(changes))


def look(card: Card, pictures: Iterable[Picture], on: str) -> Seen:
    """Score pictures as a scan does: the highest score counts, if the scan examines any of it."""
    if card.input is None:
        raise CardError(f"{card.name} looks at no pixels")
    detector, selector = load(card), selector_for(card)
    scores, labels, sources, total, took = [], [], [], 0, 0.0
    for picture in pictures:
        total += 1
        started = process_time()
        score = selector.select(picture.decoded).highest_score(card.name, detector)
        if score is not None:
            scores.append(score)
            labels.append(picture.label)
            sources.append(picture.source)
        took += process_time() - started
    return Seen(
        Scored(
            on,
            np.array(scores),
            np.array(labels, np.uint8),
            np.array(sources),
        ),
        total - len(scores),
        1000 * took / max(total, 1),
    )


def _after(card: Card, change: str, scored: Scored) -> Changed:
    flagged = scored.scores >= card.thresholds.flagged_from
    return Changed(
        change=change,
        images=len(scored.labels),
        roc_auc=float(roc_auc_score(scored.labels, scored.scores)),
        recall=float(np.mean(flagged[scored.labels == 1])),
        false_alarms=float(np.mean(flagged[scored.labels == 0])),
    )


def _picture(decoded: Decoded) -> Image.Image:
    return Image.fromarray(decoded.pixels) if decoded.native is None else to_rgb(decoded.native)


def _on_screen(picture: Image.Image) -> Image.Image:
    return saved(_resized(picture, SCREEN), SCREEN_QUALITY)


def _resized(picture: Image.Image, factor: float) -> Image.Image:
    size = max(1, round(picture.width * factor)), max(1, round(picture.height * factor))
    return picture.resize(size, Image.Resampling.BICUBIC)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    **{f"JPEG of quality {each}": partial(saved, quality=each) for each in QUALITIES},
    **{f"resized to {each:g} of its sides": partial(_resized, factor=each) for each in FACTORS},
    "shown on a screen at 0.8, JPEG 90": _on_screen,
}
