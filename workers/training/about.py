"""What a card says in words of a net and its data; figures come from the run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class About:
    """The words of one card; sides are the smallest and the largest that images may have."""

    summary: str
    data: str
    terms: str
    test: str
    sides: tuple[int, int]
    limits: tuple[str, ...]


OBJECTS_32 = About(
    summary="A residual net for tiny pictures (32 by 32 pixels) of animals and vehicles.",
    data="CIFAKE",
    terms=(
        "CIFAKE (Bird and Lotfi 2023), stated as MIT on its dataset page; its real pictures are "
        "CIFAR-10 (Krizhevsky 2009), which states no licence"
    ),
    test="cifake-test.zip, every second image of each class of CIFAKE's published test split",
    sides=(16, 64),
    limits=(
        (
            "It has seen one generator only (Stable Diffusion 1.4) and ten kinds of things "
            "(airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck): of other "
            "generators and other subjects, faces above all, its scores say little."
        ),
        (
            "It was trained at 32 by 32 pixels, on JPEGs of quality 75 by one encoder. A picture "
            "of another size is resized to that, which destroys much of what it looks at, so it is "
            "called doubtful at most; another encoder or quality shifts its scores in ways that "
            "were not measured."
        ),
        (
            "It is not for thumbnails of large photos: those are made otherwise than its training "
            "pictures were, real and generated alike."
        ),
        (
            "Published results on CIFAKE saw 378 generated training pictures that are byte-equal "
            "to test pictures, and were measured on the whole test split; this net saw none of "
            "them and was measured on half of it."
        ),
    ),
)

ABOUT = {"objects-32": OBJECTS_32}
