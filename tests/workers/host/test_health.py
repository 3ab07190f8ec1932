"""The health of a machine, as its system reports it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from storage.writes.received import Received
from storage.writes.results import Host
from workers.broker.result_message import decode_result, encode_result
from workers.broker.signatures import Signer
from workers.host import capacity, health, identity
from workers.host.identity import HostStatus

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the files of a Raspberry Pi's system, in folders that replace /proc, /sys and PATH."""
    proc, sys = tmp_path / "proc", tmp_path / "sys"
    (proc / "device-tree").mkdir(parents=True)
    (proc / "device-tree" / "model").write_bytes(b"Raspberry Pi 4 Model B Rev 1.5\0")
    (proc / "meminfo").write_text("MemTotal:  3884000 kB\nMemAvailable:  1000000 kB\n")
    (proc / "self").mkdir()
    (proc / "self" / "statm").write_text("90000 25000 8000 1 0 1 0\n")
    for number, millidegrees in enumerate(("48312", "81250", "-274000", "junk")):
        zone = sys / "class" / "thermal" / f"thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "temp").write_text(millidegrees)
    command = tmp_path / "bin" / "vcgencmd"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\n[ $1 = get_throttled ] && echo throttled=0x50005\n")
    command.chmod(0o755)
    monkeypatch.setattr(capacity, "PROC", proc)
    monkeypatch.setattr(capacity, "SYS", sys)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    return tmp_path


def test_a_pi(pi: Path) -> None:
    """A Pi reports its board, memory, warmest zone and throttling bits."""
    facts = health.health()

    assert {"model": "Raspberry Pi 4 Model B Rev 1.5", "memory_mb": 3977} == health.hardware()
    assert (81.2, "0x50005", 1024) == (facts["temperature_c"], facts["throttled"], facts["free_mb"])
    assert 25000 * os.sysconf("SC_PAGE_SIZE") // 10**6 == facts["process_mb"]


def test_another_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that reports nothing has no facts but the load."""
    monkeypatch.setattr(capacity, "PROC", tmp_path)
    monkeypatch.setattr(capacity, "SYS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert {} == health.hardware()
    assert {"load"} == health.health().keys()


def test_a_command_that_fails(pi: Path) -> None:
    """A `vcgencmd` that fails reports no throttling."""
    (pi / "bin" / "vcgencmd").write_text("#!/bin/sh\necho VCHI initialization failed\nexit 1\n")

    assert "throttled" not in health.health()


def test_throttling_reason(pi: Path) -> None:
    """A Pi reports why it is throttled, by its command or its kernel's file."""
    assert "undervoltage, throttled" == health.throttling_reason()
    file = pi / "sys" / "devices" / "platform" / "soc" / "soc:firmware" / "get_throttled"
    file.parent.mkdir(parents=True)
    file.write_text("50000\n")

    assert "" == health.throttling_reason()
    assert "0x50000" == health.health()["throttled"]


def test_bits() -> None:
    """The bits for now and since boot are separate; invalid bits have no meaning."""
    assert (["frequency capped"], ["undervoltage", "at its temperature limit"]) == (
        health.decode_throttled("0x90002")
    )
    assert ([], []) == health.decode_throttled("0x0") == health.decode_throttled("junk")


def test_throttling_reason_by_heat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another board is throttled if a zone is at its kernel's passive trip point."""
    monkeypatch.setattr(capacity, "SYS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    zone = tmp_path / "class" / "thermal" / "thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "temp").write_text("84900\n")
    for number, (kind, trip) in enumerate(
        (("critical", 70000), ("passive", 85000), ("passive", 0))
    ):
        (zone / f"trip_point_{number}_type").write_text(f"{kind}\n")
        (zone / f"trip_point_{number}_temp").write_text(f"{trip}\n")
    assert "" == health.throttling_reason()
    (zone / "temp").write_text("85100\n")

    assert "85 °C" == health.throttling_reason()


def test_health_checks_are_limited(pi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host's health is checked twice a minute; its identity stays the same."""
    now = [1000.0]
    monkeypatch.setattr(identity.time, "monotonic", lambda: now[0])
    status = HostStatus(Host("a" * 32, "pi4", "aarch64", {"cores": 4}))
    first = status.current()
    (pi / "sys" / "class" / "thermal" / "thermal_zone1" / "temp").write_text("50000")
    now[0] += 29
    assert status.current() is first
    now[0] += 1
    assert status.is_due()

    assert 50.0 == status.current().info["temperature_c"]
    assert 4 == status.current().info["cores"]


def test_it_fits_a_message(pi: Path) -> None:
    """The result writer accepts the facts about a host."""
    host = HostStatus(Host("a" * 32, "pi4", "aarch64", dict(health.hardware()))).current()

    result = Received(1, 1, 1, host, "pi4:1", 0.0, 0.0, ())
    machine = Signer(host.host_id, b"m" * 32)
    sent = encode_result(result, b"t" * 32, "s1", machine)
    received = decode_result(sent, "s1", lambda _: machine.public_key, lambda *_: b"t" * 32)

    assert host == received.host
