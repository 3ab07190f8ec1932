"""The commands `scanner report`, `verdicts`, `scans` and `store`."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from scanner.cli import cli
from scanner.exits import CLOSED_OUTPUT, UNAVAILABLE
from storage.database.schema import HEAD
from storage.records import ListedImage, Plan
from storage.writes import listing, scans

if TYPE_CHECKING:
    from pathlib import Path

    from storage.database.store import Store
    from storage.writes.scans import Scan


def scanner(*words: str, store: Store | None = None) -> Result:
    """Run a command; a store is passed by the environment."""
    env = {} if store is None else {"SCANNER_STORE_URL": str(store.engine.url.database)}
    return CliRunner(env=env).invoke(cli, words)


def test_report_is_a_table(store: Store, scan: Scan) -> None:
    """Without options, the latest scan's summary is printed."""
    result = scanner("report", store=store)

    assert result.exit_code == 0
    assert result.stdout.startswith(
        "Scan 1 of photos, waiting for workers\n2 of 8 images look AI-generated"
    )


@pytest.mark.parametrize("asked", [["--json"], ["--format", "json"]])
def test_report_for_programs(store: Store, scan: Scan, asked: list[str]) -> None:
    """With either option for JSON, one object is printed and nothing else."""
    result = scanner("report", "1", *asked, store=store)

    assert json.loads(result.stdout)["verdicts"]["ai"] == 2


def test_no_such_scan(store: Store, scan: Scan) -> None:
    """An unknown scan is an error with exit code 1."""
    result = scanner("report", "7", store=store)

    assert result.exit_code == 1
    assert result.stderr == ("Error: Scan not found: 7 (`scanner scans` lists all scans)\n")


def test_verdicts_as_json_lines(store: Store, scan: Scan) -> None:
    """Every image is one line of JSON, in ASCII."""
    result = scanner("verdicts", store=store)
    rows = [json.loads(line) for line in result.stdout.splitlines()]

    assert [row["verdict"] for row in rows].count("pending") == 1
    assert len(rows) == 8
    assert result.stdout.isascii()


def test_verdicts_as_csv(store: Store) -> None:
    """Every cell can be read back from CSV, and none is a formula for a spreadsheet."""
    paths = [b'=cmd("x").jpg', b"a,b\n\xc3\xbc.jpg", b"\xff.jpg", b"-1.jpg"]
    collection_id = scans.ensure_collection(store, "odd", b"/odd")
    odd = scans.new_scan(store, collection_id, scans.ensure_plan(store, Plan(())), "fleet")
    listing.add_batch(store, odd, [ListedImage(path, 1, 1, label=True) for path in paths], None)
    result = scanner("verdicts", "--format", "csv", store=store)
    rows = list(csv.DictReader(io.StringIO(result.stdout_bytes.decode(), newline="")))

    assert [row["path"] for row in rows] == [
        './=cmd("x").jpg',
        "a,b\nü.jpg",
        r"\xff.jpg",
        "./-1.jpg",
    ]
    assert [row["path_b64"] for row in rows] == ["", "", "/y5qcGc=", ""]
    assert {(row["verdict"], row["truth"], row["findings"]) for row in rows} == {
        ("pending", "ai", "[]")
    }


