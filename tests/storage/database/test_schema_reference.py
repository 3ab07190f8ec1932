"""The documented schema is the schema, and the documented queries run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from storage.database.schema import metadata
from storage.records import Finding, Outcome

if TYPE_CHECKING:
    from tests.storage.conftest import Fill

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "store.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_every_column_is_documented(table: object) -> None:
    """Each table's paragraph names each of its columns, and no column that it does not have."""
    name, columns = table.name, [column.name for column in table.columns]  # type: ignore[attr-defined]
    found = re.search(rf"^\*\*{name}\*\*: .*?\n(.*?)\n\n", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    # What stands in brackets explains a column and is none.
    named = re.findall(r"`(\w+)`", re.sub(r"\([^()]*(\([^()]*\)[^()]*)*\)", "", found[1]))

    assert named == columns


def test_documented_queries_run(fill: Fill) -> None:
    """Each documented query returns what its sentence says, on SQLite and Postgres."""
    old, new = fill.scan("photos"), fill.scan("photos")
    for scan, outcomes in (
        (old, (Outcome.AI, Outcome.UNSURE)),
        (new, (Outcome.AI, Outcome.NO_EVIDENCE)),
    ):
        batch = fill.batch(scan, b"a", b"b")
        assert batch is not None
        said = Finding("objects-32", "score", 0.25)
        fill.judge(
            batch,
            *(
                fill.verdict(one.image_id, outcome, said)
                for one, outcome in zip(batch.images, outcomes, strict=True)
            ),
        )
    with fill.store.read() as connection:
        counted, flagged, copies, changed, unsure = (
            [tuple(row) for row in connection.exec_driver_sql(query)] for query in QUERIES
        )

    assert sorted(row[::2] for row in counted) == [("ai", 1), ("no_evidence", 1)]
    assert [(bytes(path), *rest) for path, *rest in flagged] == [(b"a", 0.25, "objects-32")]
    assert [row[1] for row in copies] == [2]
    assert [(bytes(path), *rest) for path, *rest in changed] == [(b"b", "unsure", "no_evidence")]
    assert unsure == [("objects-32", "score", 1, 0.25)]
