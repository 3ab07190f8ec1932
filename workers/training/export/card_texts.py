"""Texts of the built-in cards; figures are added by training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CardText:
    """Texts of one card; `sides` are the smallest and the largest side that images may have.

    `other_data` names the real images of other kinds that were trained on beside the data.
    """

    summary: str
    data: str
    terms: str
    test: str
    sides: tuple[int, int]
    limits: tuple[str, ...]
    other_data: str = ""
    other_terms: str = ""


OBJECTS_32 = CardText(
    summary="A residual network for images of 32 by 32 pixels of animals and vehicles.",
    data="CIFAKE",
    terms=(
        "CIFAKE (Bird and Lotfi 2023), stated as MIT on its dataset page; its real images are "
        "CIFAR-10 (Krizhevsky 2009), which states no licence"
    ),
    test="cifake-test.zip, every second image of each class of CIFAKE's published test split",
    sides=(32, 32),
    other_data="photographs scaled to 32 by 32 pixels",
    other_terms=(
        "photographs of public repositories and data sets, by their owners' terms, most of them "
        "not stated: faces.zip train/, scenes.zip train/ and the originals of such crops"
    ),
    limits=(
        (
            "It finds images of one generator only (Stable Diffusion 1.4) of ten kinds of objects "
            "(airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck), scaled to 32 "
            "by 32 pixels in one way: most images of other generators are real to it."
        ),
        "It examines images of exactly 32 by 32 pixels, no others.",
        (
            "Photographs scaled to 32 by 32 pixels were part of its training, so that it does not "
            "take thumbnails and avatars of real photographs for AI-generated. The documentation "
            "says how many it still flags, by the way of scaling, under How detectors work."
        ),
        (
            "Version 2 was not trained from scratch: it began with the weights of version 1, read "
            "back from its 8-bit file."
        ),
        (
            "Published results on CIFAKE include 378 generated training images that are identical "
            "to test images, and are for the whole test split; this model was trained without them "
            "and measured on half of the split."
        ),
    ),
)

SCENES = CardText(
    summary=(
        "A linear probe on EfficientNet-Lite0 for images from 224 pixels: crops at full resolution "
        "and at the scale of a megapixel, and the whole image."
    ),
    data="whole images listed in pictures.csv, train/",
    terms=(
        "images of public repositories, by their owners' terms, most of them not stated; "
        "pictures.csv lists each. EfficientNet-Lite0 has ImageNet's weights (Apache-2.0)"
    ),
    test="whole images listed in pictures.csv, test/, and the crops of scenes.zip test/ of others",
    sides=(224, 100_000),
    limits=(
        (
            "Experimental: its verdict is never `ai`, because on images of owners that were left "
            "out of training fewer than nine in ten of the images called AI-generated would be. "
            "Its strongest verdict is `unsure`."
        ),
        (
            "It finds about one AI-generated image in five of owners and generators that it has "
            "not seen, and fewer of the most photographic ones: see the figures by source."
        ),
        (
            "It examines three crops, the middle and two corners, at two scales, and the whole at "
            "224 by 224 pixels; small changes elsewhere in an image are not seen."
        ),
        (
            "It judges photographs and what looks like one: drawings, screenshots and graphics "
            "were left out of its training images."
        ),
        (
            "An image that was cropped, resized and saved again loses some of the evidence: on "
            "2,674 images of owners left out of a fit, ROC AUC fell from 0.887 to 0.854. Single "
            "changes were not measured."
        ),
        (
            "Real portraits that were edited and reduced for the web score higher than other "
            "photographs."
        ),
    ),
)

FACES = CardText(
    summary=(
        "A linear probe on EfficientNet-Lite0 for faces of 80 pixels and more: the face with some "
        "hair and chin, and its middle at full resolution."
    ),
    data="a third of faces.zip train/, and faces in images of the repositories in pictures.csv",
    terms=(
        "stated for few of them: FFHQ, LFW, speakers and teams on websites, photo blogs; faces of "
        "StyleGAN and StyleGAN2, of commercial generators, and of SD, SDXL, Flux, DALL-E 3, "
        "gpt-image and nano-banana. The base is EfficientNet-Lite0 with ImageNet's weights "
        "(Apache-2.0)"
    ),
    test="faces.zip test/",
    sides=(80, 100_000),
    limits=(
        (
            "It never says `ai`: on faces of publishers and generators that it was not trained on "
            "no score is right nine times in ten. It finds few of those, and says `unsure`."
        ),
        (
            "StyleGAN's faces look like the photographs of FFHQ that it learnt from: it tells the "
            "two apart only where it was trained on the very source."
        ),
        (
            "A face of under 80 pixels is not examined. In a crowd, only the four largest faces "
            "are examined."
        ),
        "It was not tested on faces swapped or retouched in real photographs.",
    ),
)

CARD_TEXTS = {"objects-32": OBJECTS_32, "scenes": SCENES, "faces": FACES}
