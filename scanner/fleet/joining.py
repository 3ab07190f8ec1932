"""How a machine joins a hub: what it asks for in Redis, and what the hub answers.

The machine makes a key pair and sends the public key, signed with the private one and with the
secret of the join line. The answer names a password of its own, in a list with a name that only
this machine knows. So what a machine joins with, and what it works with, can be changed apart.
"""

from __future__ import annotations

import base64
import hmac
import logging
import secrets
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, cast

from msgspec import Meta, Struct, json

from scanner.fleet.hub_config import HubConfig, JoinError
from scanner.processes.atomic_write import atomic_write
from storage.private import make_private_folder
from storage.writes.machines import KeyChanged, Machine, admit
from workers.broker.field_types import (
    VERSION,
    Id,
    MessageError,
    Name,
    message_errors,
    require_printable,
)
from workers.broker.signatures import KEY_BYTES, PublicKey, Purpose, SignedBody, Signer, verify
from workers.host.identity import this_host
from workers.settings import Membership

if TYPE_CHECKING:
    from pathlib import Path

    from storage.database.store import Store
    from storage.writes.results import Host
    from workers.broker.namespace import Namespace

log = logging.getLogger(__name__)

# Seconds that a machine waits for the hub's answer, and that the answer waits for the machine.
ANSWER_SECONDS = 30
# Requests that the hub answers at a time, of which there is one each second.
MAX_REQUESTS = 100

_Text = Annotated[str, Meta(min_length=1, max_length=200)]


class _Request(Struct):
    v: Id
    reply_to: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{32}\Z")]
    secret: _Text
    label: Name
    public_key: PublicKey


class Answer(Struct, omit_defaults=True):
    """A password and its user, unless the Redis is not the hub's, or why there is none."""

    reply_to: str
    password: str = ""
    user: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Admission:
    """The side of the hub: `secret` is that of its join line."""

    store: Store
    namespace: Namespace
    secret: str
    has_users: bool = False

    def take_requests(self) -> list[Answer]:
        """Admit the machines that asked to join; return the answers, to be sent.

        Raise StoreError and redis.RedisError.
        """
        client, queue = self.namespace.client, requests_key(self.namespace)
        answers = []
        for _ in range(MAX_REQUESTS):
            # The type of redis-py is that of its asynchronous client, too.
            raw = cast("bytes | None", client.lpop(queue))
            if raw is None:
                break
            try:
                answers.append(self._admit(*self._decode(raw)))
            except MessageError as error:
                # Nobody to answer.
                log.warning("request to join refused: %s", error)
        return answers

    def send(self, answers: list[Answer]) -> None:
        """Send the answers, once the machines' users exist. Raise redis.RedisError."""
        for answer in answers:
            key = self.namespace.key("joined", answer.reply_to)
            with self.namespace.client.pipeline() as pipe:
                pipe.rpush(key, json.encode(answer))
                pipe.expire(key, ANSWER_SECONDS)
                pipe.execute()

    def _admit(self, machine_id: str, request: _Request) -> Answer:
        if request.v != VERSION:
            refused = "it runs another version of scanner: upgrade the older one"
            return Answer(request.reply_to, refused=refused)
        password = secrets.token_urlsafe(32)
        joining = Machine(
            machine_id, request.label, request.public_key, sha256(password.encode()).hexdigest()
        )
        try:
            admit(self.store, joining)
        except KeyChanged as error:
            return Answer(request.reply_to, refused=str(error))
        log.warning("%s joined (%s)", request.label, machine_id)
        user = machine_user(machine_id) if self.has_users else ""
        return Answer(request.reply_to, password, user)

    def _decode(self, raw: bytes) -> tuple[str, _Request]:
        with message_errors("request to join"):
            signed = json.decode(raw, type=SignedBody)
            request = json.decode(signed.body, type=_Request)
            # Who asks has the private key, too.
            verify(Purpose("join", self.namespace.store_id), signed, request.public_key)
            if not hmac.compare_digest(request.secret.encode(), self.secret.encode()):
                raise MessageError("the join line is not the current one")
            require_printable(request.label)
            return signed.by, request


def request_to_join(hub: HubConfig, namespace: Namespace, host: Host, key: bytes) -> HubConfig:
    """Ask to join, and return the hub as this machine, with a private key, is to know it.

    Raise JoinError where the hub refuses or does not answer, and redis.RedisError.
    """
    signer, reply_to = Signer(host.host_id, key), secrets.token_urlsafe(24)
    request = _Request(VERSION, reply_to, hub.join or "", host.label, signer.public_key)
    signed = signer.sign(Purpose("join", hub.store), json.encode(request).decode())
    namespace.client.rpush(requests_key(namespace), json.encode(signed))
    for _ in range(ANSWER_SECONDS // 5):
        # Shorter than the client's own timeout.
        answered = namespace.client.blpop([namespace.key("joined", reply_to)], timeout=5)
        if answered is not None:
            return _member(hub, host.host_id, cast("tuple[bytes, bytes]", answered)[1])
    raise JoinError(
        "The hub does not answer: start `scanner hub` there; or its join line has changed, "
        "`scanner hub --new-line` prints a new one"
    )


def _member(hub: HubConfig, machine_id: str, raw: bytes) -> HubConfig:
    with message_errors("answer of the hub"):
        answer = json.decode(raw, type=Answer)
    if answer.refused:
        raise JoinError(f"The hub refuses: {answer.refused}")
    member = replace(hub, join=None, machine=machine_id, token=f"{machine_id}.{answer.password}")
    if answer.user:
        return replace(member, broker=member.broker_as(answer.user, answer.password))
    return member


def membership_of(hub: HubConfig, state_dir: Path) -> Membership:
    """Return what signs this machine's messages for a hub. Raise JoinError and OSError."""
    private_key, machine_id = read_machine_key(state_dir), this_host(state_dir, "").host_id
    if private_key is None or machine_id != hub.machine:
        raise JoinError(
            "this machine has lost its id or its key since it joined: join again with the hub's "
            "join line"
        )
    return Membership(machine_id, base64.urlsafe_b64decode(hub.key), private_key)


def read_machine_key(state_dir: Path) -> bytes | None:
    """Return this machine's private key; None where it has none. Raise OSError."""
    try:
        key = _key_file(state_dir).read_bytes()
    except FileNotFoundError:
        return None
    return key if len(key) == KEY_BYTES else None


def ensure_machine_key(state_dir: Path) -> bytes:
    """Return this machine's private key, created with the first hub. Raise OSError."""
    key = read_machine_key(state_dir)
    if key is None:
        key = secrets.token_bytes(KEY_BYTES)
        make_private_folder(state_dir)
        with atomic_write(_key_file(state_dir)) as output:
            output.write(key)
    return key


def machine_user(machine_id: str) -> str:
    """Return the name of a machine's user of the queue server."""
    return f"machine-{machine_id}"


def requests_key(namespace: Namespace) -> str:
    """Return the key of the list of requests to join."""
    return namespace.key("join")


def _key_file(state_dir: Path) -> Path:
    return state_dir / "machine-key"
