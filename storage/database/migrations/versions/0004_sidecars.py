"""The sidecars of images: files with metadata next to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the sidecars of entries; those of earlier scans were listed without any."""
    op.add_column("entry", sa.Column("sidecars", sa.JSON(none_as_null=True), nullable=True))
