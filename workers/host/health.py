"""How a machine is: what it is made of, and how warm, busy and full it is just now.

Each fact is left out where the system does not tell it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from workers.host import capacity
from workers.host.capacity import MEGABYTE, free_mb, meminfo

if TYPE_CHECKING:
    from pathlib import Path

# Seconds for the Pi's own command, which takes milliseconds.
VCGENCMD_SECONDS = 2.0
# The bits of `get_throttled` that say how a Pi is now; from bit 16 on they say how it has been.
THROTTLED = {
    0: "too little voltage",
    1: "clock held down",
    2: "throttled",
    3: "at its temperature limit",
}
# Where a Pi's kernel has the same, without 0x and for everyone to read.
THROTTLED_FILE = "devices/platform/soc/soc:firmware/get_throttled"


def made_of() -> dict[str, str | int]:
    """The processor's or the board's name (`model`) and the memory (`memory_mb`)."""
    found: dict[str, str | int] = {}
    if model := _board() or _processor():
        found["model"] = "".join(one for one in model if one.isprintable())[:100]
    if total := meminfo().get("MemTotal"):
        found["memory_mb"] = total // MEGABYTE
    return found


def health() -> dict[str, str | float]:
    """How it is now.

    `load` (processes that want to run, by cores, over a minute), `process_mb` (memory of this
    process) and `free_mb` (what is left to it), `temperature_c` of the warmest zone, and on a Pi
    `throttled`, the bits of `vcgencmd get_throttled` (0x0: all is well; see THROTTLED).
    """
    found: dict[str, str | float] = {"load": round(os.getloadavg()[0] / (os.cpu_count() or 1), 2)}
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int((capacity.PROC / "self" / "statm").read_text().split()[1])
        found["process_mb"] = pages * os.sysconf("SC_PAGE_SIZE") // MEGABYTE
    if (free := free_mb()) is not None:
        found["free_mb"] = free
    if zones := _temperatures():
        found["temperature_c"] = round(max(zones), 1)
    if bits := _throttled():
        found["throttled"] = bits
    return found


def slowed_down() -> str:
    """Why the board runs slower than it could just now; empty where it does not, or nobody knows.

    A Pi says so itself; elsewhere a zone has reached the temperature from which its kernel slows
    the processor down.
    """
    if bits := _throttled():
        now, _ = throttling(bits)
        return ", ".join(now)
    for zone in _zones():
        if _is_held_down(zone):
            return f"{_temperature(zone):.0f} °C"
    return ""


def throttling(bits: str) -> tuple[list[str], list[str]]:
    """What a Pi's bits say of now, and of the time since it was started; nothing for nonsense."""
    try:
        told = int(bits, 16)
    except ValueError:
        return [], []
    now, before = (
        [words for bit, words in THROTTLED.items() if told >> bit + first & 1] for first in (0, 16)
    )
    return now, before


def _board() -> str:
    with contextlib.suppress(OSError):
        return (capacity.PROC / "device-tree" / "model").read_text(errors="replace").strip("\0\n ")
    return ""


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in (capacity.PROC / "cpuinfo").read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return ""


def _zones() -> list[Path]:
    return sorted((capacity.SYS / "class" / "thermal").glob("thermal_zone*"))


def _temperatures() -> list[float]:
    found = [one for one in map(_temperature, _zones()) if one is not None]
    # Below freezing is a sensor that is not there.
    return [one for one in found if one > 0]


def _temperature(zone: Path) -> float | None:
    """In degrees Celsius; a zone whose sensor is switched off cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        return int((zone / "temp").read_text()) / 1000
    return None


def _is_held_down(zone: Path) -> bool:
    now = _temperature(zone)
    for kind in zone.glob("trip_point_*_type"):
        with contextlib.suppress(OSError, ValueError):
            trip = int(kind.with_name(kind.name.replace("_type", "_temp")).read_text()) / 1000
            # Where none is set it is 0 or below.
            if kind.read_text().strip() == "passive" and now is not None and 0 < trip <= now:
                return True
    return False


def _throttled() -> str:
    """The bits as `0x50005`; empty where this is no Pi, or it does not tell."""
    said = ""
    with contextlib.suppress(OSError):
        said = "0x" + (capacity.SYS / THROTTLED_FILE).read_text().strip()
    if not said and (command := shutil.which("vcgencmd")):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            answer = subprocess.run(  # noqa: S603 - found on the path, no argument of anyone's
                [command, "get_throttled"],
                capture_output=True,
                text=True,
                timeout=VCGENCMD_SECONDS,
                check=False,
            ).stdout
            said = answer.strip().removeprefix("throttled=")
    with contextlib.suppress(ValueError):
        return hex(int(said, 16))
    return ""
