"""Stores as the migrations make them, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config

from storage.database import migrations

if TYPE_CHECKING:
    import sqlalchemy as sa

CONFIG = Config()
CONFIG.set_main_option("script_location", migrations.__path__[0])


def migrate(connection: sa.Connection, version: str) -> None:
    """Run the migrations up to a version, or "head", within a transaction."""
    CONFIG.attributes["connection"] = connection
    command.upgrade(CONFIG, version)
