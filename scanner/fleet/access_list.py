"""The users of a hub's queue server: what each may do, as an access control list of Redis 7.

    admin       keeps this list, and reads and writes no key; known to the hub's process only
    producer    what has the store: enqueueing, the rescuer, a worker on the hub's own machine
    results     the result writer
    join        the join line: asks to join, and reads the answer
    machine-ID  a machine that joined: takes batches, sends results

None may stop, configure or look through the server. Machines run no Lua but the scripts that the
hub has loaded, and see neither the batches that others hold nor the results of others.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from scanner.fleet.joining import machine_user
from workers.broker.namespace import key_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from storage.writes.machines import Machine

PRODUCER = "producer"
RESULTS = "results"
JOIN = "join"
ADMIN = "admin"

# What clients send when they connect, and transactions, which give no rights of their own.
_SETINFO = "client|setinfo"
_CONNECT = f"auth hello ping select {_SETINFO} client|setname client|id multi exec discard time"
# What kombu does: takes and returns messages, remembers those at work, and finds its queues.
_TAKE = "brpop lpush rpush llen"
_HOLD = (
    "hset hget hdel hlen zadd zrem zrange zrangebyscore zrevrangebyscore set get del evalsha watch "
    "unwatch type"
)
_BIND = "sadd smembers"
_LEASE = "evalsha set get del hset hsetnx hdel hexists"
_PRODUCE = (
    f"{_CONNECT} {_TAKE} {_HOLD} {_BIND} eval script|load lpop lrange lrem ltrim exists expire "
    "hexists hgetall hkeys hmget hsetnx rename scan info"
)


@dataclass(frozen=True, slots=True)
class AccessList:
    """The users of the server of one store, and their passwords."""

    store_id: str
    producer: str
    results: str
    join: str
    admin: str
    # Redis 7.0 refuses a list that names a command which came with 7.2, and does not need it.
    has_setinfo: bool = True

    def users(self, machines: Iterable[Machine]) -> dict[str, str]:
        """Return the rules of each user by name; machines that were revoked have none."""
        rules = self._rules(machines)
        if self.has_setinfo:
            return rules
        return {name: rule.replace(f" +{_SETINFO}", "") for name, rule in rules.items()}

    def _rules(self, machines: Iterable[Machine]) -> dict[str, str]:
        rules = {
            "default": "off -@all",
            ADMIN: f"on #{_digest(self.admin)} {_commands(f'{_CONNECT} acl|setuser acl|deluser')}",
            PRODUCER: f"on #{_digest(self.producer)} {self._may(_PRODUCE, '*')}",
            RESULTS: self._user(
                _digest(self.results),
                (_TAKE, "results*"),
                (_HOLD, "recording*"),
                (_BIND, "_kombu.binding*"),
                ("lpush ltrim", "dead"),
                ("get", "hub"),
                script_load=True,
            ),
            JOIN: self._user(
                _digest(self.join), ("rpush", "join"), ("blpop", "joined:*"), ("get", "hub")
            ),
        }
        for machine in machines:
            if machine.revoked_at is None:
                rules[machine_user(machine.machine_id)] = self._machine(machine)
        return rules

    def _machine(self, machine: Machine) -> str:
        return self._user(
            machine.secret_digest,
            (_TAKE, "queue*"),
            (_HOLD, f"unacked:{machine.machine_id}*"),
            (_BIND, "_kombu.binding*"),
            (_LEASE, "lease:*", "working"),
            ("lpush llen", "results*"),
            ("hlen", "recording"),
            ("get hget hkeys hexists hmget", "control", "samples", "hub"),
            ("hsetnx hget hdel", "stuck"),
            ("set", "worker:*"),
            ("lpush ltrim", "dead"),
        )

    def _user(self, digest: str, *allowed: tuple[str, ...], script_load: bool = False) -> str:
        connect = f"{_CONNECT} script|load" if script_load else _CONNECT
        selectors = " ".join(f"({self._may(*one)})" for one in allowed)
        return f"on #{digest} {_commands(connect)} {selectors}"

    def _may(self, commands: str, *keys: str) -> str:
        patterns = " ".join(f"~{key_prefix(self.store_id)}{one}" for one in keys)
        return f"{patterns} {_commands(commands)}"


def to_file(users: Mapping[str, str]) -> str:
    """Return the list as the server reads it when it starts."""
    return "".join(f"user {name} {rules}\n" for name, rules in users.items())


def _commands(names: str) -> str:
    return " ".join(("-@all", *(f"+{name}" for name in names.split())))


def _digest(password: str) -> str:
    return sha256(password.encode()).hexdigest()
