"""`scanner detectors`: list the detectors, show the card of one."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from scanner.commands import custom_detectors, published_detectors
from scanner.commands.trust import trust
from scanner.options.completion import complete_detector
from scanner.options.output import json_option
from scanner.options.parameters import refuse_before_subcommand
from scanner.report.text.card import card_rows

if TYPE_CHECKING:
    from rich.table import Table

    from workers.detectors.card import Card


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """List the detectors, show the card of one, or add a custom model.

    \b
    Examples:
      scanner detectors
      scanner detectors list --json
      scanner detectors show objects-32
    """
    refuse_before_subcommand(ctx)
    if ctx.invoked_subcommand is None:
        _list(as_json=as_json)


@command.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """List the detectors and their measured accuracy.

    \b
    Example:
      scanner detectors list --json
    """
    _list(as_json=as_json)


@command.command()
@click.argument("name", shell_complete=complete_detector)
@json_option
def show(name: str, *, as_json: bool) -> None:
    """Show the card of the detector NAME.

    \b
    Example:
      scanner detectors show objects-32
    """
    cards = _cards()
    if name not in cards:
        raise click.BadParameter(
            f"unknown detector {name!r}: expected one of {', '.join(cards)}", param_hint="NAME"
        )
    if as_json:
        click.echo(json.dumps(_body(cards[name])))
        return
    from scanner.report.text.console import ReportConsole  # `--help` is instant

    ReportConsole(highlight=False).print(_shown(cards[name]))


command.add_command(custom_detectors.add)
command.add_command(custom_detectors.remove)
command.add_command(custom_detectors.test)
command.add_command(published_detectors.catalog)
command.add_command(published_detectors.get)
command.add_command(trust)


def _list(*, as_json: bool) -> None:
    cards = _cards()
    if as_json:
        click.echo(json.dumps({"detectors": [_body(card) for card in cards.values()]}))
        return
    from scanner.report.text.console import ReportConsole  # `--help` is instant

    ReportConsole().print(_table(cards))


def _cards() -> dict[str, Card]:
    from workers.detectors import installed

    for problem in installed.troubles():
        click.echo(problem, err=True)
    return installed.installed()


def _body(card: Card) -> dict[str, Any]:
    body = asdict(card)
    del body["path"]
    return body


def _table(cards: dict[str, Card]) -> Table:
    from rich.table import Table

    table = Table("detector", "version", "for", "accuracy", box=None)
    for card in cards.values():
        measured = card.measured
        accuracy = "not measured" if measured is None else f"{measured.accuracy:.4f}"
        table.add_row(card.name, card.version, card.summary, accuracy)
    return table


def _shown(card: Card) -> Table:
    """Return a card as a table of two columns, titles and texts."""
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for title, text in card_rows(card):
        table.add_row(title, text)
    return table
