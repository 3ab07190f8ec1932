"""The end of the second stage: what waited for one is final, and no plan has a detector of it.

Plans keep their digests, which no plan of today has, so no scan keeps verdicts of a second stage.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

plan = sa.table("plan", sa.column("id", sa.Integer), sa.column("body", sa.JSON))


def upgrade() -> None:
    """Drop the stage of verdicts, and the mark of a second stage in plans."""
    # In place: a copy of the table would take minutes, and lose its WITHOUT ROWID.
    op.drop_column("verdict", "stage")
    connection = op.get_bind()
    for row in connection.execute(sa.select(plan)).all():
        detectors = [
            {key: value for key, value in detector.items() if key != "strong"}
            for detector in row.body["detectors"]
        ]
        if detectors != row.body["detectors"]:
            body = {**row.body, "detectors": detectors}
            connection.execute(sa.update(plan).where(plan.c.id == row.id).values(body=body))
