"""A worker on arm64, joined to a hub on this machine, has to find what this machine finds.

    python benchmarks/arm64.py FOLDER [--images DIR] -- COMMAND…

COMMAND runs what is added to it in an arm64 system (a chroot under QEMU, `ssh pi`), in which FOLDER
has a Python environment with scanner installed from the lock, and whose network reaches this
machine's 127.0.0.1. The pictures come over the hub's share. Speeds under emulation mean nothing.

Prints how many verdicts agree and how far scores are apart; exit code 1 where they do not agree.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from scanner.samples import draw

# Scores of quantised nets have 256 levels: they are equal, not almost.
TOLERANCE = 0.0
PORT = "6390"


def scanner(home: Path, *words: str) -> str:
    """Run `scanner` here with a home of its own; what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "scanner", *words],
        env=environment(home),
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode not in {0, 3}:
        sys.exit(done.stderr)
    return done.stdout


def environment(home: Path) -> dict[str, str]:
    """The environment with all of the user's folders below `home`."""
    names = ("CONFIG", "STATE", "DATA")
    return os.environ | {f"XDG_{name}_HOME": str(home / name) for name in names}


def verdicts(home: Path, scan_id: int) -> dict[str, dict[str, Any]]:
    """Every row of a scan by path."""
    rows = map(json.loads, scanner(home, "verdicts", str(scan_id)).splitlines())
    return {row["path"]: row for row in rows}


def main() -> int:
    """Scan here, then there, and compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--images", type=Path)
    parser.add_argument("--seconds", type=float, default=540.0)
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        images = given.images or home / "images"
        if given.images is None:
            draw(images)
        here = json.loads(scanner(home, "scan", str(images), "--json"))["scan"]
        listen = ["hub", "--listen", f"127.0.0.1:{PORT}", "--share"]
        hub = subprocess.Popen(
            [sys.executable, "-m", "scanner", *listen],
            env=environment(home),
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            line = hub.stdout.readline() if hub.stdout else ""
            program = f"{given.folder}/bin/scanner"
            join = [*given.command, program, "join", "-"]
            subprocess.run(join, input=line, text=True, check=True)
            enqueued = json.loads(scanner(home, "enqueue", str(images), "--rescan", "--json"))
            there = enqueued["scan"]
            worker = subprocess.Popen(
                [*given.command, program, "worker", "--name", "arm64"], start_new_session=True
            )
            until = time.monotonic() + given.seconds
            pending = 1
            while pending and time.monotonic() < until:
                time.sleep(2)
                status = json.loads(scanner(home, "status", str(there), "--json"))
                pending = status["verdicts"]["pending"]
            os.killpg(worker.pid, signal.SIGTERM)
            worker.wait(60)
            report = json.loads(scanner(home, "report", str(there), "--format", "json"))
        finally:
            hub.terminate()
            hub.wait(60)
        return compare(verdicts(home, here), verdicts(home, there), report)


def compare(here: dict[str, Any], there: dict[str, Any], report: dict[str, Any]) -> int:
    """Print what agrees; the exit code."""
    same = sum(here[path]["verdict"] == there[path]["verdict"] for path in here)
    apart = [
        abs(here[path]["score"] - there[path]["score"])
        for path in here
        if here[path]["score"] is not None and there[path]["score"] is not None
    ]
    worst = max(apart, default=0.0)
    for host in report["hosts"]:
        print(f"{host['host']}, {host['arch']}: {host['images']} images, {host['info']}")
    print(f"{same} of {len(here)} verdicts agree; {len(apart)} scores, at most {worst:.2g} apart")
    arches = {host["arch"] for host in report["hosts"]}
    return 0 if same == len(here) and worst <= TOLERANCE and "aarch64" in arches else 1


if __name__ == "__main__":
    sys.exit(main())
