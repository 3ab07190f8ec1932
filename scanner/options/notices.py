"""Who is told of new findings: a webhook, recipients of e-mail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scanner.options.parameters import FiniteRange, PathParameter
from scanner.options.record import as_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from scanner.follow.mail import MailServer

DEFAULT_QUIET = 60.0


@dataclass(frozen=True, slots=True)
class NoticeOptions:
    """Who is told of new findings, and when."""

    webhook: str | None
    mail_to: str | None
    mail_from: str | None
    mail_server: str | None
    mail_tls: str | None
    mail_user: str | None
    mail_password_file: Path | None
    quiet: float

    def server(self) -> MailServer | None:
        """Return the mail server; None where nobody gets e-mail. Raise InvalidInput."""
        from scanner.follow import mail  # noqa: PLC0415 - not for `--help`
        from storage.errors import InvalidInput  # noqa: PLC0415

        if self.mail_to is None:
            return None
        if self.mail_server is None or self.mail_from is None:
            raise InvalidInput("--mail-to needs --mail-server and --mail-from")
        return mail.mail_server(
            self.mail_server,
            sender=self.mail_from,
            recipients=self.mail_to,
            encryption=self.mail_tls,
            user=self.mail_user,
            password_file=self.mail_password_file,
        )


def webhook_url(_ctx: click.Context, _parameter: click.Parameter, url: str | None) -> str | None:
    """Refuse a URL that cannot be one of a webhook."""
    if url is not None:
        from scanner.follow.webhook import require_url  # noqa: PLC0415

        require_url(url)
    return url


_OPTIONS = (
    click.option(
        "--webhook",
        envvar="SCANNER_WEBHOOK_URL",
        show_envvar=True,
        metavar="URL",
        callback=webhook_url,
        help="POST new AI-generated images as JSON to URL, signed with the secret in "
        "SCANNER_WEBHOOK_SECRET.",
    ),
    click.option(
        "--mail-to", metavar="A,B", help="Send new AI-generated images to these addresses."
    ),
    click.option("--mail-from", metavar="ADDRESS", help="The sender of e-mail."),
    click.option("--mail-server", metavar="HOST[:PORT]", help="The server that sends e-mail."),
    click.option(
        "--mail-tls",
        type=click.Choice(["starttls", "tls", "off"]),
        help="How the mail server encrypts.  [default: tls on port 465, else starttls]",
    ),
    click.option(
        "--mail-user",
        metavar="NAME",
        help="Sign in at the mail server, with the password in SCANNER_MAIL_PASSWORD or a file.",
    ),
    click.option(
        "--mail-password-file",
        type=PathParameter(path_type=Path),
        metavar="FILE",
        help="The file that has the password for e-mail.",
    ),
    click.option(
        "--quiet",
        type=FiniteRange(0),
        default=DEFAULT_QUIET,
        show_default=True,
        metavar="SECONDS",
        help="Send new findings together, once no more have come for so long; after ten times as "
        "long at the latest.",
    ),
)


def notice_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets them as `notices`, a NoticeOptions."""
    decorated = as_record(NoticeOptions, "notices")(function)
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
