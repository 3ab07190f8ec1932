"""Measure how long commands take to start: one image, a warm file cache, in turns.

    python benchmarks/cold_start.py [--rounds 9] [--other FOLDER]

Prints a line of JSON for each command: medians of the seconds that passed and that processors
worked, and their ratios to the first command. Child processes are included, except the pool's that
judges the image: it is killed with its parent. `--other` measures another checkout in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from scanner.listing.sample_images import draw

HERE = Path(__file__).resolve().parents[1]
NOTHING = "python -c pass"


def commands(scanned: Path, folder: Path) -> dict[str, list[str]]:
    """Return what is measured; the scans are of a collection that each calls new."""
    scan = ["-m", "scanner", "scan", str(scanned), "--store"]
    return {
        NOTHING: ["-c", "pass"],
        "scanner --help": ["-m", "scanner", "--help"],
        "scan of one image": [*scan, str(folder / "old.db"), "--name"],
        "the same, new store": [*scan, str(folder / "new.db"), "--name"],
        "report": ["-m", "scanner", "report", "--store", str(folder / "old.db")],
    }


def seconds(arguments: list[str], checkout: Path, state: Path) -> tuple[float, float]:
    """Run Python with the code of a checkout; return the seconds of the clock and of processors."""
    environment = os.environ | {"PYTHONPATH": str(checkout), "XDG_STATE_HOME": str(state)}
    before, start = _processors(), time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        env=environment,
        cwd=state,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - start, _processors() - before


def _processors() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(checkouts: dict[str, Path], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return the seconds of each command of each checkout; the first round is thrown away."""
    found: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="cold-") as name:
        folder = Path(name)
        draw(folder / "drawn")
        photo = max((folder / "drawn").rglob("*.jpg"), key=lambda file: file.stat().st_size)
        scanned = folder / "photos"
        scanned.mkdir()
        photo.rename(scanned / "photo.jpg")
        for turn in range(rounds + 1):
            for label, checkout in checkouts.items():
                for what, arguments in commands(scanned, folder).items():
                    for file in folder.glob("new.db*"):
                        file.unlink()
                    fresh = [f"{label}{turn}"] if arguments[-1] == "--name" else []
                    used = seconds([*arguments, *fresh], checkout, folder)
                    if turn:
                        found.setdefault(f"{what}{label}", []).append(used)
    return found


def main() -> None:
    """Print a line for each command."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--other", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    checkouts = {"": HERE}
    if options.other is not None:
        checkouts[", other"] = options.other.resolve()
    least: tuple[float, ...] = ()
    for what, found in measure(checkouts, options.rounds).items():
        passed, worked = (median(column) for column in zip(*found, strict=True))
        least = least or (passed, worked)
        row = {
            "command": what,
            "s": round(passed, 3),
            "processor s": round(worked, 3),
            "x": round(passed / least[0], 1),
            "processor x": round(worked / least[1], 1),
        }
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
