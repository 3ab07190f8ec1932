"""Post the report of a finished scan, or the new findings of a watch, to a URL as JSON.

With a secret the request is signed as GitHub signs its webhooks: `X-Scanner-Signature-256: sha256=`
and the HMAC-SHA256 of the body in hexadecimal. Temporary failures are retried. A failure does not
change the result of the scan; a watch sends its findings again later.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scanner.no_redirects import NoRedirects
from storage.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SECRET_VARIABLE = "SCANNER_WEBHOOK_SECRET"  # noqa: S105 - its name
SIGNATURE_HEADER = "X-Scanner-Signature-256"
# Seconds that a response may take, and all attempts together: cron and CI wait for them.
TIMEOUT_SECONDS = 10.0
TOTAL_SECONDS = 20.0
# Seconds before each retry.
PAUSES = (1.0, 3.0, 9.0)


def require_url(url: str) -> None:
    """Check that a URL can be one of a webhook; raise InvalidInput, which does not quote it."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidInput("invalid --webhook: expected https://HOST/PATH")


def deliver(
    url: str, body: Mapping[str, Any], sleep: Callable[[float], object] = time.sleep
) -> bool:
    """Post JSON and return whether that succeeded; print the reason on stderr if not."""
    data = json.dumps(body, allow_nan=False).encode()
    end = time.monotonic() + TOTAL_SECONDS
    reason = ""
    for pause in (*PAUSES, None):
        reason, may_retry = _post(url, data, min(TIMEOUT_SECONDS, end - time.monotonic()))
        if not reason:
            return True
        if pause is None or not may_retry or time.monotonic() + pause >= end:
            break
        sleep(pause)
    print(f"The webhook at {origin(url)} was not delivered: {reason}", file=sys.stderr)  # noqa: T201
    return False


def origin(url: str) -> str:
    """Return the part of a URL that may be shown: its path may be a secret, too."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _post(url: str, data: bytes, timeout: float) -> tuple[str, bool]:
    """Post the data; return why it failed, or an empty string, and whether a retry may help."""
    headers = {"Content-Type": "application/json", "User-Agent": "scanner"}
    if secret := os.environ.get(SECRET_VARIABLE):
        digest = hmac.new(os.fsencode(secret), data, hashlib.sha256).hexdigest()
        headers[SIGNATURE_HEADER] = f"sha256={digest}"
    # The scheme is http or https, see `require_url`.
    request = urllib.request.Request(url, data, headers, method="POST")  # noqa: S310
    opener = urllib.request.build_opener(NoRedirects)
    try:
        with opener.open(request, timeout=timeout):
            return "", False
    except urllib.error.HTTPError as error:
        error.close()
        busy = error.code in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
        return f"status {error.code}", busy or error.code >= HTTPStatus.INTERNAL_SERVER_ERROR
    except urllib.error.URLError as error:
        return f"cannot be reached ({_reason(error.reason)})", True
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({_reason(error)})", True


def _reason(reason: object) -> str:
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason) or type(reason).__name__
