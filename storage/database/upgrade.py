"""The version of a store's schema, and its upgrade."""

from __future__ import annotations

import secrets
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa

from storage.database.engine import transaction
from storage.database.schema import HEAD, metadata
from storage.database.schema import store as store_table
from storage.database.urls import shown_store
from storage.errors import StoreError, StoreOutdated, StoreTooNew


def version(engine: sa.Engine) -> str | None:
    """Return the version of the store's schema, None where it has no schema yet."""
    with transaction(engine, writes=False) as connection:
        return _version(connection)


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
    return None if row is None else str(row[0])


def upgrade(engine: sa.Engine) -> None:
    """Make the schema, or upgrade it to HEAD; of several processes at once, one does it.

    Raises StoreTooNew, and StoreError where the database is not a store.
    """
    with transaction(engine, writes=True) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7226)")
        if _version_of_store(connection) is None:
            _make_schema(connection)
        else:
            _migrate(connection)


def _make_schema(connection: sa.Connection) -> None:
    """Make the tables of HEAD at once, as all migrations one after the other would."""
    metadata.create_all(connection)
    new = store_table.insert().values(id=uuid4().hex, signing_key=secrets.token_bytes(32))
    connection.execute(new)
    # The table is Alembic's own; its import and its migrations take half a second.
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.execute(sa.text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def _migrate(connection: sa.Connection) -> None:
    from alembic import command  # noqa: PLC0415 - 0.4 s that only an upgrade should cost
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(
            f"{shown_store(connection.engine)} was made by an unknown version of scanner: {error}"
        ) from error


def _version_of_store(connection: sa.Connection) -> str | None:
    """Return its version; reject a database with other contents, and a newer version."""
    schema = _version(connection)
    if schema is None and sa.inspect(connection).get_table_names():
        raise StoreError(f"{shown_store(connection.engine)} is not a store: it has other tables")
    _require_known(connection.engine, schema)
    return schema


def _require_known(engine: sa.Engine, schema: str | None) -> None:
    if schema is not None and schema > HEAD:
        raise StoreTooNew(
            f"{shown_store(engine)} has schema {schema}, newer than this version of scanner "
            f"({HEAD}): upgrade scanner on this machine"
        )


def require_current(engine: sa.Engine) -> None:
    """Upgrade an SQLite store as needed; raise StoreOutdated for Postgres, or StoreTooNew."""
    schema = version(engine)
    if schema == HEAD:
        return
    _require_known(engine, schema)
    if engine.dialect.name != "sqlite":
        state = "has no schema yet" if schema is None else f"has the older schema {schema}"
        raise StoreOutdated(f"{shown_store(engine)} {state}: run `scanner store upgrade`")
    upgrade(engine)
