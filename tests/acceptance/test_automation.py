"""Scans that another program observes: events, exit codes, the webhook."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    # The types of the fixtures, see conftest.py.
    Cli = Any
    Fleet = Any


@pytest.fixture
def received() -> Iterator[tuple[str, list[bytes]]]:
    """Start a webhook; yield its URL, and the bodies that were posted to it."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", bodies
    server.shutdown()
    thread.join()
    server.server_close()


def events(text: str) -> list[dict[str, Any]]:
    """Return the printed events."""
    return [json.loads(line) for line in text.splitlines()]


def test_events_of_a_scan(cli: Cli, samples: Path, received: tuple[str, list[bytes]]) -> None:
    """Events are one per line, the last is the report, and the webhook receives the same report."""
    url, bodies = received
    done = cli.run("scan", samples, "--json-lines", "--webhook", url, check=3)
    *before, last = events(done.stdout)
    report = cli.json("report", "--json")

    assert {"status", "error"} == {line["event"] for line in before}
    assert {"broken/cut-off.jpg", "broken/no-picture.jpg"} == {
        line["path"] for line in before if line["event"] == "error"
    }
    assert ("summary", 0.0, 2) == tuple(
        last.pop(key) for key in ("event", "seconds_remaining", "error_count")
    )
    assert report == last == json.loads(bodies[0])
    assert 1 == len(bodies)


def test_fail_on_ai(cli: Cli, samples: Path) -> None:
    """With --fail-on, each command that finds an AI-generated image exits with 5."""
    cli.run("scan", samples, "--fail-on", "ai", check=5)
    cli.run("scan", samples / "plain", "--fail-on", "ai", check=0)
    cli.run("report", "1", "--fail-on", "ai", check=5)
    cli.run("check", samples / "tagged" / "webui.png", "--fail-on", "ai", check=5)
    cli.run("check", samples / "plain" / "poster.png", "--fail-on", "ai", check=0)


def test_invalid_webhook_is_refused(cli: Cli, samples: Path) -> None:
    """An invalid URL is a usage error, before anything is scanned."""
    done = cli.run("scan", samples, "--webhook", "file:///etc/passwd", check=2)

    assert "invalid --webhook" in done.stderr
    assert "Store not found" in cli.run("scans", check=1).stderr


def test_events_of_a_fleet(fleet: Fleet, samples: Path) -> None:
    """`enqueue` reports the listing, `status --watch` the rest, to the same end."""
    *_, queued = events(fleet.cli.run("enqueue", samples, "--json-lines").stdout)
    fleet.work()
    *before, last = events(fleet.cli.run("status", "--watch", "--json-lines", check=3).stdout)

    assert ("summary", 14, None) == (
        queued["event"],
        queued["images"],
        queued["seconds_remaining"],
    )
    assert 14 == before[-1]["judged"]
    assert ("summary", "finished", 2) == (last["event"], last["state"], last["error_count"])
    assert "queue" in last
