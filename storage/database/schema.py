"""The tables for SQLAlchemy Core; `migrations/` creates them.

Times are seconds since the epoch, paths are bytes, scores are probabilities in [0, 1].
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

# The latest migration.
HEAD = "0008"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite assigns ids only where the type is exactly INTEGER.
BigId = BigInteger().with_variant(Integer(), "sqlite")

# One row. Ids of scans and batches are unique within a store, and stores may share a Redis.
store = Table(
    "store",
    metadata,
    Column("id", Text, primary_key=True),  # random, created with the schema
    Column("signing_key", LargeBinary),  # the private key of its batches, created with it
)

# A machine without the store that joined its hub: its results are signed with its own key.
machine = Table(
    "machine",
    metadata,
    Column("id", Text, primary_key=True),  # that of its `host`
    Column("label", Text, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("secret_digest", Text, nullable=False),  # SHA-256 of its password and token, in hex
    Column("joined_at", Float, nullable=False),
    Column("revoked_at", Float),
)

collection = Table(
    "collection",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("root", LargeBinary, nullable=False),
    Column("created_at", Float, nullable=False),
)

plan = Table(
    "plan",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("body", JSON, nullable=False),
)

# The ids of scans, batches and images are in messages, which may outlive their rows, so that they
# must never be reused. Without AUTOINCREMENT, SQLite reuses the highest one.
scan = Table(
    "scan",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("collection_id", ForeignKey(collection.c.id), nullable=False, index=True),
    Column("plan_id", ForeignKey(plan.c.id), nullable=False),
    # Who requeues its lost batches: "fleet", or the token of the `scan` with an embedded broker.
    Column("broker", Text, key="owner", nullable=False),
    Column("created_at", Float, nullable=False),
    Column("listed_at", Float),  # the walk was complete
    Column("finished_at", Float),
    Column("cancelled_at", Float),
    Column("enqueue_seconds", Float, nullable=False, default=0.0),
    Column("images", BigInteger, nullable=False, default=0),
    Column("skipped", JSON, nullable=False, default=dict),  # files that were not listed, by kind
    Column("unreadable_folders", Integer, nullable=False, default=0),
    # A digest of the options that select and label files.
    Column("choices", Text, nullable=False, default=""),
    # The latest of the scans whose verdicts on unchanged images it keeps.
    Column("keep_from", Integer),
    sqlite_autoincrement=True,
)

batch = Table(
    "batch",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("scan_id", ForeignKey(scan.c.id, ondelete="CASCADE"), nullable=False),
    Column("images", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("attempt", SmallInteger, nullable=False, default=1),
    Column("published_at", Float),
    Column("done_at", Float),
    Index("ix_batch_scan_id_done_at", "scan_id", "done_at"),
    sqlite_autoincrement=True,
)

image = Table(
    "image",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("collection_id", ForeignKey(collection.c.id, ondelete="CASCADE"), nullable=False),
    Column("path", LargeBinary, nullable=False),  # relative to the collection's root
    UniqueConstraint("collection_id", "path"),
    sqlite_autoincrement=True,
)

# An image as a scan listed it.
entry = Table(
    "entry",
    metadata,
    Column("scan_id", ForeignKey(scan.c.id, ondelete="CASCADE"), primary_key=True),
    # With an index: `forget` looks for images that are in no scan.
    Column("image_id", ForeignKey(image.c.id, ondelete="CASCADE"), primary_key=True, index=True),
    Column("batch_id", ForeignKey(batch.c.id, ondelete="CASCADE"), index=True),  # NULL: kept
    Column("size_bytes", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("truth", Boolean),  # the label: true is AI-generated
    Column("sidecars", JSON(none_as_null=True)),  # [name, size, time of change in ns] of each
    Column("edited", Boolean),  # true of an edited version, else NULL
    Index(
        "ix_entry_edited",
        "scan_id",
        "image_id",
        sqlite_where=text("edited IS NOT NULL"),
        postgresql_where=text("edited IS NOT NULL"),
    ),
    # For pages of the gallery by date and by size.
    Index("ix_entry_scan_id_mtime_ns_image_id", "scan_id", "mtime_ns", "image_id"),
    Index("ix_entry_scan_id_size_bytes_image_id", "scan_id", "size_bytes", "image_id"),
    sqlite_with_rowid=False,
)

host = Table(
    "host",
    metadata,
    Column("id", Text, primary_key=True),  # kept on the host's disk
    Column("label", Text, nullable=False),
    Column("arch", Text, nullable=False),
    Column("info", JSON, nullable=False, default=dict),
)

# One worker's run of one batch.
run = Table(
    "run",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("scan_id", ForeignKey(scan.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("batch_id", ForeignKey(batch.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("host_id", ForeignKey(host.c.id), nullable=False),
    Column("worker", Text, nullable=False),
    Column("attempt", SmallInteger, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float, nullable=False),  # of the last commit so far
)

verdict = Table(
    "verdict",
    metadata,
    Column("scan_id", Integer, primary_key=True),
    Column("image_id", BigId, primary_key=True),
    Column("run_id", ForeignKey(run.c.id, ondelete="SET NULL"), index=True),
    Column("outcome", Text, nullable=False),
    Column("score", Float),
    Column("detector", Text),
    Column("examined", Boolean, nullable=False),
    Column("attempt", SmallInteger, nullable=False),
    Column("error_kind", Text),
    Column("error_text", Text),
    Column("digest", LargeBinary),
    Column("fetch_us", Integer, nullable=False),
    Column("decode_us", Integer, nullable=False),
    Column("infer_us", Integer, nullable=False),
    Column("kept_from", Integer),  # the scan that this verdict was copied from
    Column("taken_at", Float),  # the camera's clock, as if it were UTC
    Column("camera", Text),
    Column("look", BigInteger),  # a hash of 64 bits, of which similar images share most
    ForeignKeyConstraint(
        ["scan_id", "image_id"], [entry.c.scan_id, entry.c.image_id], ondelete="CASCADE"
    ),
    # For counting verdicts while a scan runs, and for pages of the gallery.
    Index("ix_verdict_scan_id_outcome", "scan_id", "outcome", "examined", "image_id", "detector"),
    # Flagged images are read by score. Not the others: they are many, and random positions in an
    # index would make workers write one of its pages for every image.
    Index(
        "ix_verdict_flagged",
        "scan_id",
        "outcome",
        "score",
        "image_id",
        "detector",
        sqlite_where=text("outcome IN ('ai', 'unsure')"),
        postgresql_where=text("outcome IN ('ai', 'unsure')"),
    ),
    # Images of a folder have neighbouring dates and the same camera, so that few pages are written.
    Index(
        "ix_verdict_taken",
        "scan_id",
        "taken_at",
        "image_id",
        sqlite_where=text("taken_at IS NOT NULL"),
        postgresql_where=text("taken_at IS NOT NULL"),
    ),
    Index(
        "ix_verdict_camera",
        "scan_id",
        "camera",
        "image_id",
        sqlite_where=text("camera IS NOT NULL"),
        postgresql_where=text("camera IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

finding = Table(
    "finding",
    metadata,
    Column("scan_id", Integer, primary_key=True),
    Column("image_id", BigId, primary_key=True),
    Column("detector", Text, primary_key=True),
    Column("n", SmallInteger, primary_key=True),  # a detector may have several findings
    Column("kind", Text, nullable=False),
    Column("score", Float),
    Column("text", Text, nullable=False),
    Column("detail", JSON(none_as_null=True)),
    ForeignKeyConstraint(
        ["scan_id", "image_id"], [verdict.c.scan_id, verdict.c.image_id], ondelete="CASCADE"
    ),
    # Without bare scores: there are as many as images, and no query looks for them.
    Index(
        "ix_finding_evidence",
        "scan_id",
        "kind",
        "image_id",
        sqlite_where=text("kind <> 'score'"),
        postgresql_where=text("kind <> 'score'"),
    ),
    sqlite_with_rowid=False,
)

# What a report on many images read, for the next one.
kept_figures = Table(
    "kept_figures",
    metadata,
    Column("scan_id", ForeignKey(scan.c.id, ondelete="CASCADE"), primary_key=True),
    Column("finished_at", Float, nullable=False),  # of the scan when they were read
    Column("key", Text, nullable=False),  # a digest of what else they depend on
    Column("body", LargeBinary, nullable=False),  # MessagePack
)

# The answer of a reviewer for an image. Answers are never overwritten: one ends when it is replaced
# or withdrawn.
review = Table(
    "review",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("scan_id", Integer, nullable=False),
    Column("image_id", BigId, nullable=False),
    Column("answer", Text, nullable=False),
    Column("reviewer", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("ended_at", Float),  # NULL: current
    ForeignKeyConstraint(
        ["scan_id", "image_id"], [entry.c.scan_id, entry.c.image_id], ondelete="CASCADE"
    ),
    Index("ix_review_scan_id_image_id", "scan_id", "image_id"),
)

# A random sample of the images of a scan, for people to review.
sample = Table(
    "sample",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("scan_id", ForeignKey(scan.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("seed", BigInteger, nullable=False),
    Column("population", BigInteger, nullable=False),  # the number of images it was drawn from
    Column("created_at", Float, nullable=False),
)

sampled = Table(
    "sampled",
    metadata,
    Column("sample_id", ForeignKey(sample.c.id, ondelete="CASCADE"), primary_key=True),
    Column("n", Integer, primary_key=True),  # the order in which they were drawn
    Column("image_id", ForeignKey(image.c.id, ondelete="CASCADE"), nullable=False, index=True),
    sqlite_with_rowid=False,
)
