"""What a browser sends with a form: short, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.requests import Request

MAX_BYTES = 10_000


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a short form; HTTPException (413) for more than any of ours has."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BYTES:
            raise HTTPException(413, "This is more than a form of ours has.")
    return dict(parse_qsl(body.decode("utf-8", "replace")))
