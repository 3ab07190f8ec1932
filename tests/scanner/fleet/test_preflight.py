"""What a worker says, waits for and refuses before it takes work."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scanner.fleet import preflight, self_test
from scanner.fleet.fingerprint import take_fingerprint
from scanner.fleet.preflight import NotFit
from scanner.fleet.producer import Request
from scanner.fleet.self_test import SelfTest
from storage.records import Plan
from workers.broker import handshake
from workers.broker.app import make_redis
from workers.broker.collection_fingerprints import store_fingerprint
from workers.broker.handshake import clock_skew_seconds, publish_handshake
from workers.broker.namespace import Namespace
from workers.settings import WorkerSettings
from workers.sources.location import HubLocation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def namespace(clean_redis: str) -> Iterator[Namespace]:
    """Return a client of an empty Redis."""
    client = make_redis(clean_redis)
    yield Namespace(client, "s1")
    client.close()


@pytest.fixture
def settings(tmp_path: Path, clean_redis: str) -> WorkerSettings:
    """Return the settings of a worker that has joined a hub."""
    return WorkerSettings(clean_redis, None, "s1", tmp_path / "state", 1, "pi4")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Write a folder of forty images."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:02}.jpg").write_bytes(b"%d" % number)
    (folder / "empty.jpg").touch()
    return folder


def said(namespace: Namespace, settings: WorkerSettings) -> str:
    """All that the worker says."""
    lines: list[str] = []
    preflight.preflight(namespace, settings, lines.append)
    return "\n".join(lines)


def request(folder: Path) -> Request:
    """Return the request to enqueue a folder."""
    return Request(folder, "photos", Plan(()), "fleet")


def test_a_hub_of_the_same_version(namespace: Namespace, settings: WorkerSettings) -> None:
    """Where all is well nothing is said of the hub."""
    publish_handshake(namespace, preflight.own_version())

    assert "" == said(namespace, settings)


def test_no_hub(namespace: Namespace, settings: WorkerSettings) -> None:
    """A hub that does not run is no reason not to work."""
    assert "the hub does not run just now" in said(namespace, settings)


def test_a_hub_of_another_version(namespace: Namespace, settings: WorkerSettings) -> None:
    """Another version that understands us is said; one that does not is refused."""
    publish_handshake(namespace, "9.9")
    assert "the hub runs scanner 9.9" in said(namespace, settings)
    namespace.client.set(namespace.key("hub"), '{"version": "9.9", "messages": 2, "rules": 1}')
    with pytest.raises(NotFit, match=r"The hub runs scanner 9\.9.* upgrade the older one"):
        said(namespace, settings)


@pytest.mark.parametrize("raw", ["", "5", "{}", '{"version": "a\\nb", "messages": 1, "rules": 1}'])
def test_a_hub_that_talks_nonsense(
    namespace: Namespace, settings: WorkerSettings, raw: str
) -> None:
    """What anyone may have written there is not repeated."""
    namespace.client.set(namespace.key("hub"), raw)

    assert "the hub does not run just now" in said(namespace, settings)


def test_the_clock(
    namespace: Namespace, settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose clock is wrong waits until it is in step, and says so once."""
    skews = [-7200.0, -7200.0, 0.1]
    pauses: list[float] = []
    monkeypatch.setattr(preflight, "clock_skew_seconds", lambda _namespace: skews.pop(0))
    monkeypatch.setattr(preflight.time, "sleep", pauses.append)
    text = said(namespace, settings)

    assert [2.0, 2.0] == pauses
    assert 1 == text.count("7,200 seconds behind the broker's")
    assert "the clocks agree" in text


def test_the_skew_is_measured(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is that between this machine's clock and Redis'."""
    assert abs(clock_skew_seconds(namespace)) < handshake.MAX_SKEW_SECONDS
    now = handshake.time.time
    monkeypatch.setattr(handshake.time, "time", lambda: now() + 3600)

    assert 3590 < clock_skew_seconds(namespace) < 3610


def test_a_sample(photos: Path) -> None:
    """A few files that are far from each other, none of them empty."""
    sample = take_fingerprint(request(photos))

    assert [b"00.jpg", b"08.jpg", b"16.jpg", b"24.jpg", b"32.jpg"] == [one.path for one in sample]
    assert [1, 1, 2, 2, 2] == [one.size_bytes for one in sample]


def test_where_pictures_are(namespace: Namespace, settings: WorkerSettings, photos: Path) -> None:
    """Each collection's place is said: mapped here, on the share, or nowhere."""
    store_fingerprint(namespace, "photos", take_fingerprint(request(photos)))
    store_fingerprint(namespace, "other", [])
    nowhere = said(namespace, settings)
    mapped = said(namespace, replace(settings, roots={"photos": photos, "later": photos}))
    share = HubLocation("http://hub:6381", "s3cret", None, "")
    shared = said(namespace, replace(settings, share=share))

    assert "photos: the location of photos is unknown on this machine" in nowhere
    assert f"  photos: in {photos}\n" in mapped
    assert f"  later: in {photos}, looked at when its first batch comes" in mapped
    assert "  photos: from the hub's share http://hub:6381" in shared
    assert "s3cret" not in shared


def test_a_wrong_place(namespace: Namespace, settings: WorkerSettings, photos: Path) -> None:
    """A folder that holds other pictures is refused before any work is taken."""
    store_fingerprint(namespace, "photos", take_fingerprint(request(photos)))
    other = photos.with_name("other")
    other.mkdir()
    (other / "00.jpg").write_bytes(b"x")
    with pytest.raises(NotFit, match="other is not the collection photos: 5 of 5 files"):
        said(namespace, replace(settings, roots={"photos": other}))


def test_a_place_that_is_away(namespace: Namespace, settings: WorkerSettings, photos: Path) -> None:
    """A disk that is not mounted yet is waited for."""
    store_fingerprint(namespace, "photos", take_fingerprint(request(photos)))
    away = replace(settings, roots={"photos": photos / "nowhere"})

    assert "cannot be read (No such file or directory); its batches wait" in said(namespace, away)


def test_its_own_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker says what one of its processes does, measured with its detectors."""
    speed = SelfTest(photographs=3.26, tiny=1234.5, process_mb=143)
    monkeypatch.setattr(preflight, "run_self_test", lambda: speed)

    assert (
        "  each process: about 3.3 photographs (1600 x 1200) or 1,234 pictures of 32 x 32 "
        "a second, 143 MB of its own" == preflight.speed_line()
    )


def test_a_slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is too slow to be measured works all the same."""
    monkeypatch.setattr(self_test, "LONGEST_SECONDS", 0.01)

    assert "too slow to be measured" in preflight.speed_line()


def test_detectors_that_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which the detectors do not run takes no work, for its batches would fail."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(NotFit, match="The detectors do not run on this machine: exit status 1"):
        preflight.speed_line()
