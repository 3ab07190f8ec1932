"""`scanner deadletters`: look at messages that were put aside, send them again or drop them."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING

import click

from scanner.options.broker import broker_option
from scanner.options.completion import complete_letter
from scanner.options.output import json_option
from scanner.options.parameters import refuse_before_subcommand
from scanner.options.store import open_store, store_option
from storage.errors import NotFound

if TYPE_CHECKING:
    from typing import Any

    from workers.broker.dead_letters import DeadLetter

ALL = "all"
letter_argument = click.argument("letter", metavar="ID|all", shell_complete=complete_letter)


@click.group(invoke_without_command=True)
@store_option
@broker_option
@json_option
@click.pass_context
def command(ctx: click.Context, *, store: str, broker: str, as_json: bool) -> None:
    """List the messages that were put aside, the newest first: the latest 200 are kept.

    Those are messages that are not signed by the store or by a machine that may, or are damaged;
    and batches that no machine could do for ten minutes, since none knows where the collection is,
    has the detectors, or understands their version.

    \b
    Examples:
      scanner deadletters
      scanner deadletters show 5d1c07aa
      scanner deadletters replay all
      scanner deadletters drop 5d1c07aa
    """
    # The config file's settings hold for the commands below, too.
    ctx.default_map = dict.fromkeys(command.commands, ctx.default_map)
    refuse_before_subcommand(ctx)
    if ctx.invoked_subcommand is not None:
        return
    from scanner.fleet.broker import open_broker
    from storage.paths import shown
    from workers.broker.dead_letters import read_letters

    with open_store(store) as opened, open_broker(broker, opened.identity) as queue:
        letters = read_letters(queue.namespace)
    if as_json:
        click.echo(json.dumps({"letters": [_body(letter) for letter in letters]}))
        return
    for letter in letters:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(letter.at))
        batch = f" {letter.batch_id} of scan {letter.scan_id}" if letter.batch_id else ""
        line = f"{letter.letter_id}  {at}  {letter.kind}{batch} from {letter.by}: {letter.reason}"
        click.echo(shown(line.encode()))
    if not letters:
        click.echo("no message was put aside", err=True)


@command.command()
@click.argument("letter", metavar="ID", shell_complete=complete_letter)
@store_option
@broker_option
def show(*, letter: str, store: str, broker: str) -> None:
    """Print a letter and its message as JSON.

    \b
    Example:
      scanner deadletters show 5d1c07aa
    """
    from scanner.fleet.broker import open_broker
    from workers.broker.field_types import MessageError

    with open_store(store) as opened, open_broker(broker, opened.identity) as queue:
        (chosen,) = _find(queue, letter, several=False)
    body = _body(chosen)
    try:
        body["message"] = chosen.message()
    except MessageError:
        body["message"] = None
    click.echo(json.dumps(body, indent=2))


@command.command()
@letter_argument
@store_option
@broker_option
def replay(*, letter: str, store: str, broker: str) -> None:
    """Send a message again, once what was missing is there.

    \b
    Example:
      scanner deadletters replay all
    """
    from scanner.fleet import dead_letters
    from scanner.fleet.broker import open_broker
    from storage.errors import ScannerError
    from workers.broker.field_types import MessageError

    with open_store(store) as opened, open_broker(broker, opened.identity) as queue:
        letters = _find(queue, letter)
        try:
            dead_letters.replay(opened, queue, letters)
        except MessageError as error:
            raise ScannerError(f"{error}: `scanner deadletters drop` removes the letter") from error
    click.echo(f"{len(letters)} sent again")


@command.command()
@letter_argument
@store_option
@broker_option
def drop(*, letter: str, store: str, broker: str) -> None:
    """Delete a letter; the images of a batch that was given up become errors, with the reason.

    \b
    Example:
      scanner deadletters drop all
    """
    from scanner.config import state_dir
    from scanner.fleet import dead_letters
    from scanner.fleet.broker import open_broker
    from workers.host.identity import this_host

    with open_store(store) as opened, open_broker(broker, opened.identity) as queue:
        letters = _find(queue, letter)
        host = this_host(state_dir(), socket.gethostname())
        dead_letters.drop(opened, queue, letters, host)
    click.echo(f"{len(letters)} dropped")


def _find(queue: Any, letter: str, *, several: bool = True) -> list[DeadLetter]:  # noqa: ANN401 - a Broker, imported late
    """Return the letters of an argument; raise NotFound."""
    from workers.broker.dead_letters import read_letters

    letters = read_letters(queue.namespace)
    if letter == ALL and several:
        return letters
    chosen = [one for one in letters if letter == one.letter_id]
    if not chosen:
        raise NotFound(f"Dead letter not found: {letter!r} (`scanner deadletters` lists all)")
    return chosen


def _body(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.letter_id,
        "at": letter.at,
        "kind": letter.kind,
        "scan": letter.scan_id or None,
        "batch": letter.batch_id or None,
        "by": letter.by,
        "reason": letter.reason,
    }
