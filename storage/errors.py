"""What can be wrong with the store.

StoreError
├── StoreUnavailable   the world: away, locked, full; may pass
├── StoreOutdated      made by an older version: `scanner store upgrade`
├── StoreTooNew        made by a newer version: upgrade this machine
└── NotFound, NameTaken, Overtaken   what was asked for does not fit what is there
"""

from __future__ import annotations


class StoreError(Exception):
    """Something is wrong with the store; the message says what, where and what to do."""


class StoreUnavailable(StoreError):
    """The store cannot be reached or written just now."""


class StoreOutdated(StoreError):
    """The store was made by an older version of scanner."""


class StoreTooNew(StoreError):
    """The store was made by a newer version of scanner."""


class NotFound(StoreError):
    """There is no such scan or collection in the store."""


class Overtaken(StoreError):
    """Somebody else has begun the same scan at the same time."""


class NameTaken(StoreError):
    """A collection of that name stands for another folder already."""
