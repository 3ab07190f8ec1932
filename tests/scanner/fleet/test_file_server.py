"""The hub's file share: what a collection lists, to those with the token, and nothing else."""

from __future__ import annotations

import http.client
import os
import ssl
from typing import TYPE_CHECKING

import pytest

from scanner.fleet import file_server as share_module
from scanner.fleet.certificate import certificate
from scanner.fleet.file_server import Rate, Share
from storage.database.store import Store
from storage.records import ListedImage
from storage.writes import listing, scans

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

BYTES = bytes(range(256)) * 4
TOKEN = {"Authorization": "Bearer s3cret"}
LISTED = (
    b"a b/\xff?.jpg",
    b"link.jpg",
    b"large.jpg",
    b"folder.jpg",
    b"gone.jpg",
    b"../outside.jpg",
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store in which some of a folder's files are listed, and some names that lead elsewhere."""
    folder = tmp_path / "photos"
    (folder / "a b").mkdir(parents=True)
    (folder / "folder.jpg").mkdir()
    (tmp_path / "outside.jpg").write_bytes(b"secret")
    (folder / "secret.jpg").write_bytes(b"secret")
    (folder / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    (folder / "large.jpg").write_bytes(b"x" * 5000)
    (folder / "a b" / os.fsdecode(b"\xff?.jpg")).write_bytes(BYTES)
    opened = Store.open(str(tmp_path / "store.db"))
    of = scans.new_scan(
        opened,
        scans.collection_id(opened, "my/photos", os.fsencode(folder)),
        scans.plan_id(opened, "plan", {"rules": 1, "detectors": []}),
        "fleet",
    )
    listing.add_batch(opened, of, [ListedImage(path, 10, 1) for path in LISTED], None)
    yield opened
    opened.close()


@pytest.fixture
def share(store: Store) -> Iterator[Share]:
    """The share of that store, on a free port."""
    made = Share(("127.0.0.1", 0), store, "s3cret", Rate(1e9), 4096)
    made.start()
    yield made
    made.stop()


def get(
    share: Share, path: str, headers: Mapping[str, str] = TOKEN
) -> tuple[int, bytes, str | None]:
    """Status, content and range of the answer to a request."""
    connection = http.client.HTTPConnection("127.0.0.1", share.server_address[1], timeout=20)
    connection.request("GET", path, headers=dict(headers))
    answer = connection.getresponse()
    found = answer.status, answer.read(), answer.getheader("Content-Range")
    connection.close()
    return found


FILE = "/my%2Fphotos/a%20b/%FF%3F.jpg"


def test_a_file(share: Share) -> None:
    """A listed file is sent as it is, whatever its name."""
    assert (200, BYTES, None) == get(share, FILE)


@pytest.mark.parametrize(
    ("asked", "status", "content", "said"),
    [
        ("bytes=0-9", 206, BYTES[:10], "bytes 0-9/1024"),
        ("bytes=1000-", 206, BYTES[1000:], "bytes 1000-1023/1024"),
        ("bytes=1000-5000", 206, BYTES[1000:], "bytes 1000-1023/1024"),
        ("bytes=-5", 206, BYTES[-5:], "bytes 1019-1023/1024"),
        ("bytes=1024-", 416, b"", "bytes */1024"),
        ("bytes=9-3", 416, b"", "bytes */1024"),
        ("bytes=-0", 416, b"", "bytes */1024"),
        ("bytes=-", 416, b"", "bytes */1024"),
        ("bytes=0-1,5-6", 416, b"", "bytes */1024"),
        ("lines=1-2", 416, b"", "bytes */1024"),
    ],
)
def test_ranges(share: Share, asked: str, status: int, content: bytes, said: str) -> None:
    """A range is sent as HTTP has it, one that is none is refused."""
    assert (status, content, said) == get(share, FILE, TOKEN | {"Range": asked})


@pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "é"}])
def test_without_the_token(share: Share, given: Mapping[str, str]) -> None:
    """Nobody gets anything without the token, not even whether a file is there."""
    for path in (FILE, "/my%2Fphotos/secret.jpg"):
        assert 401 == get(share, path, given)[0]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/my%2Fphotos/secret.jpg", 404),  # beside the listed ones, not listed
        ("/other/secret.jpg", 404),
        ("/my%2Fphotos/link.jpg", 404),  # listed, and leads out of the folder
        ("/my%2Fphotos/..%2Foutside.jpg", 404),
        ("/my%2Fphotos/../outside.jpg", 404),
        ("/my%2Fphotos/gone.jpg", 404),
        ("/my%2Fphotos/folder.jpg", 404),
        ("/my%2Fphotos/large.jpg", 413),
        ("/my%2Fphotos", 404),
        ("/%FF/secret.jpg", 404),
        ("/", 404),
    ],
)
def test_what_is_not_shared(share: Share, path: str, status: int) -> None:
    """Only what is listed, is a file below the root, and is not too large."""
    assert (status, b"") == get(share, path)[:2]


