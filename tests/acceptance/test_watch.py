"""`scanner watch` as users run it: real files come, change, move and go while it runs."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
import pytest
from aiosmtpd.controller import Controller
from PIL import Image
from ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from aiosmtpd.smtp import Envelope

    # The types of the fixtures, see conftest.py.
    Cli = Any
    Fleet = Any

TIMEOUT_S = 60.0
QUICK = ("--settle", "1", "--concurrency", "1")


class Watch:
    """A running `scanner watch`, and what its store has."""

    def __init__(self, cli: Cli, folder: Path, *options: str) -> None:
        self.process = cli.start("watch", folder, *QUICK, *options)
        self.store = Path(cli.env["XDG_DATA_HOME"]) / "scanner" / "store.db"
        self.lines: list[str] = []
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)

    def rows(self) -> list[tuple[bytes, int, str]]:
        """Return path, size and outcome of each judged image, of the latest scan."""
        query = (
            "SELECT path, size_bytes, outcome FROM entry JOIN image ON image.id = image_id "
            "JOIN verdict USING (scan_id, image_id) WHERE scan_id = (SELECT max(id) FROM scan) "
            "ORDER BY path"
        )
        return self.ask(query)

    def ask(self, query: str) -> list[Any]:
        """Return the rows of a query, none before the store exists."""
        try:
            with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)) as connection:
                return connection.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []

    def wait(self, until: Callable[[], bool]) -> None:
        """Wait until a condition is met."""
        end = time.monotonic() + TIMEOUT_S
        while not until():
            if time.monotonic() > end or self.process.poll() is not None:
                pytest.fail(f"{self.stop()}\n{self.lines}\n{self.rows()[-20:]}")
            time.sleep(0.05)

    def wait_for(self, *names: bytes) -> None:
        """Wait until exactly these images are judged."""
        self.wait(lambda: sorted(names) == [row[0] for row in self.rows()])

    def wait_for_line(self, text: str) -> None:
        """Wait until the watch has said something."""
        self.wait(lambda: any(text in line for line in self.read()))

    def read(self) -> list[str]:
        """Return all that it has said so far."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            self.lines.append(line)
        return self.lines

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Stop it with a signal; return its exit code and what it said on stderr."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        assert self.process.stderr is not None
        self.process.wait(TIMEOUT_S)
        return self.process.returncode, self.process.stderr.read()


