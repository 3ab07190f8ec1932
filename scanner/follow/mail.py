"""Send an e-mail, by SMTP with TLS unless that is switched off."""

from __future__ import annotations

import logging
import os
import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, getaddresses, make_msgid
from enum import StrEnum
from typing import TYPE_CHECKING

from storage.errors import InvalidInput
from storage.paths import shown

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

PASSWORD_VARIABLE = "SCANNER_MAIL_PASSWORD"  # noqa: S105 - its name
TIMEOUT_SECONDS = 20.0
# The port for TLS from the first byte.
TLS_PORT = 465
DEFAULT_PORT = 587


class Encryption(StrEnum):
    """How a connection with a mail server is encrypted."""

    STARTTLS = "starttls"
    TLS = "tls"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class MailServer:
    """A mail server, and who sends by it to whom."""

    host: str
    port: int
    encryption: Encryption
    sender: str
    recipients: tuple[str, ...]
    user: str = ""
    password: str = field(default="", repr=False)


def mail_server(  # noqa: PLR0913 - as a user writes them
    server: str,
    *,
    sender: str,
    recipients: str,
    encryption: str | None,
    user: str | None,
    password_file: Path | None,
) -> MailServer:
    """Return a server, given as HOST or HOST:PORT. Raise InvalidInput.

    Without a named encryption it is TLS on port 465 and STARTTLS on others. The password is in a
    file or in the environment.
    """
    host, colon, number = server.rpartition(":")
    # An IPv6 address in brackets has colons of its own.
    if not colon or server.endswith("]"):
        host, number = server, str(TLS_PORT if encryption == Encryption.TLS else DEFAULT_PORT)
    if not host or not (number.isascii() and number.isdigit()):
        raise InvalidInput(f"invalid --mail-server {server!r}: expected HOST or HOST:PORT")
    port = int(number)
    if not 0 < port < 2**16:
        raise InvalidInput(f"invalid --mail-server {server!r}: expected a port from 1 to 65535")
    named = Encryption(encryption) if encryption else None
    password = _password(password_file)
    if password and not user:
        raise InvalidInput("a password for mail needs --mail-user")
    # smtplib signs in with ASCII alone.
    if not (user or "").isascii():
        raise InvalidInput(f"invalid --mail-user {user!r}: expected ASCII")
    if not password.isascii():
        raise InvalidInput("invalid password for mail: expected ASCII")
    return MailServer(
        host=host.strip("[]"),
        port=port,
        encryption=named or (Encryption.TLS if port == TLS_PORT else Encryption.STARTTLS),
        sender=_addresses("--mail-from", sender)[0],
        recipients=_addresses("--mail-to", recipients),
        user=user or "",
        password=password,
    )


def _addresses(option: str, text: str) -> tuple[str, ...]:
    addresses = tuple(address for _, address in getaddresses([text]))
    is_sender = option == "--mail-from"
    valid = all(
        "@" in address and address.isprintable() and " " not in address for address in addresses
    )
    if not addresses or not valid or (is_sender and len(addresses) > 1):
        expected = "one address" if is_sender else "addresses with commas between them"
        raise InvalidInput(f"invalid {option} {text!r}: expected {expected}, as ann@example.org")
    return addresses


def _password(file: Path | None) -> str:
    if file is None:
        return os.environ.get(PASSWORD_VARIABLE, "")
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "expected UTF-8"
        name = shown(os.fsencode(file))
        raise InvalidInput(f"--mail-password-file {name} cannot be read: {reason}") from error


def send(server: MailServer, subject: str, text: str) -> str:
    """Send a plain text to all recipients; return why that failed, or an empty string.

    Where the server takes it for some of them it is sent, and the others are logged: sent again,
    those some would get it again.
    """
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = server.sender
    message["To"] = ", ".join(server.recipients)
    message["Date"] = formatdate(localtime=True)
    message["Message-ID"] = make_msgid(domain=server.sender.rpartition("@")[2])
    # So that out-of-office answers are not sent.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    try:
        with _connected(server) as connection:
            if server.user:
                connection.login(server.user, server.password)
            refused = connection.send_message(message)
    except smtplib.SMTPResponseException as error:
        return f"refused with {error.smtp_code}"
    except (smtplib.SMTPException, ssl.SSLError) as error:
        return str(error).partition("\n")[0] or type(error).__name__
    except OSError as error:
        return f"cannot be reached ({error.strerror or error})"
    if refused:
        log.warning("the mail server %s refuses %s", server.host, ", ".join(sorted(refused)))
    return ""


def _connected(server: MailServer) -> smtplib.SMTP:
    if server.encryption is Encryption.TLS:
        return smtplib.SMTP_SSL(
            server.host, server.port, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context()
        )
    connection = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_SECONDS)
    if server.encryption is Encryption.STARTTLS:
        try:
            # Raises where the server does not offer it: nothing is sent in the clear.
            connection.starttls(context=ssl.create_default_context())
        except BaseException:
            connection.close()
            raise
    return connection
