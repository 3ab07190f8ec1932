"""Check an image that a browser sends, as `scanner check` would; nothing of it is stored."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from scanner.detectors.plan import plan_for
from scanner.language import gettext
from scanner.web.looked_at import cards_of, looked
from scanner.web.previews import Shape
from scanner.web.site import html, message
from storage.errors import ScannerError
from storage.records import BatchImage, ErrorKind
from workers.batch.sandbox import Sandbox
from workers.images.orientation import is_sideways, read_orientation
from workers.limits import Limits
from workers.sources.source import FetchError, to_fetched

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Message, Receive

    from storage.records import Plan, Sidecar, Verdict
    from workers.sources.source import Fetched

# Of an image that a browser sends.
MAX_BYTES = 64 * 2**20
# Of the form around it.
FORM_BYTES = 10_000
# Of the side of an image.
MAX_DIGITS = 7
# Each check is a process with its own models, of some hundred megabytes.
_CHECKING = threading.Lock()
WAIT_SECONDS = 60


class Upload:
    """A source of the one image that a browser sent."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def fetch(self, _relative: bytes, _expected_size: int | None = None) -> Fetched:
        """Return the image."""
        return to_fetched(self._data)

    def fetch_sidecar(self, _image: bytes, _sidecar: Sidecar) -> bytes:
        """Raise FetchError: an image comes alone."""
        raise FetchError(ErrorKind.UNREADABLE, "was not sent")


def show(_request: Request) -> Response:
    """Show the form that sends an image."""
    return html("check.html", verdict=None, megabytes=MAX_BYTES // 2**20)


async def check(request: Request) -> Response:
    """Judge the image that was sent; what is wrong with it is a sentence."""
    try:
        length = int(request.headers.get("content-length", "0"))
    except ValueError:
        length = 0
    if length > MAX_BYTES + FORM_BYTES:
        raise _too_large()
    limited = Request(request.scope, _limited(request.receive))
    async with limited.form(max_files=1, max_fields=4) as form:
        sent = form.get("image")
        if not isinstance(sent, UploadFile) or not sent.filename:
            raise HTTPException(400, gettext("Choose an image first."))
        data = await sent.read()
        name = _file_name(sent.filename)
        seen = _seen(form)
    return await run_in_threadpool(_check, data, name, seen)


def _seen(form: FormData) -> tuple[int, int] | None:
    """Return the size of the image as the browser shows it; None where it shows none."""
    sides = [str(form.get(name, "")) for name in ("width", "height")]
    if not all(side.isascii() and side.isdigit() and len(side) < MAX_DIGITS for side in sides):
        return None
    width, height = map(int, sides)
    return (width, height) if width and height else None


def _shape(data: bytes, seen: tuple[int, int] | None) -> Shape | None:
    """Return the shape of an image without decoding it: the sandbox alone does."""
    if seen is None:
        return None
    orientation = read_orientation(data)
    return Shape(seen[::-1] if is_sideways(orientation) else seen, orientation)


def _check(data: bytes, name: bytes, seen: tuple[int, int] | None) -> Response:
    if not _CHECKING.acquire(timeout=WAIT_SECONDS):
        text = gettext("Another image is being checked: try again in a moment.")
        return message(gettext("Not checked"), text, 503)
    try:
        plan = plan_for(None)
        verdict = _judged(data, name, plan)
    except ScannerError as error:
        return message(gettext("Not checked"), f"{error}.", 503)
    finally:
        _CHECKING.release()
    return html(
        "check.html",
        name=name,
        verdict=verdict,
        thresholds=plan.thresholds(),
        looked=looked(
            verdict.findings, None if verdict.error else _shape(data, seen), cards_of(plan)
        ),
        megabytes=MAX_BYTES // 2**20,
    )


def _judged(data: bytes, name: bytes, plan: Plan) -> Verdict:
    """Return the verdict of the sandbox: a hostile file ends the process that decodes it."""
    with Sandbox(plan, Limits(max_bytes=MAX_BYTES)) as sandbox:
        return sandbox.judge(Upload(data), BatchImage(1, name, len(data)))


def _file_name(sent: str) -> bytes:
    """Return the last part of a name, as a browser of any system sends it."""
    last = sent.replace("\\", "/").rpartition("/")[2].replace("\0", "")
    return last.encode(errors="replace")[:255] or b"image"


def _limited(receive: Receive) -> Receive:
    """Return a channel that raises HTTPException once more was sent than an image may have."""
    received = 0

    async def limited() -> Message:
        nonlocal received
        part = await receive()
        received += len(part.get("body", b""))
        if received > MAX_BYTES + FORM_BYTES:
            raise _too_large()
        return part

    return limited


def _too_large() -> HTTPException:
    text = gettext("The file is too large: expected {megabytes} MiB at most.")
    return HTTPException(413, text.format(megabytes=MAX_BYTES // 2**20))
