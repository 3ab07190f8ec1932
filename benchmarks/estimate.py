"""Simulate the estimate of prevalence on mixtures of sources that its error rates do not come from.

    python benchmarks/estimate.py score FOLDER --csv SCORES.csv [--each 40]
    python benchmarks/estimate.py simulate SCORES.csv [--outside OUTSIDE.csv] [--mixtures 40]

`score` judges up to `--each` images of every FOLDER/REAL/SOURCE and FOLDER/FAKE/SOURCE as a scan
does. Its rows are `image,source,label,detector,score`: those of detectors that saw the image as
they were measured, neither resized nor degraded.

`simulate` draws mixtures. For each one the sources are split at random: the error rates are
measured on one half, and the images come from a few sources of the other. `--outside` has scores of
images of no such kind (drawings, say), all of them not AI-generated: one to three of its sources
are in every other mixture, and none in the rates. Rows without a `detector` are of `--detector`,
and `--threshold` replaces the one of its card: so scores of cross-validation can be used.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scanner.detectors.plan import plan_for
from scanner.report.figures.estimate import Rates, Standing, corrected_share
from storage.reads.coverage import Scored
from storage.records import DEGRADED, PREVIEW, RESIZED_FROM, STATED, BatchImage
from workers.detectors import installed
from workers.evaluation.intervals import Share
from workers.limits import Limits
from workers.pipeline.pipeline import make_pipeline
from workers.sources.files import FileSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from scanner.report.figures.estimate import CorrectedShare
    from storage.records import Verdict

COLUMNS = ("image", "source", "label", "detector", "score")
TRUTHS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
# Sources of a mixture, at least and at most.
OWNERS, GENERATORS, OUTSIDERS = (3, 12), (1, 4), (1, 3)


@dataclass(frozen=True)
class Image:
    """The scores of an image by detector."""

    source: str
    is_ai: bool
    scores: Mapping[str, float]

    def flagged(self, name: str, thresholds: Mapping[str, float]) -> bool:
        """Return whether a detector flags the image."""
        return self.scores[name] >= thresholds[name]


def scores_of(folder: Path, each: int) -> Iterator[tuple[str, str, str, str, float]]:
    """Yield the rows of a folder's images."""
    limits = Limits()
    pipeline = make_pipeline(plan_for(None), limits.max_pixels)
    files = FileSource(limits.max_bytes)
    for label in ("REAL", "FAKE"):
        for source in sorted(path for path in (folder / label).glob("*") if path.is_dir()):
            images = sorted(path for path in source.rglob("*") if path.is_file())
            random.Random(source.name).shuffle(images)  # noqa: S311 - the same each time
            for image in images[:each]:
                batch = [BatchImage(0, os.fsencode(image), 0)]
                (verdict,) = pipeline.chunk(files, batch)
                name = image.relative_to(folder).as_posix()
                for detector, score in _as_measured(verdict).items():
                    yield name, source.name, label, detector, score


def _as_measured(verdict: Verdict) -> dict[str, float]:
    """Return the highest score of each detector that saw the image as it was measured."""
    scores: dict[str, float] = {}
    if any(finding.kind in (DEGRADED, PREVIEW) for finding in verdict.findings):
        return scores
    for finding in verdict.findings:
        if finding.score is not None and finding.detector not in STATED:
            scores[finding.detector] = max(finding.score, scores.get(finding.detector, 0.0))
    resized = {each.detector for each in verdict.findings if RESIZED_FROM in each.detail}
    return {name: score for name, score in scores.items() if name not in resized}


def read(paths: Iterable[Path], detector: str) -> dict[tuple[bool, str], list[Image]]:
    """Return the images by (AI-generated, source)."""
    rows: dict[tuple[str, str, bool], dict[str, float]] = defaultdict(dict)
    for path in paths:
        with path.open(newline="") as file:
            for number, row in enumerate(csv.DictReader(file)):
                image = row.get("image") or f"{path}:{number}"
                key = (image, row["source"], row["label"].upper() in ("FAKE", "1", "AI"))
                rows[key][row.get("detector") or detector] = float(row["score"])
    images: dict[tuple[bool, str], list[Image]] = defaultdict(list)
    for (_, source, is_ai), scores in rows.items():
        images[is_ai, source].append(Image(source, is_ai, scores))
    return images


def rates_of(sources: Sequence[Sequence[Image]], name: str, at: Mapping[str, float]) -> list[Share]:
    """Return the share of each source's images that a detector flags, of those it scored."""
    shares = []
    for images in sources:
        scored = [image for image in images if name in image.scores]
        if scored:
            flagged = sum(image.flagged(name, at) for image in scored)
            shares.append(Share(flagged, len(scored)))
    return shares


