"""Connections to Postgres on which no wait is without an end.

Imported only where the store is on Postgres: it needs psycopg.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Generator

LIMITS = {
    # Seconds until a server that does not answer counts as unavailable.
    "connect_timeout": 5,
    # A connection that breaks silently (firewall, Wi-Fi) would block a writer for minutes by TCP's
    # defaults. So an idle connection is probed after 10 s and closed after three probes 5 s apart;
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # and sent data has to be acknowledged within these milliseconds.
    "tcp_user_timeout": 15_000,
}
# The server probes its side as often. By its own defaults it would keep the locks of a machine that
# lost its power in the middle of a transaction for two hours, and others would wait for them.
SERVER_PROBES = {
    "tcp_keepalives_idle": LIMITS["keepalives_idle"],
    "tcp_keepalives_interval": LIMITS["keepalives_interval"],
    "tcp_keepalives_count": LIMITS["keepalives_count"],
    "tcp_user_timeout": LIMITS["tcp_user_timeout"],
}
# Of a database in SQL_ASCII, which Debian makes where the locale is C, psycopg returns bytes
# otherwise. Its texts are stored as they are.
TEXT = {"client_encoding": "utf8"}
# The kernel of a server that hangs acknowledges data and probes all the same. So the server ends a
# statement that takes too long, and this side stops to wait for the answer somewhat later. Nor does
# the server wait any longer for the next statement of a transaction, from a process that hangs.
ANSWER_MARGIN_S = 5.0


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that closes itself, with an OperationalError, if an answer takes too long."""

    answer_s: float

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **options: Any) -> Any:  # noqa: ANN401 - psycopg's
        """Run a generator of psycopg that sends a command and waits for its answer."""
        return super().wait(self._bounded(gen), *args, **options)

    def _bounded(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Yield what the generator yields; psycopg resumes it ten times a second as it waits."""
        limit = self.answer_s + ANSWER_MARGIN_S
        give_up_at = monotonic() + limit
        try:
            state = next(gen)
            while True:
                ready = yield state
                if not ready and monotonic() > give_up_at:
                    # Nobody knows what the server is doing, so it cannot be used again.
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"no answer for {limit:.0f} s")
                state = gen.send(ready)
        except StopIteration as end:
            return end.value


def connect(answer_s: float, *arguments: Any, **options: Any) -> BoundedConnection:  # noqa: ANN401 - psycopg's
    """Connect to a server that is to answer each statement within some seconds."""
    connection = BoundedConnection.connect(*arguments, **options | LIMITS | TEXT)
    connection.answer_s = answer_s
    try:
        # Not as options of the connection, which poolers refuse.
        timeouts = ("statement_timeout", "idle_in_transaction_session_timeout")
        settings = SERVER_PROBES | dict.fromkeys(timeouts, round(answer_s * 1000))
        together = "".join(f"SET {name} = {value};" for name, value in settings.items())
        connection.execute(together.encode())
        connection.commit()
    except BaseException:
        connection.close()
        raise
    return connection
