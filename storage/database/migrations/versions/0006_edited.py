"""Whether an image is the edited version of another one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the mark of edited versions, with an index of the few; earlier scans have none."""
    op.add_column("entry", sa.Column("edited", sa.Boolean(), nullable=True))
    few = sa.text("edited IS NOT NULL")
    op.create_index(
        "ix_entry_edited",
        "entry",
        ["scan_id", "image_id"],
        sqlite_where=few,
        postgresql_where=few,
    )
