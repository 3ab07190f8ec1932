"""Forms that a browser sends."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException

from scanner.language import gettext

if TYPE_CHECKING:
    from starlette.requests import Request

MAX_BYTES = 10_000
# Of a person's name.
MAX_NAME_CHARACTERS = 60


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form; raises HTTPException (413) beyond MAX_BYTES."""
    return dict(await read_pairs(request))


async def read_pairs(request: Request, max_bytes: int = MAX_BYTES) -> list[tuple[str, str]]:
    """Return the names and values of a form's fields, of which several may have one name."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > max_bytes:
            raise HTTPException(413, gettext("Form too large."))
    return parse_qsl(body.decode("utf-8", "replace"))
