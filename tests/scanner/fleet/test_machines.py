"""Machines by the names that a user knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scanner.fleet.machines import find_machines
from storage.database.store import Store
from storage.errors import InvalidInput
from storage.writes.machines import Machine, admit, revoke
from workers.broker.app import make_namespace

if TYPE_CHECKING:
    from pathlib import Path


def test_machine_that_has_joined(tmp_path: Path, clean_redis: str) -> None:
    """A machine is known by name and id as soon as it joins, until it is shut out."""
    store = Store.open(str(tmp_path / "store.db"))
    queue = make_namespace(clean_redis, store.identity)
    with pytest.raises(InvalidInput, match="no machine has joined or worked yet"):
        find_machines(store, queue, "attic-pi")
    admit(store, Machine("id-1", "attic-pi", bytes(32), ""))

    assert (
        ["id-1"] == find_machines(store, queue, "attic-pi") == find_machines(store, queue, "id-1")
    )
    with pytest.raises(InvalidInput, match=r"invalid host 'atic-pi': did you mean attic-pi\?"):
        find_machines(store, queue, "atic-pi")

    revoke(store, "attic-pi")
    with pytest.raises(InvalidInput, match="invalid host 'attic-pi'"):
        find_machines(store, queue, "attic-pi")
    store.close()
