"""`scanner pause`: stop a machine from taking work."""

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
    """Let HOST finish its current batches and then wait, until `scanner unpause`.

    HOST is the machine's name in reports, or its id; a name that several machines share pauses
    all of them. Other machines take over its work.

    \b
    Examples:
      scanner pause attic-pi
      scanner unpause attic-pi
    """
    from scanner.fleet.broker import open_broker
    from scanner.fleet.machines import find_machines
    from workers.host.availability import pause

    with open_store(store) as opened, open_broker(broker, opened.identity) as queue:
        ids = find_machines(opened, queue.namespace, host)
        pause(queue.namespace, host)
    click.echo(f"{host} pauses after its current batches")
    if len(ids) > 1:
        click.echo(f"{len(ids)} machines have this name; their ids: {', '.join(ids)}", err=True)
