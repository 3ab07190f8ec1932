"""Checks of a worker before it takes work."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from msgspec import json

from scanner.fleet import preflight, self_test
from scanner.fleet.fingerprint import take_fingerprint
from scanner.fleet.preflight import PreflightError
from scanner.fleet.producer import ScanRequest
from scanner.fleet.self_test import SelfTestResult
from storage.records import RULES_VERSION, Plan
from workers.broker import handshake
from workers.broker.app import make_redis
from workers.broker.collection_fingerprints import store_fingerprint
from workers.broker.field_types import VERSION
from workers.broker.handshake import Handshake, clock_skew_seconds, publish_handshake
from workers.broker.namespace import Namespace
from workers.settings import WorkerSettings
from workers.sources.location import HubLocation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def namespace(clean_redis: str) -> Iterator[Namespace]:
    """Return a store's namespace in an empty Redis."""
    client = make_redis(clean_redis)
    yield Namespace(client, "s1")
    client.close()


@pytest.fixture
def settings(tmp_path: Path, clean_redis: str) -> WorkerSettings:
    """Return the settings of a worker that has joined a hub."""
    return WorkerSettings(clean_redis, None, "s1", tmp_path / "state", 1, "pi4")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder of forty images."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:02}.jpg").write_bytes(b"%d" % number)
    (folder / "empty.jpg").touch()
    return folder


def run_preflight(namespace: Namespace, settings: WorkerSettings) -> str:
    """Return the lines that the worker prints."""
    lines: list[str] = []
    preflight.preflight(namespace, settings, lines.append)
    return "\n".join(lines)


def request(folder: Path) -> ScanRequest:
    """Return a request to scan a folder."""
    return ScanRequest(folder, "photos", Plan(()), "fleet")


def test_hub_of_the_same_version(namespace: Namespace, settings: WorkerSettings) -> None:
    """Nothing is printed about a hub of the same version."""
    publish_handshake(namespace, preflight.own_version())

    assert "" == run_preflight(namespace, settings)


def test_hub_is_not_running(namespace: Namespace, settings: WorkerSettings) -> None:
    """A worker works without a running hub."""
    assert "the hub is not running" in run_preflight(namespace, settings)


@pytest.mark.parametrize(
    ("messages", "rules"), [(VERSION - 1, RULES_VERSION), (VERSION, RULES_VERSION - 1)]
)
def test_hub_of_another_version(
    namespace: Namespace, settings: WorkerSettings, messages: int, rules: int
) -> None:
    """A compatible version is printed, one of other messages or rules refused."""
    publish_handshake(namespace, "9.9")
    assert "the hub runs scanner 9.9" in run_preflight(namespace, settings)
    hub = Handshake("9.9", messages, rules)
    namespace.client.set(namespace.key("hub"), json.encode(hub))
    with pytest.raises(PreflightError, match=r"The hub runs scanner 9\.9.* upgrade the older one"):
        run_preflight(namespace, settings)


@pytest.mark.parametrize("raw", ["", "5", "{}", '{"version": "a\\nb", "messages": 1, "rules": 1}'])
def test_invalid_handshake(namespace: Namespace, settings: WorkerSettings, raw: str) -> None:
    """An invalid handshake counts as none and is not printed."""
    namespace.client.set(namespace.key("hub"), raw)

    assert "the hub is not running" in run_preflight(namespace, settings)


