"""An image that is chosen or dropped on a page, and judged in the sandbox."""

from __future__ import annotations

import base64
from http.client import HTTPConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scanner.web.pages import check

if TYPE_CHECKING:
    import pytest

    from tests.scanner.web.conftest import Scanned, Served, Visitor

BOUNDARY = "boundary"
DROP = """
([name, body]) => {
  const file = new File([Uint8Array.from(atob(body), (each) => each.charCodeAt(0))], name);
  const carried = new DataTransfer();
  carried.items.add(file);
  document.dispatchEvent(new DragEvent("drop", { dataTransfer: carried, cancelable: true }));
}
"""


def send(site: Served, data: bytes, name: str = "a.jpg", field: str = "image") -> tuple[int, str]:
    """Send a file as the form does; return the status and the page."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"'
    body = f"{head}\r\n\r\n".encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()
    return post(site, body, f"multipart/form-data; boundary={BOUNDARY}")


def post(site: Served, body: bytes, kind: str) -> tuple[int, str]:
    """POST a body of a kind."""
    connection = HTTPConnection(urlsplit(site.url).netloc, timeout=120)
    headers = {"Origin": site.url.rstrip("/"), "Content-Type": kind}
    try:
        connection.request("POST", "/check", body, headers)
        said = connection.getresponse()
        return said.status, said.read().decode()
    finally:
        connection.close()


def test_a_dropped_image_is_checked(site: Served, scanned: Scanned, visitor: Visitor) -> None:
    """A dropped image gets its verdict in words, and so does a chosen one."""
    page = visitor.page
    image = next(scanned.folder.rglob("*.png"))
    page.goto(f"{site.url}check")
    visitor.shoot("check")
    found = visitor.violations()
    page.evaluate(DROP, [image.name, base64.b64encode(image.read_bytes()).decode()])
    page.get_by_role("heading", name="Findings").wait_for()
    visitor.shoot("checked")
    found += visitor.violations()

    assert image.name == page.get_by_role("heading", level=1).inner_text()
    assert [] == found


def test_files_that_are_no_images(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hostile name or file, none, one that is too large: each is a page with a sentence."""
    monkeypatch.setattr(check, "MAX_BYTES", 100_000)
    status, page = send(site, b"GIF89a\xff", "C:\\x\\<script>.jpg")
    too_large = send(site, b"x" * 200_000)

    assert 200 == status
    assert '<span class="badge error">' in page
    assert "&lt;script&gt;.jpg" in page
    assert "C:" not in page
    assert 413 == too_large[0]
    assert "too large" in too_large[1]
    assert 400 == send(site, b"x", field="other")[0]
    assert 400 == post(site, b"no form", "multipart/form-data; boundary=x")[0]
    assert 400 == post(site, b"image=x", "application/x-www-form-urlencoded")[0]


def test_one_image_at_a_time(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who would wait too long for another check is told to try again."""
    monkeypatch.setattr(check, "WAIT_SECONDS", 0.01)
    with check._CHECKING:
        status, page = send(site, b"x")

    assert 503 == status
    assert "Another image is being checked" in page
