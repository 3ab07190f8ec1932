"""Fit the gate before the detectors: trees that tell graphics from photographs.

    python benchmarks/fit_domain.py CACHE --photographs FOLDER ... --graphics FOLDER ... --not CSV

A folder of photographs holds CLASS/OWNER/..., real photographs (class REAL) and generated images
that look like photographs (FAKE); rows of the CSV with keep=no name files that do not, by the
column blob. A folder of graphics holds KIND/.... Each image is read as it is, and changed as
images are in circulation. CACHE, a file of JSON lines, keeps the statistics of all files read.

The limit comes from cross-validation, in which each kind of graphics and each owner of photographs
is judged by trees that saw none of it; kinds whose names begin alike up to the first hyphen are
left out together. It is the lowest at which no more than LOST of the photographs, and of the
generated images, count as graphics, unchanged and changed. Writes `workers/models/domain.json`, and
prints the share of graphics found by kind, and that of photographs lost by class and change.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps
from sklearn.ensemble import HistGradientBoostingClassifier

from workers.errors import ImageProblem
from workers.images.decode import decode
from workers.images.domain import TREES
from workers.images.rgb import to_rgb
from workers.images.statistics import MIN_SIDE, statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# The shares that may count as graphics, of unchanged images and of changed ones, and images read by
# owner, by class.
LOST = {"REAL": (0.01, 0.02), "FAKE": (0.02, 0.02)}
PER_OWNER = {"REAL": 20, "FAKE": 45}
GRAPHIC = "graphic"
FOLDS, DEPTH, TREE_COUNT = 6, 4, 200
SIDES = (32, 40, 48, 56, 64, 80, 96, 128, 160, 192, 224, 256, 320, 480, 640, 800, 1024)
THUMBNAIL = 224
# Larger images are reduced before they are changed.
LONGEST = 1100
FILTERS = (Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BILINEAR)
SEPIA = (1.07, 0.9, 0.7)


class Row(NamedTuple):
    """The statistics of one image, of class REAL, FAKE or GRAPHIC; its owner or kind is `group`."""

    label: str
    group: str
    file: str
    change: str
    values: dict[str, float]


def main() -> None:
    """Read, cross-validate, fit and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--photographs", type=Path, nargs="*", default=[])
    parser.add_argument("--graphics", type=Path, nargs="*", default=[])
    parser.add_argument("--not", type=Path, dest="unlike", nargs="*", default=[])
    options = parser.parse_args()
    rows = [Row(*json.loads(line)) for line in _lines(options.cache)]
    known = {row.file for row in rows}
    with options.cache.open("a", encoding="utf-8") as cache:
        for label, group, file in files(options.photographs, options.graphics, options.unlike):
            if str(file) not in known:
                for row in read(label, group, file):
                    rows.append(row)
                    cache.write(json.dumps(row) + "\n")
    fit(rows)


def files(
    photographs: list[Path], graphics: list[Path], unlike: list[Path]
) -> Iterator[tuple[str, str, Path]]:
    """Yield class, owner or kind, and path of each image to read."""
    other = {
        row["blob"]
        for path in unlike
        for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines())
        if row["keep"] == "no"
    }
    for folder in photographs:
        for label, most in PER_OWNER.items():
            for owner in sorted((folder / label).iterdir()):
                found = sorted(path for path in owner.rglob("*") if path.is_file())
                kept = [path for path in found if path.stem not in other]
                random.Random(owner.name).shuffle(kept)  # noqa: S311 - a sample
                yield from ((label, owner.name, path) for path in kept[:most])
    for folder in graphics:
        for path in sorted(folder.glob("*/*")):
            yield GRAPHIC, path.parent.name, path


