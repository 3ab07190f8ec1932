"""Whether the corrected share's interval holds the truth as often as it says.

    python benchmarks/corrected_share.py --data FOLDER [--draws 1000] [--mixture 2000]

FOLDER holds `cifake-test.zip`. Its pictures are scored once with the shipped net. Then, for each of
ten shares of AI images from 0 to 60 %, again and again: the pictures are split at random, the net's
rates are measured on one half as a card would have them, a mixture of that share is drawn from the
other half, and its share is estimated. Printed are the share of flagged images, the mean estimate,
how often the 95 % interval held the truth, and how wide it was.

A mixture with exactly so many AI images varies less than the interval reckons with, so it holds the
truth more often than it says. The last column has the same for samples, drawn with replacement from
a collection of that share: there it is the stated rate.
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
    """For FAKE and REAL, whether each picture scores at or above the net's threshold for AI."""
    card = installed.installed()["objects-32"]
    detector = load(card)
    found = {}
    with zipfile.ZipFile(archive) as pictures:
        names = pictures.namelist()
        for label in ("FAKE", "REAL"):
            ours = [name for name in names if f"{label}/" in name and not name.endswith("/")]
            scores: list[float] = []
            for start in range(0, len(ours), BATCH):
                pixels = [
                    np.asarray(Image.open(BytesIO(pictures.read(name))).convert("RGB"))
                    for name in ours[start : start + BATCH]
                ]
                scores += [float(score) for score in detector.score(pixels)]
            found[label] = np.array(scores) >= card.thresholds.ai
    return found


def held_by_sample(
    dice: np.random.Generator, called: dict[str, np.ndarray], truth: float, images: int
) -> bool:
    """Whether the interval held the truth, all three samples being drawn with replacement."""
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
