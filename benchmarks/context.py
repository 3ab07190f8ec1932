"""Measure what the surroundings of an image's pixels say, by owner: the card of `context`.

    python benchmarks/context.py FOLDER... [--write]

Each FOLDER has folders REAL and FAKE of one folder per owner, with whole files as they were found.
The share of each kind of surroundings is the mean over owners. A likelihood ratio is the share
among AI-generated images over that among real ones; what counts is the bound nearer to 1 of its
90 % interval, with owners resampled, and at most 10. `--write` puts it on the card.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from workers.detectors.installed import MODELS
from workers.images.decode import decode
from workers.images.errors import DecodeError
from workers.provenance.context import Surroundings, surroundings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

RESAMPLES, SEED = 2_000, 20_261
MOST = 10.0
# Owners with fewer images say too little about their habits, and more say nothing new.
MIN_IMAGES, MAX_IMAGES = 3, 24


def main() -> None:
    """Print the shares and ratios, and write them if asked."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    by_class = {cls: counts(options.folders, cls) for cls in ("FAKE", "REAL")}
    rows = {kind: ratio(kind, by_class) for kind in Surroundings}
    print("surroundings      AI      real    ratio   90 % interval   used")
    for kind, (ai, real, low, high) in rows.items():
        print(
            f"{kind:15}  {ai:6.3f}  {real:6.3f}  {ai / max(real, 1e-9):6.2f}  "
            f"{low:6.3f} to {high:6.2f}  {used(low, high):6.3f}"
        )
    for cls, owners in by_class.items():
        print(f"{cls}: {len(owners)} owners, {sum(map(sum_of, owners)):,} images")
    if options.write:
        write(rows)


def sum_of(counter: Counter[Surroundings]) -> int:
    """Return the number of images of an owner."""
    return sum(counter.values())


def counts(folders: Sequence[Path], cls: str) -> list[Counter[Surroundings]]:
    """Return how many images of each owner have which surroundings."""
    by_owner: dict[str, Counter[Surroundings]] = defaultdict(Counter)
    for folder in folders:
        for path in chosen(folder / cls):
            data = path.read_bytes()
            try:
                decoded = decode(data)
            except DecodeError:
                continue
            by_owner[path.parent.name][surroundings(data, decoded)] += 1
    return [counter for counter in by_owner.values() if sum_of(counter) >= MIN_IMAGES]


def chosen(folder: Path) -> list[Path]:
    """Return up to MAX_IMAGES files of each owner, drawn at random."""
    random = Random(SEED)  # noqa: S311 - a sample, not a secret
    owners = [sorted(owner.iterdir()) for owner in sorted(folder.iterdir())]
    return [path for files in owners for path in random.sample(files, min(MAX_IMAGES, len(files)))]


def ratio(
    kind: Surroundings, by_class: dict[str, list[Counter[Surroundings]]]
) -> tuple[float, float, float, float]:
    """Return the shares among AI-generated and real images, and the interval of their ratio."""
    random = np.random.default_rng(SEED)
    means, samples = [], []
    for owners in by_class.values():
        shares = np.array([owner[kind] / sum_of(owner) for owner in owners])
        means.append(float(shares.mean()))
        samples.append(resampled(shares, random))
    low, high = np.quantile(samples[0] / samples[1], (0.05, 0.95)).tolist()
    return means[0], means[1], low, high


def resampled(shares: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Return means with owners drawn with replacement, each with half an image more of the kind."""
    drawn = random.integers(0, len(shares), (RESAMPLES, len(shares)))
    # Without it a kind that no owner here has would never have been possible.
    means: NDArray[np.float64] = shares[drawn].mean(axis=1) + 0.5 / len(shares)
    return means


def used(low: float, high: float) -> float:
    """Return the bound nearer to 1, between 1 / MOST and MOST; 1 if the interval contains it."""
    if low <= 1 <= high:
        return 1.0
    return round(float(np.clip(low if low > 1 else high, 1 / MOST, MOST)), 3)


def write(rows: dict[Surroundings, tuple[float, float, float, float]]) -> None:
    """Replace the ratios on the card."""
    card = MODELS / "context.toml"
    text = card.read_text(encoding="utf-8")
    for kind, (ai, real, low, high) in rows.items():
        values = {"likelihood_ratio": used(low, high), "ai": round(ai, 4), "real": round(real, 4)}
        for name, value in values.items():
            pattern = rf'(kind = "{kind}"\n(?:.+\n)*?{name} = ).+'
            text = re.sub(pattern, rf"\g<1>{value}", text)
    card.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
