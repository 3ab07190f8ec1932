"""A hub and the machines that join it, as users set them up."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from typing import TYPE_CHECKING

import pytest
import redis
from fleets import start_hub, wait_for
from ports import free_port

from scanner.listing.sample_images import draw
from scanner.processes.embedded_broker import TlsNotFound, find_tls_program

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    # The types of the fixtures, see conftest.py.
    Machine = Any


def rows(hub: Machine, scan_id: int) -> list[dict[str, Any]]:
    """Return the rows of `scanner verdicts` without host and timings."""
    found = [json.loads(line) for line in hub.cli.run("verdicts", str(scan_id)).stdout.splitlines()]
    for row in found:
        for name in ("host", "fetch_ms", "decode_ms", "infer_ms"):
            del row[name]
    return sorted(found, key=lambda row: str(row["path"]))


def test_fleet_with_a_share(
    machine: Callable[[str], Machine],
    photos: Path,
    tmp_path: Path,
    started: list[subprocess.Popen[str]],
) -> None:
    """A machine with the folder at another path and one without find what `scan` finds."""
    hub, mounted, bare = machine("hub"), machine("mounted"), machine("bare")
    for file in photos.glob("[123]*.jpg"):
        file.unlink()
    for file in photos.glob("*.jpg"):
        file.with_suffix(".txt").write_text("a cat\nSteps: 20, CFG scale: 7, Seed: 1")
    # Images of many kinds, some of which cannot be read.
    draw(photos / "samples")
    alone = hub.cli.json("scan", photos, "--json", check=3)["scan"]
    port = free_port()
    process, line = start_hub(hub, port, started)
    for one in (mounted, bare):
        one.join(line)
    mount = tmp_path / "mnt"
    mount.symlink_to(photos)
    # On the hub's own machine no option is needed.
    scan_id = hub.cli.json("enqueue", photos, "--rescan", "--json")["scan"]
    workers = [
        mounted.cli.start(
            "worker", "--concurrency", "1", "--name", "mounted", "--root", f"photos={mount}"
        ),
        bare.cli.start("worker", "--concurrency", "1", "--name", "bare"),
    ]
    started += workers
    wait_for(hub, scan_id, 20)
    os.killpg(process.pid, signal.SIGKILL)
    _, again = start_hub(hub, port, started)
    assert line == again
    hub.cli.run("status", str(scan_id), "--watch", check=3)
    report = hub.cli.json("report", str(scan_id), "--format", "json")

    assert alone != scan_id
    assert rows(hub, alone) == rows(hub, scan_id)
    assert len(list(photos.glob("*.txt"))) <= report["verdicts"]["ai"]
    assert {"mounted", "bare"} == {one["host"] for one in report["hosts"]}
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    said = [worker.communicate(timeout=60)[1] for worker in workers]
    assert re.search(rf"  photos: in {mount}\n", said[0])
    assert f"  photos: from the hub's share http://127.0.0.1:{port + 1}\n" in said[1]
    # No output contains the secret.
    secret = line.partition(":@")[0].rpartition("redis://:")[2].partition("@")[0]
    assert secret
    assert not any(secret in one for one in said)


def test_wrong_folder_is_refused(
    machine: Callable[[str], Machine],
    photos: Path,
    tmp_path: Path,
    started: list[subprocess.Popen[str]],
) -> None:
    """A worker with another folder reports that and takes no work; secrets are not printed."""
    hub, pi = machine("hub"), machine("pi")
    _, line = start_hub(hub, free_port(), started)
    pi.join(line)
    hub.cli.run("enqueue", photos)
    other = tmp_path / "other"
    draw(other)
    refused = pi.cli.run("worker", "--root", f"photos={other}", check=1)

    assert "other is not the collection photos: 5 of 5 files" in refused.stderr
    assert 0 == hub.cli.json("status", "--json")["verdicts"]["no_evidence"]


def test_tls(
    machine: Callable[[str], Machine],
    photos: Path,
    started: list[subprocess.Popen[str]],
) -> None:
    """With --tls, queue and share are encrypted, each machine has its own user, and stays shut out.

    Needs the system's server: the one that comes with scanner has no TLS.
    """
    try:
        find_tls_program()
    except TlsNotFound:
        pytest.skip("needs the system's valkey-server or redis-server")
    for file in photos.glob("[123]*.jpg"):
        file.unlink()
    hub, pi = machine("hub"), machine("pi")
    port = free_port()
    process, line = start_hub(hub, port, started, "--tls")
    pi.join(line)
    scan_id = hub.cli.json("enqueue", photos, "--json")["scan"]
    worker = pi.cli.start("worker", "--concurrency", "1", "--name", "pi")
    started.append(worker)
    wait_for(hub, scan_id, 20)
    os.killpg(process.pid, signal.SIGKILL)
    _, again = start_hub(hub, port, started, "--tls")
    hub.cli.run("status", str(scan_id), "--watch")
    report = hub.cli.json("report", str(scan_id), "--format", "json")
    (joined,) = hub.cli.json("hub", "machines", "--json")["machines"]
    hub.cli.run("hub", "revoke", joined["id"])
    # The hub looks for changes once a second.
    time.sleep(2)
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=60)
    refused = pi.cli.run("worker", check=None)
    with redis.Redis(port=port) as plain, pytest.raises(redis.ConnectionError):
        plain.ping()

    assert line.startswith("scanner join 'scanner+rediss://")
    assert line == again
    assert {"pi": 100} == {one["host"]: one["images"] for one in report["hosts"]}
    assert 4 == refused.returncode
    assert "Authentication with broker rediss://" in refused.stderr
