"""A server of a photo library, spoken to in JSON; what goes wrong is one sentence."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from scanner.no_redirects import NoRedirects
from storage.errors import InvalidInput, ScannerError, ServiceUnavailable
from storage.paths import shown
from workers.sources.location import is_server_url, without_api

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from workers.sources.location import LibraryKind, LibraryLocation

# Seconds that an answer may take, and that pass before each further try.
TIMEOUT_SECONDS = 60.0
PAUSES = (1.0, 3.0, 9.0)
# A page of a thousand assets takes about 2 MB.
_MAX_ANSWER_BYTES = 64 << 20
_MAX_REASON_CHARACTERS = 200
_MAX_KEY_BYTES = 4096


class NotThere(ScannerError):
    """The server does not have what a URL names."""


class Server:
    """The server of a library, with its key.

    `authorities` is a file of certificates, where those of the system are not enough.
    """

    def __init__(
        self, location: LibraryLocation, key: str, authorities: Path | None = None
    ) -> None:
        self.name = location.kind.program
        self.url = location.url
        self._headers = location.kind.headers(key)
        # Once: reading the system's certificates takes 20 ms.
        context = ssl.create_default_context(cafile=authorities)
        handler = urllib.request.HTTPSHandler(context=context)
        self._opener = urllib.request.build_opener(NoRedirects, handler)
        self._has_answered = False

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Mapping[str, object] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        """Return what the server answers, None for an empty answer.

        Try again where that may succeed, unless the server never answered: its URL may be wrong.
        Raise NotThere, ServiceUnavailable where a later try may succeed, else ScannerError.
        """
        url = self.url + path + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", **self._headers}
        if data is not None:
            headers["Content-Type"] = "application/json"
        # The scheme is http or https, see `base_url`.
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310
        for pause in (*PAUSES, None):
            try:
                return self._answer(request)
            except ServiceUnavailable:
                if pause is None or not self._has_answered:
                    raise
                time.sleep(pause)
        raise AssertionError("the last try returns or raises")

    def _answer(self, request: urllib.request.Request) -> Any:  # noqa: ANN401 - JSON
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                self._has_answered = True
                data = response.read(_MAX_ANSWER_BYTES + 1)
        except urllib.error.HTTPError as error:
            self._has_answered = True
            raise self._refusal(error) from error
        except urllib.error.URLError as error:
            raise self._unreachable(error.reason) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        if not data.strip():
            return None
        try:
            if len(data) > _MAX_ANSWER_BYTES:
                raise ValueError("too long")  # noqa: TRY301
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise self.unexpected() from error

    def objects(self, answer: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON
        """Return an answer that is a list of objects; raise ScannerError for another."""
        if not isinstance(answer, list) or not all(isinstance(one, dict) for one in answer):
            raise self.unexpected()
        return answer

    def unexpected(self) -> ScannerError:
        """Return the error for an answer of another form."""
        return ScannerError(f"{self.url} does not answer as {self.name} does: is the URL right?")

    def _refusal(self, error: urllib.error.HTTPError) -> ScannerError:
        where = f"{self.name} at {self.url}"
        with error:
            try:
                said = _reason_in(error.read(1 << 16))
            except (OSError, http.client.HTTPException):
                said = ""
        told = f" ({said})" if said else ""
        if error.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return ScannerError(f"{where} refuses the key, or what it may do{told}")
        if error.code == HTTPStatus.NOT_FOUND:
            return NotThere(f"{where} does not have this: is the URL right?{told}")
        if HTTPStatus.MULTIPLE_CHOICES <= error.code < HTTPStatus.BAD_REQUEST:
            target = shown(str(error.headers.get("Location", "")).encode())
            return ScannerError(f"{self.url} redirects to {target}: name that URL")
        is_busy = error.code in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
        if is_busy or error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return ServiceUnavailable(f"{where} answers with status {error.code}{told}")
        return ScannerError(f"{where} refuses a request with status {error.code}{told}")

    def _unreachable(self, reason: object) -> ScannerError:
        if isinstance(reason, ssl.SSLCertVerificationError):
            return ScannerError(
                f"the certificate of {self.url} is not trusted ({reason.verify_message}): name the "
                "one that signed it with --ca-file, or for a scan in SSL_CERT_FILE"
            )
        text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
        return ServiceUnavailable(
            f"{self.name} at {self.url} cannot be reached ({text or type(reason).__name__})"
        )


def library_key(kind: LibraryKind, file: Path | None = None) -> str:
    """Return the key in a file, else in the environment; raise InvalidInput where there is none."""
    key = require_key(os.environ.get(kind.key_variable, "")) if file is None else read_key(file)
    if not key:
        raise InvalidInput(
            f"the server's key is needed: name a --key-file, or set {kind.key_variable}"
        )
    return key


def read_key(file: Path) -> str:
    """Return the key in a file; raise InvalidInput."""
    try:
        with file.open("rb") as opened:
            return require_key(opened.read(_MAX_KEY_BYTES).decode("ascii", "replace"))
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from error


def require_key(text: str) -> str:
    """Return a key without blanks around it; raise InvalidInput."""
    key = text.strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise InvalidInput("invalid key: expected one line of ASCII without blanks")
    return key


def base_url(text: str) -> str:
    """Return a server's URL without the end of its path; raise InvalidInput."""
    if not is_server_url(text):
        raise InvalidInput("invalid --url: expected https://HOST or http://HOST:PORT")
    return without_api(text)


def require_authorities(file: Path | None) -> None:
    """Check a file of certificates; raise InvalidInput."""
    try:
        ssl.create_default_context(cafile=file)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"invalid --ca-file '{file}': expected certificates in PEM") from error


def _reason_in(body: bytes) -> str:
    """Return what a server says in an error, on one line."""
    try:
        said = json.loads(body)
        said = said.get("message") or said.get("error") or ""
    except (ValueError, AttributeError, RecursionError):
        return ""
    text = "; ".join(map(str, said)) if isinstance(said, list) else str(said)
    return shown(text[:_MAX_REASON_CHARACTERS].encode(errors="replace"))
