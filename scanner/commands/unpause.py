"""`scanner unpause`: let a machine take work again."""

from __future__ import annotations

import click

from scanner.options.broker import broker_option
from scanner.options.completion import complete_host
from scanner.options.store import open_store, store_option


@click.command()
@click.argument("host", shell_complete=complete_host)
@store_option
@broker_option
def command(*, host: str, store: str, broker: str) -> None:
    """Let HOST, which was paused by that name or id, take work again.

    \b
    Example:
      scanner unpause attic-pi
    """
    from scanner.fleet.broker import open_broker
    from scanner.fleet.machines import find_machines
    from workers.host.availability import unpause

    with open_store(store) as opened, open_broker(broker, opened.identity) as queue:
        was_paused = unpause(queue.namespace, host)
        # A machine that was paused and never worked is in no list.
        if not was_paused:
            find_machines(opened, queue.namespace, host)
    click.echo(f"{host} takes work again" if was_paused else f"{host} was not paused")
