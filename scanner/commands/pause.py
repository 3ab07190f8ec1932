"""`scanner pause`: stop a machine from taking work."""

from __future__ import annotations

import click

from scanner.options.broker import broker_option
from scanner.options.store import open_store, store_option


@click.command()
@click.argument("host")
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
    from storage.reads.progress import list_hosts
    from workers.host.availability import pause

    with open_store(store) as opened, open_broker(broker, opened.identity) as queue:
        known = list_hosts(opened)
        pause(queue.namespace, host)
    ids = [each.host_id for each in known if host in (each.label, each.host_id)]
    if ids:
        click.echo(f"{host} pauses after its current batches")
    else:
        click.echo(f"{host} is paused as soon as it takes work")
        labels = ", ".join(sorted({each.label for each in known})) or "none"
        click.echo(f"no host named {host} yet; known hosts: {labels}", err=True)
    if len(ids) > 1:
        click.echo(f"{len(ids)} machines have this name; their ids: {', '.join(ids)}", err=True)
