"""The cores and the memory that a machine, a container or a service offers."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

import pytest

from workers.host import capacity

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GIB = 2**30


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that makes a machine in folders that replace /proc and /sys."""

    def make(cores: int, available_kb: int) -> Path:
        (tmp_path / "proc" / "self").mkdir(parents=True)
        (tmp_path / "proc" / "meminfo").write_text(
            f"MemTotal:  99999999 kB\nMemAvailable:  {available_kb} kB\n"
        )
        (tmp_path / "proc" / "self" / "cgroup").write_text("0::/system.slice/worker.service\n")
        group = tmp_path / "sys" / "fs" / "cgroup" / "system.slice" / "worker.service"
        group.mkdir(parents=True)
        monkeypatch.setattr(capacity, "PROC", tmp_path / "proc")
        monkeypatch.setattr(capacity, "SYS", tmp_path / "sys")
        monkeypatch.setattr(capacity.os, "sched_getaffinity", lambda _pid: set(range(cores)))
        return group

    return make


@pytest.mark.parametrize(
    ("cores", "available_kb", "processes"),
    [
        # A Pi 3 with 700 MB left: 330 for a picture, 140 for each of two processes.
        (4, 683_594, 2),
        # A Pi 4 with 3.5 GB left, and a server that has less for each core.
        (4, 3_417_969, 4),
        (64, 1_953_125, 11),
        # One works even where memory is short.
        (4, 100_000, 1),
    ],
)
def test_processes(
    system: Callable[..., Path], cores: int, available_kb: int, processes: int
) -> None:
    """There is a process per core, as long as memory suffices for them and a large image."""
    system(cores, available_kb)

    assert processes == capacity.max_processes()


def test_a_service_with_a_memory_limit(system: Callable[..., Path]) -> None:
    """The tightest limit counts, without evictable file cache."""
    group = system(8, 16_000_000)
    (group / "memory.max").write_text(f"{2 * GIB}\n")
    (group / "memory.current").write_text(f"{GIB + GIB // 2}\n")
    (group / "memory.stat").write_text(f"anon 5\ninactive_file {GIB // 4}\nactive_file 7\n")
    (group.parent / "memory.max").write_text("max\n")

    # 0.5 + 0.25 GiB are 805 MB: (805 - 330) / 140 processes.
    assert 805 == capacity.free_mb()
    assert 3 == capacity.max_processes()


@pytest.mark.parametrize(("quota", "cores"), [("150000 100000", 2), ("max 100000", 8), ("junk", 8)])
def test_a_container_with_fewer_cores(system: Callable[..., Path], quota: str, cores: int) -> None:
    """The CPU quota of any surrounding group counts, rounded up."""
    group = system(8, 16_000_000)
    (group.parent / "cpu.max").write_text(f"{quota}\n")

    assert cores == capacity.usable_cores()


def test_unknown_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without /proc, as on macOS, there is a process per core."""
    monkeypatch.setattr(capacity, "PROC", tmp_path)
    monkeypatch.setattr(capacity, "SYS", tmp_path)

    assert capacity.free_mb() is None
    assert capacity.private_mb() is None
    assert capacity.usable_cores() == capacity.max_processes()


def test_private_memory() -> None:
    """The private memory of this process grows with its allocations."""
    before = capacity.private_mb()
    # Not from the allocator, which may have memory left over from another test.
    with mmap.mmap(-1, 200_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as taken:
        while taken.tell() < len(taken):
            taken.write(b"x" * 1_000_000)
        after = capacity.private_mb()

    assert before is not None
    assert after is not None
    assert 190 < after - before < 260
