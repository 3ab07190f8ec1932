"""`scanner store`: upgrade or back up the store."""

from __future__ import annotations

from pathlib import Path

import click

from scanner.options.parameters import PathParameter
from scanner.options.store import open_store, store_option
from storage.errors import ScannerError


@click.group()
@click.pass_context
def command(ctx: click.Context) -> None:
    """Maintain the store of scans and verdicts.

    \b
    Examples:
      scanner store where
      scanner store backup scans-2026-11.db
      scanner store upgrade --store postgresql://scanner@nas/scanner
    """
    # The config file's settings hold for the commands below, too.
    ctx.default_map = dict.fromkeys(command.commands, ctx.default_map)


@command.command("upgrade")
@store_option
def upgrade_command(*, store: str) -> None:
    """Upgrade the store's schema to this version of scanner; harmless if it is current.

    An SQLite store is upgraded on first use anyway. Back it up first.

    \b
    Examples:
      scanner store upgrade
      scanner store upgrade --store postgresql://scanner@nas/scanner
    """
    from contextlib import closing

    from storage.database.store import Store

    with closing(Store.unchecked(store)) as opened:
        before, after = opened.upgrade()
    if before == after:
        click.echo(f"the store has schema {after} already", err=True)
    else:
        click.echo(f"the store has schema {after} now, before: {before or 'none'}", err=True)


@command.command("backup")
@click.argument("file", type=PathParameter(dir_okay=False, path_type=Path))
@store_option
def backup_command(*, file: Path, store: str) -> None:
    """Copy an SQLite store to the new FILE; scans may run meanwhile.

    Back up a Postgres store with pg_dump.

    \b
    Examples:
      scanner store backup scans-2026-11.db
      scanner store backup /mnt/nas/scans.db --store ~/scans.db
    """
    from storage.database.backup import backup

    with open_store(store) as opened:
        if opened.engine.dialect.name != "sqlite":
            raise click.UsageError("back up a Postgres store with its own tool: pg_dump -Fc")
        try:
            size_bytes = backup(opened, file)
        except FileExistsError as error:
            raise ScannerError(f"{file} exists already and is not overwritten") from error
        except OSError as error:
            raise ScannerError(f"{file} cannot be written: {error.strerror}") from error
    click.echo(f"{file}: {size_bytes:,} bytes", err=True)


@command.command("where")
@store_option
def where_command(*, store: str) -> None:
    """Print where the store is, without its password.

    \b
    Examples:
      scanner store where
      sqlite3 "$(scanner store where)"
    """
    from storage.database.urls import shown_url, store_url

    url = store_url(store)
    is_file = url.get_backend_name() == "sqlite"
    click.echo(url.database if is_file else shown_url(url))
