"""Fit the gate before the detectors for tiny images: trees that tell graphics from photographs.

    python benchmarks/fit_tiny_domain.py CACHE --graphics GRAPHICS... --data DATA

GRAPHICS hold KIND/...; of each kind 60 images are read as they are where they are tiny, reduced to
16 to 64 pixels, and a part of each the same way. DATA holds cifake-train.zip, the photographs of
this size that `objects-32` was made for, and scenes.zip and faces.zip, whose training parts are
reduced likewise: they count for little, since `objects-32` has nothing to say of thumbnails. CACHE
keeps what was read before.

The limit is the one at which 1 % of CIFAKE's photographs and 2 % of its generated images count as
graphics, by trees that saw none of their fold; each family of graphics is in one fold.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from fit_domain import (
    FILTERS,
    FOLDS,
    GRAPHIC,
    LOST,
    Row,
    exported,
    gate_model,
    print_shares,
    saved,
)
from PIL import Image, ImageOps

from workers.errors import ImageProblem
from workers.images.decode import decode
from workers.images.domain import TINY_SIDE, TINY_TREES
from workers.images.rgb import to_rgb
from workers.images.statistics import MIN_SIDE, statistics

if TYPE_CHECKING:
    from collections.abc import Iterator

PER_KIND, LONGEST = 60, 300
SIDES = (16, 20, 24, 32, 32, 32, 32, 32, 40, 48, 56, 64)
# Images that are read of each data set, and how much a thumbnail counts.
DATA, THUMBNAIL = {"cifake-train.zip": 3500, "scenes.zip": 1300, "faces.zip": 400}, 0.3
ORIGINAL, REDUCED = "original", "reduced"


def main() -> None:
    """Read, cross-validate, fit and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--graphics", type=Path, nargs="*", default=[])
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    chance = random.Random(11)  # noqa: S311 - a sample, and changes for training
    if not options.cache.exists():
        with options.cache.open("w", encoding="utf-8") as cache:
            for folder in options.graphics:
                for kind in sorted(path for path in folder.iterdir() if path.is_dir()):
                    cache.writelines(json.dumps(row) + "\n" for row in graphics(kind, chance))
            for name, most in DATA.items():
                archive = options.data / name
                cache.writelines(
                    json.dumps(row) + "\n" for row in photographs(archive, most, chance)
                )
    lines = options.cache.read_text(encoding="utf-8").splitlines()
    fit([Row(*json.loads(line)) for line in lines])


def graphics(kind: Path, chance: random.Random) -> Iterator[Row]:
    """Yield the statistics of a kind's images, reduced, and of parts of them."""
    files = sorted(kind.iterdir())
    chance.shuffle(files)
    for file in files[:PER_KIND]:
        data = file.read_bytes()
        try:
            image = decode(data, native=True).native
        except ImageProblem:
            continue
        if image is None:
            continue
        copies = [(ORIGINAL, data)]
        image = to_rgb(image, max(1, max(image.size) // LONGEST))
        copies.append((REDUCED, saved(tiny(image, chance), chance)))
        if min(image.size) >= TINY_SIDE:
            side = chance.randint(TINY_SIDE // 2, min(image.size))
            left, top = (chance.randint(0, whole - side) for whole in image.size)
            part = image.crop((left, top, left + side, top + side))
            copies.append((REDUCED, saved(tiny(part, chance), chance)))
        for change, copy in copies:
            yield from row(GRAPHIC, kind.name, change, copy)


def photographs(archive: Path, most: int, chance: random.Random) -> Iterator[Row]:
    """Yield the statistics of a data set's images, reduced where they are larger."""
    with zipfile.ZipFile(archive) as opened:
        names = sorted(name for name in opened.namelist() if name.endswith(".jpg"))
        if any(name.startswith("train/") for name in names):
            names = [name for name in names if name.startswith("train/")]
        chance.shuffle(names)
        for name in names[:most]:
            data, label = opened.read(name), "FAKE" if "FAKE" in name else "REAL"
            image = Image.open(io.BytesIO(data)).convert("RGB")
            change = ORIGINAL if max(image.size) <= TINY_SIDE else REDUCED
            copy = data if change == ORIGINAL else saved(tiny(image, chance), chance)
            owner = archive.name if change == ORIGINAL else name.split("/")[2]
            yield from row(label, owner, change, copy)


def tiny(image: Image.Image, chance: random.Random) -> Image.Image:
    """Return the image reduced to a tiny one, of its own shape or square."""
    side, how = chance.choice(SIDES), chance.choice((*FILTERS, Image.Resampling.BOX))
    if chance.random() < 0.5:  # noqa: PLR2004 - half of them
        return ImageOps.fit(image, (side, side), how)
    factor = side / max(image.size)
    width, height = (max(MIN_SIDE, round(one * factor)) for one in image.size)
    return image.resize((width, height), how)


def row(label: str, group: str, change: str, data: bytes) -> Iterator[Row]:
    """Yield the statistics of an image if it is tiny."""
    decoded = decode(data, native=True)
    shorter, longer = sorted((decoded.header.width, decoded.header.height))
    if shorter >= MIN_SIDE and longer <= TINY_SIDE:
        yield Row(label, group, "", change, statistics(decoded))


def fit(rows: list[Row]) -> None:
    """Cross-validate, choose the limit, fit on all rows, and write the trees."""
    names = list(rows[0].values)
    values = np.array([[one.values[name] for name in names] for one in rows])
    is_graphic = np.array([one.label == GRAPHIC for one in rows])
    weights = np.array([THUMBNAIL if _is_thumbnail(one) else 1.0 for one in rows])
    for of in (is_graphic, ~is_graphic):
        weights[of] *= len(rows) / 2 / weights[of].sum()
    folds, logits = _folds(rows), np.zeros(len(rows))
    for fold in range(FOLDS):
        held = folds == fold
        model = gate_model().fit(values[~held], is_graphic[~held], weights[~held])
        logits[held] = model.decision_function(values[held])
    limit = max(
        float(np.quantile(logits[[_is_original(one, label) for one in rows]], 1 - lost))
        for label, lost in LOST.items()
    )
    print_shares(rows, logits >= limit)
    print(f"limit {limit:.2f}; of all graphics {(logits[is_graphic] >= limit).mean():.1%}")
    body = exported(gate_model().fit(values, is_graphic, weights))
    body |= {"names": names, "limit": round(limit, 2)}
    TINY_TREES.write_text(json.dumps(body, separators=(",", ":")) + "\n", encoding="utf-8")


def _is_thumbnail(one: Row) -> bool:
    return one.label != GRAPHIC and one.change == REDUCED


def _is_original(one: Row, label: str) -> bool:
    return one.label == label and one.change == ORIGINAL


def _folds(rows: list[Row]) -> np.ndarray:
    """Return each row's fold: that of its family or owner, any for CIFAKE, which is one owner."""
    draw = np.random.default_rng(0)
    families = sorted({_family(one) for one in rows})
    fold_of = {family: at % FOLDS for at, family in enumerate(draw.permutation(families).tolist())}
    return np.array([
        at % FOLDS if one.label != GRAPHIC and one.change == ORIGINAL else fold_of[_family(one)]
        for at, one in enumerate(rows)
    ])  # fmt: skip


def _family(one: Row) -> str:
    return one.group.partition("-")[0] if one.label == GRAPHIC else one.group


if __name__ == "__main__":
    main()
