"""URLs of stores."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy import exc

from storage.errors import StoreError

# Without the URL or the parser's message: it may contain a password.
INVALID_URL = (
    "Invalid URL of a store: expected sqlite:////PATH or "
    "postgresql://[USER[:PASSWORD]@]HOST[:PORT]/NAME, with / ? # and @ in the password written as "
    "%2F %3F %23 and %40"
)
# Names that SQLite takes for a database in memory, or for a temporary one.
_TEMPORARY = ("", ":memory:")


def store_url(text: str) -> sa.URL:
    """Return the URL of a store, given as an SQLAlchemy URL or as the path of an SQLite file."""
    if text in _TEMPORARY:
        raise _temporary_error(text)
    if "://" not in text:
        if text.startswith(("postgres:", "postgresql:", "sqlite:")):
            raise StoreError("Invalid URL of a store: expected two slashes, as in postgresql://…")
        return sa.URL.create("sqlite", database=str(Path(text).expanduser().absolute()))
    try:
        url = sa.make_url(text)
        parts = urlsplit(text)
    except (exc.ArgumentError, ValueError):
        raise StoreError(INVALID_URL) from None
    # A slash in the password ends the host's part early, and the rest would be taken for a name.
    if parts.netloc and "@" in parts.path + parts.query + parts.fragment:
        raise StoreError(INVALID_URL)
    if url.get_backend_name() in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() != "sqlite":
        raise StoreError(f"Invalid store {url.get_backend_name()!r}: expected SQLite or Postgres")
    if (url.database or "") in _TEMPORARY:
        raise _temporary_error(shown_url(url))
    # Whatever driver the URL names, this one is the standard library's.
    return url.set(drivername="sqlite", database=str(Path(url.database or "").absolute()))


def shown_url(url: sa.URL) -> str:
    """Return a store's URL without the password, and without the query, which may have one too."""
    return url.set(query={}).render_as_string(hide_password=True)


def _temporary_error(text: str) -> StoreError:
    return StoreError(
        f"Invalid store {text!r}: expected the path of a file, or a URL like "
        "sqlite:////path/to/store.db"
    )


def shown_store(engine: sa.Engine) -> str:
    """Return what a message calls the store."""
    return f"The store {shown_url(engine.url)}"
