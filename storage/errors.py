"""Errors that a command shows as one sentence, without a traceback; those of the store.

ScannerError
├── InvalidInput           an option, a setting or a file of settings is wrong
├── ServiceUnavailable     a store or a broker does not answer; may pass
│   └── StoreUnavailable
└── StoreError
    ├── StoreUnavailable   away, locked or full; may pass
    ├── StoreOutdated      made by an older version: `scanner store upgrade`
    ├── StoreTooNew        made by a newer version: upgrade this machine
    └── NotFound, NameTaken, ScanExists
"""

from __future__ import annotations


class ScannerError(Exception):
    """A command cannot go on; the message says in one sentence what happened and what to do."""


class InvalidInput(ScannerError):
    """An option, a setting or a file of settings is wrong."""


class ServiceUnavailable(ScannerError):
    """A service that the command needs does not answer."""


class StoreError(ScannerError):
    """Something is wrong with the store; the message says what, where and what to do."""


class StoreUnavailable(StoreError, ServiceUnavailable):
    """The store cannot be reached or written at the moment."""


class StoreOutdated(StoreError):
    """The store was made by an older version of scanner."""


class StoreTooNew(StoreError):
    """The store was made by a newer version of scanner."""


class NotFound(StoreError):
    """A scan, collection or image is not in the store."""


class ScanExists(StoreError):
    """Another process has just begun the same scan."""


class NameTaken(StoreError):
    """Another folder already has this collection name."""