def test_findings_in_csv(store: Store, scan: Scan) -> None:
    """Findings are JSON in their cell; `examined` is true or false."""
    result = scanner("verdicts", "--format", "csv", store=store)
    first, second, *_ = csv.DictReader(io.StringIO(result.stdout))

    assert json.loads(first["findings"])[0]["detail"] == {"generator": "ComfyUI"}
    assert (first["examined"], second["examined"]) == ("false", "true")
    assert (first["score"], first["fetch_ms"]) == ("0.98", "1.5")


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_closed_pipe(store: Store, form: str) -> None:
    """A pipe that is closed early (`| head`) ends the output without a message."""
    collection_id = scans.ensure_collection(store, "many", b"/many")
    many = scans.new_scan(store, collection_id, scans.ensure_plan(store, Plan(())), "fleet")
    listed = [ListedImage(b"%06d" % number + b"x" * 200, 1, 1) for number in range(3000)]
    listing.add_batch(store, many, listed, None)
    argv = [sys.executable, "-m", "scanner", "verdicts", "--format", form]
    argv += ["--store", str(store.engine.url.database)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        words = process.stderr.read()

    assert words == b""
    assert process.returncode == CLOSED_OUTPUT


def test_scans_are_listed(store: Store, scan: Scan) -> None:
    """The scans of a store are a table, or one JSON object."""
    table = scanner("scans", store=store)
    same = scanner("scans", "list", store=store)
    body = json.loads(scanner("scans", "--json", store=store).stdout)

    assert table.stdout.splitlines()[1].split()[:2] == ["1", "photos"]
    assert table.stdout.splitlines()[1].split()[-6:] == ["waiting", "for", "8", "2", "1", "1"]
    assert table.stdout.endswith(
        "Scan 1 is waiting for workers, to start a worker: `scanner worker`\n"
    )
    assert same.stdout == table.stdout
    assert [(one["state"], one["phase"]) for one in body["scans"]] == [("unfinished", "waiting")]
    assert body["scans"][0]["verdicts"]["pending"] == 1


def test_empty_store_has_no_scans(store: Store) -> None:
    """Without scans, the list says how to start one."""
    assert "scanner scan FOLDER" in scanner("scans", store=store).stdout


def test_forgetting_needs_confirmation(store: Store, scan: Scan) -> None:
    """Without a terminal nothing is deleted unless --yes is given."""
    refused = scanner("scans", "forget", "1", store=store)
    before = len(scans.list_scans(store))
    done = scanner("scans", "forget", "1", "--yes", store=store)

    assert (refused.exit_code, done.exit_code) == (2, 0)
    assert "--yes" in refused.stderr
    assert (before, len(scans.list_scans(store))) == (1, 0)


@pytest.mark.parametrize(
    "words",
    [
        ["scans", "--store", "mine.db", "forget", "1", "--yes"],
        ["worker", "--store", "mine.db", "install", "--print"],
    ],
)
def test_options_come_after_the_subcommand(words: list[str]) -> None:
    """Options before the subcommand are an error that names their place."""
    result = scanner(*words)

    assert result.exit_code == 2
    assert f"--store comes after `{words[3]}`, not before it" in result.stderr


def test_a_finished_scan_is_not_cancelled(store: Store, scan: Scan) -> None:
    """Cancelling a finished scan is an error, and the scan stays finished."""
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE scan SET finished_at = 5.0")
    result = scanner("cancel", store=store)

    assert result.exit_code == 1
    assert "scan 1 of photos is finished already" in result.stderr
    assert scans.find_scan(store, 1).cancelled_at is None


def test_config_file_names_the_store(
    store: Store, scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The config file's store applies to subcommands, too."""
    config = tmp_path / "config.toml"
    config.write_text(f"store = {json.dumps(str(store.engine.url.database))}\n")
    monkeypatch.setenv("SCANNER_CONFIG", str(config))

    assert "photos" in scanner("scans", "list").stdout
    assert scanner("store", "where").stdout == f"{store.engine.url.database}\n"


def test_store_is_upgraded(tmp_path: Path) -> None:
    """An upgrade names the old and the new schema."""
    database = str(tmp_path / "new.db")
    first = scanner("store", "upgrade", "--store", database)
    second = scanner("store", "upgrade", "--store", database)

    assert first.stderr == f"the store has schema {HEAD} now, before: none\n"
    assert second.stderr == f"the store has schema {HEAD} already\n"


def test_postgres_is_upgraded_before_its_first_use(postgres_url: str) -> None:
    """A Postgres store is created by the upgrade that the error message asks for."""
    refused = scanner("report", "--store", postgres_url)
    upgraded = scanner("store", "upgrade", "--store", postgres_url)
    empty = scanner("report", "--store", postgres_url)

    assert (refused.exit_code, upgraded.exit_code, empty.exit_code) == (1, 0, 1)
    assert "scanner store upgrade" in refused.stderr
    assert "The store has no scans yet" in empty.stderr


def test_unavailable_store() -> None:
    """A store that does not answer is exit code 4, and its password is not shown."""
    result = scanner("report", "--store", "postgresql://ann:s3cret@127.0.0.1:1/scanner")

    assert result.exit_code == 4
    assert "s3cret" not in result.output


def test_backup(store: Store, scan: Scan, tmp_path: Path) -> None:
    """A backup has the same report, and never overwrites a file."""
    copy = tmp_path / "copy.db"
    first = scanner("store", "backup", str(copy), store=store)
    second = scanner("store", "backup", str(copy), store=store)
    report = scanner("report", "--store", str(copy))

    assert (first.exit_code, second.exit_code) == (0, 1)
    assert "not overwritten" in second.stderr
    assert report.stdout == scanner("report", store=store).stdout


def test_backup_to_missing_folder(store: Store, tmp_path: Path) -> None:
    """A backup to an unwritable path is one sentence."""
    result = scanner("store", "backup", str(tmp_path / "none" / "copy.db"), store=store)

    assert result.exit_code == 1
    assert "cannot be written: No such file or directory" in result.stderr


def test_backup_of_postgres(postgres_url: str, tmp_path: Path) -> None:
    """A Postgres store is not copied: exit code 2, and the name of the tool that does it."""
    scanner("store", "upgrade", "--store", postgres_url)
    result = scanner("store", "backup", str(tmp_path / "copy"), "--store", postgres_url)

    assert result.exit_code == 2
    assert "pg_dump" in result.stderr


def test_scan_of_one_machine_is_not_resumed_on_a_queue(store: Store, scan: Scan) -> None:
    """`resume` names the `scan` that continues it, and opens no broker unless one is named."""
    scans.change_owner(store, 1, "token")
    refused = scanner("resume", store=store)
    named = scanner("resume", "--broker", "redis://127.0.0.1:1/0", store=store)

    assert 1 == refused.exit_code
    assert refused.stderr.startswith(
        "Error: scan 1 of photos is interrupted, to go on: `scanner scan /photos`, with the same "
    )
    assert UNAVAILABLE == named.exit_code
    assert "token" == scans.find_scan(store, 1).owner


def test_cancel_chooses_among_what_is_not_finished(store: Store, scan: Scan) -> None:
    """Without a number: the only unfinished scan, however old; of several it takes none."""
    later = scans.new_scan(store, scan.collection_id, scan.plan_id, "token")
    unclear = scanner("cancel", "--yes", store=store)
    scans.mark_listed(store, later.scan_id, {}, 0)
    scans.change_owner(store, 1, "token")
    only, none = (scanner("cancel", "--yes", store=store) for _ in range(2))

    assert "any of these could be meant: 2 of photos, 1 of photos" in unclear.stderr
    assert "scan 1 of photos is cancelled\n" == only.stdout
    assert "scan 2 of photos is finished already, and no other is left" in none.stderr
    assert (1, "cancelled") == (none.exit_code, scans.find_scan(store, 1).state)


def test_scans_of_two_collections_stand_side_by_side(store: Store, scan: Scan) -> None:
    """Their figures are shown, but no difference between them, as none is compared."""
    other = scans.ensure_collection(store, "other", b"/other")
    scans.new_scan(store, other, scan.plan_id, "fleet")
    told = scanner("report", "1", "2", store=store).stdout

    assert "their figures stand side by side" in " ".join(told.split())
    assert ["Scan", "1", "Scan", "2"] in [line.split() for line in told.splitlines()]
    assert ["AI-generated", "2", "0"] in [line.split() for line in told.splitlines()]
    assert "Change" not in told
