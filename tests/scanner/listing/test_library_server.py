"""Ask a server that is not there, or not any more."""

from __future__ import annotations

import time

import pytest
from photo_servers import KEY, immich, serve
from ports import free_port

from scanner.listing import library_server
from scanner.listing.library_server import Server
from storage.errors import ServiceUnavailable
from workers.sources.location import LibraryKind, LibraryLocation

PATH = "/api/albums"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses between tries, which take no time."""
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


def test_server_that_never_answered_is_asked_once(pauses: list[float]) -> None:
    """Its URL may be wrong, which somebody wants to know at once."""
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ServiceUnavailable, match="cannot be reached"):
        Server(LibraryLocation(LibraryKind.IMMICH, url), KEY).call("GET", PATH)

    assert [] == pauses


def test_server_that_is_away_is_waited_for(pauses: list[float]) -> None:
    """One that has answered is asked again, a few times."""
    with serve(immich) as state:
        server = Server(LibraryLocation(LibraryKind.IMMICH, state.url), KEY)
        server.call("GET", PATH)
    with pytest.raises(ServiceUnavailable):
        server.call("GET", PATH)

    assert list(library_server.PAUSES) == pauses
