"""Make 32-pixel images of photographs, scaled in many ways; measure how `objects-32` judges them.

    python benchmarks/scaled_photographs.py make --data FOLDER --out FOLDER SET...
    python benchmarks/scaled_photographs.py measure --data FOLDER

A SET is a zip or a folder below `--data`, or a part of one, like faces.zip/train, where photographs
are below a folder REAL and the folders below that are their owners. `make` writes
scaled-photographs.zip, which `scanner train objects-32` needs: of half of the repositories for
training, of a sixth for the thresholds; `apart/` holds a third, which nothing is chosen on.
`measure` prints the shares of those that the shipped model calls `ai` and `unsure`, by the way of
scaling and by the encoder, as a scan does. It leaves out owners with another repository in use.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import sys
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter, ImageOps

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from workers.detectors import installed
from workers.evaluation.intervals import wilson
from workers.training.data.datasets import labelled_files, locate
from workers.training.data.labelled_images import LabelledImages
from workers.training.evaluation import detector_figures
from workers.training.recipes.builtin import SCALED_PHOTOGRAPHS
from workers.training.recipes.recipe import ImageSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workers.training.data.datasets import LabelledFile

SIDE = 32
# Images of each photograph, and the most photographs of one owner.
VARIANTS, PER_OWNER = 3, 60
# Of six owners, by a hash of the name.
PARTS = ("train", "train", "train", "thresholds", "apart", "apart")
SIZE = (SIDE, SIDE)
USED = tuple(ImageSet(SCALED_PHOTOGRAPHS, f"{part}/") for part in ("train", "thresholds"))


def thumbnail(image: Image.Image) -> Image.Image:
    """Scale as Pillow's thumbnails: the decoder reduces first, then a bicubic filter."""
    image = image.copy()
    image.thumbnail(SIZE, Image.Resampling.BICUBIC, reducing_gap=2.0)
    return image.resize(SIZE)


def in_steps(image: Image.Image) -> Image.Image:
    """Halve by averaging as long as possible, then resize with a bilinear filter."""
    while min(image.size) >= 2 * SIDE:
        image = image.reduce(2)
    return image.resize(SIZE, Image.Resampling.BILINEAR)


def twice(image: Image.Image) -> Image.Image:
    """Scale to a preview of 128 pixels that is saved as JPEG, and that to the final size."""
    preview = io.BytesIO()
    image.resize((128, 128), Image.Resampling.LANCZOS).save(preview, "JPEG", quality=85)
    return Image.open(preview).convert("RGB").resize(SIZE, Image.Resampling.BICUBIC)


def with_filter(resampling: Image.Resampling) -> Callable[[Image.Image], Image.Image]:
    """Return the scaling in one step with a filter."""
    return lambda image: image.resize(SIZE, resampling)


WAYS: dict[str, Callable[[Image.Image], Image.Image]] = {
    **{each.name.lower(): with_filter(each) for each in Image.Resampling},
    "thumbnail": thumbnail,
    "steps": in_steps,
    "twice": twice,
}
ENCODERS = ("jpeg420", "jpeg444", "png", "webp")


def make(data: Path, sets: list[str], owners: dict[str, str], out: Path) -> None:
    """Write the zip of scaled photographs."""
    random = np.random.default_rng(32)
    counts: dict[str, int] = defaultdict(int)
    with zipfile.ZipFile(out / SCALED_PHOTOGRAPHS, "w") as archive:
        for file in real(data, sets):
            owner = owners.get(file.name, file.source).replace("/", "+").lower()
            counts[owner] += 1
            if counts[owner] > PER_OWNER:
                continue
            part = PARTS[hashlib.sha256(owner.encode()).digest()[0] % len(PARTS)]
            try:
                photograph = opened(file.read(), random)
            except OSError:
                continue
            for number in range(VARIANTS):
                way = str(random.choice(list(WAYS)))
                encoder = str(random.choice(ENCODERS))
                scaled = WAYS[way](window(photograph, random))
                suffix, encoded = encode(sharpened(scaled, random), encoder, random)
                name = f"{counts[owner]:03}-{number}{suffix}"
                archive.writestr(f"{part}/REAL/{way}/{encoder}/{owner}/{name}", encoded)


def real(data: Path, sets: list[str]) -> Iterator[LabelledFile]:
    """Yield the photographs of the sets."""
    for each in sets:
        folder, image_set = locate(data / each)
        yield from (file for file in labelled_files(folder, [image_set]) if file.label == 0)


