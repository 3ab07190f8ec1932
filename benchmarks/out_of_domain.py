"""Measure what a scan says of graphics instead of photographs, by kind.

    python benchmarks/out_of_domain.py FOLDER [FOLDER ...] [--most 100] [--flagged]

Each subfolder of a FOLDER is a kind: icons of one theme, pages, maps, portraits of one game. None
of the images is AI-generated, so every `ai` and `unsure` is a false positive. At most `--most`
images of a kind are judged, evenly spaced by name, by the pipeline of a worker with all built-in
detectors. `--flagged` names each image that is `ai` or `unsure`. Of folders of photographs the
table says how many of them the gate keeps from the detectors.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from storage.records import OUT_OF_DOMAIN, BatchImage, Outcome
from workers.detectors import installed
from workers.limits import Limits
from workers.pipeline.pipeline import make_pipeline
from workers.pipeline.plan import make_plan
from workers.sources.files import FileSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from storage.records import Verdict
    from workers.pipeline.pipeline import Pipeline

# Images of a kind that has a row of its own.
FEWEST = 20
COLUMNS = ("ai", "unsure", "examined", "not a photograph", "no detector")


def main() -> None:
    """Print the table: a row for each kind, and one for all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=100)
    parser.add_argument("--flagged", action="store_true")
    options = parser.parse_args()
    limits = Limits()
    pipeline = make_pipeline(make_plan(installed.built_in()), limits.max_pixels)
    source = FileSource(limits.max_bytes)
    total: Counter[str] = Counter()
    worst = 0.0
    print("| kind | images |", " | ".join(COLUMNS), "|")
    print("|---" * (len(COLUMNS) + 2) + "|")
    for kind, files in kinds(options.folders, options.most).items():
        counts: Counter[str] = Counter()
        for path, verdict in judged(pipeline, source, files):
            counts[column(verdict)] += 1
            if options.flagged and verdict.outcome in {Outcome.AI, Outcome.UNSURE}:
                print(f"{verdict.outcome}: {path} {verdict.detector} {verdict.score:.3f}")
        counts.pop("", None)
        if counts:
            print(row(kind, counts), flush=True)
            worst = max(worst, counts["ai"] / counts.total())
            total += counts
    print(row("**all**", total))
    print(f"\nThe highest share of `ai` in a kind: {100 * worst:.1f} %")


def kinds(folders: Sequence[Path], most: int) -> dict[str, list[Path]]:
    """Return the images of each kind, at most that many; small kinds are one, the last."""
    found: dict[str, list[Path]] = {}
    others: list[Path] = []
    for kind in sorted(path for folder in folders for path in folder.iterdir() if path.is_dir()):
        files = sorted(path for path in kind.rglob("*") if path.is_file())
        if len(files) < FEWEST:
            others += files
        else:
            found[kind.name] = files[:: -(-len(files) // most)]
    return found | ({"others": others} if others else {})


def judged(
    pipeline: Pipeline, source: FileSource, files: Sequence[Path]
) -> Iterator[tuple[Path, Verdict]]:
    """Yield the files with their verdicts."""
    for number, path in enumerate(files):
        image = BatchImage(number, os.fsencode(path.absolute()), path.stat().st_size)
        (verdict,) = pipeline.chunk(source, [image])
        yield path, verdict


def column(verdict: Verdict) -> str:
    """Return the column that an image counts in; empty for one that cannot be read."""
    if verdict.outcome in {Outcome.AI, Outcome.UNSURE}:
        return verdict.outcome.value
    if verdict.outcome == Outcome.ERROR:
        return ""
    if verdict.examined:
        return "examined"
    is_outside = any(finding.kind == OUT_OF_DOMAIN for finding in verdict.findings)
    return "not a photograph" if is_outside else "no detector"


def row(name: str, counts: Counter[str]) -> str:
    """Return a row of the table, with shares of the kind's images."""
    images = counts.total()
    shares = [f"{100 * counts[name] / images:.1f} %" if counts[name] else "0" for name in COLUMNS]
    return f"| {name} | {images:,} | {' | '.join(shares)} |"


if __name__ == "__main__":
    main()
