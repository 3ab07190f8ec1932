"""What the Tab key offers."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from click.shell_completion import BashComplete
from ports import free_port

from scanner.cli import cli
from scanner.fleet.hub_config import HubConfig, save_hub
from storage.database.schema import host
from storage.database.store import Store
from storage.records import Plan
from storage.writes import scans
from storage.writes.machines import Machine, admit, revoke
from workers.broker.app import make_namespace
from workers.broker.collection_fingerprints import store_fingerprint
from workers.broker.dead_letters import bury, dead_letter

if TYPE_CHECKING:
    from pathlib import Path


def offered(words: list[str], begun: str) -> list[str]:
    """Return what is offered after some words."""
    complete = BashComplete(cli, {}, "scanner", "_SCANNER_COMPLETE")
    return [item.value for item in complete.get_completions(words, begun)]


@pytest.mark.parametrize(
    ("words", "begun", "expected"),
    [
        (["detectors", "show"], "sc", ["scenes"]),
        (["scan", "photos", "--detectors"], "fa", ["faces"]),
        (["scan", "photos", "--detectors"], "faces,sc", ["faces,scenes"]),
        (["scan", "photos", "--detectors"], "faces,fa", []),
        (["detectors", "remove"], "", []),
    ],
)
def test_detectors(home: Path, words: list[str], begun: str, expected: list[str]) -> None:
    """Detectors are offered, in lists too; only those that were added can be removed."""
    assert expected == offered(words, begun)


def test_hosts_and_scans(home: Path, tmp_path: Path) -> None:
    """Machines and scans are those of the store that is named; an absent store offers none."""
    database = str(tmp_path / "store.db")
    store = Store.open(database)
    with store.write() as connection:
        rows = [{"id": name, "label": name, "arch": "x", "info": "{}"} for name in ("attic", "pi")]
        connection.execute(host.insert(), rows)
    store.close()

    assert ["attic"] == offered(["pause", "--store", database], "a")
    assert [] == offered(["report", "--store", database], "")
    assert [] == offered(["report", "--store", str(tmp_path / "absent.db")], "")
    assert not (tmp_path / "absent.db").exists()


def make_scans(database: str) -> str:
    """Make one finished, one cancelled and one running scan; return the store's id."""
    with closing(Store.open(database)) as store:
        plan = scans.ensure_plan(store, Plan(()))
        made = []
        for name in ("photos", "phone", "photos"):
            collection = scans.ensure_collection(store, name, b"/photos")
            made.append(scans.new_scan(store, collection, plan, "fleet"))
            if len(made) == 1:
                scans.mark_listed(store, made[0].scan_id, {}, 0)
        scans.cancel(store, made[1].scan_id)
        return store.identity


def test_scans_and_collections(home: Path, tmp_path: Path) -> None:
    """Only what a command can do something with is offered; collections for --root end with =."""
    database = str(tmp_path / "store.db")
    make_scans(database)
    named = ["--store", database]

    assert ["3", "2", "1"] == offered(["report", *named], "")
    assert ["3"] == offered(["cancel", *named], "")
    assert ["3", "2"] == offered(["resume", *named], "")
    assert ["photos", "phone"] == offered(["enqueue", *named, "/photos", "--name"], "ph")
    assert ["photos="] == offered(["worker", *named, "--root"], "phot")
    assert ["phone="] == offered(["worker", *named, "install", "--root"], "phon")


def test_collections_of_the_hub(home: Path, clean_redis: str) -> None:
    """A machine without the store is offered the collections that its hub has on the queue."""
    namespace = make_namespace(clean_redis, "store-1")
    store_fingerprint(namespace, "photos", ())
    save_hub(HubConfig(clean_redis, "store-1", "key"))
    known = offered(["worker", "--root"], "")
    save_hub(HubConfig(f"redis://:s3cret@127.0.0.1:{free_port()}/0", "store-1", "key"))

    assert ["photos="] == known
    assert [] == offered(["worker", "--root"], "")


def test_members(home: Path, tmp_path: Path) -> None:
    """Machines that joined are offered before they have worked, until they are shut out."""
    database = str(tmp_path / "store.db")
    with closing(Store.open(database)) as store:
        for name in ("attic-pi", "nas"):
            admit(store, Machine(f"id-{name}", name, bytes(32), ""))
        revoke(store, "nas")

    assert ["attic-pi"] == offered(["pause", "--store", database], "")
    assert ["attic-pi"] == offered(["hub", "revoke", "--store", database], "")


def test_dead_letters(home: Path, tmp_path: Path, clean_redis: str) -> None:
    """The ids of dead letters are offered, and `all` to the commands that take it."""
    database = str(tmp_path / "store.db")
    letter = dead_letter("batch", "damaged", "pi:1", "body")
    bury(make_namespace(clean_redis, make_scans(database)), letter)
    named = ["--store", database, "--broker", clean_redis]

    assert ["all", letter.letter_id] == offered(["deadletters", "replay", *named], "")
    assert [letter.letter_id] == offered(["deadletters", "show", *named], "")


@pytest.mark.parametrize(
    ("begun", "expected"),
    [
        ("ver", ["verdict="]),
        ("verdict=n", ["verdict=no_evidence"]),
        ("edited=", ["edited=yes", "edited=no"]),
        ("folder=", []),
    ],
)
def test_conditions(home: Path, begun: str, expected: list[str]) -> None:
    """The fields of --where are offered, and the values of those that have few."""
    assert expected == offered(["verdicts", "--where"], begun)
