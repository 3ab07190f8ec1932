"""Taking over a C2PA trust list: from a file or an address, validated, into the data folder."""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scanner.processes.atomic_write import atomic_write
from storage.errors import InvalidInput, ScannerError
from storage.paths import shown
from storage.private import make_private_folder
from workers.provenance import trust_lists
from workers.provenance.trust_lists import MAX_LIST_BYTES, TrustList, TrustListError, certificates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cryptography.x509 import Certificate

TIMEOUT_SECONDS = 30.0
_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
# Workers on this machine may run as another user.
_PUBLIC_FILE = 0o644
_TITLE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Change:
    """What taking over or removing a list changed; certificates are named by their subjects."""

    name: str
    before: TrustList | None
    after: TrustList | None
    added: tuple[str, ...]
    removed: tuple[str, ...]


def take_over(source: str, name: str | None = None) -> Change:
    """Validate the list at a path or https address, and install it in place of one of its name.

    The name is that of the JSON list's scheme, or of the file. Raise InvalidInput for a bad list,
    ScannerError where it cannot be read or written.
    """
    if "://" in source:
        path, body = _fetched(source)
    else:
        path, body = source, _file(Path(source))
    today = datetime.now(UTC).date().isoformat()
    trusted = _parsed(source, body, Path(path).stem)
    name = _slug(trusted.name) if name is None else name
    if not trust_lists.NAME.fullmatch(name):
        raise InvalidInput(f"invalid name {name!r}: expected letters, digits and hyphens (--name)")
    installed = replace(trusted, name=name, source=shown(source.encode()), installed=today)
    before = trust_lists.installed().get(name)
    _write(trust_lists.folder() / f"{name}.json", installed)
    return _change(name, before, installed)


def remove(name: str) -> Change:
    """Remove a list; of a built-in one, leave an empty list in its place. InvalidInput if none."""
    built_in = trust_lists.built_in().get(name)
    file = trust_lists.folder() / f"{name}.json"
    # A damaged file can be removed too, so it is not read first.
    if not trust_lists.NAME.fullmatch(name) or not (built_in or file.exists()):
        raise InvalidInput(f"unknown trust list {name!r}: `scanner detectors trust` shows them")
    if file.exists():
        try:
            before = trust_lists.installed().get(name)
        except TrustListError:
            before = None
        try:
            file.unlink()
        except OSError as error:
            raise ScannerError(f"{file} cannot be removed: {error.strerror}") from error
        return _change(name, before, built_in)
    assert built_in is not None  # noqa: S101 - checked above
    empty = replace(built_in, installed=datetime.now(UTC).date().isoformat(), authorities=())
    _write(file, replace(empty, signers=()))
    return _change(name, built_in, replace(empty, signers=()))


def validity(trust_list: TrustList) -> tuple[int, str]:
    """Return how many certificates of a list have expired, and when the next one does (a date)."""
    now = datetime.now(UTC)
    ends = [
        _certificate(body).not_valid_after_utc
        for pem in (*trust_list.authorities, *trust_list.signers)
        for body in certificates(pem)
    ]
    coming = [end for end in ends if end > now]
    return len(ends) - len(coming), min(coming).date().isoformat() if coming else ""


def _parsed(source: str, body: bytes, stem: str) -> TrustList:
    """Read a list: PEM, or JSON of ETSI TS 119 602 as C2PA publishes it."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = ""
    if text.lstrip().startswith("{"):
        title, issued, encoded = _from_json(source, text)
    else:
        title, issued, encoded = stem, "", _from_pem(source, text)
    if not encoded:
        raise InvalidInput(
            f"invalid trust list {source!r}: expected certificates in PEM, or C2PA's JSON"
        )
    authorities: dict[bytes, str] = {}
    signers: dict[bytes, str] = {}
    for number, der in enumerate(encoded, 1):
        certificate = _certificate(der, f"certificate {number} of {source!r}")
        # By its bytes, so that a repeated one counts once.
        (authorities if _is_authority(certificate) else signers)[der] = _pem(certificate)
    title = "".join(filter(str.isprintable, title))[:_TITLE_CHARACTERS]
    return TrustList(
        title, title, "", issued, "", tuple(authorities.values()), tuple(signers.values())
    )


def _from_pem(source: str, text: str) -> list[bytes]:
    try:
        return certificates(text)
    except TrustListError as error:
        raise InvalidInput(f"invalid trust list {source!r}: {error}") from error


def _from_json(source: str, text: str) -> tuple[str, str, list[bytes]]:
    """Return title, date and certificates of the trusted services of a list."""
    try:
        body = json.loads(text)["LoTE"]
        head = body["ListAndSchemeInformation"]
        title, issued = head["SchemeName"][0]["value"], head["ListIssueDateTime"]
        encoded = [body for service in _services(body) for body in _service_certificates(service)]
        day = datetime.fromisoformat(issued).date().isoformat()
        return str(title), day, encoded
    except (ValueError, KeyError, TypeError, IndexError, RecursionError, TrustListError) as error:
        raise InvalidInput(
            f"invalid trust list {source!r}: expected C2PA's JSON (ETSI TS 119 602), "
            f"{type(error).__name__} in it"
        ) from error


def _services(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the services that are trusted: withdrawn ones stay on a list."""
    for entity in body["TrustedEntitiesList"]:
        for service in entity["TrustedEntityServices"]:
            information = service["ServiceInformation"]
            if str(information.get("ServiceStatus", "/trusted")).endswith("/trusted"):
                yield information


