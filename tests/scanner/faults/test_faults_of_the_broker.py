"""Every command with a broker that cannot be used: one sentence without its password."""

from __future__ import annotations

import socket
import socketserver
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import redis
from commands import CLOSED, PASSWORD, REFUSED, USAGE, Here, check, with_option

from scanner.exits import FAILED, UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

# They show what the store says, with or without a broker.
WORKS_WITHOUT_BROKER = {"report", "scans", "scans list", "serve", "status"}


class _Garbage(socketserver.BaseRequestHandler):
    """Answers like a web server, then closes."""

    def handle(self) -> None:
        self.request.recv(1024)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.fixture(scope="module")
def garbage_port() -> Iterator[int]:
    """Start a server that is neither Redis nor Postgres; return its port."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Garbage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


# The URL of each fault: of what runs on the test's server (SECRET, SERVER), of what is none (PORT),
# or of files in the test's FOLDER.
BROKERS = {
    "not Redis": f"redis://:{PASSWORD}@127.0.0.1:PORT/0",
    "wrong password": f"redis://:{PASSWORD}@SERVER/0",
    "missing password": "redis://SERVER/0",
    "no password beyond this machine": "redis://10.255.255.1/0",
    "TLS to a plain server": "rediss://:SECRET@SERVER/0",
    "unknown number": "redis://:SECRET@SERVER/4000",
    "few rights": f"redis://few:{PASSWORD}@SERVER/0",
    "no socket": "unix://FOLDER/nothing.sock",
    "file for a socket": "unix://FOLDER/model.onnx",
    "socket without a server": "redis+socket://FOLDER/dead.sock",
    "closed port": CLOSED,
    "unknown host": f"redis://:{PASSWORD}@laptop.invalid/0",
    "AMQP": f"amqp://ann:{PASSWORD}@laptop",
    "no Sentinel": f"sentinel://:{PASSWORD}@127.0.0.1:1/0?master=photos",
    "invalid TLS option": f"rediss://:{PASSWORD}@127.0.0.1:1/0?ssl_cert_reqs=zzz",
    "unknown option": f"{CLOSED}?nonsense=1",
    "certificate file": f"rediss://:{PASSWORD}@127.0.0.1:PORT/0?ssl_ca_certs=/nowhere.pem",
    "invalid port": f"redis://:{PASSWORD}@127.0.0.1:port/0",
    "no URL": "laptop",
    "empty": "",
}
# URLs that every command refuses at once.
INVALID = {"AMQP", "invalid TLS option", "unknown option", "invalid port", "no URL", "empty"}
# Each of four tries waits for a server that says nothing.
SLOW = {"TLS to a plain server"}


@pytest.fixture
def few_rights(clean_redis: str) -> str:
    """Return the broker's URL; its user `few` may use no key of scanner's."""
    with redis.Redis.from_url(clean_redis) as client:
        client.execute_command(
            "ACL", "SETUSER", "few", "reset", "on", f">{PASSWORD}", "~other:*", "+@all"
        )
    return clean_redis


@pytest.mark.parametrize("fault", BROKERS)
@pytest.mark.parametrize("line", with_option("--broker"))
def test_broker(here: Here, few_rights: str, garbage_port: int, line: str, fault: str) -> None:
    """A broker that cannot be used is one sentence without its password."""
    if fault in SLOW and line != "enqueue":
        pytest.skip("it takes 20 s, and all commands open a broker in one way")
    secret, _, server = few_rights.removeprefix("redis://:").removesuffix("/0").partition("@")
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(str(here.folder / "dead.sock"))
    url = BROKERS[fault]
    for name, value in {
        "PORT": garbage_port,
        "SERVER": server,
        "SECRET": secret,
        "FOLDER": here.folder,
    }.items():
        url = url.replace(name, str(value))
    if fault in INVALID and line != "doctor":
        check(line, here.words(line, "--store", here.store, "--broker", url), {USAGE})
        return
    # `doctor` may be asked about a broker before there is a store, whose keys it could try.
    works = line in WORKS_WITHOUT_BROKER or (line, fault) == ("doctor", "few rights")
    accepted = {0} if works else set()
    words = here.words(line, "--store", here.store, "--broker", url)
    check(line, words, REFUSED | accepted)


@pytest.mark.parametrize("line", with_option("--broker"))
def test_full_broker(here: Here, clean_redis: str, line: str) -> None:
    """A broker without memory for one more key is one sentence."""
    if line in {"hub", "watch", "worker"}:
        pytest.skip("it waits for the broker, as the tests of faults show")
    with redis.Redis.from_url(clean_redis) as client:
        client.config_set("maxmemory", "1")
        try:
            words = here.words(line, "--store", here.store, "--broker", clean_redis)
            check(line, words, {0, FAILED, UNAVAILABLE})
        finally:
            client.config_set("maxmemory", "0")
