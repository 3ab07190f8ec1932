"""What the Tab key offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.shell_completion import BashComplete

from scanner.cli import cli
from storage.database.schema import host
from storage.database.store import Store

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
