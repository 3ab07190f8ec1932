"""`scanner deadletters`, and what `doctor` and `resume` make of them, with a real queue."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from scanner.cli import cli
from scanner.fleet.rescuer import Rescuer
from storage.reads.progress import count_images
from storage.records import ListedImage, Plan
from storage.writes import listing, scans
from workers.broker.dead_letters import bury, dead_letter, read_letters
from workers.broker.missing import MissingSince, stuck_key
from workers.settings import FLEET

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from scanner.fleet.broker import Broker
    from storage.database.store import Store
    from storage.writes.scans import Scan

REASON = "the location of photos is unknown on this machine"


def run(store: Store, broker: Broker, *arguments: str) -> Result:
    """Run a command on the store and the broker."""
    url = store.engine.url.render_as_string(hide_password=False)
    env = {"SCANNER_STORE_URL": url, "SCANNER_BROKER_URL": broker.url, "COLUMNS": "200"}
    return CliRunner(env=env).invoke(cli, list(arguments))


@pytest.fixture
def given_up(store: Store, broker: Broker, tmp_path: Path, home: Path) -> Scan:
    """Create a scan of three images, whose only batch was given up."""
    collection = scans.ensure_collection(store, "photos", os.fsencode(tmp_path))
    scan = scans.new_scan(store, collection, scans.ensure_plan(store, Plan(())), FLEET)
    listed = [ListedImage(b"%d.jpg" % number, 10, 1) for number in range(3)]
    batch = listing.add_batch(store, scan, listed, None)
    assert batch is not None
    scans.mark_listed(store, scan.scan_id, {}, 0)
    ids = (scan.scan_id, batch.batch_id)
    bury(broker.namespace, dead_letter("batch", REASON, "pi4:1", {"v": 4}, ids))
    MissingSince(broker.namespace, 600).is_over("collection photos")
    return scan


def queued(broker: Broker) -> int:
    """Return the number of batches on the queue."""
    return int(broker.namespace.client.llen(broker.namespace.queue))


def test_list_and_show(store: Store, broker: Broker, given_up: Scan) -> None:
    """Letters are listed with their reasons, safe for a terminal, and shown with their message."""
    bury(broker.namespace, dead_letter("result", "\x1b[2Junsigned", "result writer", [1]))
    listed = run(store, broker, "deadletters")
    bodies = json.loads(run(store, broker, "deadletters", "--json").stdout)["letters"]
    letter_id = read_letters(broker.namespace)[1].letter_id
    shown = json.loads(run(store, broker, "deadletters", "show", letter_id).stdout)
    missing = run(store, broker, "deadletters", "show", "nothing")

    first, second = listed.stdout.splitlines()
    assert first.endswith("  result from result writer: \\x1b[2Junsigned")
    assert second.endswith(f"  batch 1 of scan {given_up.scan_id} from pi4:1: {REASON}")
    assert [REASON, {"v": 4}] == [shown["reason"], shown["message"]]
    assert bodies[1] | {"message": {"v": 4}} == shown
    assert 1 == missing.exit_code
    assert "Dead letter not found: 'nothing'" in missing.stderr


def test_given_up_until_a_person_acts(store: Store, broker: Broker, given_up: Scan) -> None:
    """The rescuer leaves a batch alone that was given up; `doctor` and `replay` know of it."""
    rescuer = Rescuer(store, broker, FLEET)
    for _ in range(3):
        rescuer.round()
    before = queued(broker)
    checked = run(store, broker, "doctor")
    done = run(store, broker, "deadletters", "replay", "all")

    assert 0 == before
    assert f"1 messages were put aside, the latest: {REASON}" in checked.stdout
    assert (0, "1 sent again\n") == (done.exit_code, done.stdout)
    assert 1 == queued(broker)
    assert [] == read_letters(broker.namespace)
    assert 0 == broker.namespace.client.exists(stuck_key(broker.namespace))


def test_drop(store: Store, broker: Broker, given_up: Scan) -> None:
    """The images of a batch that is dropped become errors, and the scan ends."""
    done = run(store, broker, "deadletters", "drop", "all")
    counts = count_images(store, given_up.scan_id)
    report = json.loads(run(store, broker, "verdicts", "1").stdout.splitlines()[0])

    assert (0, "1 dropped\n") == (done.exit_code, done.stdout)
    assert (3, 0) == (counts.error, counts.pending)
    assert scans.find_scan(store, given_up.scan_id).finished_at is not None
    assert REASON in json.dumps(report)
    assert [] == read_letters(broker.namespace)


def test_resume(store: Store, broker: Broker, given_up: Scan) -> None:
    """`resume` tries batches of its scan again, and gives what is missing its full time."""
    bury(broker.namespace, dead_letter("result", "unsigned", "result writer", [1]))
    done = run(store, broker, "resume")

    assert 0 == done.exit_code, done.output
    assert 1 == queued(broker)
    assert ["unsigned"] == [letter.reason for letter in read_letters(broker.namespace)]
    assert 0 == broker.namespace.client.exists(stuck_key(broker.namespace))
