"""What is exported of an image: one keyword, from its verdict or from what reviewers answered.

The keyword stands below one parent (`ai-photo-scanner`), so that a library shows all of them in
one place, and neither name can be one of the user's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from storage.records import Outcome
from storage.writes.reviews import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from storage.reads.exports import ExportedImage

PARENT = "ai-photo-scanner"


class Source(StrEnum):
    """Whose word counts: that of the reviewers, that of the detectors, or the former if any."""

    BOTH = "both"
    VERDICTS = "verdicts"
    REVIEWS = "reviews"


# The keyword of each word, by the source that said it.
KEYWORDS = {
    Source.VERDICTS: {
        outcome.value: f"scanner:{outcome}"
        for outcome in (Outcome.AI, Outcome.UNSURE, Outcome.NO_EVIDENCE)
    },
    Source.REVIEWS: {answer.value: f"scanner:reviewed_{answer}" for answer in Answer},
}
ALL_KEYWORDS = frozenset(keyword for keywords in KEYWORDS.values() for keyword in keywords.values())
# The words of each source.
WORDS = {source: tuple(keywords) for source, keywords in KEYWORDS.items()} | {
    Source.BOTH: tuple(dict.fromkeys(word for keywords in KEYWORDS.values() for word in keywords))
}


@dataclass(frozen=True, slots=True)
class Choice:
    """Which images get their keyword: those with one of the words, by the source."""

    source: Source
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image and the keyword that it is to have; None for no keyword of scanner's."""

    image: ExportedImage
    keyword: str | None


def choose(images: Iterable[ExportedImage], choice: Choice) -> Iterator[Wanted]:
    """Yield the images with the keyword that each is to have.

    Pending images and those with an error are left out where a verdict would count, because nothing
    is known about them: what they have stays. By reviews, an image without an answer is to have no
    keyword.
    """
    for image in images:
        source = _who_says(image, choice.source)
        word = _word_of(image, source)
        if word is None and source is Source.VERDICTS:
            continue
        is_chosen = word is not None and word in choice.words
        yield Wanted(image, KEYWORDS[source][word] if is_chosen and word else None)


def keyword_of(image: ExportedImage) -> str | None:
    """Return an image's keyword by both sources."""
    source = _who_says(image, Source.BOTH)
    word = _word_of(image, source)
    return None if word is None else KEYWORDS[source][word]


def _who_says(image: ExportedImage, source: Source) -> Source:
    """Return whose word counts for an image, where both may: of one with answers, reviewers'."""
    if source is Source.BOTH:
        return Source.REVIEWS if image.answers else Source.VERDICTS
    return source


def _word_of(image: ExportedImage, source: Source) -> str | None:
    """Return what reviewers or detectors say of an image; None where that is nothing."""
    if source is Source.REVIEWS:
        return answer_of(image.answers)
    return None if image.outcome in (None, Outcome.ERROR) else str(image.outcome)


def answer_of(answers: frozenset[Answer]) -> Answer | None:
    """Return what reviewers agree on; None where they have not answered, or contradict each other.

    "Can't tell" contradicts nobody.
    """
    decided = answers - {Answer.CANT_TELL}
    if len(decided) > 1:
        return None
    return next(iter(decided or answers), None)
