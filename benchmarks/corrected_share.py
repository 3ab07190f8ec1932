"""Measure the coverage of the corrected share's interval.

    python benchmarks/corrected_share.py --data FOLDER [--draws 1000] [--mixture 2000]

FOLDER holds `cifake-test.zip`. Its images are scored once with the built-in model. Then, for each
of ten prevalences from 0 to 60 %, many times: the images are split at random, the model's rates are
measured on one half as for a card, a mixture with that prevalence is drawn from the other half, and
the prevalence is estimated. The table has the share of flagged images, the mean estimate, the
coverage of the 95 % interval, and its width.

A mixture with a fixed number of AI-generated images varies less than the interval assumes, so the
coverage is higher than stated. The last column is for samples, drawn with replacement from a
collection with that prevalence: there it is the stated one.
"""

from __future__ import annotations

import argparse
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from scanner.report.figures.estimate import Rates, lang_reiczigel, rogan_gladen
from workers.detectors import installed
from workers.detectors.loading import load
from workers.evaluation.intervals import Share

SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
BATCH = 500


def flagged(archive: Path) -> dict[str, np.ndarray]:
    """Return for FAKE and REAL whether each image scores at or above the threshold for `ai`."""
    card = installed.installed()["objects-32"]
    detector = load(card)
    found = {}
    with zipfile.ZipFile(archive) as images:
        names = images.namelist()
        for label in ("FAKE", "REAL"):
            ours = [name for name in names if f"{label}/" in name and not name.endswith("/")]
            scores: list[float] = []
            for start in range(0, len(ours), BATCH):
                pixels = [
                    np.asarray(Image.open(BytesIO(images.read(name))).convert("RGB"))
                    for name in ours[start : start + BATCH]
                ]
                scores += [float(score) for score in detector.score(pixels)]
            found[label] = np.array(scores) >= card.thresholds.ai
    return found


def held_by_sample(
    dice: np.random.Generator, called: dict[str, np.ndarray], truth: float, images: int
) -> bool:
    """Tell whether the interval covers the prevalence, all samples drawn with replacement."""
    half = len(called["FAKE"]) // 2
    made = dice.binomial(images, truth)
    se, fa = called["FAKE"].mean(), called["REAL"].mean()
    rates = Rates(
        Share(int(dice.binomial(half, se)), half), Share(int(dice.binomial(half, fa)), half)
    )
    flagged = int(dice.binomial(made, se) + dice.binomial(images - made, fa))
    low, high = lang_reiczigel(Share(flagged, images), rates)
    return low <= truth <= high


def main() -> None:
    """Score, draw, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--mixture", type=int, default=2000)
    args = parser.parse_args()
    called = flagged(args.data / "cifake-test.zip")
    dice = np.random.default_rng(7)
    print("  truth  flagged  estimate   held   width  of samples")
    for truth in SHARES:
        made = round(truth * args.mixture)
        rows = []
        for _ in range(args.draws):
            ai, real = (dice.permutation(called[label]) for label in ("FAKE", "REAL"))
            half = len(ai) // 2
            rates = Rates(Share(int(ai[:half].sum()), half), Share(int(real[:half].sum()), half))
            drawn = int(ai[half : half + made].sum())
            drawn += int(real[half : half + args.mixture - made].sum())
            share = Share(drawn, args.mixture)
            low, high = lang_reiczigel(share, rates)
            held = low <= truth <= high
            of_sample = held_by_sample(dice, called, truth, args.mixture)
            rows.append((share.value, rogan_gladen(share, rates), held, high - low, of_sample))
        raw, estimate, held, width, of_sample = np.mean(rows, axis=0)
        print(
            f"{truth:7.2f}  {raw:7.4f}  {estimate:8.4f}  {held:5.3f}  {width:.4f}  {of_sample:9.3f}"
        )


if __name__ == "__main__":
    main()
