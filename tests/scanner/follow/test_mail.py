"""E-mail, with a real mail server."""

from __future__ import annotations

import ssl
import subprocess
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword
from ports import free_port

from scanner.follow.mail import Encryption, MailServer, mail_server, send
from storage.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOST = "127.0.0.1"


class Inbox:
    """Keeps what a mail server received; refuses the recipient `nobody@`."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], Any]] = []

    async def handle_RCPT(  # noqa: N802 - as aiosmtpd calls it
        self, _server: object, _session: object, envelope: Envelope, address: str, _options: object
    ) -> str:
        """Accept a recipient, or refuse it."""
        if address.startswith("nobody@"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - as above
        self, _server: object, _session: object, envelope: Envelope
    ) -> str:
        """Keep a message."""
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        self.mails.append((envelope.rcpt_tos, mail))
        return "250 OK"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make a certificate of this machine and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=me",
            "-addext",
            f"subjectAltName=IP:{HOST}",
            "-keyout",
            str(key),
            "-out",
            str(cert),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


# A test signs in without TLS on this machine, to see what a wrong password says.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")


@pytest.fixture
def listening(certificate: tuple[Path, Path]) -> Iterator[Callable[..., tuple[Inbox, int]]]:
    """Return a function that starts a mail server; it returns its inbox and port."""
    made: list[Controller] = []

    def start(*, tls: str = "off", password: str = "") -> tuple[Inbox, int]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        inbox = Inbox()

        def check(*arguments: object) -> AuthResult:
            given = arguments[-1]
            is_right = isinstance(given, LoginPassword) and given.password == password.encode()
            return AuthResult(success=is_right, handled=False)

        options: dict[str, Any] = {}
        if password:
            options |= {"authenticator": check, "auth_required": True}
            options["auth_require_tls"] = tls == "starttls"
        if tls == "starttls":
            options |= {"tls_context": context, "require_starttls": True}
        controller = Controller(
            inbox,
            hostname=HOST,
            port=free_port(),
            ssl_context=context if tls == "tls" else None,
            **options,
        )
        controller.start()
        made.append(controller)
        return inbox, controller.port

    yield start
    for controller in made:
        controller.stop()


def to(port: int, tls: Encryption, *recipients: str, password: str = "") -> MailServer:
    """Return a mail server of a test."""
    user = "me" if password else ""
    people = recipients or ("ann@example.org",)
    return MailServer(HOST, port, tls, "scanner@example.org", people, user, password)


@pytest.mark.parametrize("tls", list(Encryption))
def test_mail_arrives(
    listening: Callable[..., tuple[Inbox, int]],
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    tls: Encryption,
) -> None:
    """A text arrives whole at all recipients, by each kind of encryption, after signing in."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    password = "" if tls is Encryption.OFF else "s3cret"
    inbox, port = listening(tls=tls.value, password=password)
    people = ("ann@example.org", "bob@example.org")
    server = to(port, tls, *people, password=password)
    trouble = send(server, "2 new images in Fête", "  ü/日本.png\n    0.980: tag\n")
    ((recipients, mail),) = inbox.mails

    assert "" == trouble
    assert list(people) == recipients
    assert "2 new images in Fête" == mail["Subject"]
    assert "  ü/日本.png\n    0.980: tag\n" == mail.get_content().replace("\r\n", "\n")
    assert "auto-generated" == mail["Auto-Submitted"]


def test_nothing_is_sent_in_the_clear(
    listening: Callable[..., tuple[Inbox, int]],
) -> None:
    """A server without encryption, or with a certificate that nobody knows, gets nothing."""
    plain, plain_port = listening()
    unknown, unknown_port = listening(tls="starttls")

    assert "STARTTLS" in send(to(plain_port, Encryption.STARTTLS), "s", "t")
    assert "certificate" in send(to(unknown_port, Encryption.STARTTLS), "s", "t")
    assert [] == plain.mails + unknown.mails


def test_troubles(
    listening: Callable[..., tuple[Inbox, int]], caplog: pytest.LogCaptureFixture
) -> None:
    """A server that is away, a wrong password, or an unknown recipient is a reason in words.

    What some recipients got is not sent again: those who did not are logged.
    """
    inbox, port = listening(password="right")
    known, open_port = listening()

    assert "cannot be reached (Connection refused)" == send(
        to(free_port(), Encryption.OFF), "s", "t"
    )
    assert "refused with 535" == send(to(port, Encryption.OFF, password="wrong"), "s", "t")
    people = ("nobody@example.org", "ann@example.org")
    assert "" != send(to(open_port, Encryption.OFF, "nobody@example.org"), "s", "t")
    assert "" == send(to(open_port, Encryption.OFF, *people), "s", "t")
    assert "the mail server 127.0.0.1 refuses nobody@example.org" in caplog.messages
    assert [] == inbox.mails
    assert 1 == len(known.mails)


def test_server_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The port decides on the encryption where none is named; the password is in a file."""
    file = tmp_path / "password"
    file.write_text("s3cret\n", encoding="utf-8")
    given: dict[str, Any] = {"sender": "Me <me@x.org>", "recipients": "a@x.org, B <b@x.org>"}

    def parsed(server: str, tls: str | None = None, user: str | None = None) -> MailServer:
        named = file if user else None
        return mail_server(server, **given, encryption=tls, user=user, password_file=named)

    found = [parsed(text) for text in ("mx", "mx:465", "mx:25", "[::1]:25", "[::1]")]
    signed_in = parsed("mx", user="me")

    assert [587, 465, 25, 25, 587] == [one.port for one in found]
    assert ["starttls", "tls", "starttls"] == [one.encryption for one in found[:3]]
    assert ["mx", "::1", "::1"] == [found[0].host, found[3].host, found[4].host]
    assert ("me@x.org", ("a@x.org", "b@x.org")) == (found[0].sender, found[0].recipients)
    assert "s3cret" == signed_in.password
    assert "s3cret" not in repr(signed_in)
    for wrong in ("", ":25", "mx:x", "mx:70000", "mx:"):
        with pytest.raises(InvalidInput, match="invalid --mail-server"):
            parsed(wrong)
    monkeypatch.setenv("SCANNER_MAIL_PASSWORD", "other")
    with pytest.raises(InvalidInput, match="needs --mail-user"):
        parsed("mx")
    with pytest.raises(InvalidInput, match="invalid --mail-user 'mé': expected ASCII"):
        parsed("mx", user="mé")
    file.write_text("pässword\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"^invalid password for mail: expected ASCII$"):
        parsed("mx", user="me")


@pytest.mark.parametrize("wrong", ["", "ann", "a@x.org\nBcc: b@y.org, c", "a@x.org, b"])
def test_wrong_addresses(wrong: str) -> None:
    """What is no address is refused."""
    with pytest.raises(InvalidInput, match=r"invalid --mail-to .*: expected addresses with commas"):
        mail_server(
            "mx", sender="a@x.org", recipients=wrong, encryption=None, user=None, password_file=None
        )