def _service_certificates(information: dict[str, Any]) -> list[bytes]:
    identity = information["ServiceDigitalIdentity"]
    return [
        body
        for entry in identity["X509Certificates"]
        for body in certificates(
            f"-----BEGIN CERTIFICATE-----\n{entry['val']}\n-----END CERTIFICATE-----"
        )
    ]


def _certificate(der: bytes, label: str = "a certificate") -> Certificate:
    from cryptography import x509  # noqa: PLC0415 - 0.1 s, for this command alone

    try:
        return x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise InvalidInput(f"invalid {label}: expected an X.509 certificate") from error


def _is_authority(certificate: Certificate) -> bool:
    """Check whether a certificate may issue others (RFC 5280, 4.2.1.9)."""
    from cryptography import x509  # noqa: PLC0415

    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _pem(certificate: Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    return certificate.public_bytes(Encoding.PEM).decode()


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            body = file.read(MAX_LIST_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
    return _limited(str(path), body)


def _fetched(address: str) -> tuple[str, bytes]:
    """Return path and body of an address: the only place that fetches a list, as a user says."""
    try:
        parts = urllib.parse.urlsplit(address)
    except ValueError as error:
        raise InvalidInput(f"invalid address {address!r}: {error}") from error
    # Whoever changes a list on its way decides who is trusted.
    is_local = parts.scheme == "http" and parts.hostname in _LOCAL_HOSTS
    if parts.scheme != "https" and not is_local:
        raise InvalidInput(f"invalid address {address!r}: expected https://")
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
            if not response.url.startswith((f"{parts.scheme}://", "https://")):
                raise InvalidInput(f"{address} leads to {response.url!r}: expected https://")
            return parts.path, _limited(address, response.read(MAX_LIST_BYTES + 1))
    except urllib.error.HTTPError as error:
        error.close()
        raise ScannerError(f"{address} cannot be fetched: HTTP status {error.code}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise ScannerError(f"{address} cannot be fetched: {reason}") from error
    except ValueError as error:
        raise InvalidInput(f"invalid address {address!r}: {error}") from error


def _limited(source: str, body: bytes) -> bytes:
    if len(body) > MAX_LIST_BYTES:
        raise InvalidInput(
            f"invalid trust list {source!r}: larger than {MAX_LIST_BYTES // 2**20} MiB"
        )
    return body


def _write(file: Path, trust_list: TrustList) -> None:
    try:
        make_private_folder(file.parent)
        with atomic_write(file, _PUBLIC_FILE) as stream:
            stream.write(trust_list.to_json())
    except OSError as error:
        raise ScannerError(f"{file} cannot be written: {error.strerror}") from error


def _slug(title: str) -> str:
    """Return a title or file name as a list's name: "C2PA Trust List" as "c2pa-trust-list"."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:64].strip("-")


def _change(name: str, before: TrustList | None, after: TrustList | None) -> Change:
    old, new = _subjects(before), _subjects(after)
    added = tuple(sorted(new[body] for body in new.keys() - old.keys()))
    removed = tuple(sorted(old[body] for body in old.keys() - new.keys()))
    return Change(name, before, after, added, removed)


def _subjects(trust_list: TrustList | None) -> dict[bytes, str]:
    """Return the names of a list's certificates, by certificate."""
    pems: Iterable[str] = ()
    if trust_list is not None:
        pems = (*trust_list.authorities, *trust_list.signers)
    return {body: _subject(_certificate(body)) for pem in pems for body in certificates(pem)}


def _subject(certificate: Certificate) -> str:
    """Return common name and organization for people, without what would break a line."""
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    parts = [
        str(attribute.value)
        for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
        for attribute in certificate.subject.get_attributes_for_oid(oid)[:1]
    ]
    return "".join(filter(str.isprintable, ", ".join(parts)))[:_TITLE_CHARACTERS]
