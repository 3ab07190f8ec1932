"""Run each row of tests/faults several times, and write the table of docs/reference/reliability.md.

    python benchmarks/faults.py [--runs 10] [--at-once 2] [--measured FILE] [PYTEST ARGUMENT…]

Each test that ends adds a line to the file, whether it passed or failed, so a run that was stopped
goes on where it was: the tests with the fewest runs come first, until each has so many. The file of
the table is in the repository, so that further runs add to it; `--runs 0` makes the table from what
is there. The reasons of failures are next to the file, one text each, on this machine alone.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "reliability.md"
MEASURED = ROOT / "benchmarks" / "measured" / "faults.jsonl"
BEGIN, END = "<!-- table -->\n", "<!-- end of the table -->\n"
HEAD = """\
| what breaks | runs | failed | recovery, p50 | p95 | images read twice, p50 | at most |
|---|--:|--:|--:|--:|--:|--:|
"""
# Characters of a reason that the page has room for, and what it does not show.
REASON_CHARACTERS = 70
_PATH = re.compile(r"(/[\w.+-]+){2,}")


class Collector:
    """Keeps the tests that pytest finds."""

    def __init__(self) -> None:
        self.tests: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Keep the ids of the tests."""
        self.tests = [item.nodeid for item in session.items]


class Recorder:
    """Adds a line to a file for each test that ends."""

    def __init__(self, measured: Path, at_once: int) -> None:
        self._measured = measured
        self._at_once = at_once
        self._failures: dict[str, str] = {}
        git = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
        done = subprocess.run(git, check=False, capture_output=True, text=True)
        self._commit = done.stdout.strip()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep why a test failed, and write its line when all of it is over."""
        if report.failed:
            self._failures.setdefault(report.nodeid, str(report.longrepr))
        if report.skipped:
            return
        if report.when == "teardown":
            self._write(report)

    def _write(self, report: pytest.TestReport) -> None:
        failure = self._failures.pop(report.nodeid, None)
        measured = [value for name, value in report.user_properties if name == "measured"]
        if failure is None and not measured:
            return  # skipped
        line = {
            "test": report.nodeid,
            "passed": failure is None,
            "measured": measured,
            "reason": "" if failure is None else shown(reason_of(failure)),
            "commit": self._commit,
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "cores": os.cpu_count(),
            "at_once": self._at_once,
            "load": round(os.getloadavg()[1], 1),
        }
        with self._measured.open("a") as file:
            file.write(json.dumps(line) + "\n")
        if failure is not None:
            folder = self._measured.with_suffix(".failures")
            folder.mkdir(exist_ok=True)
            name = re.sub(r"\W+", "-", report.nodeid.rpartition("/")[2])
            (folder / f"{name}-{time.time():.0f}.txt").write_text(failure)


def reason_of(failure: str) -> str:
    """Return the first line of pytest's message in its account of a failure."""
    lines = (line[1:].strip() for line in failure.splitlines() if line.startswith("E "))
    return next(filter(None, lines), failure.strip().rpartition("\n")[2])


def shown(reason: str) -> str:
    """Return the start of a reason, without paths of this machine."""
    return _PATH.sub("…", reason)[:REASON_CHARACTERS]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the values does not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def read(measured: Path) -> list[dict[str, Any]]:
    """Return the lines of the file."""
    return [json.loads(line) for line in measured.read_text().splitlines()]


def table(lines: Iterable[dict[str, Any]]) -> str:
    """Return a row for each test, in their order by name, and the reasons of failures below."""
    by_test: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        by_test[line["test"]].append(line)
    rows, reasons = [], []
    for test, runs in sorted(by_test.items()):
        found = [each for run in runs for each in run["measured"]]
        name = found[-1]["row"] if found else f"`{test.rpartition('::')[2]}`"
        failed = Counter(shown(run["reason"]) for run in runs if not run["passed"])
        numbers = [" - "] * 4
        if found:
            seconds, twice = ([each[key] for each in found] for key in ("recovery_s", "twice"))
            numbers = [f" {percentile(seconds, share):.0f} s " for share in (0.5, 0.95)]
            numbers += [f" {number:.0f} " for number in (percentile(twice, 0.5), max(twice))]
        rows.append(f"| {name} | {len(runs)} | {failed.total()} |{'|'.join(numbers)}|\n")
        reasons += [
            f"- {name}, {number} of {len(runs)}: `{why}`\n" for why, number in failed.items()
        ]
    return HEAD + "".join(rows) + ("\nFailed:\n\n" + "".join(reasons) if reasons else "")


def conditions(lines: Sequence[dict[str, Any]]) -> str:
    """Return one sentence on the machine, by what was noted at the end of each run."""
    days, commits, cores, at_once = (
        ", ".join(dict.fromkeys(str(line[key])[:10] for line in lines))
        for key in ("ended", "commit", "cores", "at_once")
    )
    load = [line["load"] for line in lines]
    return (
        f"{len(lines)} runs of {commits}, on {days};\n"
        f"{cores} cores, {at_once} runs at once, "
        f"load average {min(load)} to {max(load)}, at the median {percentile(load, 0.5)}.\n"
    )


def least_run(tests: Iterable[str], measured: Path, runs: int) -> tuple[int, list[str]]:
    """Return the fewest runs that a test has, and the tests with as many; none if all are done."""
    counts = Counter(line["test"] for line in read(measured))
    fewest = min((counts[test] for test in tests), default=runs)
    return fewest, [test for test in tests if counts[test] == fewest < runs]


def main() -> int:
    """Run the suite and write the table; return how many runs failed, 100 at most."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--measured", type=Path, default=MEASURED)
    given, arguments = parser.parse_known_args()
    measured: Path = given.measured.resolve()
    measured.parent.mkdir(exist_ok=True)
    os.chdir(ROOT)
    measured.touch()
    common = ["-c", "pyproject.toml", "-q", "-p", "no:cacheprovider"]
    collector = Collector()
    pytest.main([*common, "--collect-only", "-qq", "tests/faults", *arguments], [collector])
    workers = ["-n", str(given.at_once), "--dist", "worksteal"]
    tests, known = collector.tests, None
    while (least := least_run(tests, measured, given.runs))[1]:
        if least == known:  # they are skipped here
            tests = [test for test in tests if test not in least[1]]
            continue
        known = least
        print(f"{len(least[1])} tests with {least[0]} runs", flush=True)
        pytest.main([*common, *workers, *least[1]], [Recorder(measured, given.at_once)])
    lines = read(measured)
    if lines:
        head, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        _, _, tail = rest.partition(END)
        text = f"{table(lines)}\n{conditions(lines)}"
        PAGE.write_text(f"{head}{BEGIN}{text}{END}{tail}", "utf-8")
    return min(100, sum(not line["passed"] for line in lines))


if __name__ == "__main__":
    sys.exit(main())
