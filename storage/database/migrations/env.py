"""Alembic's entry: runs on the connection that `storage.database.upgrade` hands over."""

from __future__ import annotations

from alembic import context

from storage.database.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter most things in place.
    render_as_batch=True,
)
context.run_migrations()
