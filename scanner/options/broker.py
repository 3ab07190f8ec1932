"""The broker that a command uses."""

from __future__ import annotations

import click

from scanner.config import DEFAULT_BROKER


def hub_broker() -> str | None:
    """Return the broker of the hub that this machine has joined, if it has."""
    from scanner.fleet.hub_config import load_hub  # noqa: PLC0415 - `--help` should not cost it

    hub = load_hub()
    return None if hub is None else hub.broker_url()


def _valid_url(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse an invalid URL at once, also for commands that work without a broker."""
    from workers.broker.address import parse_address  # noqa: PLC0415 - as above

    if value is not None and not ctx.resilient_parsing:
        try:
            parse_address(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return value


def names_a_broker(ctx: click.Context) -> bool:
    """Return whether the user named a broker, or has joined a hub, which has one."""
    is_default = ctx.get_parameter_source("broker") is click.core.ParameterSource.DEFAULT
    return not is_default or hub_broker() is not None


broker_option = click.option(
    "--broker",
    callback=_valid_url,
    envvar="SCANNER_BROKER_URL",
    show_envvar=True,
    default=lambda: hub_broker() or DEFAULT_BROKER,
    show_default=f"the hub's that this machine has joined, else {DEFAULT_BROKER}",
    metavar="URL",
    help="The Redis server that holds the queue.",
)
