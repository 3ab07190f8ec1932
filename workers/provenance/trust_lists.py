"""Trust lists of C2PA: certificates by which signers, and authorities of time stamps, are known.

The built-in lists come with scanner; those that `scanner detectors trust` took over are in the
user's data folder, and replace a built-in list of the same name. Nothing is fetched here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from storage.errors import ScannerError

if TYPE_CHECKING:
    from collections.abc import Iterable

BUILT_IN = Path(__file__).with_name("trust")
# Names that are safe as a file and on a terminal.
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
# Far above the public lists, which have up to 300 certificates.
MAX_LIST_BYTES = 4 * 2**20
_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----"
)
_DIGEST_DIGITS = 12
# Between the version of `provenance` and the digest of the lists of a user.
VERSION_SEPARATOR = "+trust."


class TrustListError(ScannerError):
    """A trust list cannot be read, or is none; the message says what to do."""


@dataclass(frozen=True, slots=True)
class TrustList:
    """A list: where it came from, when it was issued and installed (dates), and certificates (PEM).

    `authorities` issue the certificates of signers and of time stamps; `signers` are trusted
    themselves. `issued` is empty where the list does not say it.
    """

    name: str
    title: str
    source: str
    issued: str
    installed: str
    authorities: tuple[str, ...] = ()
    signers: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        """Return the list as it is stored."""
        return json.dumps(asdict(self), indent=1).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Trust:
    """The certificates of all lists together, as PEM; both are empty without any list."""

    authorities: str = ""
    signers: str = ""

    def __bool__(self) -> bool:
        """Return whether there is any certificate to look a signer up in."""
        return bool(self.authorities or self.signers)

    @property
    def digest(self) -> str:
        """Return a digest of the certificates, whatever their lists, order and line breaks."""
        parts = {
            kind + hashlib.sha256(body).hexdigest()
            for kind, text in (("authority ", self.authorities), ("signer ", self.signers))
            for body in certificates(text)
        }
        return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:_DIGEST_DIGITS]


NO_LISTS = Trust()


def folder() -> Path:
    """Return the folder of the lists that were taken over, which can be copied to machines."""
    return Path(platformdirs.user_data_path("scanner")) / "trust"


def certificates(text: str) -> list[bytes]:
    """Return the certificates in a PEM text as DER; TrustListError where one is not base64."""
    try:
        return [
            base64.b64decode("".join(body.split()), validate=True)
            for body in _CERTIFICATE.findall(text)
        ]
    except binascii.Error as error:
        raise TrustListError(f"invalid certificate: {error}") from error


def built_in() -> dict[str, TrustList]:
    """Return the lists that come with scanner, by name."""
    return _read(BUILT_IN)


def taken_over() -> dict[str, TrustList]:
    """Return the lists in the user's data folder, by name; TrustListError for a damaged one."""
    return _read(folder())


def installed() -> dict[str, TrustList]:
    """Return the lists in effect, by name."""
    return built_in() | taken_over()


def load() -> Trust:
    """Return the certificates of the lists in effect; TrustListError for a damaged list."""
    return _together(installed().values())


def version_suffix() -> str:
    """Return what the lists add to the version of `provenance`: nothing for the built-in ones.

    A scan is planned with it, so that each of its machines has the same certificates or refuses.
    """
    if not taken_over():
        return ""
    trust = load()
    return "" if trust.digest == _built_in_digest() else VERSION_SEPARATOR + trust.digest


@cache
def _built_in_digest() -> str:
    return _together(built_in().values()).digest


def _together(lists: Iterable[TrustList]) -> Trust:
    chosen = list(lists)
    return Trust(
        "".join(pem for each in chosen for pem in each.authorities),
        "".join(pem for each in chosen for pem in each.signers),
    )


def _read(place: Path) -> dict[str, TrustList]:
    lists = {}
    for file in sorted(place.glob("*.json")):
        try:
            body = json.loads(file.read_bytes())
            body["authorities"] = tuple(map(_pem, body["authorities"]))
            body["signers"] = tuple(map(_pem, body["signers"]))
            lists[file.stem] = TrustList(**body)
        except OSError as error:
            raise TrustListError(f"{file} cannot be read: {error.strerror}") from error
        except (ValueError, TypeError, KeyError, TrustListError) as error:
            raise TrustListError(
                f"{file} is damaged: `scanner detectors trust --remove {file.stem}`, then take the "
                "list over again"
            ) from error
    return lists


def _pem(text: str) -> str:
    """Return a certificate's text; ValueError if it is not exactly one."""
    if not isinstance(text, str) or len(certificates(text)) != 1:
        raise ValueError("expected a certificate")
    return text