def read(label: str, group: str, file: Path) -> Iterator[Row]:
    """Yield the statistics of an image and of its changed copies; of none that cannot be read."""
    chance = random.Random(file.name)  # noqa: S311 - changes for training
    try:
        decoded = decode(file.read_bytes(), native=True)
    except ImageProblem:
        return
    if decoded.native is None or min(decoded.native.size) < MIN_SIDE:
        return
    yield Row(label, group, str(file), "original", statistics(decoded))
    image = to_rgb(decoded.native, max(1, min(decoded.native.size) // LONGEST))
    for change, data in (changed_graphic if label == GRAPHIC else changed)(image, chance):
        yield Row(label, group, str(file), change, statistics(decode(data, native=True)))


def changed(image: Image.Image, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield a thumbnail of a photograph, a grey copy, and one of any size with another change."""
    sides = [side for side in SIDES if side <= min(image.size)] or [min(image.size)]
    small = [side for side in sides if side < THUMBNAIL] or sides
    yield "thumbnail", saved(resized(image, chance.choice(small), chance), chance)
    yield "grey", saved(resized(image, chance.choice(sides[-3:]), chance).convert("L"), chance)
    name = chance.choice(list(CHANGES))
    copy = CHANGES[name](resized(image, chance.choice(sides), chance), chance)
    yield name, encoded(copy, "GIF") if copy.mode == "P" else saved(copy, chance)


def changed_graphic(image: Image.Image, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield a copy of a graphic, resized and saved again."""
    side = min(image.size)
    sides = [one for one in SIDES if 0.3 * side <= one <= 2.1 * side] or [max(MIN_SIDE, side)]
    copy = resized(image, chance.choice([side, *sides]), chance)
    yield "copy", saved(copy if chance.random() < 0.85 else copy.convert("L"), chance)  # noqa: PLR2004


def _frame(image: Image.Image, chance: random.Random) -> Image.Image:
    width = max(1, round(min(image.size) * chance.choice([0.02, 0.05, 0.1, 0.18])))
    return ImageOps.expand(image, width, chance.choice(["white", "black", "#ddd", "#411"]))


def _caption(image: Image.Image, chance: random.Random) -> Image.Image:
    place, size = (5, image.height * 0.8), max(8, image.height // 20)
    colour = chance.choice(["white", "black", "yellow"])
    ImageDraw.Draw(image).text(place, "A day in May 2014", colour, font_size=size)
    return image


def _sepia(image: Image.Image, _: random.Random) -> Image.Image:
    grey = np.asarray(image.convert("L"), np.float32)[..., None]
    return Image.fromarray((grey * np.array(SEPIA, np.float32)).clip(0, 255).astype(np.uint8))


def _contrast(image: Image.Image, chance: random.Random) -> Image.Image:
    strong = ImageEnhance.Contrast(image).enhance(chance.uniform(0.8, 1.6))
    return ImageEnhance.Color(strong).enhance(chance.uniform(0.5, 1.8))


CHANGES: Mapping[str, Callable[[Image.Image, random.Random], Image.Image]] = {
    "resized": lambda image, _: image,
    "grey, stretched": lambda image, chance: ImageOps.autocontrast(
        image.convert("L"), cutoff=chance.choice([0, 1, 3])
    ),
    "sepia": _sepia,
    "framed": _frame,
    "sharpened": lambda image, chance: image.filter(
        ImageFilter.UnsharpMask(2, chance.choice([80, 150, 250]), 0)
    ),
    "contrast and colour": _contrast,
    "256 colours": lambda image, _: image.quantize(256),
    "on a square": lambda image, chance: ImageOps.pad(
        image, (max(image.size),) * 2, color=chance.choice(["white", "black"])
    ),
    "captioned": _caption,
}


def resized(image: Image.Image, side: int, chance: random.Random) -> Image.Image:
    """Return the image with this shorter side."""
    factor = side / min(image.size)
    size = tuple(max(MIN_SIDE, round(one * factor)) for one in image.size)
    return image.resize((size[0], size[1]), chance.choice(FILTERS))


def saved(image: Image.Image, chance: random.Random) -> bytes:
    """Return the image as a PNG once in three times, else as a JPEG of any quality."""
    if chance.random() < 1 / 3:
        return encoded(image, "PNG")
    quality = chance.choice([30, 50, 60, 70, 75, 80, 85, 90, 95])
    return encoded(image, "JPEG", quality=quality, subsampling=chance.choice([0, 2]))


def encoded(image: Image.Image, form: str, **options: int) -> bytes:
    """Return the image as a file."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def fit(rows: list[Row]) -> None:
    """Cross-validate, choose the limit, fit on all rows, and write the trees."""
    names = list(rows[0].values)
    values = np.array([[row.values[name] for name in names] for row in rows])
    is_graphic = np.array([row.label == GRAPHIC for row in rows])
    groups = [row.group.partition("-")[0] if row.label == GRAPHIC else row.group for row in rows]
    weights = _weights(groups, is_graphic)
    folds = _folds(groups, is_graphic)
    logits = np.zeros(len(rows))
    for fold in range(FOLDS):
        held = folds == fold
        model = gate_model().fit(values[~held], is_graphic[~held], weights[~held])
        logits[held] = model.decision_function(values[held])
    limit = _limit(rows, logits)
    print_shares(rows, logits >= limit)
    print(f"limit {limit:.2f}")
    body = exported(gate_model().fit(values, is_graphic, weights))
    body |= {"names": names, "limit": round(limit, 2)}
    TREES.write_text(json.dumps(body, separators=(",", ":")) + "\n", encoding="utf-8")


def gate_model() -> HistGradientBoostingClassifier:
    """Return the unfitted trees."""
    return HistGradientBoostingClassifier(
        max_iter=TREE_COUNT,
        max_depth=DEPTH,
        min_samples_leaf=40,
        l2_regularization=5,
        max_features=0.3,
        random_state=0,
    )


def _weights(groups: list[str], is_graphic: np.ndarray) -> np.ndarray:
    """Return weights by which both classes count alike, and large groups less than by number."""
    sizes = Counter(groups)
    weights = np.array([sizes[group] ** -0.5 for group in groups])
    for of in (is_graphic, ~is_graphic):
        weights[of] *= len(weights) / 2 / weights[of].sum()
    return weights


def _folds(groups: list[str], is_graphic: np.ndarray) -> np.ndarray:
    """Return each row's fold; all rows of a group are in one."""
    draw, fold_of = np.random.default_rng(0), dict[str, int]()
    for of in (True, False):
        alike = sorted({group for group, one in zip(groups, is_graphic, strict=True) if one == of})
        fold_of |= {str(group): at % FOLDS for at, group in enumerate(draw.permutation(alike))}
    return np.array([fold_of[group] for group in groups])


def _limit(rows: list[Row], logits: np.ndarray) -> float:
    """Return the lowest limit at which no class loses more than its shares."""
    limits = []
    for label, shares in LOST.items():
        for is_changed, lost in enumerate(shares):
            of = [row.label == label and (row.change != "original") == is_changed for row in rows]
            limits.append(float(np.quantile(logits[np.array(of)], 1 - lost)))
    return max(limits)


def print_shares(rows: list[Row], found: np.ndarray) -> None:
    """Print which share of each kind, and of each change, counts as a graphic."""
    for name in ("group", "change"):
        counts, outside = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        for row, is_outside in zip(rows, found.tolist(), strict=True):
            if name == "change" or row.label == GRAPHIC:
                key = row.label, getattr(row, name)
                counts[key] += 1
                outside[key] += is_outside
        for key in sorted(counts):
            share = outside[key] / counts[key]
            print(f"{key[0]:8} {key[1]:28} {counts[key]:6,} {share:7.1%}")


def exported(model: HistGradientBoostingClassifier) -> dict[str, object]:
    """Return the trees as complete ones, see `workers.images.domain.Trees`."""
    inner = 2**DEPTH - 1
    body: dict[str, list[list[float]]] = {"statistic": [], "bound": [], "leaf": []}
    for (predictor,) in model._predictors:  # noqa: SLF001 - nothing public has the nodes
        nodes = predictor.nodes
        # A leaf above the last level leads to itself.
        places = [0]
        for at in range(2 * inner):
            node, is_right = nodes[places[at // 2]], at % 2
            here = places[at // 2]
            places.append(here if node["is_leaf"] else int(node["right" if is_right else "left"]))
        body["statistic"].append([int(nodes[at]["feature_idx"]) for at in places[:inner]])
        body["bound"].append([float(nodes[at]["num_threshold"]) for at in places[:inner]])
        body["leaf"].append([float(nodes[at]["value"]) for at in places[inner:]])
    intercept = float(np.ravel(model._baseline_prediction)[0])  # noqa: SLF001
    return {**body, "intercept": intercept}


if __name__ == "__main__":
    main()
