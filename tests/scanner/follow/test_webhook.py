"""The webhook at the end of a scan, against a real HTTP server."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import click
import pytest

from scanner.follow.webhook import PAUSES, deliver, require_url

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = {"scan": 7, "collection": "f\u00eate"}


@dataclass
class Receiver:
    """Answers with these codes, the last one ever after, and keeps what it was sent."""

    url: str = ""
    answers: list[int] = field(default_factory=lambda: [200])
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that listens."""
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            made.got.append((self.path, dict(self.headers), data))
            code = made.answers.pop(0) if len(made.answers) > 1 else made.answers[0]
            self.send_response(code)
            if code == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}/s3cret?key=s3cret"
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def test_signed_report(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The body is the report as JSON, its signature one that the receiver can work out."""
    monkeypatch.setenv("SCANNER_WEBHOOK_SECRET", "hunter2")
    arrived = deliver(receiver.url, BODY)
    ((path, headers, data),) = receiver.got
    expected = hmac.new(b"hunter2", data, hashlib.sha256).hexdigest()

    assert arrived
    assert path == "/s3cret?key=s3cret"
    assert json.loads(data) == BODY
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Scanner-Signature-256"] == f"sha256={expected}"


def test_no_secret_no_signature(receiver: Receiver) -> None:
    """Without a secret nothing pretends to be signed."""
    deliver(receiver.url, BODY)

    assert "X-Scanner-Signature-256" not in receiver.got[0][1]


def test_busy_receiver_is_asked_again(receiver: Receiver) -> None:
    """A receiver that is down for a moment gets the report after longer and longer pauses."""
    receiver.answers = [503, 429, 200]
    pauses: list[float] = []
    arrived = deliver(receiver.url, BODY, pauses.append)

    assert arrived
    assert pauses == list(PAUSES[:2])
    assert len(receiver.got) == 3


@pytest.mark.parametrize(
    ("code", "tries", "words"),
    [(404, 1, "answered 404"), (302, 1, "answered 302"), (500, 4, "answered 500")],
)
def test_refusal_is_one_sentence(
    receiver: Receiver, capsys: pytest.CaptureFixture[str], code: int, tries: int, words: str
) -> None:
    """What is refused is not asked for ever, and no secret in the URL is shown."""
    receiver.answers = [code]
    arrived = deliver(receiver.url, BODY, lambda _: None)
    said = capsys.readouterr().err

    assert not arrived
    assert len(receiver.got) == tries
    assert words in said
    assert "s3cret" not in said
    assert len(said.splitlines()) == 1


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    """A receiver that is away is one sentence after the last try."""
    tries: list[float] = []

    assert not deliver("http://127.0.0.1:9/hook", BODY, tries.append)
    assert "Connection refused" in capsys.readouterr().err
    assert tries == list(PAUSES)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://host/x", "https://", "http://[bad/", "http://a b/", "x"]
)
def test_only_http(url: str) -> None:
    """Anything but HTTP is refused before the scan begins."""
    with pytest.raises(click.BadParameter, match="not the URL of a webhook"):
        require_url(click.Context(click.Command("x")), click.Option(["--x"]), url)
