"""The one place where errors of libraries and of the operating system become sentences."""

from __future__ import annotations

import os
import re

from storage.errors import InvalidInput, ScannerError, ServiceUnavailable, StoreError
from storage.paths import shown

# What a user gets who has neither HOME nor an entry in the list of users, as in some containers.
NO_HOME = "This user has no home directory: set HOME to a folder"
_NO_HOME = re.compile("determine (?:the )?home directory", re.IGNORECASE)
# The packages whose errors are those of the store or of the broker.
_STORE = {"alembic", "psycopg", "sqlalchemy", "sqlite3"}
_BROKER = {"amqp", "celery", "kombu", "redis"}


def as_scanner_error(error: Exception) -> ScannerError | None:
    """Return what a command says of an error; None for a bug, which is a traceback."""
    if isinstance(error, ScannerError):
        return error
    if isinstance(error, RuntimeError) and _NO_HOME.search(str(error)):
        return InvalidInput(NO_HOME)  # of pathlib and platformdirs
    # By name: importing these packages takes longer than most commands.
    packages = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    if packages & _STORE:
        # Most have been told by `storage.database.engine`, which knows the store.
        return StoreError(f"The store cannot be used: {_reason(error)}")
    if packages & _BROKER:
        return ServiceUnavailable(f"The broker cannot be used: {_reason(error)}")
    if isinstance(error, OSError):
        return ScannerError(_of_system(error))
    return None


def _of_system(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    if isinstance(error.filename, str | bytes):
        return f"{shown(os.fsencode(error.filename))}: {reason}"
    return reason


def _reason(error: Exception) -> str:
    text = str(getattr(error, "orig", None) or error).strip()
    return shown(text.partition("\n")[0].encode(errors="backslashreplace")) or type(error).__name__
