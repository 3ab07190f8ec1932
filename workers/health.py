"""How a machine is: what it is made of, and how warm, busy and full it is just now.

Each fact is left out where the system does not tell it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

PROC = Path("/proc")
SYS = Path("/sys")
MEGABYTE = 10**6
# Seconds for the Pi's own command, which takes milliseconds.
VCGENCMD_SECONDS = 2.0


def made_of() -> dict[str, str | int]:
    """The processor's or the board's name (`model`) and the memory (`memory_mb`)."""
    found: dict[str, str | int] = {}
    if model := _board() or _processor():
        found["model"] = "".join(one for one in model if one.isprintable())[:100]
    if total := _meminfo().get("MemTotal"):
        found["memory_mb"] = total // MEGABYTE
    return found


def health() -> dict[str, str | float]:
    """How it is now.

    `load` (processes that want to run, by cores, over a minute), `process_mb` (memory of this
    process) and `free_mb`, `temperature_c` of the warmest zone, and on a Pi `throttled`, the bits
    of `vcgencmd get_throttled` (0x0: all is well; bit 0: too little voltage, 1: slowed down, 2:
    throttled, 3: too warm; the same from bit 16 on: has been).
    """
    found: dict[str, str | float] = {"load": round(os.getloadavg()[0] / (os.cpu_count() or 1), 2)}
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int((PROC / "self" / "statm").read_text().split()[1])
        found["process_mb"] = pages * os.sysconf("SC_PAGE_SIZE") // MEGABYTE
    if free := _meminfo().get("MemAvailable"):
        found["free_mb"] = free // MEGABYTE
    if zones := _temperatures():
        found["temperature_c"] = round(max(zones), 1)
    if bits := _throttled():
        found["throttled"] = bits
    return found


def _board() -> str:
    with contextlib.suppress(OSError):
        return (PROC / "device-tree" / "model").read_text(errors="replace").strip("\0\n ")
    return ""


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in (PROC / "cpuinfo").read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return ""


def _meminfo() -> dict[str, int]:
    """Bytes by name."""
    found = {}
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (PROC / "meminfo").read_text().splitlines():
            name, _, value = line.partition(":")
            found[name] = int(value.split()[0]) * 1024
    return found


def _temperatures() -> list[float]:
    found = []
    for zone in (SYS / "class" / "thermal").glob("thermal_zone*/temp"):
        # A zone whose sensor is switched off cannot be read.
        with contextlib.suppress(OSError, ValueError):
            found.append(int(zone.read_text()) / 1000)
    # Below freezing is a sensor that is not there.
    return [one for one in found if one > 0]


def _throttled() -> str:
    command = shutil.which("vcgencmd")
    if command is None:
        return ""
    try:
        said = subprocess.run(  # noqa: S603 - found on the path, no argument of anyone's
            [command, "get_throttled"],
            capture_output=True,
            text=True,
            timeout=VCGENCMD_SECONDS,
            check=False,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    _, _, bits = said.strip().partition("throttled=")
    return bits[:20] if bits.startswith("0x") and bits.isprintable() else ""
