"""By what images are found: date of taking, camera, look; and entries by date and size."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, empty for images that are judged already, and the indexes."""
    for column in (
        sa.Column("taken_at", sa.Float(), nullable=True),
        sa.Column("camera", sa.Text(), nullable=True),
        sa.Column("look", sa.BigInteger(), nullable=True),
    ):
        op.add_column("verdict", column)
    for name, key in (("taken", "taken_at"), ("camera", "camera")):
        is_known = sa.text(f"{key} IS NOT NULL")
        op.create_index(
            op.f(f"ix_verdict_{name}"),
            "verdict",
            ["scan_id", key, "image_id"],
            sqlite_where=is_known,
            postgresql_where=is_known,
        )
    for key in ("mtime_ns", "size_bytes"):
        name = op.f(f"ix_entry_scan_id_{key}_image_id")
        op.create_index(name, "entry", ["scan_id", key, "image_id"])
