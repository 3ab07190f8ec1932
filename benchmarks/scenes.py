"""Measure `scenes`, and other versions of it, on whole test images: by set and by source.

    python benchmarks/scenes.py DATA SCORES.csv [CARD.toml...]

DATA holds scenes.zip, scenes-sources.csv, pictures.csv and the folder pictures, as for training.
Each image is decoded once and scored by the built-in `scenes` and by each other card, as in a scan.
Scores are kept in SCORES.csv, so an interrupted run goes on, and the tables can be printed again.

Intervals are of 95 %, by drawing owners with replacement. "at 1 %" is the share of AI-generated
images above the score that 1 % of this set's real images reach: how well scores separate, while
"flagged" is what a scan says with the card's thresholds. Photographs and AI-generated images of the
same subjects are the hard pairs.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from workers.detectors import installed
from workers.detectors.card import Card, load_card
from workers.detectors.loading import load
from workers.pipeline.inputs import selector_for
from workers.training.data.datasets import DataError
from workers.training.data.labelled_images import LabelledImages, decoded_file
from workers.training.evaluation.metrics import roc_auc_of
from workers.training.recipes.probes import SCENES

HARD = ("photoreal-a", "photoreal-d")
RESAMPLES, SEED = 1000, 7
COLUMNS = ("card", "name", "label", "source", "owner", "score")


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of images by one card, with labels, 1 for AI, sources and owners."""

    scores: np.ndarray
    labels: np.ndarray
    sources: np.ndarray
    owners: np.ndarray

    def of(self, chosen: np.ndarray) -> Scored:
        """Return a part of the images."""
        return Scored(
            self.scores[chosen], self.labels[chosen], self.sources[chosen], self.owners[chosen]
        )


def main() -> None:
    """Score what is not scored yet, and print the tables of each card."""
    data, file = Path(sys.argv[1]), Path(sys.argv[2])
    others = [load_card(Path(each)) for each in sys.argv[3:]]
    cards = {str(card.version): card for card in [*others, installed.built_in()["scenes"]]}
    score(data, file, cards)
    rows = defaultdict(list)
    with file.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            if row["score"]:
                rows[row["card"]].append(row)
    for version, card in cards.items():
        print(f"\n## scenes, version {version}\n")
        print_tables(card, rows[version])


def score(data: Path, file: Path, cards: dict[str, Card]) -> None:
    """Add the missing scores to the file; an image that a card does not examine has none."""
    known = set()
    if file.exists():
        with file.open(newline="", encoding="utf-8") as lines:
            known = {(row["card"], row["name"]) for row in csv.DictReader(lines)}
    else:
        file.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    detectors = {version: (load(card), selector_for(card)) for version, card in cards.items()}
    images = LabelledImages(data, SCENES.test, SCENES.listings)
    with file.open("a", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines)
        for image in images.files:
            missing = [version for version in cards if (version, image.name) not in known]
            if not missing:
                continue
            try:
                decoded = decoded_file(image)
            except DataError as error:
                print(error, file=sys.stderr)
                continue
            for version in missing:
                detector, selector = detectors[version]
                found = selector.select(decoded).highest_score(cards[version].name, detector)
                origin = images.origins.source(image), images.origins.owner(image)
                writer.writerow([version, image.name, image.label, *origin, found])
            lines.flush()


def print_tables(card: Card, rows: list[dict[str, str]]) -> None:
    """Print the figures by set, then by source."""
    scored = Scored(
        np.array([float(row["score"]) for row in rows]),
        np.array([int(row["label"]) for row in rows], np.uint8),
        np.array([row["source"] for row in rows]),
        np.array([row["owner"] for row in rows]),
    )
    hard = np.isin(scored.sources, HARD)
    flag = card.thresholds.unsure
    print("| set | AI | real | ROC AUC | at 1 % | flagged: AI | flagged: real | balanced at 0.5 |")
    print("|---|---|---|---|---|---|---|---|")
    for name, part in (("all", scored), ("ordinary", scored.of(~hard)), ("pairs", scored.of(hard))):
        cells = [
            f"{figure:.3f} ({low:.3f} to {high:.3f})" for figure, low, high in spread(part, flag)
        ]
        ai = int(part.labels.sum())
        print(f"| {name} | {ai} | {len(part.labels) - ai} | {' | '.join(cells)} |", flush=True)
    print(
        "\n| source | kind | owners | images | ROC AUC against all of the other class | flagged |"
    )
    print("|---|---|---|---|---|---|")
    for label in (1, 0):
        for source in np.unique(scored.sources[scored.labels == label]):
            own = (scored.sources == source) & (scored.labels == label)
            against = scored.of(own | (scored.labels != label))
            area = roc_auc_of(against.scores, against.labels)
            print(
                f"| {source} | {'AI' if label else 'real'} | {len(set(scored.owners[own]))} | "
                f"{own.sum()} | {area:.3f} | {np.mean(scored.scores[own] >= flag):.3f} |"
            )


def spread(scored: Scored, flag: float) -> list[tuple[float, float, float]]:
    """Return each figure of a set with the bounds of its interval."""
    random, names = np.random.default_rng(SEED), np.unique(scored.owners)
    of_owner = [np.flatnonzero(scored.owners == name) for name in names]
    drawn = []
    for _ in range(RESAMPLES):
        chosen = np.concatenate([of_owner[i] for i in random.integers(0, len(names), len(names))])
        if 0 < scored.labels[chosen].sum() < len(chosen):
            drawn.append(figures(scored.of(chosen), flag))
    bounds = np.percentile(np.array(drawn), (2.5, 97.5), axis=0)
    return list(zip(figures(scored, flag), bounds[0].tolist(), bounds[1].tolist(), strict=True))


def figures(scored: Scored, flag: float) -> tuple[float, ...]:
    """Return ROC AUC, what is found at 1 % false positives, flagged shares, balanced accuracy."""
    ai, real = scored.scores[scored.labels == 1], scored.scores[scored.labels == 0]
    least = np.sort(real)[::-1][int(len(real) * 0.01)]
    return (
        roc_auc_of(scored.scores, scored.labels),
        float(np.mean(ai > least)),
        float(np.mean(ai >= flag)),
        float(np.mean(real >= flag)),
        float((np.mean(ai >= 0.5) + np.mean(real < 0.5)) / 2),  # noqa: PLR2004 - the middle
    )


if __name__ == "__main__":
    main()