def groups_of(images: Sequence[Image], at: Mapping[str, float]) -> list[Scored]:
    """Return the images by the detectors that scored them, as a report counts them."""
    groups: dict[tuple[str, ...], list[Image]] = defaultdict(list)
    for image in images:
        groups[tuple(sorted(image.scores))].append(image)
    return [
        Scored(names, len(each), sum(any(one.flagged(name, at) for name in names) for one in each))
        for names, each in groups.items()
    ]


@dataclass(frozen=True)
class Mixture:
    """Images of a few sources, and error rates of others."""

    images: Sequence[Image]
    rates: Mapping[str, Rates]
    outside: bool

    @property
    def truth(self) -> float:
        """Return the share of AI-generated images."""
        return sum(image.is_ai for image in self.images) / len(self.images)


def mixture(
    images: Mapping[tuple[bool, str], list[Image]],
    outside: Mapping[tuple[bool, str], list[Image]],
    at: Mapping[str, float],
    dice: random.Random,
) -> Mixture:
    """Draw a mixture with one of TRUTHS as its prevalence, as far as its sources have images."""
    halves = {}
    for is_ai in (True, False):
        sources = sorted(key for key in images if key[0] is is_ai)
        dice.shuffle(sources)
        middle = len(sources) // 2
        halves[is_ai] = [images[key] for key in sources[:middle]], sources[middle:]
    rates = {
        name: Rates(*(tuple(rates_of(halves[is_ai][0], name, at)) for is_ai in (True, False)))
        for name in at
    }
    ai, real = (
        [image for key in halves[is_ai][1][: dice.randint(*number)] for image in images[key]]
        for is_ai, number in ((True, GENERATORS), (False, OWNERS))
    )
    with_outside = bool(outside) and dice.random() < 0.5  # noqa: PLR2004 - every other one
    if with_outside:
        chosen = dice.sample(sorted(outside), min(len(outside), dice.randint(*OUTSIDERS)))
        real += [image for key in chosen for image in outside[key]]
    truth = dice.choice(TRUTHS)
    made = min(len(ai), round(truth * len(real) / (1 - truth)))
    taken = min(len(real), round(made * (1 - truth) / truth)) if truth else len(real)
    return Mixture(dice.sample(ai, made) + dice.sample(real, taken), rates, with_outside)


def covers(share: CorrectedShare | None, truth: float) -> bool | None:
    """Return whether what the report says is true; None where it says nothing."""
    if share is None or share.interval is None:
        return None
    if share.standing is Standing.BETWEEN:
        return share.interval.low <= truth <= share.interval.high
    return share.interval.low <= truth if share.standing is Standing.AT_LEAST else None


def simulate(args: argparse.Namespace) -> None:
    """Print a line per mixture, and how often the estimate was true."""
    images, outside = read(args.scores, args.detector), read(args.outside, args.detector)
    at = {
        name: card.thresholds.flagged_from
        for name, card in installed.installed().items()
        if name not in STATED
    }
    if args.threshold is not None:
        at[args.detector] = args.threshold
    results = []
    for number in range(args.mixtures):
        drawn = mixture(images, outside, at, random.Random(args.seed + number))  # noqa: S311
        share = corrected_share(groups_of(drawn.images, at), drawn.rates.get)
        result = covers(share, drawn.truth)
        results.append(result)
        if share is not None and not args.quiet:
            bounds = share.interval
            said = "" if bounds is None else f"{bounds.low:.3f} to {bounds.high:.3f}"
            print(
                f"{share.images:6,} images{', some outside' if drawn.outside else '':14}  "
                f"truth {drawn.truth:.3f}  flagged {share.raw:.3f}  {share.standing:12}  {said:14}"
                f"  {'' if result is None else 'true' if result else 'FALSE'}"
            )
    told = [result for result in results if result is not None]
    print(
        f"{len(results)} mixtures of {len(images)} sources: {len(results) - len(told)} without an "
        f"estimate; of {len(told)} estimates {sum(told)} true"
    )


def main() -> None:
    """Score or simulate."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    score = commands.add_parser("score")
    score.add_argument("folder", type=Path)
    score.add_argument("--csv", type=Path, required=True)
    score.add_argument("--each", type=int, default=40)
    play = commands.add_parser("simulate")
    play.add_argument("scores", type=Path, nargs="+")
    play.add_argument("--outside", type=Path, nargs="*", default=[])
    play.add_argument("--mixtures", type=int, default=40)
    play.add_argument("--seed", type=int, default=1)
    play.add_argument("--detector", default="scenes")
    play.add_argument("--threshold", type=float)
    play.add_argument("--quiet", action="store_true")
    args = parser.parse_args()
    if args.command == "simulate":
        simulate(args)
        return
    with args.csv.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(scores_of(args.folder, args.each))


if __name__ == "__main__":
    main()
