"""A database on disk for what a listing has to know of many files, without a name."""

from __future__ import annotations

import sqlite3
import weakref


def scratch_database(owner: object, *statements: str) -> sqlite3.Connection:
    """Return a database after these statements; it is closed, and so deleted, with its owner."""
    # One without a name is on disk where it grows, in no folder.
    database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
    weakref.finalize(owner, database.close)
    # Nothing of it is to survive.
    database.execute("PRAGMA journal_mode=OFF")
    for statement in statements:
        database.execute(statement)
    return database
