"""Run comparisons, print a Markdown table of each, and draw how things grow.

    python -m benchmarks [NAME …] [--data FOLDER] [--out FOLDER] [--list]

Each comparison is a script of this folder with the arguments that give an answer within minutes;
run the script itself for others. Its sides take turns in one run: trust the ratios. Some need the
images of --data, or packages that their scripts name. With --out, the curves are written to FOLDER
as SVG.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import leather

HERE = Path(__file__).parent
# Script and arguments of each; all print a line of JSON for each row.
COMPARISONS: dict[str, tuple[str, ...]] = {
    "start": ("cold_start.py",),
    "list": ("bulk.py", "list", "--images", "50000"),
    "list-postgres": ("bulk.py", "list", "--images", "50000", "--store", "postgres"),
    "record": ("bulk.py", "record", "--images", "50000"),
    "record-postgres": ("bulk.py", "record", "--images", "50000", "--store", "postgres"),
    "queue": ("queue_memory.py",),
    "report": ("report.py", "--images", "100000", "--rounds", "1"),
    "images": ("growth.py", "images", "--store", "sqlite"),
    "workers": ("growth.py", "workers"),
}
# Those that need a folder of images.
WITH_DATA: dict[str, tuple[str, ...]] = {
    "photographs": ("photographs.py",),
    "ray": ("alternatives.py", "ray"),
    "keras": ("alternatives.py", "keras", "faces-32", "faces-224"),
}
# What is drawn: the title of the picture, and the columns of its axes.
CURVES = {
    "images": ("Listing: microseconds an image", "images", "list, µs"),
    "workers": ("Images per second by workers", "workers", "images/s"),
    "photographs": ("Images per second by size", "megapixels", "scan, images/s"),
}


def command_of(name: str, data: Path | None) -> list[str]:
    """Return the script of a comparison, and its arguments."""
    if name in COMPARISONS:
        return list(COMPARISONS[name])
    return [*WITH_DATA[name], "--data", "FOLDER" if data is None else str(data)]


def rows_of(script: str, *arguments: str) -> list[dict[str, Any]]:
    """Run a comparison; return its rows."""
    command = [sys.executable, str(HERE / script), *arguments]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [flat(json.loads(line)) for line in printed.splitlines() if line.startswith("{")]


def flat(row: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a row without dictionaries in it: their keys become a part of its own."""
    cells: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict):
            cells |= flat(value, f"{prefix}{key} ")
        else:
            cells[f"{prefix}{key}"] = value
    return cells


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a table."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(map(str, row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw(name: str, rows: list[dict[str, Any]], folder: Path) -> Path:
    """Write a comparison's curve as SVG; return its path."""
    title, across, up = CURVES[name]
    points = [(row[across], row[up]) for row in rows]
    chart = leather.Chart(title)
    chart.add_line(points, name=up)
    chart.add_x_axis(name=across)
    chart.add_y_scale(0, 1.1 * max(point[1] for point in points))
    chart.add_y_axis(name=up)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.svg"
    chart.to_svg(str(path))
    return path


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", choices=[*COMPARISONS, *WITH_DATA, []], metavar="NAME")
    parser.add_argument("--data", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, metavar="FOLDER")
    parser.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    given = parser.parse_args()
    names = given.names or [*COMPARISONS, *(WITH_DATA if given.data or given.list else ())]
    if given.data is None and not given.list and not WITH_DATA.keys().isdisjoint(names):
        parser.error("--data is missing: expected the folder with the images to measure on")
    for name in names:
        command = command_of(name, given.data)
        print(f"\n**{name}**: `python benchmarks/{' '.join(command)}`\n")
        if given.list:
            continue
        rows = rows_of(*command)
        print(markdown(rows), flush=True)
        if given.out is not None and name in CURVES:
            print(f"\n{draw(name, rows, given.out)}")


if __name__ == "__main__":
    main()