def test_clock_differs(
    namespace: Namespace, settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker with a wrong clock waits until it agrees, and prints that once."""
    skews = [-7200.0, -7200.0, 0.1]
    pauses: list[float] = []
    monkeypatch.setattr(preflight, "clock_skew_seconds", lambda _namespace: skews.pop(0))
    monkeypatch.setattr(preflight.time, "sleep", pauses.append)
    text = run_preflight(namespace, settings)

    assert [2.0, 2.0] == pauses
    assert 1 == text.count("7,200 seconds behind the broker's")
    assert "the clocks agree" in text


def test_clock_skew(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The skew is the difference of this machine's clock and that of Redis."""
    assert abs(clock_skew_seconds(namespace)) < handshake.MAX_SKEW_SECONDS
    now = handshake.time.time
    monkeypatch.setattr(handshake.time, "time", lambda: now() + 3600)

    assert 3590 < clock_skew_seconds(namespace) < 3610


def test_fingerprint(photos: Path) -> None:
    """A fingerprint has a few files, evenly chosen, and no empty one."""
    fingerprint = take_fingerprint(request(photos))

    assert [b"00.jpg", b"08.jpg", b"16.jpg", b"24.jpg", b"32.jpg"] == [
        file.path for file in fingerprint
    ]
    assert [1, 1, 2, 2, 2] == [file.size_bytes for file in fingerprint]


def test_locations_of_collections(
    namespace: Namespace, settings: WorkerSettings, photos: Path
) -> None:
    """Each collection is printed as mapped, on the hub's share, or unknown."""
    store_fingerprint(namespace, "photos", take_fingerprint(request(photos)))
    store_fingerprint(namespace, "other", [])
    unmapped = run_preflight(namespace, settings)
    mapped = run_preflight(namespace, replace(settings, roots={"photos": photos, "later": photos}))
    share = HubLocation("http://hub:6381", "s3cret", None, "")
    shared = run_preflight(namespace, replace(settings, share=share))

    assert "photos: the location of photos is unknown on this machine" in unmapped
    assert f"  photos: in {photos}\n" in mapped
    assert f"  later: in {photos}, checked with its first batch" in mapped
    assert "  photos: from the hub's share http://hub:6381" in shared
    assert "s3cret" not in shared


def test_wrong_folder(namespace: Namespace, settings: WorkerSettings, photos: Path) -> None:
    """A folder with other images is refused."""
    store_fingerprint(namespace, "photos", take_fingerprint(request(photos)))
    other = photos.with_name("other")
    other.mkdir()
    (other / "00.jpg").write_bytes(b"x")
    with pytest.raises(PreflightError, match="other is not the collection photos: 5 of 5 files"):
        run_preflight(namespace, replace(settings, roots={"photos": other}))


def test_folder_is_away(namespace: Namespace, settings: WorkerSettings, photos: Path) -> None:
    """The batches of a folder that is not mounted wait."""
    store_fingerprint(namespace, "photos", take_fingerprint(request(photos)))
    away = replace(settings, roots={"photos": photos / "nowhere"})

    assert "cannot be read (No such file or directory); its batches wait" in run_preflight(
        namespace, away
    )


def test_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker prints the measured speed of one process."""
    speed = SelfTestResult(photos_per_second=3.26, tiny_per_second=1234.5, process_mb=143)
    monkeypatch.setattr(preflight, "run_self_test", lambda: speed)

    assert (
        "  each process: about 3.3 photos/s (1600 x 1200) or 1,234 images/s (32 x 32), "
        "143 MB of memory" == preflight.speed_line()
    )


def test_slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is too slow to be measured works, too."""
    monkeypatch.setattr(self_test, "TIMEOUT_SECONDS", 0.01)

    assert "too slow to be measured" in preflight.speed_line()


def test_crashing_detectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which the detectors do not run takes no work."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(
        PreflightError, match="The detectors do not run on this machine: exit status 1"
    ):
        preflight.speed_line()


def test_mistyped_root(namespace: Namespace, settings: WorkerSettings, photos: Path) -> None:
    """A root for a collection that does not exist, beside one of nearly that name, is refused."""
    store_fingerprint(namespace, "photos", take_fingerprint(request(photos)))
    settings = replace(settings, roots={"phtos": photos})

    with pytest.raises(PreflightError, match="invalid --root phtos=…: did you mean the collection"):
        run_preflight(namespace, settings)
