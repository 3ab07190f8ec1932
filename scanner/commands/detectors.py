"""`scanner detectors`: list the detectors, show a card."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from scanner.commands import own_detectors, public_detectors
from scanner.exits import Failed
from scanner.options import json_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from workers.detectors.card import Card


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """List the detectors, show the card of one, or add your own.

    \b
    Examples:
      scanner detectors
      scanner detectors list --json
      scanner detectors show objects-32
    """
    if ctx.invoked_subcommand is None:
        _list(as_json=as_json)


@command.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """List the detectors and how well each was measured to do.

    \b
    Example:
      scanner detectors list --json
    """
    _list(as_json=as_json)


@command.command()
@click.argument("name")
@json_option
def show(name: str, *, as_json: bool) -> None:
    """Show all that is known of the detector NAME.

    \b
    Example:
      scanner detectors show objects-32
    """
    cards = _cards()
    if name not in cards:
        raise click.BadParameter(
            f"there is no detector {name!r}, only {', '.join(cards)}", param_hint="NAME"
        )
    if as_json:
        click.echo(json.dumps(_body(cards[name])))
        return
    from rich.console import Console  # `--help` is instant

    Console(highlight=False).print(_shown(cards[name]))


command.add_command(own_detectors.add)
command.add_command(own_detectors.remove)
command.add_command(own_detectors.test)
command.add_command(public_detectors.catalog)
command.add_command(public_detectors.get)


def _list(*, as_json: bool) -> None:
    cards = _cards()
    if as_json:
        click.echo(json.dumps({"detectors": [_body(card) for card in cards.values()]}))
        return
    from rich.console import Console  # `--help` is instant

    Console().print(_table(cards))


def _cards() -> dict[str, Card]:
    from workers.detectors import catalogue
    from workers.detectors.card import CardError

    try:
        for trouble in catalogue.troubles():
            click.echo(trouble, err=True)
        return catalogue.shipped()
    except CardError as error:
        raise Failed(str(error)) from error


def _body(card: Card) -> dict[str, Any]:
    body = asdict(card)
    del body["path"]
    return body


def _table(cards: dict[str, Card]) -> Table:
    from rich.table import Table

    table = Table("detector", "version", "what it looks at", "accuracy", box=None)
    for card in cards.values():
        measured = card.measured
        accuracy = "not measured" if measured is None else f"{measured.accuracy:.4f}"
        table.add_row(card.name, card.version, card.summary, accuracy)
    return table


def _shown(card: Card) -> Table:
    """Lay a card out as a table of two columns: what, and what is known of it."""
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for what, text in rows_of(card):
        table.add_row(what, text)
    return table


def rows_of(card: Card) -> Iterator[tuple[str, str]]:
    """All that a card says, as (what, text)."""
    yield "name", f"{card.name}, version {card.version}"
    yield "what it is", card.summary
    yield from (("reads", one) for one in card.reads)
    if card.source:
        yield "from", card.source
    if card.licence:
        yield "licence", card.licence
    yield from _model_rows(card)
    yield "thresholds", _thresholds(card)
    if card.calibration is not None and not card.calibration.images:
        yield "calibration", f"not calibrated here ({card.calibration.method})"
    elif card.calibration is not None:
        yield (
            "calibration",
            f"{card.calibration.method}, on {card.calibration.images:,} held-out images",
        )
    yield from (("evidence", f"{one.score:.2f} {one.meaning}") for one in card.evidence)
    for one in card.data:
        yield "data", f"{one.name}, {one.use}: {one.real:,} real, {one.ai:,} AI. {one.terms}"
    yield from _measured(card)
    if card.published:
        yield "published", f"{card.published} (its makers' figures, not measured here)"
    yield from (("bad at", one) for one in card.limits)


def _model_rows(card: Card) -> Iterator[tuple[str, str]]:
    if card.model is not None:
        yield "model", f"{card.model.file}, {card.model.bytes:,} bytes, {card.model.runtime}"
        if card.model.parameters:
            yield "parameters", f"{card.model.parameters:,}"
        yield "sha256", card.model.sha256
    if card.input is not None:
        given = card.input
        scaled = own_detectors.scaling(card)
        taken = f"{given.width}x{given.height} {given.channels} pixels, 0 to {given.highest}"
        yield "input", taken + scaled
        yield "made for", f"images with sides of {given.smallest_side} to {given.largest_side} px"
    if card.output is not None:
        order = ", ".join(card.classes)
        yield "output", f"{card.output.count} ({card.output.kind}), classes 0 and 1: {order}"


def _thresholds(card: Card) -> str:
    at = card.thresholds
    rate = "not measured"
    if at.false_alarm_rate is not None:
        rate = f"{at.false_alarm_rate:.2%} of {at.real_images:,} held-out real images"
    return f"unsure from {at.unsure:.3f}, ai from {at.ai:.3f} (false alarms: {rate})"


def _measured(card: Card) -> Iterator[tuple[str, str]]:
    found = card.measured
    if found is None:
        yield "measured", "not measured"
        return
    at = found.confusion
    yield "measured on", f"{found.on}: {found.images:,} images"
    yield (
        "accuracy",
        (
            f"{found.accuracy:.4f} (95 % interval {found.accuracy_low:.4f} to "
            f"{found.accuracy_high:.4f}), a score of 0.5 and more counting as AI"
        ),
    )
    yield "confusion", f"tp {at.tp:,}, fp {at.fp:,}, fn {at.fn:,}, tn {at.tn:,} (AI is positive)"
    for name, of_class in (("AI", found.ai), ("real", found.real)):
        yield (
            name,
            (
                f"precision {of_class.precision:.4f}, recall {of_class.recall:.4f}, "
                f"F1 {of_class.f1:.4f}, average precision {of_class.average_precision:.4f}"
            ),
        )
    yield "ROC AUC", f"{found.roc_auc:.4f}, expected calibration error {found.ece:.4f}"
    yield (
        "at `ai`",
        (
            f"finds {found.recall_at_ai:.2%} of AI images, with {found.false_alarms_at_ai:.2%} of "
            "real ones called AI"
        ),
    )
