"""The webhook at the end of a scan, with a real HTTP server."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from scanner.follow import webhook
from scanner.follow.webhook import PAUSES, deliver, require_url
from storage.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = {"scan": 7, "collection": "f\u00eate"}


@dataclass
class Receiver:
    """Responds with these codes, the last one repeatedly, and stores the requests."""

    url: str = ""
    codes: list[int] = field(default_factory=lambda: [200])
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Return a receiver that listens."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append((self.path, dict(self.headers), data))
            code = receiver.codes.pop(0) if len(receiver.codes) > 1 else receiver.codes[0]
            self.send_response(code)
            if code == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/s3cret?key=s3cret"
    yield receiver
    server.shutdown()
    thread.join()
    server.server_close()


def test_signed_report(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The body is the report as JSON, and its signature can be verified."""
    monkeypatch.setenv("SCANNER_WEBHOOK_SECRET", "hunter2")
    delivered = deliver(receiver.url, BODY)
    ((path, headers, data),) = receiver.requests
    expected = hmac.new(b"hunter2", data, hashlib.sha256).hexdigest()

    assert delivered
    assert path == "/s3cret?key=s3cret"
    assert json.loads(data) == BODY
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Scanner-Signature-256"] == f"sha256={expected}"


def test_without_a_secret(receiver: Receiver) -> None:
    """Without a secret the request has no signature."""
    deliver(receiver.url, BODY)

    assert "X-Scanner-Signature-256" not in receiver.requests[0][1]


def test_busy_receiver_is_retried(receiver: Receiver) -> None:
    """A temporary failure is retried after increasing pauses."""
    receiver.codes = [503, 429, 200]
    pauses: list[float] = []
    delivered = deliver(receiver.url, BODY, pauses.append)

    assert delivered
    assert pauses == list(PAUSES[:2])
    assert len(receiver.requests) == 3


@pytest.mark.parametrize(
    ("code", "attempts", "reason"),
    [(404, 1, "status 404"), (302, 1, "status 302"), (500, 4, "status 500")],
)
def test_refusal_is_one_sentence(
    receiver: Receiver, capsys: pytest.CaptureFixture[str], code: int, attempts: int, reason: str
) -> None:
    """A refusal is one sentence, without the secret in the URL."""
    receiver.codes = [code]
    delivered = deliver(receiver.url, BODY, lambda _: None)
    printed = capsys.readouterr().err

    assert not delivered
    assert len(receiver.requests) == attempts
    assert reason in printed
    assert "s3cret" not in printed
    assert len(printed.splitlines()) == 1


def test_receiver_is_away(capsys: pytest.CaptureFixture[str]) -> None:
    """A receiver that is away is an error after the last retry."""
    pauses: list[float] = []

    assert not deliver("http://127.0.0.1:9/hook", BODY, pauses.append)
    assert "Connection refused" in capsys.readouterr().err
    assert pauses == list(PAUSES)


def test_receiver_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """All attempts together have a limit, whoever waits for them."""
    monkeypatch.setattr(webhook, "TIMEOUT_SECONDS", 0.4)
    monkeypatch.setattr(webhook, "TOTAL_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/hook"
        start = time.monotonic()
        delivered = deliver(url, BODY, lambda _: time.sleep(0.1))

    assert not delivered
    assert 0.4 <= time.monotonic() - start < 3


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://host/x", "https://", "http://[bad/", "http://a b/", "x"]
)
def test_invalid_url(url: str) -> None:
    """Only URLs of HTTP are accepted."""
    with pytest.raises(InvalidInput, match="invalid --webhook"):
        require_url(url)
