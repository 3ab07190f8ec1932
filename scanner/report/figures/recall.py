"""How many AI-generated images the detectors of a scan find, by what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from storage.reads.coverage import Scored
    from workers.detectors.card import Card, SourceFigures

# Fewer images of a generator say nothing of how often it is found.
FEWEST_IMAGES = 10


@dataclass(frozen=True, slots=True)
class Recall:
    """The share of AI-generated images that are found (`ai` or `unsure`), as measured.

    `lowest` and `highest` are those of single generators; `generators` is their number. Cards of
    earlier versions have only the share that is flagged: then `counts_unsure` is false.
    """

    share: float
    lowest: float
    highest: float
    generators: int
    counts_unsure: bool


def recall(scored: Iterable[Scored], card_of: Callable[[str], Card | None]) -> Recall | None:
    """Return the recall of the detectors, each weighted by the images that it scored.

    Of several detectors that scored the same images the best one counts. None where no measured
    detector scored an image.
    """
    images, found, counts_unsure = 0, 0.0, True
    by_generator: dict[tuple[str, str], float] = {}
    for group in scored:
        measured = {
            name: [source for source in card.sources if source.kind == "ai"]
            for name in group.detectors
            if (card := card_of(name)) is not None
        }
        of_all = [_found(sources) for sources in measured.values() if sources]
        if of_all:
            images += group.images
            found += group.images * max(of_all)
            counts_unsure &= all(
                source.at_least_unsure is not None
                for sources in measured.values()
                for source in sources
            )
        by_generator |= {
            (name, source.source): _share(source)
            for name, sources in measured.items()
            for source in sources
            if source.images >= FEWEST_IMAGES
        }
    if not images:
        return None
    shares = [*by_generator.values()] or [found / images]
    return Recall(found / images, min(shares), max(shares), len(by_generator), counts_unsure)


def _found(sources: Sequence[SourceFigures]) -> float:
    images = sum(source.images for source in sources)
    return sum(_share(source) * source.images for source in sources) / images


def _share(source: SourceFigures) -> float:
    return source.flagged if source.at_least_unsure is None else source.at_least_unsure
