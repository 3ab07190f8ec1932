"""Measure the built-in models on their test sets and write the figures into their cards.

    python benchmarks/measure_cards.py --data FOLDER [NAME...]

FOLDER holds cifake-test.zip, faces.zip, scenes.zip, scenes-sources.csv, and pictures.csv with the
folder pictures. Models, calibrations and thresholds stay as
they are. Prints the tables of docs/reference/measured.md, which has to be updated by hand.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from workers.detectors import installed
from workers.detectors.card_writer import to_toml
from workers.training.data.labelled_images import LabelledImages
from workers.training.evaluation import detector_figures, markdown_tables
from workers.training.recipes.builtin import OBJECTS_32
from workers.training.recipes.probes import PROBES

TEST_SETS = {OBJECTS_32.name: OBJECTS_32.data.test} | {
    name: probe.test for name, probe in PROBES.items()
}


def main() -> None:
    """Measure each detector and write its card."""
    parser = argparse.ArgumentParser(description="Measure the built-in models, write their cards.")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("names", nargs="*", default=list(TEST_SETS), metavar="NAME")
    options = parser.parse_args()
    for name in options.names:
        card = installed.built_in()[name]
        listings = PROBES[name].listings if name in PROBES else ()
        images = LabelledImages(options.data, TEST_SETS[name], listings)
        as_is = detector_figures.examine(card, images, card.measured.on if card.measured else name)
        card = detector_figures.with_figures(card, as_is)
        print(markdown_tables.markdown(card, as_is), flush=True)
        card = detector_figures.with_changes(card, images, print)
        card.path.write_text(to_toml(card), encoding="utf-8")


if __name__ == "__main__":
    main()
