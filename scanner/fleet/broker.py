"""The broker that a fleet's batches wait in: opening it, and showing its URL without secrets.

InvalidBroker       the URL cannot be used
BrokerUnavailable   the server does not answer, or refuses the password
"""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import redis
from kombu.exceptions import OperationalError
from redis.sentinel import MasterNotFoundError

from scanner.fleet.hub_config import JoinError, load_hub
from scanner.processes.addresses import is_loopback
from storage.errors import InvalidInput, ServiceUnavailable
from workers.broker.address import one_netloc, parse_address
from workers.broker.app import make_app, make_namespace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from celery import Celery

    from scanner.fleet.hub_config import HubConfig
    from workers.broker.namespace import Namespace

log = logging.getLogger(__name__)

# Said each time, since whoever reaches the broker can send work and results.
OPEN_BROKER = "the broker %s has no password: everyone who reaches it can send work to your workers"
# Said where something is put on a queue, which would look finished with batches dropped.
KEEPING = "noeviction"
EVICTING_BROKER = (
    "the broker %s drops batches when its memory is full (maxmemory-policy %s): set "
    f"`maxmemory-policy {KEEPING}` there"
)
# Shown in place of a URL that may be a password in part.
HIDDEN = "(a URL that is not shown)"
# What to do about a broker that does not answer.
HUB_ADVICE = "This machine has joined the hub there: is `scanner hub` running?"
JOIN_ADVICE = "Is `scanner hub` running there, at the address of the line, and its port open?"
OF_HUB_ADVICE = "Start a Redis server there, or leave --broker out: the hub then starts one"
ADVICE = "Start a Redis server there or name another with --broker; `scanner scan` needs none"


class InvalidBroker(InvalidInput):
    """The broker's URL cannot be used."""


class BrokerUnavailable(ServiceUnavailable):
    """The broker does not answer, or refuses the password."""


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that answered: a store's Celery app and its namespace in Redis."""

    url: str
    app: Celery
    namespace: Namespace


@contextmanager
def open_broker(url: str, store_id: str, advice: str | None = None) -> Iterator[Broker]:
    """Open a store's part of the broker at a URL. Raise InvalidBroker and BrokerUnavailable.

    A broker that goes away while the context lasts raises BrokerUnavailable, too. Its message ends
    with the `advice`. Raise InvalidInput for the broker of a hub that has another store.
    """
    hub = _hub_at(url)
    if hub is not None and hub.store != store_id:
        raise InvalidInput(
            "the hub that this machine has joined has a store of its own: run the command there, "
            "or name both --broker and --store"
        )
    advice = advice or (ADVICE if hub is None else HUB_ADVICE)
    try:
        namespace = make_namespace(url, store_id)
        is_open = lacks_password(url)
    except ValueError as error:
        raise InvalidBroker(f"invalid value for --broker: {error}") from error
    try:
        # Not PING, which a user without rights to these keys may send, too.
        namespace.client.get(namespace.key("hub"))
        if is_open:
            log.warning(OPEN_BROKER, without_password(url))
        yield Broker(url, make_app(url, store_id), namespace)
    except (redis.RedisError, OperationalError) as error:
        raise broker_error(without_password(url), error, advice) from error
    finally:
        namespace.client.close()


def _hub_at(url: str) -> HubConfig | None:
    """Return the hub that this machine has joined, if its broker has this URL."""
    with suppress(JoinError):
        hub = load_hub()
        if hub is not None and hub.broker_url() == url:
            return hub
    return None


def lacks_password(url: str) -> bool:
    """Return whether a URL names a server without a password; raise ValueError beyond loopback.

    The URL may say that this is meant; a socket is protected by its file's permissions.
    """
    address = parse_address(url)
    if not address.is_open:
        return False
    if not (address.allows_open or all(map(is_loopback, address.hosts))):
        raise ValueError(
            f"{without_password(url)} has no password, so anyone who reaches it could send work: "
            "set one there and write redis://:PASSWORD@HOST, or write ?no_password=allowed behind "
            "the URL where everyone on the network is trusted"
        )
    return True


def evicting_policy(info: Mapping[str, Any]) -> str | None:
    """Return the policy by which a server drops keys once its memory is full; None if it keeps all.

    `info` is the server's INFO.
    """
    policy = str(info.get("maxmemory_policy", KEEPING))
    return policy if info.get("maxmemory") and policy != KEEPING else None


def warn_of_eviction(broker: Broker) -> None:
    """Warn of a server that may drop batches; a server may forbid to ask."""
    with suppress(redis.RedisError):
        policy = evicting_policy(broker.namespace.client.info("memory"))
        if policy is not None:
            log.warning(EVICTING_BROKER, without_password(broker.url), policy)


def broker_error(where: str, error: Exception, advice: str = ADVICE) -> BrokerUnavailable:
    """Return what a command says of an error of a broker, in one sentence."""
    # Celery wraps the client's errors.
    cause = error.__cause__ if isinstance(error, OperationalError) else error
    if isinstance(cause, redis.AuthenticationError):
        return BrokerUnavailable(f"Authentication with broker {where} failed: {error_text(error)}")
    if isinstance(cause, redis.exceptions.NoPermissionError):
        return BrokerUnavailable(
            f"Broker {where} forbids what scanner needs: {error_text(error)}. Let the user use all "
            "keys that begin with scanner:, or with the prefix that the URL names in ?prefix=TEXT"
        )
    return BrokerUnavailable(f"Broker {where} is not available: {error_text(error)}. {advice}")


def without_password(url: str) -> str:
    """Return a URL that can be shown: without user, password and query.

    Nothing is shown of a URL that can be read in several ways.
    """
    try:
        parts = urlsplit(one_netloc(url))
        for location in parts.netloc.rpartition("@")[2].split(","):
            _ = urlsplit(f"//{location}").port  # raises where the port is not a number
    except ValueError:
        return HIDDEN
    # A password with a slash in it ends the host's part early, and would be shown as a path.
    if parts.netloc and "@" in parts.path + parts.query + parts.fragment:
        return HIDDEN
    _, at, host = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{'…@' if at else ''}{host}{parts.path}"


def error_text(error: Exception) -> str:
    """Return an error's message without its full stop, for use within a sentence."""
    if isinstance(error, MasterNotFoundError):
        # Its message has every setting of the client.
        return (
            "the Sentinels do not answer, have no master of that name, or want a password of their "
            "own, as in &sentinel_password=TEXT at the end of the URL"
        )
    return str(error).rstrip(".")
