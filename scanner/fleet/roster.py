"""The machines of a running hub: who may use its queue and its share, kept up to date."""

from __future__ import annotations

import hmac
import logging
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import redis
from redis.lock import Lock

from scanner.fleet.access_list import to_file
from scanner.fleet.hub_config import write_private
from scanner.fleet.joining import Admission
from storage.errors import StoreError
from storage.writes.machines import list_machines
from workers.broker.leases import SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from scanner.fleet.access_list import AccessList
    from storage.database.store import Store
    from storage.writes.machines import Machine
    from workers.broker.namespace import Namespace

log = logging.getLogger(__name__)

# What machines may run on the server: leases, and kombu's lock.
_SCRIPTS = (*SCRIPTS, Lock.LUA_RELEASE_SCRIPT)


class Users:
    """The users of the hub's own server: a file for its next start, and changes as it runs."""

    def __init__(self, file: Path, users: Mapping[str, str]) -> None:
        """Write the file, for a server that starts. Raise OSError."""
        self._file = file
        self._known: Mapping[str, str] = {}
        self._write(users)

    def change(self, admin: redis.Redis, users: Mapping[str, str]) -> None:
        """Make these the users of the running server. Raise redis.RedisError and OSError."""
        before = self._known
        if users == before:
            return
        for name, rules in users.items():
            if rules != before.get(name):
                _run(admin, "ACL SETUSER", name, "reset", *rules.split())
        for name in before.keys() - users.keys():
            # This closes the user's connections, too.
            _run(admin, "ACL DELUSER", name)
        self._write(users)

    def _write(self, users: Mapping[str, str]) -> None:
        write_private(self._file, to_file(users))
        self._known = users


@dataclass(frozen=True, slots=True)
class OwnServer:
    """The hub's own server: its users, who they are, and a client that may change them."""

    users: Users
    access: Callable[[str], AccessList]
    admin: redis.Redis


class Roster:
    """Admits the machines that ask to join, and shuts out those that were revoked."""

    def __init__(
        self,
        store: Store,
        namespace: Namespace,
        read_secret: Callable[[], str],
        server: OwnServer | None,
    ) -> None:
        """Prepare; `read_secret` returns the current secret of the join line.

        Without a server of its own the hub makes no users.
        """
        self._store = store
        self._namespace = namespace
        self._read_secret = read_secret
        self._server = server
        self._digests: Mapping[str, str] = {}
        self._problem = ""

    def refresh(self) -> None:
        """Do what has changed since the last call, of which there is one each second."""
        try:
            self._refresh()
            self._problem = ""
        except (StoreError, redis.RedisError, OSError) as error:
            if str(error) != self._problem:
                log.warning("machines cannot join just now: %s", error)
            self._problem = str(error)

    def is_valid(self, token: str) -> bool:
        """Return whether a token for the share is that of a machine that may use it."""
        machine_id, _, password = token.rpartition(".")
        digest = self._digests.get(machine_id, "")
        return hmac.compare_digest(sha256(password.encode()).hexdigest(), digest)

    def _refresh(self) -> None:
        secret, server = self._read_secret(), self._server
        admission = Admission(self._store, self._namespace, secret, server is not None)
        answers = admission.take_requests()
        machines = list_machines(self._store)
        self._digests = _digests(machines)
        if server is not None:
            server.users.change(server.admin, server.access(secret).users(machines))
            for script in _SCRIPTS:
                self._namespace.client.script_load(script)
        admission.send(answers)


def _run(client: redis.Redis, *command: str) -> None:
    client.execute_command(*command)  # type: ignore[no-untyped-call]


def _digests(machines: list[Machine]) -> dict[str, str]:
    return {one.machine_id: one.secret_digest for one in machines if one.revoked_at is None}
