"""Reviews by people, random samples, and the indexes that the gallery is read by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only where the type is INTEGER to the letter.
big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables and indexes; that on outcomes goes on with the image and its detector."""
    op.drop_index("ix_verdict_scan_id_outcome", "verdict")
    op.create_index(
        "ix_verdict_scan_id_outcome",
        "verdict",
        ["scan_id", "outcome", "examined", "image_id", "detector"],
        unique=False,
    )
    op.create_index(
        "ix_verdict_flagged",
        "verdict",
        ["scan_id", "outcome", "score", "image_id", "detector"],
        unique=False,
        sqlite_where=sa.text("outcome IN ('ai', 'unsure')"),
        postgresql_where=sa.text("outcome IN ('ai', 'unsure')"),
    )
    op.create_index(
        "ix_finding_evidence",
        "finding",
        ["scan_id", "kind", "image_id"],
        unique=False,
        sqlite_where=sa.text("kind <> 'score'"),
        postgresql_where=sa.text("kind <> 'score'"),
    )
    op.create_table(
        "review",
        sa.Column("id", big_id, nullable=False),
        sa.Column("scan_id", sa.Integer(), nullable=False),
        sa.Column("image_id", big_id, nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["scan_id", "image_id"],
            ["entry.scan_id", "entry.image_id"],
            name=op.f("fk_review_scan_id_image_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
    )
    op.create_index("ix_review_scan_id_image_id", "review", ["scan_id", "image_id"], unique=False)
    op.create_table(
        "sample",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("scan_id", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("population", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["scan_id"], ["scan.id"], name=op.f("fk_sample_scan_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sample")),
    )
    op.create_index(op.f("ix_sample_scan_id"), "sample", ["scan_id"], unique=False)
    op.create_table(
        "sampled",
        sa.Column("sample_id", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("image_id", big_id, nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["image.id"], name=op.f("fk_sampled_image_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["sample_id"], ["sample.id"], name=op.f("fk_sampled_sample_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sample_id", "n", name=op.f("pk_sampled")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_sampled_image_id"), "sampled", ["image_id"], unique=False)
