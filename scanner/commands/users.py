"""`scanner users`: who may open the pages of `scanner serve`, each with a password."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scanner.options.output import json_option
from scanner.options.parameters import PathParameter, refuse_before_subcommand

if TYPE_CHECKING:
    from scanner.web.accounts import Accounts


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """List the users of the pages, or add or remove one.

    Without users, `scanner serve` asks for one token, or, on this machine alone, for nothing. With
    users it asks for name and password, everywhere, and shows who answered what in a review.

    \b
    Examples:
      scanner users
      scanner users add ann
      scanner users remove ann
    """
    refuse_before_subcommand(ctx)
    if ctx.invoked_subcommand is None:
        names = sorted(_accounts().hashes())
        click.echo(json.dumps({"users": names}) if as_json else "\n".join(names) or "no users yet")


@command.command("add")
@click.argument("user", metavar="NAME")
@click.option(
    "--password-file",
    type=PathParameter(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE|-",
    help="File whose first line is the password.  [default: ask for it]",
)
def add(*, user: str, password_file: Path | None) -> None:
    """Add a user, or change the password of one; that ends their sessions.

    \b
    Examples:
      scanner users add ann
      scanner users add ann --password-file - < password
    """
    from scanner.web.accounts import MAX_PASSWORD, valid_name

    name = valid_name(user)
    if password_file is None:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        with click.open_file(str(password_file), encoding="utf-8", errors="replace") as file:
            password = file.readline(MAX_PASSWORD + 2).rstrip("\r\n")
    is_new = _accounts().put(name, password)
    click.echo(f"{name} may sign in" if is_new else f"{name} has another password now")
    click.echo("A running `scanner serve` asks for it if it began with users.", err=True)


@command.command("remove")
@click.argument("user", metavar="NAME")
def remove(*, user: str) -> None:
    """Remove a user, and end their sessions at once; their answers stay.

    \b
    Examples:
      scanner users remove ann
    """
    _accounts().remove(user)
    click.echo(f"{user} may not sign in any more")


def _accounts() -> Accounts:
    from scanner.config import state_dir
    from scanner.web.accounts import FILE, Accounts

    return Accounts(state_dir() / FILE)
