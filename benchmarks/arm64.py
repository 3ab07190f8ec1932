"""Compare the verdicts of a worker on arm64 with those of this machine.

    python benchmarks/arm64.py FOLDER [--images DIR] -- COMMAND…
    sudo python benchmarks/arm64.py FOLDER [--images DIR] --chroot ROOT

COMMAND runs its further arguments in an arm64 system (`ssh pi`), in which FOLDER has a Python
environment with scanner installed from the lock file, and whose network reaches this machine's
127.0.0.1. ROOT is the folder of an arm64 system that runs here under QEMU (debootstrap and
qemu-user-static make one); speeds there mean nothing. The images come from the hub's share.

Prints how many verdicts agree and how far scores are apart; exits with 1 if they do not agree.
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

from scanner.listing.sample_images import draw

# Scores of quantised models have 256 levels and are equal; floating-point scores nearly are.
TOLERANCE = 1e-4
PORT = "6390"


# LiteRT asks /proc/cpuinfo what its processor can do. Under QEMU that is the host's, of which it
# makes nothing, and it crashes at the first net: so the root gets that of a Raspberry Pi 4. And its
# processor: with QEMU's own (`max`, in 7.2) XNNPACK's quantised kernels give wrong numbers.
QEMU_CPU = "cortex-a72"
CORE = """processor\t: {}
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""
ENTER = """
set -e
mount -t proc proc "$0/proc"; mount --bind "$1" "$0/proc/cpuinfo"; shift
mount --rbind /sys "$0/sys"; mount --bind /dev "$0/dev"; mount -t tmpfs tmpfs "$0/dev/shm"
HOME=/root exec chroot "$0" "$@"
"""


def in_root(root: str, cpuinfo: Path) -> list[str]:
    """Yield a command that runs its arguments in an arm64 root; unmount the root afterwards."""
    cpuinfo.write_text("".join(CORE.format(number) for number in range(os.cpu_count() or 1)))
    private = ["unshare", "--mount", "--propagation", "private"]
    return ["env", f"QEMU_CPU={QEMU_CPU}", *private, "sh", "-c", ENTER, root, str(cpuinfo)]


def scanner(home: Path, *words: str) -> str:
    """Run `scanner` here with a separate home; return its output."""
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
    """Return the environment with all of the user's folders below `home`."""
    names = ("CONFIG", "STATE", "DATA")
    return os.environ | {f"XDG_{name}_HOME": str(home / name) for name in names}


def verdicts(home: Path, scan_id: int) -> dict[str, dict[str, Any]]:
    """Return every row of a scan by path."""
    rows = map(json.loads, scanner(home, "verdicts", str(scan_id)).splitlines())
    return {row["path"]: row for row in rows}


def main() -> int:
    """Scan here, then there, and compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--images", type=Path)
    parser.add_argument("--seconds", type=float, default=540.0)
    parser.add_argument("--chroot")
    parser.add_argument("command", nargs="*")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        command = given.command
        if given.chroot:
            command = in_root(given.chroot, home / "cpuinfo")
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
            join = [*command, program, "join", "-"]
            subprocess.run(join, input=line, text=True, check=True)
            enqueued = json.loads(scanner(home, "enqueue", str(images), "--rescan", "--json"))
            there = enqueued["scan"]
            worker = subprocess.Popen(
                [*command, program, "worker", "--name", "arm64"], start_new_session=True
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
    """Print what agrees; return the exit code."""
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
