"""A real scan, its pages served by the real server, and a real browser."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from stage import broken

from scanner.web.app import make_app
from scanner.web.disk_cache import DiskCache
from scanner.web.monitor import Monitor
from scanner.web.previews import Previews
from scanner.web.runs import Runs
from scanner.web.server import listen, make_server
from scanner.web.site import Site
from storage.database.store import Store
from workers.detectors.installed import built_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from playwright.sync_api import Browser, Page

    from scanner.web.accounts import Accounts

ROOT = Path(__file__).parents[3]
# A broker that nobody answers for.
NO_BROKER = "redis://localhost:1/0"
# Names that would be tags, turn the text around, or clear a terminal.
HOSTILE = ("<img src=x onerror=alert(1)>.jpg", "\u202egpj.exe\x1b[2J.jpg", "-rf 'a'\n$(id).jpg")
# Screenshots are kept there, to be looked at.
SHOTS = os.environ.get("SCANNER_TEST_SHOTS")


@dataclass(frozen=True)
class Scanned:
    """A scanned folder, and the store with its verdicts."""

    folder: Path
    store_file: Path


@pytest.fixture(scope="session")
def scanned(drawn_samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    """Scan sample images of every verdict, some with hostile names."""
    place = tmp_path_factory.mktemp("scanned")
    folder = place / "photos"
    config = place / "config"
    env = os.environ | {
        "HOME": str(place),
        "XDG_CONFIG_HOME": str(config),
        "XDG_STATE_HOME": str(place / "state"),
    }
    shutil.copytree(drawn_samples, folder)
    for name in HOSTILE:
        shutil.copy(folder / "plain" / "dunes.jpg", folder / name)
    # Custom thresholds, so that some images are unsure whatever the shipped ones are.
    (config / "scanner").mkdir(parents=True)
    (config / "scanner" / "thresholds.toml").write_text(
        f'[scenes]\nsha256 = "{built_in()["scenes"].sha256}"\nunsure = 0.01\nai = 1.0\n'
    )
    store_file = place / "store.db"
    done = subprocess.run(
        [sys.executable, "-m", "scanner", "scan", folder, "--store", store_file],
        check=False,
        env=env,
        capture_output=True,
        text=True,
    )
    assert 3 == done.returncode, done.stderr
    return Scanned(folder, store_file)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder of 90 noisy photos (hard links to one), which keep a worker busy."""
    folder = tmp_path / "photos"
    folder.mkdir()
    noise = np.random.default_rng(7).integers(0, 255, (1500, 2000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "000.jpg", quality=75)
    for number in range(1, 90):
        (folder / f"{number:03}.jpg").hardlink_to(folder / "000.jpg")
    return folder


@pytest.fixture
def slow_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each image take longer in processes that are started, so that tests find them at work."""
    for name, value in broken(PYTHON_FAULTS_SLOW=0.1).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def store(scanned: Scanned, tmp_path: Path) -> Iterator[Store]:
    """Return a writable copy of the scan's store."""
    shutil.copy(scanned.store_file, tmp_path / "store.db")
    opened = Store.open(str(tmp_path / "store.db"))
    yield opened
    opened.close()


@dataclass(frozen=True)
class Answer:
    """A response of the server."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """Return the body as text."""
        return self.body.decode()


@dataclass
class Served:
    """A served site, and a plain client for it."""

    url: str
    sent: dict[str, str] = field(default_factory=dict)

    def get(self, address: str, **headers: str) -> Answer:
        """GET an address, exactly as it is written."""
        return self._ask("GET", address, None, headers)

    def post(
        self, address: str, form: Mapping[str, str] | Sequence[tuple[str, str]], **headers: str
    ) -> Answer:
        """POST a form as a page of the site does, unless `headers` say otherwise."""
        given = {"Origin": self.url.rstrip("/")} | headers
        given["Content-Type"] = "application/x-www-form-urlencoded"
        return self._ask("POST", address, urlencode(form), given)

    def _ask(
        self, method: str, address: str, body: str | None, headers: Mapping[str, str]
    ) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        try:
            connection.request(method, address, body, self.sent | dict(headers))
            said = connection.getresponse()
            named = {name.lower(): value for name, value in said.getheaders()}
            return Answer(said.status, named, said.read())
        finally:
            connection.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Return a function that serves a store until the test ends."""
    stops: list[Callable[[], object]] = []

    def start(  # noqa: PLR0913 - what a site may differ in
        store: Store,
        *,
        token: str | None = None,
        reviewer: str = "ann",
        roots: Mapping[str, Path] | None = None,
        broker: str = NO_BROKER,
        runs: Runs | None = None,
        accounts: Accounts | None = None,
    ) -> Served:
        """Serve a store; with `runs`, scans of the roots can be started."""
        previews = Previews(roots or {}, DiskCache(tmp_path / "cache"))
        site = Site(store, Monitor(store, broker), previews, reviewer, roots or {}, runs or Runs())
        server, listener = make_server(make_app(site, token, accounts)), listen("127.0.0.1", 0)
        thread = threading.Thread(target=server.run, args=([listener.socket],))
        thread.start()

        def stop() -> None:
            server.should_exit = True
            thread.join()
            listener.socket.close()

        stops.append(stop)
        _until_answered(urlsplit(listener.url).netloc)
        return Served(listener.url)

    yield start
    for stop in stops:
        stop()


def _until_answered(netloc: str) -> None:
    host, _, port = netloc.rpartition(":")
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with socket.create_connection((host, int(port)), timeout=5):
            return


@pytest.fixture
def site(serve: Callable[..., Served], store: Store) -> Served:
    """Return the scan's pages, on loopback and without a token."""
    return serve(store)


@dataclass
class Visitor:
    """A browser page, and the errors on it."""

    page: Page
    troubles: list[str]

    def shoot(self, name: str) -> None:
        """Save screenshots, wide and narrow, light and dark, where they are asked for."""
        if not SHOTS:
            return
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            for width in (1280, 390):
                self.page.set_viewport_size({"width": width, "height": 900})
                self.page.wait_for_timeout(300)
                self.page.screenshot(path=str(Path(SHOTS) / f"{name}-{width}-{scheme}.png"))
        self.page.emulate_media(color_scheme="light")
        self.page.set_viewport_size({"width": 1280, "height": 900})

    def violations(self) -> list[str]:
        """Return the violations of WCAG 2.2 AA, wide and light, narrow and dark, by axe-core."""
        found = []
        options = {
            "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
            "rules": {"landmark-unique": {"enabled": True}},
        }
        for scheme, width in (("light", 1280), ("dark", 390)):
            self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            self.page.set_viewport_size({"width": width, "height": 900})
            result = Axe().run(self.page, options=options)
            found += [f"{scheme} {width}: {_told(each)}" for each in result.response["violations"]]
            wide = self.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            if wide:
                found.append(f"{width}: {wide} pixels wider than the window")
        self.page.emulate_media(color_scheme="light")
        self.page.set_viewport_size({"width": 1280, "height": 900})
        return found


def _told(violation: dict[str, Any]) -> str:
    places = [node["target"] for node in violation["nodes"][:3]]
    return f"{violation['id']} ({violation['help']}) at {places}"


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Visitor]:
    """Open a browser window; script errors, refused scripts and dialogs fail the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("dialog", lambda dialog: (troubles.append(dialog.message), dialog.dismiss()))
    page.on(
        "console",
        lambda said: troubles.append(said.text) if "Content Security" in said.text else None,
    )
    yield Visitor(page, troubles)
    context.close()
    assert [] == troubles
