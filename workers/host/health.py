"""Hardware and health of this machine: board, memory, temperature, load, throttling.

Each fact is omitted where the system does not tell.
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

# For the Pi's own command, which takes milliseconds.
VCGENCMD_SECONDS = 2.0
# The bits of `get_throttled` for the present; from bit 16 on they are for the time since boot.
THROTTLED = {
    0: "undervoltage",
    1: "frequency capped",
    2: "throttled",
    3: "at its temperature limit",
}
# Where a Pi's kernel has the same bits, without 0x and readable for everyone.
THROTTLED_FILE = "devices/platform/soc/soc:firmware/get_throttled"


def hardware() -> dict[str, str | int]:
    """Return the name of the board or processor (`model`) and the memory (`memory_mb`)."""
    facts: dict[str, str | int] = {}
    if model := _board() or _processor():
        facts["model"] = "".join(filter(str.isprintable, model))[:100]
    if total := meminfo().get("MemTotal"):
        facts["memory_mb"] = total // MEGABYTE
    return facts


def health() -> dict[str, str | float]:
    """Return the present health.

    `load` (average of a minute per core), `process_mb` (memory of this process), `free_mb`
    (memory left for it), `temperature_c` (of the warmest zone), and on a Pi `throttled`, the bits
    of `vcgencmd get_throttled` (0x0 is well; see THROTTLED).
    """
    facts: dict[str, str | float] = {"load": round(os.getloadavg()[0] / (os.cpu_count() or 1), 2)}
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int((capacity.PROC / "self" / "statm").read_text().split()[1])
        facts["process_mb"] = pages * os.sysconf("SC_PAGE_SIZE") // MEGABYTE
    if (free := free_mb()) is not None:
        facts["free_mb"] = free
    if temperatures := _temperatures():
        facts["temperature_c"] = round(max(temperatures), 1)
    if bits := _throttled():
        facts["throttled"] = bits
    return facts


def throttling_reason() -> str:
    """Return why the board is throttled now; empty if it is not, or the system does not tell.

    A Pi reports it; elsewhere, a zone has reached the temperature at which its kernel slows the
    processor down.
    """
    if bits := _throttled():
        now, _ = decode_throttled(bits)
        return ", ".join(now)
    for zone in _zones():
        if _is_passively_cooled(zone):
            return f"{_temperature(zone):.0f} °C"
    return ""


def decode_throttled(bits: str) -> tuple[list[str], list[str]]:
    """Return the meanings of a Pi's bits for now and since boot; none if they are invalid."""
    try:
        value = int(bits, 16)
    except ValueError:
        return [], []
    now, before = (
        [meaning for bit, meaning in THROTTLED.items() if value >> bit + first & 1]
        for first in (0, 16)
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
    # A missing sensor shows zero or less.
    return [value for zone in _zones() if (value := _temperature(zone)) is not None and value > 0]


def _temperature(zone: Path) -> float | None:
    """Return the degrees Celsius of a zone; None if its sensor is switched off."""
    with contextlib.suppress(OSError, ValueError):
        return int((zone / "temp").read_text()) / 1000
    return None


def _is_passively_cooled(zone: Path) -> bool:
    """Return whether a zone has reached the temperature at which the processor slows down."""
    now = _temperature(zone)
    for kind in zone.glob("trip_point_*_type"):
        with contextlib.suppress(OSError, ValueError):
            trip = int(kind.with_name(kind.name.replace("_type", "_temp")).read_text()) / 1000
            # An unset trip point is 0 or less.
            if kind.read_text().strip() == "passive" and now is not None and 0 < trip <= now:
                return True
    return False


def _throttled() -> str:
    """Return the bits of a Pi, such as `0x50005`; empty if they cannot be read."""
    bits = ""
    with contextlib.suppress(OSError):
        bits = "0x" + (capacity.SYS / THROTTLED_FILE).read_text().strip()
    if not bits and (command := shutil.which("vcgencmd")):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            answer = subprocess.run(  # noqa: S603 - found on the path, fixed arguments
                [command, "get_throttled"],
                capture_output=True,
                text=True,
                timeout=VCGENCMD_SECONDS,
                check=False,
            ).stdout
            bits = answer.strip().removeprefix("throttled=")
    with contextlib.suppress(ValueError):
        return hex(int(bits, 16))
    return ""
