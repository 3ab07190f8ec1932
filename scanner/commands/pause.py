"""`scanner pause`: have a machine take no more work."""

from __future__ import annotations

import click

from scanner.options.common import broker_option, open_broker, open_store, store_option


@click.command()
@click.argument("host")
@store_option
@broker_option
def command(*, host: str, store: str, broker: str) -> None:
    """Have HOST finish the batches that it is at and wait, until `scanner unpause`.

    HOST is what reports call the machine; of several with one name, all of them, unless an id is
    given. What it does not take, the others do.

    \b
    Examples:
      scanner pause attic-pi
      scanner unpause attic-pi
    """
    from storage.reads.queries import hosts
    from workers.host.availability import pause

    with open_store(store) as opened, open_broker(broker, opened.identity) as queue:
        known = hosts(opened)
        pause(queue.namespace, host)
    click.echo(f"{host} pauses when its batches are done")
    ids = [one.host_id for one in known if host in (one.label, one.host_id)]
    if not ids:
        labels = ", ".join(sorted({one.label for one in known})) or "none"
        click.echo(f"no machine called so has worked here yet; there are: {labels}", err=True)
    if len(ids) > 1:
        click.echo(f"{len(ids)} machines are called so; by id: {', '.join(ids)}", err=True)