def test_only_reading(share: Share) -> None:
    """There is nothing else that could be asked for."""
    connection = http.client.HTTPConnection("127.0.0.1", share.server_address[1], timeout=20)
    connection.request("PUT", FILE, body=b"x", headers=TOKEN)

    assert 501 == connection.getresponse().status
    connection.close()


def test_a_folder_that_is_away(share: Share, tmp_path: Path) -> None:
    """A folder that is not mounted just now is no missing file: the worker shall wait."""
    (tmp_path / "photos").rename(tmp_path / "away")

    assert 503 == get(share, FILE)[0]


def test_many_on_one_connection(share: Share) -> None:
    """A connection serves one file after the other."""
    connection = http.client.HTTPConnection("127.0.0.1", share.server_address[1], timeout=20)
    for _ in range(3):
        connection.request("GET", FILE, headers=TOKEN)
        assert BYTES == connection.getresponse().read()
    connection.close()


def test_a_rate_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks waits for what was promised to the others before."""
    waits: list[float] = []
    monkeypatch.setattr(share_module.time, "monotonic", lambda: 100.0)
    monkeypatch.setattr(share_module.time, "sleep", waits.append)
    rate = Rate(1000.0)
    for _ in range(3):
        rate.wait(500)

    assert [0.0, 0.5, 1.0] == waits


def test_encrypted(store: Store, tmp_path: Path) -> None:
    """With a certificate of its own the share is trusted by that one alone."""
    pem = certificate(tmp_path)
    share = Share(("127.0.0.1", 0), store, "s3cret", Rate(1e9), 4096)
    share.use_tls(tmp_path / "cert.pem", tmp_path / "key.pem")
    share.start()
    ours = ssl.create_default_context(cadata=pem)
    ours.check_hostname = False
    address = "127.0.0.1", share.server_address[1]
    trusting = http.client.HTTPSConnection(*address, timeout=20, context=ours)
    trusting.request("GET", FILE, headers=TOKEN)
    content = trusting.getresponse().read()
    trusting.close()
    stranger = http.client.HTTPSConnection(*address, timeout=20)
    with pytest.raises(ssl.SSLCertVerificationError):
        stranger.request("GET", FILE, headers=TOKEN)
    stranger.close()
    share.stop()

    assert content == BYTES
    assert 0o600 == (tmp_path / "key.pem").stat().st_mode & 0o777


def test_an_address_of_ipv6(store: Store) -> None:
    """It listens there as well."""
    share = Share(("::1", 0), store, "s3cret", Rate(0), 10_000)
    share.start()
    try:
        connection = http.client.HTTPConnection("::1", share.server_address[1], timeout=10)
        connection.request("GET", "/")
        status = connection.getresponse().status
        connection.close()
    finally:
        share.stop()

    assert http.HTTPStatus.UNAUTHORIZED == status
