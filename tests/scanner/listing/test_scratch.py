"""Databases of a listing."""

from __future__ import annotations

import sqlite3

import pytest

from scanner.listing.scratch import scratch_database


class _Owner:
    """Has a database."""


def test_closed_with_its_owner() -> None:
    """A database has what its statements made, and is closed when its owner is gone."""
    owner = _Owner()
    database = scratch_database(owner, "CREATE TABLE t (n)", "INSERT INTO t VALUES (7)")

    assert [(7,)] == database.execute("SELECT n FROM t").fetchall()
    del owner
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        database.execute("SELECT n FROM t")