@pytest.fixture
def watch(cli: Cli) -> Iterator[Callable[..., Watch]]:
    """Return a function that starts a watch and waits until it watches."""
    made: list[Watch] = []

    def start(folder: Path, *options: str, with_cli: Cli = cli) -> Watch:
        made.append(Watch(with_cli, folder, *options))
        made[-1].wait_for_line("watching ")
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            os.killpg(one.process.pid, signal.SIGKILL)
        for pipe in (one.process.stdout, one.process.stderr):
            assert pipe is not None
            pipe.close()
        one.process.wait()


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """Make an empty folder."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], None]:
    """Return a function that writes a small photograph, each time another one."""
    random = np.random.default_rng(7)

    def write(file: Path) -> None:
        pixels = random.integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file, quality=90)

    return write


def test_thousand_pictures_once(
    watch: Callable[..., Watch], cli: Cli, inbox: Path, tmp_path: Path, small: Callable[..., None]
) -> None:
    """Of 1,000 pictures that are copied in, each is judged once, in one scan; 0 after SIGTERM."""
    source = tmp_path / "camera"
    for number in range(1000):
        (source / f"{number // 100}").mkdir(parents=True, exist_ok=True)
        small(source / f"{number // 100}" / f"{number:04}.jpg")
    watching = watch(inbox)
    subprocess.run(["cp", "-r", source, inbox / "new"], check=True)
    watching.wait(lambda: len(watching.rows()) == 1000)
    watching.wait_for_line("1,000 of 1,000 images judged")
    code, said = watching.stop()
    runs = watching.ask("SELECT count(*), max(attempt) FROM run")
    judged = watching.ask("SELECT count(*) FROM verdict JOIN run ON run.id = run_id")
    batches = watching.ask("SELECT sum(images), sum(done_at IS NULL) FROM batch")
    report = cli.json("report", "--format", "json")

    assert (0, "") == (code, said)
    assert [(1000, 0)] == batches
    assert [(1000,)] == judged
    assert 1 == runs[0][1]
    assert (1, 1000, "finished") == (report["scan"], report["images"], report["state"])


def test_changed_moved_and_deleted(
    watch: Callable[..., Watch], inbox: Path, tmp_path: Path, small: Callable[..., None]
) -> None:
    """A changed image is judged again, a moved one at its new place; a deleted one stays."""
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        small(inbox / name)
    watching = watch(inbox)
    watching.wait_for(b"a.jpg", b"b.jpg", b"c.jpg")
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    small(folder / "deep" / "d.jpg")
    shutil.copy(folder / "deep" / "d.jpg", inbox / "a.jpg")
    (inbox / "b.jpg").unlink()
    (inbox / "c.jpg").rename(inbox / "e.jpg")
    folder.rename(inbox / "folder")
    watching.wait_for(b"a.jpg", b"b.jpg", b"c.jpg", b"e.jpg", b"folder/deep/d.jpg")
    size = (inbox / "a.jpg").stat().st_size
    watching.wait(lambda: watching.rows()[0][1] == size)
    code, _ = watching.stop()

    assert 0 == code
    assert {"no_evidence"} == {row[2] for row in watching.rows()}
    assert [(1,)] == watching.ask("SELECT count(*) FROM scan")


def test_file_that_is_being_written(
    watch: Callable[..., Watch],
    inbox: Path,
    tmp_path: Path,
    photo: Path,
    small: Callable[..., None],
) -> None:
    """A file is judged once it is whole, while others that are whole do not wait for it."""
    watching = watch(inbox, "--settle", "3")
    body = photo.read_bytes()
    written = 0
    with (inbox / "slow.jpg").open("wb", buffering=0) as file:
        small(inbox / "quick.jpg")

        def writes_until_judged() -> bool:
            nonlocal written
            written += file.write(body[written : written + 100])
            return bool(watching.rows())

        watching.wait(writes_until_judged)
        during = watching.rows()
        file.write(body[written:])
    watching.wait_for(b"quick.jpg", b"slow.jpg")
    watching.stop()

    assert [b"quick.jpg"] == [row[0] for row in during]
    assert [(2,)] == watching.ask("SELECT sum(images) FROM batch")
    assert (b"slow.jpg", len(body), "no_evidence") == watching.rows()[1]


def test_what_came_while_away(
    watch: Callable[..., Watch], cli: Cli, inbox: Path, small: Callable[..., None]
) -> None:
    """A start goes on with the scan, also one of `scan`, and judges only what came meanwhile."""
    small(inbox / "a.jpg")
    cli.run("scan", inbox)
    small(inbox / "b.jpg")
    watching = watch(inbox)
    watching.wait_for(b"a.jpg", b"b.jpg")
    killed = watching.stop(signal.SIGKILL)[0]
    small(inbox / "c.jpg")
    again = watch(inbox)
    again.wait_for(b"a.jpg", b"b.jpg", b"c.jpg")
    interrupted = again.stop(signal.SIGINT)[0]

    assert (-signal.SIGKILL, 130) == (killed, interrupted)
    assert [(1, 3)] == again.ask("SELECT count(DISTINCT scan_id), sum(images) FROM batch")


def test_unmounted_folder(
    watch: Callable[..., Watch], inbox: Path, tmp_path: Path, small: Callable[..., None]
) -> None:
    """While the folder is away or empty nothing is forgotten; then the watch goes on."""
    small(inbox / "a.jpg")
    watching = watch(inbox)
    watching.wait_for(b"a.jpg")
    inbox.rename(tmp_path / "disk")
    watching.wait_for_line("waiting, and nothing is forgotten")
    inbox.mkdir()
    watching.wait_for_line("is its disk mounted?")
    inbox.rmdir()
    small(tmp_path / "disk" / "b.jpg")
    (tmp_path / "disk").rename(inbox)
    watching.wait_for(b"a.jpg", b"b.jpg")
    small(inbox / "c.jpg")
    watching.wait_for(b"a.jpg", b"b.jpg", b"c.jpg")
    code, _ = watching.stop()

    assert 0 == code
    assert any("all is there again" in line for line in watching.read())
    assert {"no_evidence"} == {row[2] for row in watching.rows()}


def test_polling(watch: Callable[..., Watch], inbox: Path, small: Callable[..., None]) -> None:
    """With --poll the folder is looked at now and then, names that are not UTF-8 included."""
    watching = watch(inbox, "--poll", "1")
    small(inbox / "a.jpg")
    (inbox / "a.jpg").rename(os.fsdecode(os.fsencode(inbox) + b"/caf\xe9.jpg"))
    watching.wait_for(b"caf\xe9.jpg")
    watching.stop()

    assert any("(looking every 1 s)" in line for line in watching.read())


def test_second_watch_is_refused(watch: Callable[..., Watch], cli: Cli, inbox: Path) -> None:
    """A second watch of a folder, or a scan of it, is refused with one sentence."""
    watch(inbox)
    for command in ("watch", "scan"):
        done = cli.run(command, inbox, check=1)

        assert "is running already (process " in done.stderr
        assert 1 == len(done.stderr.splitlines())


def test_worker_that_dies(
    watch: Callable[..., Watch], inbox: Path, small: Callable[..., None]
) -> None:
    """The worker of a watch is started again when it was killed."""
    watching = watch(inbox)
    worker = next(
        pid
        for pid in children(watching.process.pid)
        if b"scanner.waiting_worker" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    )
    os.kill(worker, signal.SIGKILL)
    watching.wait_for_line("started again")
    small(inbox / "a.jpg")
    watching.wait_for(b"a.jpg")


def children(pid: int) -> list[int]:
    """Return the child processes of a process."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def test_fleet_and_its_broker_away(  # noqa: PLR0913, PLR0917 - fixtures
    watch: Callable[..., Watch],
    fleet_on: Callable[[str], Fleet],
    proxy_to: Callable[..., Any],
    clean_redis: str,
    inbox: Path,
    tmp_path: Path,
    small: Callable[..., None],
) -> None:
    """With a broker the fleet's workers judge; what comes while it is away is judged later."""
    fleet = fleet_on(f"sqlite:///{tmp_path}/store.db")
    near = urlsplit(clean_redis)
    proxy = proxy_to((near.hostname, near.port))
    url = f"redis://:{near.password}@127.0.0.1:{proxy.port}/0"
    watching = watch(inbox, "--broker", url, with_cli=fleet.cli)
    watching.store = tmp_path / "store.db"
    fleet.work()
    small(inbox / "a.jpg")
    watching.wait_for(b"a.jpg")
    proxy.shut()
    small(inbox / "b.jpg")
    watching.wait_for_line("trying again")
    proxy.open()
    watching.wait_for(b"a.jpg", b"b.jpg")
    code, _ = watching.stop()

    assert 0 == code
    assert [("fleet",)] == watching.ask("SELECT broker FROM scan")


