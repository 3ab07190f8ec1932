"""An empty store, and its part of an empty Redis, for those who look after scans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scanner.fleet.broker import Broker
from workers.broker.app import make_app, make_redis
from workers.broker.namespace import Namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.database.store import Store


@pytest.fixture
def broker(clean_redis: str, store: Store) -> Iterator[Broker]:
    """Return the store's namespace in an empty Redis."""
    client = make_redis(clean_redis)
    yield Broker(
        clean_redis, make_app(clean_redis, store.identity), Namespace(client, store.identity)
    )
    client.close()
