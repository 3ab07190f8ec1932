"""Confinement of a process that handles hostile files: it can read what it needs, and send nothing.

Linux has two means, and each is used where the kernel has it: Landlock for files, a filter of
system calls for the rest. Elsewhere only the limits on memory and time hold, and `doctor` says so.
"""

from __future__ import annotations

import os
import site
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from msgspec import Struct, json

from workers.confinement.landlock import landlock_version, restrict
from workers.confinement.seccomp import forbid_privileges, has_seccomp, refuse_calls
from workers.native_output import null_device

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Where systems keep libraries, and what libraries look up; not /proc, where other processes are,
# nor /dev, where disks are.
_SYSTEM = (
    *("/usr", "/lib", "/lib64", "/nix", "/gnu", "/sys/devices/system", "/proc/self", "/proc/sys"),
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems", "/proc/version"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/passwd", "/etc/nsswitch.conf", "/etc/os-release"),
    *("/dev/zero", "/dev/random", "/dev/urandom"),
)
_NULL = Path("/dev/null")
_LIBRARIES = "LD_LIBRARY_PATH"


class _Origin(Struct):
    """Where a package was installed from."""

    url: str = ""
    dir_info: dict[str, object] = {}


def missing_means() -> list[str]:
    """Return what this machine lacks of the means to confine a process."""
    lacks = {"Landlock": landlock_version() == 0, "seccomp": not has_seccomp()}
    return [name for name, is_missing in lacks.items() if is_missing]


def confine(readable: Sequence[Path] = (), writable: Sequence[Path] = ()) -> None:
    """Have this process read below these paths and Python's own, and write below the latter only.

    It has no network, starts no process, and reaches no other one. To be called before libraries
    start threads, since for these Landlock does not hold. Raises OSError.
    """
    null_device()
    if sys.platform.startswith("linux"):
        forbid_privileges()
    if landlock_version():
        restrict([*_own_paths(), *readable], [*writable, _NULL])
    if has_seccomp():
        refuse_calls(may_write=bool(writable))


def _own_paths() -> Iterator[Path]:
    """Yield where Python and its packages are, and what they look up."""
    yield from map(Path, _SYSTEM)
    yield Path(__file__).parents[1]
    yield from map(Path, {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix})
    yield from (Path(entry or os.curdir) for entry in sys.path)
    yield Path(site.getusersitepackages())
    yield from _editable_projects()
    yield from (Path(entry) for entry in os.environ.get(_LIBRARIES, "").split(":") if entry)


def _editable_projects() -> Iterator[Path]:
    """Yield the folders of packages that are installed in place (`pip install -e`, PEP 610).

    Python may find them by other means than `sys.path`.
    """
    for package in distributions():
        try:
            origin = json.decode(package.read_text("direct_url.json") or "{}", type=_Origin)
        except ValueError:
            continue
        if origin.dir_info.get("editable"):
            yield Path(unquote(urlsplit(origin.url).path))
