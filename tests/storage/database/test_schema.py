"""Properties of the schema."""

from __future__ import annotations

from sqlalchemy import UniqueConstraint

from storage.database.schema import metadata


def test_rows_that_go_with_others_are_found_by_an_index() -> None:
    """Rows that are deleted with their parent are found by an index."""
    slow = []
    for table in metadata.sorted_tables:
        keys = [[column.name for column in table.primary_key]]
        keys += [[column.name for column in index.columns] for index in table.indexes]
        keys += [
            [column.name for column in constraint.columns]
            for constraint in table.constraints
            if isinstance(constraint, UniqueConstraint)
        ]
        for foreign in table.foreign_key_constraints:
            names = [column.name for column in foreign.columns]
            if foreign.ondelete and not any(key[: len(names)] == names for key in keys):
                slow.append((table.name, names))

    assert slow == []