class Received:
    """Keeps the texts that a mail server received."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def handle_DATA(  # noqa: N802 - as aiosmtpd calls it
        self, _server: object, _session: object, envelope: Envelope
    ) -> str:
        """Keep a message."""
        assert isinstance(envelope.content, bytes)
        self.texts.append(envelope.content.decode())
        return "250 OK"


def test_new_findings_are_sent(
    watch: Callable[..., Watch], inbox: Path, samples: Path, small: Callable[..., None]
) -> None:
    """New findings come in one e-mail; a webhook that is away holds neither it nor the watch up."""
    received = Received()
    server = Controller(received, hostname="127.0.0.1", port=free_port())
    server.start()
    mail = ("--mail-to", "ann@example.org", "--mail-from", "scanner@example.org")
    away = f"http://127.0.0.1:{free_port()}/s3cret"
    try:
        watching = watch(
            inbox,
            *("--mail-server", f"127.0.0.1:{server.port}", "--mail-tls", "off", *mail),
            *("--webhook", away, "--quiet", "3"),
        )
        for name in ("webui.png", "comfyui.png"):
            shutil.copy(samples / "tagged" / name, inbox / name)
        watching.wait(lambda: bool(received.texts))
        small(inbox / "a.jpg")
        watching.wait_for(b"a.jpg", b"comfyui.png", b"webui.png")
        code, said = watching.stop()
    finally:
        server.stop()
    (text,) = received.texts

    assert 0 == code
    assert "2 images in " in text
    assert all(f"  {name}\r\n    0.980: tag of " in text for name in ("webui.png", "comfyui.png"))
    assert "s3cret" not in said