def read_owners(listing: Path) -> dict[str, str]:
    """Return each image's repository by the image's name, from columns member and repo."""
    with listing.open(newline="", encoding="utf-8") as file:
        return {row["member"]: row["repo"] for row in csv.DictReader(file) if row["repo"]}


def opened(body: bytes, random: np.random.Generator) -> Image.Image:
    """Decode a photograph, large JPEGs at a smaller scale as thumbnails are made."""
    image = Image.open(io.BytesIO(body))
    image.draft("RGB", (int(random.choice([64, 256, 512])),) * 2)
    return ImageOps.exif_transpose(image).convert("RGB")


def window(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Return the middle square, all of the image whatever its shape, or a square of it."""
    way = random.integers(3)
    if way == 0:
        return image
    width, height = image.size
    side = min(width, height)
    if way == 1:
        left, top = (width - side) // 2, (height - side) // 2
    else:
        side = max(min(side, SIDE), round(side * random.uniform(0.3, 1)))
        left, top = (int(random.integers(0, room + 1)) for room in (width - side, height - side))
    return image.crop((left, top, left + side, top + side))


def sharpened(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Sharpen lightly, one image in five."""
    if random.random() < 0.8:  # noqa: PLR2004
        return image
    return image.filter(ImageFilter.UnsharpMask(0.6, int(random.integers(40, 120)), 0))


def encode(image: Image.Image, encoder: str, random: np.random.Generator) -> tuple[str, bytes]:
    """Return the suffix and the content of a file."""
    body, quality = io.BytesIO(), int(random.integers(50, 101))
    if encoder.startswith("jpeg"):
        subsampling = 2 if encoder == "jpeg420" else 0
        # A third as the images of CIFAKE are saved, so that the encoder tells nothing.
        quality = quality if random.random() < 2 / 3 else 75
        image.save(body, "JPEG", quality=quality, subsampling=subsampling)
        return ".jpg", body.getvalue()
    image.save(body, encoder.upper(), quality=quality)
    return f".{encoder}", body.getvalue()


def measure(data: Path) -> None:
    """Print the table of the owners that were kept apart, by way of scaling and by encoder."""
    card = installed.built_in()["objects-32"]
    images = LabelledImages(data, [ImageSet(SCALED_PHOTOGRAPHS, "apart/")])
    scored = detector_figures.examine(card, images, "scaled photographs").scored
    ways, encoders, owners = np.array([each.split("/") for each in scored.sources.tolist()]).T
    used = {name_of(Path(file.source).name) for file in labelled_files(data, USED)}
    apart = np.array([name_of(owner) not in used for owner in owners.tolist()])
    print(f"| scaled by | images | owners | `ai` | `unsure` |\n|{'---|' * 5}")
    rows = [("all", apart)]
    rows += [(way, apart & (ways == way)) for way in WAYS]
    rows += [(encoder, apart & (encoders == encoder)) for encoder in ENCODERS]
    for name, chosen in rows:
        scores = scored.scores[chosen]
        ai = int(np.sum(scores >= card.thresholds.ai))
        unsure = int(np.sum(scores >= card.thresholds.unsure)) - ai
        cells = [share(ai, len(scores)), share(unsure, len(scores))]
        print(f"| {name} | {len(scores):,} | {len(set(owners[chosen]))} | {' | '.join(cells)} |")


def name_of(owner: str) -> str:
    """Return the name of the owner, who may have several repositories."""
    return owner.partition("+")[0]


def share(count: int, total: int) -> str:
    """Return a share in percent with the upper bound of its interval."""
    return f"{count / total:.2%} (≤ {wilson(count, total).high:.2%})"


def main() -> None:
    """Make the images, or measure the detector on those that are kept apart."""
    parser = argparse.ArgumentParser(description="Photographs scaled to 32 pixels.")
    parser.add_argument("what", choices=("make", "measure"))
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="default: --data")
    parser.add_argument("--owners", type=Path, help="CSV of owners, like scenes-sources.csv")
    parser.add_argument("sets", nargs="*", metavar="SET")
    given = parser.parse_intermixed_args()
    if given.what == "measure":
        measure(given.data)
    else:
        owners = read_owners(given.owners) if given.owners else {}
        make(given.data, given.sets, owners, given.out or given.data)


if __name__ == "__main__":
    main()
