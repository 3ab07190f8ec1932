"""Texts of the built-in cards; figures are added by training."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class CardText:
    """Texts of one card; `sides` are the smallest and the largest side that images may have."""

    summary: str
    data: str
    terms: str
    test: str
    sides: tuple[int, int]
    limits: tuple[str, ...]


OBJECTS_32 = CardText(
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

SCENES = CardText(
    summary="A linear probe on EfficientNet-Lite0 for pictures of normal size, as they are.",
    data="scenes.zip train/",
    terms=(
        "crops of pictures from 119 public repositories and data sets, by their owners' terms, "
        "most of them not stated; scenes-sources.csv lists each. The base is EfficientNet-Lite0 "
        "with ImageNet's weights (Apache-2.0)"
    ),
    test="scenes.zip test/",
    sides=(224, 100_000),
    limits=(
        (
            "Experimental: it never calls a picture AI-made, because on pictures of sources that "
            "were left out of training it does not keep the promise that nine of ten pictures "
            "called so would be. Its highest word is doubtful."
        ),
        (
            "It finds fewer than half of the generated pictures at one false alarm in a hundred, "
            "and fewer still of the newest and most photographic generators."
        ),
        (
            "Five pieces of 224 by 224 pixels are looked at, the middle and the four corners; what "
            "was changed elsewhere in a picture is not seen. Where the pieces lie was first "
            "settled and then compared with four other rules on the test pictures, on which it "
            "did best: its figures there are a little too good."
        ),
        (
            "A picture that was made smaller or larger, or saved at low quality, loses much of "
            "what it looks at: see the figures after changes."
        ),
        (
            "Its probabilities were calibrated on single pieces. The mean of five says less than "
            "it knows: they are too cautious, as its calibration error shows."
        ),
    ),
)

FACES = CardText(
    summary="A linear probe on EfficientNet-Lite0 for faces of 80 pixels and more.",
    data="faces.zip train/, and the faces found in scenes.zip train/",
    terms=(
        "stated for few of them: faces of StyleGAN and StyleGAN2 and of commercial generators, "
        "FFHQ, LFW and web portraits; and the faces in crops of public repositories, listed in "
        "scenes-sources.csv. The base is EfficientNet-Lite0 with ImageNet's weights (Apache-2.0)"
    ),
    test="faces.zip test/",
    sides=(80, 100_000),
    limits=(
        (
            "It knows StyleGAN's faces best. Faces of diffusion models, of which it has seen few, "
            "it finds less often: see the figures by source."
        ),
        (
            "Its thresholds were set on pictures of the sources that it was trained on, one by one "
            "left out. Cameras and encoders that it has never seen may set off more false alarms "
            "than is stated."
        ),
        (
            "A face smaller than the net's 224 pixels is enlarged for it, one of under 80 pixels "
            "is not looked at. Of a crowd, the four largest are."
        ),
        "It was not tested on faces swapped or retouched in real photographs.",
    ),
)

FACES_96 = replace(
    FACES,
    summary="A linear probe on EfficientNet-Lite0 for faces at 96 by 96 pixels: small or in haste.",
    sides=(32, 100_000),
    limits=(
        *FACES.limits[:2],
        (
            "It was trained on faces that had been made smaller, not on faces that were taken "
            "small: of those its figures say less than of large ones. Of a crowd, the four "
            "largest are looked at."
        ),
        FACES.limits[-1],
    ),
)

CARD_TEXTS = {"objects-32": OBJECTS_32, "scenes": SCENES, "faces": FACES, "faces-96": FACES_96}
