"""`scanner export immich` and `photoprism`, against servers that answer as those do."""

from __future__ import annotations

import http.server
import itertools
import os
import ssl
import subprocess
import threading
import uuid
from typing import TYPE_CHECKING

import pytest
from photo_servers import KEY, PhotoServer, immich, photoprism, serve

from scanner.listing import library_server as module
from scanner.listing.library_server import Server
from scanner.writeback.photoprism import PhotoPrism
from storage.writes.reviews import Answer
from workers.sources.location import LibraryKind, LibraryLocation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Photos

# The name of the keyword `scanner:ai` on each server.
AI = {"immich": "ai-photo-scanner/scanner:ai", "photoprism": "scanner:ai"}
UNSURE = {"immich": "ai-photo-scanner/scanner:unsure", "photoprism": "scanner:unsure"}


@pytest.fixture(params=["immich", "photoprism"])
def kind(request: pytest.FixtureRequest) -> str:
    """Return which server is tried."""
    return str(request.param)


@pytest.fixture
def server(kind: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[PhotoServer]:
    """Return a server, whose URL and key are in the environment."""
    with serve({"immich": immich, "photoprism": photoprism}[kind]) as state:
        monkeypatch.setenv(f"SCANNER_{kind.upper()}_URL", state.url)
        monkeypatch.setenv(f"SCANNER_{kind.upper()}_KEY", KEY)
        monkeypatch.setattr(module, "PAUSES", (0.0, 0.0))
        yield state


def fill(photos: Photos, server: PhotoServer) -> None:
    """Scan five images, and upload all but the last."""
    for name in ("a.jpg", "2019/b.jpg", "c.jpg", "d.jpg", "not-there.jpg"):
        path = photos.image(name, 8 + len(name))
        if name != "not-there.jpg":
            server.add(path)
    photos.scan(ajpg="ai", **{"2019bjpg": "ai"}, cjpg="unsure", nottherejpg="ai")


def test_only_shown(photos: Photos, server: PhotoServer, kind: str) -> None:
    """Without --write, nothing is asked that changes anything."""
    fill(photos, server)
    shown = photos.export(kind, "--album", "AI", code=3)

    assert 0 == server.changes()
    assert "tagged    2019/b.jpg" in shown
    assert "plan for scan 1, " in shown
    assert ": 2 added to the album, 2 tagged, 1 skipped" in shown
    assert "Nothing was written" in shown


def test_twice(photos: Photos, server: PhotoServer, kind: str) -> None:
    """Chosen images get keyword and album once; a second export changes nothing."""
    fill(photos, server)
    first = photos.export(kind, "--album", "AI", "--write", code=3)
    state = (dict(server.keywords), dict(server.albums), len(server.ids))
    second = photos.export(kind, "--album", "AI", "--write", code=3)

    assert {"a.jpg", "b.jpg"} == server.of(AI[kind]) == server.in_album("AI")
    assert "skipped   not-there.jpg: it is not in" in first
    assert ": 2 added to the album, 2 tagged, 1 skipped" in first
    assert ": nothing to do, 2 as they should be, 1 skipped" in second
    assert state == (server.keywords, server.albums, len(server.ids))


def test_keywords_follow(photos: Photos, server: PhotoServer, kind: str) -> None:
    """A later export replaces and takes back keywords; assets of other scans keep theirs."""
    fill(photos, server)
    other = photos.image("../elsewhere/c.jpg", 40)
    photos.export(kind, "--which", "ai,unsure", "--album", "AI", "--write", code=3)
    server.keywords[AI[kind]].add(server.add(other))
    photos.answer("a.jpg", Answer.NOT_AI)
    photos.answer("c.jpg", Answer.AI)
    photos.answer("2019/b.jpg", Answer.AI)
    shown = photos.export(kind, "--from", "reviews", "--album", "AI", "--write")

    assert {"c.jpg"} == server.of(AI[kind])  # the one of another scan
    assert set() == server.of(UNSURE[kind])
    assert {"b.jpg", "c.jpg"} == server.of(AI[kind].replace(":ai", ":reviewed_ai"))
    assert {"b.jpg", "c.jpg"} == server.in_album("AI")
    assert "untagged  a.jpg" in shown
    photos.export(kind, "--remove", "--album", "AI", "--write")
    assert set() == server.of(AI[kind].replace(":ai", ":reviewed_ai"))
    assert set() == server.in_album("AI")


def test_taken_back_together(photos: Photos, server: PhotoServer, kind: str) -> None:
    """What is taken back is shown first, and needs few requests; the album stays, and is named."""
    fill(photos, server)
    words = ("--remove", "--album", "AI")
    photos.export(kind, "--album", "AI", "--write", code=3)
    server.requests.clear()
    plan = photos.export(kind, *words)

    assert 0 == server.changes()
    written = photos.export(kind, *words, "--write")
    for shown in (plan, written):
        assert ": 2 taken out of the album, 2 untagged" in shown
        assert "The album 'AI' stays: scanner deletes no album." in shown
    # PhotoPrism takes a label from one photo at a time.
    assert {"immich": 2, "photoprism": 3}[kind] == server.changes()
    assert {"AI": set()} == server.albums
    assert "album" not in photos.export(kind, *words, "--write")


def test_broken_off(photos: Photos, server: PhotoServer, kind: str) -> None:
    """An export that breaks off anywhere is completed by the next."""
    fill(photos, server)
    for changes in itertools.count():
        server.keywords, server.albums = {}, {}
        server.requests.clear()
        server.changes_left = changes
        if photos.run(kind, "--album", "AI", "--write").exit_code == 3:
            break
        server.changes_left = 1_000_000
        photos.export(kind, "--album", "AI", "--write", code=3)

        assert {"a.jpg", "b.jpg"} == server.of(AI[kind]) == server.in_album("AI")
    assert changes >= 3


def test_same_content(photos: Photos, server: PhotoServer, kind: str) -> None:
    """Of two files with the same bytes, the one that is chosen counts, on every run."""
    data = photos.image("a.jpg").read_bytes()
    (photos.root / "b.jpg").write_bytes(data)
    server.add(photos.root / "b.jpg")
    photos.scan(ajpg="ai")
    photos.export(kind, "--write")
    second = photos.export(kind, "--write")

    assert {"b.jpg"} == server.of(AI[kind])
    assert "nothing to do, 1 as they should be" in second


def listed_from(photos: Photos, server: PhotoServer, kind: str) -> None:
    """Scan three images of a library itself, which has them in no folder here."""
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        path = photos.image(name, 8 + ord(name[0]))
        server.add(path)
        path.unlink()
    photos.library = LibraryLocation(LibraryKind(kind), server.url)
    # immich's are in the folder of their year.
    photos.scan(ajpg="ai", **{"2019ajpg": "ai"}, bjpg="unsure", **{"2019bjpg": "unsure"})


def test_scan_of_the_library_knows_its_server(
    photos: Photos, server: PhotoServer, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No --url is needed, nor a folder; a later export takes keywords back."""
    monkeypatch.delenv(f"SCANNER_{kind.upper()}_URL")
    listed_from(photos, server, kind)
    first = photos.export(kind, "--which", "ai,unsure", "--album", "AI", "--write")
    second = photos.export(kind, "--which", "ai,unsure", "--album", "AI", "--write")

    assert ": 2 added to the album, 2 tagged" in first
    assert "nothing to do, 2 as they should be" in second
    assert ({"a.jpg"}, {"b.jpg"}) == (server.of(AI[kind]), server.of(UNSURE[kind]))
    shown = photos.export(kind, "--album", "AI", "--write")
    assert "untagged" in shown
    assert ({"a.jpg"}, set()) == (server.of(AI[kind]), server.of(UNSURE[kind]))
    assert {"a.jpg"} == server.in_album("AI")


def test_url_that_is_given_wins(
    photos: Photos, server: PhotoServer, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that moved is found where --url says."""
    monkeypatch.delenv(f"SCANNER_{kind.upper()}_URL")
    listed_from(photos, server, kind)
    gone = photos.export(kind, "--url", "http://127.0.0.1:1", code=4)

    assert "at http://127.0.0.1:1 cannot be reached" in gone


def test_scan_of_another_library(photos: Photos, server: PhotoServer, kind: str) -> None:
    """What is in one library is not looked for in another, nor in a folder."""
    listed_from(photos, server, kind)
    key = photos.root / "key"
    key.write_text(KEY)
    other = "photoprism" if kind == "immich" else "immich"
    names = {"immich": "immich", "photoprism": "PhotoPrism"}
    sentence = f"the images of scan 1 are in {names[kind]}: `scanner export {kind}`"

    assert sentence in photos.export(other, "--key-file", str(key), code=2)
    assert sentence in photos.export("xmp", code=2)


def test_scan_of_a_folder_needs_a_url(
    photos: Photos, server: PhotoServer, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder does not say where the server is."""
    monkeypatch.delenv(f"SCANNER_{kind.upper()}_URL")
    fill(photos, server)
    said = photos.export(kind, code=2)

    assert "name the server with --url: the images of scan 1 are in a folder" in said


REFUSALS = {
    401: (1, "refuses the key, or what it may do (not now)"),
    403: (1, "refuses the key, or what it may do (not now)"),
    404: (1, "does not have this: is the URL right? (not now)"),
    400: (1, "refuses a request with status 400 (not now)"),
    302: (1, "redirects to https://elsewhere.example/: name that URL"),
    503: (4, "answers with status 503 (not now)"),
}


@pytest.mark.parametrize("status", REFUSALS)
def test_refusal(photos: Photos, server: PhotoServer, kind: str, status: int) -> None:
    """What a server refuses is one sentence without the key."""
    fill(photos, server)
    server.refusals = [status] * 3
    code, said = REFUSALS[status]
    shown = photos.export(kind, "--write", code=code)

    assert said in shown
    assert KEY not in shown


def test_busy(photos: Photos, server: PhotoServer, kind: str) -> None:
    """A server that is busy is asked again."""
    fill(photos, server)
    server.refusals = [503, 429]
    photos.export(kind, "--write", code=3)

    assert {"a.jpg", "b.jpg"} == server.of(AI[kind])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--url", "nas:2283"), "invalid --url: expected https://HOST or http://HOST:PORT"),
        (("--url", "http://ann:secret@nas"), "invalid --url"),
        (("--url", "http://127.0.0.1:1"), "at http://127.0.0.1:1 cannot be reached (Connection"),
        (("--ca-file", "/dev/null"), "invalid --ca-file"),
        (("--key-file", "/dev/null"), "File '/dev/null' is a"),
    ],
)
def test_wrong_words(
    photos: Photos, server: PhotoServer, kind: str, words: tuple[str, ...], said: str
) -> None:
    """A URL, a key or a certificate that cannot be used is one sentence."""
    photos.scan()
    code = 4 if "127.0.0.1:1" in words[1] else 2
    if words == ("--key-file", "/dev/null"):
        empty = photos.root / "empty"
        empty.write_text("\n")
        words, said = ("--key-file", str(empty)), "the server's key is needed"
    if words == ("--ca-file", "/dev/null"):
        empty = photos.root / "empty"
        empty.write_text("no certificate")
        words = ("--ca-file", str(empty))

    assert said in photos.export(kind, *words, code=code)


def test_self_signed(photos: Photos, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that nobody knows is refused before the key is sent, unless it is named."""
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    files = ("-keyout", str(photos.root / "key"), "-out", str(photos.root / "cert"))
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *names, *files)
    subprocess.run(command, capture_output=True, check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(photos.root / "cert", photos.root / "key")
    photos.scan()
    monkeypatch.setenv(f"SCANNER_{kind.upper()}_KEY", KEY)
    with serve({"immich": immich, "photoprism": photoprism}[kind], context) as state:
        refused = photos.export(kind, "--url", state.url, code=1)

        assert "is not trusted (self-signed certificate): name the one that signed" in refused
        assert [] == state.requests
        photos.export(kind, "--url", f"{state.url}/", "--ca-file", str(photos.root / "cert"))


@pytest.mark.parametrize("kind", ["immich"])
def test_external_library(photos: Photos, server: PhotoServer, kind: str) -> None:
    """An asset of which immich knows no checksum is found by its place and size, if only one is."""
    server.add(photos.image("2019/a.jpg", 20), path="/mnt/nas/2019/a.jpg")
    server.add(photos.image("2020/a.jpg", 30), path="/mnt/nas/2020/a.jpg")
    photos.image(os.fsdecode(b"\xff.jpg"))
    twice = photos.image("b.jpg")
    server.add(twice, path="/mnt/nas/b.jpg")
    server.add(twice, path="/mnt/backup/b.jpg")
    photos.scan(**{"2019ajpg": "ai", "jpg": "ai"}, bjpg="ai")
    shown = photos.export("immich", "--write", code=3)

    (tagged,) = server.keywords[AI[kind]]
    assert "/mnt/nas/2019/a.jpg" == server.assets[tagged]["path"]
    assert "b.jpg: it is not in immich" in shown
    assert "\\xff.jpg: it is not in immich" in shown
    photos.export("immich", "--remove", "--write")
    assert set() == server.of(AI[kind])


@pytest.mark.parametrize("kind", ["photoprism"])
def test_titles(photos: Photos, server: PhotoServer, kind: str) -> None:
    """No photo is called by its label, as PhotoPrism would from one that is certain."""
    fill(photos, server)
    photos.export(kind, "--write", code=3)

    assert {"a.jpg", "b.jpg"} == server.of(AI[kind])
    assert not any("title" in asset for asset in server.assets.values())


@pytest.mark.parametrize("kind", ["photoprism"])
def test_label_that_is_gone(photos: Photos, server: PhotoServer, kind: str) -> None:
    """A label that somebody took away meanwhile does not keep others from going."""
    fill(photos, server)
    photos.export(kind, "--write", code=3)
    labelled = server.keywords[AI[kind]]
    without = next(one for one in server.assets if one not in labelled)
    api = Server(LibraryLocation(LibraryKind.PHOTOPRISM, server.url), KEY)
    PhotoPrism(api).untag("scanner:ai", [without, *labelled])

    assert set() == server.of(AI[kind])


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("kind", ["immich"])
def test_archived(photos: Photos, server: PhotoServer, kind: str, version: int) -> None:
    """Archived images, of an external library too, are tagged once, and untagged."""
    server.version = version
    server.add(photos.image("a.jpg"), visibility="archive")
    server.add(photos.image("b.jpg", 20), visibility="archive", path="/mnt/nas/b.jpg")
    server.add(photos.image("c.jpg", 30), visibility="hidden")
    photos.scan(ajpg="ai", bjpg="ai", cjpg="ai")
    photos.export("immich", "--album", "AI", "--write")
    second = photos.export("immich", "--album", "AI", "--write")

    assert {"a.jpg", "b.jpg", "c.jpg"} == server.of(AI[kind]) == server.in_album("AI")
    assert "nothing to do, 3 as they should be" in second
    photos.export("immich", "--remove", "--album", "AI", "--write")
    assert set() == server.of(AI[kind]) | server.in_album("AI")


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("kind", ["immich"])
def test_album_of_another_user(
    photos: Photos, server: PhotoServer, kind: str, version: int
) -> None:
    """An album of the same name that somebody shares is left alone; the user's own is made."""
    server.version = version
    server.shared = {"AI": str(uuid.uuid4())}
    fill(photos, server)
    photos.export("immich", "--album", "AI", "--write", code=3)

    assert {"a.jpg", "b.jpg"} == server.of(AI[kind]) == server.in_album("AI")


@pytest.mark.parametrize("kind", ["immich"])
def test_refused_assets(photos: Photos, server: PhotoServer, kind: str) -> None:
    """An asset in the bin, or of another user, is skipped; of many, all pages are read."""
    for number in range(5):
        server.add(photos.image(f"{number}.jpg", 10 + number))
    server.add(photos.image("bin.jpg", 50), trashed=True)
    server.add(photos.image("foreign.jpg", 60), foreign=True)
    words = {f"{number}jpg": "ai" for number in range(5)}
    photos.scan(**words, binjpg="ai", foreignjpg="ai")
    shown = photos.export("immich", "--write", code=3)

    assert "bin.jpg: it is not in immich" in shown
    assert "foreign.jpg: immich refuses to tag it" in shown
    assert "5 as they should be" in photos.export("immich", "--write", code=3)


@pytest.mark.parametrize("kind", ["immich", "photoprism"])
@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"assets": {}}', b"[" * 100_000])
def test_another_server(
    photos: Photos, monkeypatch: pytest.MonkeyPatch, kind: str, body: bytes
) -> None:
    """A server that answers otherwise is one sentence."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    photos.scan()
    monkeypatch.setenv(f"SCANNER_{kind.upper()}_KEY", KEY)
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as other:
        url = f"http://127.0.0.1:{other.server_address[1]}"
        thread = threading.Thread(target=other.handle_request)
        thread.start()
        said = photos.export(kind, "--url", url, code=1)
        thread.join()

    assert f"{url} does not answer as" in said
