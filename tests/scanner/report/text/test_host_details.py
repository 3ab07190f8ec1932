"""Hardware and health of a machine, in words."""

from __future__ import annotations

from scanner.report.text.host_details import hardware, health

PI = {
    "model": "Raspberry Pi 4 Model B Rev 1.5",
    "cores": 4,
    "memory_mb": 3977,
    "runtime": "LiteRT 2.3.0",
    "processes": 4,
    "threads": 1,
    "load": 0.974,
    "process_mb": 143,
    "free_mb": 2871,
    "temperature_c": 81.2,
    "throttled": "0x50005",
}


def test_raspberry_pi() -> None:
    """Board, runtime and processes are named; load, memory, temperature and throttling, too."""
    assert (
        "Raspberry Pi 4 Model B Rev 1.5, 4 cores, 3,977 MB, LiteRT 2.3.0, 4 processes of 1 thread"
        == hardware(PI)
    )
    assert (
        "load 0.97 per core, 143 MB per process, 2,871 MB free, 81.2 °C, "
        "slowed down: undervoltage, throttled" == health(PI)
    )


def test_past_throttling() -> None:
    """Bits from 16 on mean past throttling; 0 means none."""
    assert "slowed down since boot: throttled" == health({"throttled": "0x40000"})
    assert "not throttled" == health({"throttled": "0x0"})


def test_unknown_values() -> None:
    """Unknown and invalid values are left out."""
    assert "" == hardware({}) == health({})
    assert "" == hardware({"model": 5, "cores": "many", "memory_mb": True})
    assert "a\\x1b[31mb" == hardware({"model": "a\x1b[31mb"})
