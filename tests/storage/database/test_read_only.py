"""An SQLite store that this user may only read, at rest and while another one writes to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from storage.database.store import Store
from storage.records import Plan
from storage.writes import scans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WATCH = """
import sys
from storage.writes.scans import list_scans
from storage.database.store import Store
store = Store.open(sys.argv[1])
for _ in range(2):
    print(len(list_scans(store)), flush=True)
    sys.stdin.readline()
"""
READ = """
import sys
from storage.errors import StoreError
from storage.writes.scans import cancel, list_scans
from storage.database.store import Store
store = Store.open(sys.argv[1])
print(len(list_scans(store)))
try:
    cancel(store, 1)
except StoreError as error:
    print(error)
"""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """Create a store with one scan, in a folder that the test can make read-only."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    yield folder / "store.db"
    folder.chmod(0o755)


def begin_scan(store: Store) -> None:
    """Begin a scan."""
    collection = scans.ensure_collection(store, "photos", b"/photos")
    scans.new_scan(store, collection, scans.ensure_plan(store, Plan(())), "fleet")


def who_may_only_read(file: Path, program: str) -> list[str]:
    """Return a command that runs a program as a user who may read the file and its folder."""
    for one in file.parent.iterdir():
        one.chmod(0o444)
    file.parent.chmod(0o555)
    argv = [sys.executable, "-c", program, str(file)]
    if os.geteuid() == 0:
        # Root may write anywhere, but for what it gives up.
        if shutil.which("setpriv") is None:
            pytest.skip("as root this needs setpriv, of util-linux")
        argv = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *argv]
    return argv


def read(file: Path) -> list[str]:
    """Return what a process reads from the file, and its error when it writes."""
    argv = who_may_only_read(file, READ)
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_at_rest(file: Path) -> None:
    """A store that no process has open can be read; writing to it raises one sentence."""
    store = Store.open(str(file))
    begin_scan(store)
    store.close()
    scans_there, told = read(file)

    assert "1" == scans_there
    assert "cannot be used at the moment: attempt to write a readonly database" in told


def test_while_another_writes(file: Path) -> None:
    """Another user's commits to the write-ahead log are read too."""
    store = Store.open(str(file))
    begin_scan(store)
    with store.read() as connection:
        connection.exec_driver_sql("SELECT 1")
        begin_scan(store)
        scans_there, _ = read(file)
    store.close()

    assert "2" == scans_there


def test_another_begins_to_write(file: Path) -> None:
    """A reader that stays open sees later commits."""
    store = Store.open(str(file))
    begin_scan(store)
    store.close()
    with subprocess.Popen(
        who_may_only_read(file, WATCH), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        if reader.stdin is None or reader.stdout is None:
            raise AssertionError("it has no pipes")
        before = reader.stdout.readline()
        file.parent.chmod(0o755)
        file.chmod(0o644)
        store = Store.open(str(file))
        begin_scan(store)
        reader.stdin.write("\n\n")
        reader.stdin.flush()
        after = reader.stdout.readline()
        store.close()

    assert ("1\n", "2\n") == (before, after)
