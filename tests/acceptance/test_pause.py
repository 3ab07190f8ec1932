"""A machine that pauses."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    # The types of the fixtures, see conftest.py.
    Fleet = Any


def test_paused_and_unpaused(
    fleet_on: Callable[[str], Fleet], photos: Path, tmp_path: Path
) -> None:
    """A paused worker finishes its batch and takes no other until `unpause`."""
    fleet = fleet_on(f"sqlite:///{tmp_path}/store.db")
    fleet.work("--name", "attic")
    scan_id = fleet.cli.json("enqueue", photos, "--json")["scan"]
    fleet.wait(scan_id, lambda seen: seen.judged > 0)
    fleet.cli.run("pause", "attic")
    until, before, seen = time.monotonic() + 60, -1, 0
    while seen != before and time.monotonic() < until:
        before = seen
        time.sleep(3)
        seen = fleet.counts(scan_id).judged
    status = fleet.cli.run("status").stdout

    assert 0 < seen < 400
    assert "attic:" in status
    assert "paused; resume with `scanner unpause`" in status
    assert "takes work again" in fleet.cli.run("unpause", "attic").stdout
    assert 400 == fleet.wait(scan_id, lambda seen: seen.pending == 0).no_evidence


def test_unknown_host(fleet_on: Callable[[str], Fleet], photos: Path, tmp_path: Path) -> None:
    """An unknown host is an error that names what is near, and so is one that was not paused."""
    fleet = fleet_on(f"sqlite:///{tmp_path}/store.db")

    said = fleet.cli.run("pause", "attic", check=2).stderr
    assert "invalid host 'attic': no machine has joined or worked yet" in said

    fleet.work("--name", "attic")
    scan_id = fleet.cli.json("enqueue", photos, "--include", "00*.jpg", "--json")["scan"]
    fleet.wait(scan_id, lambda seen: seen.pending == 0)

    for command in ("pause", "unpause"):
        said = fleet.cli.run(command, "atic", check=2).stderr
        assert "invalid host 'atic': did you mean attic?" in said
    assert "attic was not paused" in fleet.cli.run("unpause", "attic").stdout
    assert "invalid time range '25-3'" in fleet.cli.run("worker", "--hours", "25-3", check=2).stderr
