"""The key that signs a store's batches, and the machines that joined its hub."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

store = sa.table("store", sa.column("signing_key", sa.LargeBinary))


def upgrade() -> None:
    """Add the key, a random one, and the table of machines."""
    op.add_column("store", sa.Column("signing_key", sa.LargeBinary()))
    op.get_bind().execute(sa.update(store).values(signing_key=secrets.token_bytes(32)))
    op.create_table(
        "machine",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("secret_digest", sa.Text(), nullable=False),
        sa.Column("joined_at", sa.Float(), nullable=False),
        sa.Column("revoked_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_machine")),
    )
