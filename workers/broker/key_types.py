"""Types of a store's keys in Redis: a key of another type ends all use of it, so it is moved aside.

It was not made by scanner. What was lost with the key is published again from the store.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from workers.broker.heartbeat import control_key
from workers.broker.leases import working_key
from workers.broker.namespace import QUEUE, RECORDING, RESULTS

if TYPE_CHECKING:
    from workers.broker.namespace import Namespace

log = logging.getLogger(__name__)

RESCUER_LOCK = "keeper"  # shared with workers of earlier versions
# Celery's keys, by their types, see `workers.broker.app`.
_CELERY = {
    QUEUE: "list",
    RESULTS: "list",
    "unacked": "hash",
    "unacked_index": "zset",
    "unacked_mutex": "string",
    RECORDING: "hash",
    f"{RECORDING}:index": "zset",
    f"{RECORDING}:mutex": "string",
    f"_kombu.binding.{QUEUE}": "set",
    f"_kombu.binding.{RESULTS}": "set",
}
_MOVE = """
local moved = {}
for i, key in ipairs(KEYS) do
    local type = redis.call('TYPE', key)['ok']
    if type ~= 'none' and type ~= ARGV[i] then
        redis.call('RENAME', key, key .. ':moved')
        moved[#moved + 1] = key
    end
end
return moved
"""


def move_wrong_types(namespace: Namespace) -> None:
    """Rename the store's keys that have another type than they should have."""
    types = {namespace.key(name): type_ for name, type_ in _CELERY.items()}
    types |= {
        working_key(namespace): "hash",
        control_key(namespace): "hash",
        namespace.key(RESCUER_LOCK): "string",
    }
    for key in namespace.client.eval(_MOVE, len(types), *types, *types.values()):
        log.error("%s in Redis had another type; it is %s:moved now", key.decode(), key.decode())
