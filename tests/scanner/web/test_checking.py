"""An image that is chosen or dropped on a page, and judged in the sandbox."""

from __future__ import annotations

import base64
from http.client import HTTPConnection
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from PIL import Image

from scanner.web.pages import check

if TYPE_CHECKING:
    import pytest
    from playwright.sync_api import Page

    from tests.scanner.web.conftest import Scanned, Served, Visitor

BOUNDARY = "boundary"
ORIENTATION = 0x0112
DROP = """
(files) => {
  const carried = new DataTransfer();
  for (const [name, body] of files) {
    carried.items.add(new File([Uint8Array.from(atob(body), (each) => each.charCodeAt(0))], name));
  }
  document.dispatchEvent(new DragEvent("drop", { dataTransfer: carried, cancelable: true }));
}
"""
# Width and height of the pictures that are shown, and the boxes over them.
SHOWN = """
() => [...document.querySelectorAll(".checked figure:not([hidden])")].map((figure) => [
  figure.querySelector("img").naturalWidth, figure.querySelector("img").naturalHeight,
  figure.querySelectorAll("rect").length])
"""


def drop(page: Page, *files: tuple[str, bytes]) -> None:
    """Drop files on a page, and wait until all are checked."""
    page.evaluate(DROP, [(name, base64.b64encode(body).decode()) for name, body in files])
    page.locator(".checked").nth(len(files) - 1).wait_for()
    page.wait_for_timeout(300)


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
    """Dropped images are checked one after the other; each is shown, with the boxes looked at."""
    page = visitor.page
    turned = BytesIO()
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    dunes = Image.open(scanned.folder / "plain" / "dunes.jpg")
    dunes.save(turned, "JPEG", exif=exif, quality=95)
    page.goto(f"{site.url}check")
    visitor.shoot("check")
    found = visitor.violations()
    drop(page, ("turned.jpg", turned.getvalue()), ("no.heic", b"no image"))
    visitor.shoot("checked")
    found += visitor.violations()
    (shown,) = page.evaluate(SHOWN)

    assert ["turned.jpg", "no.heic"] == page.locator(".checked h2").all_inner_texts()
    assert [dunes.height, dunes.width] == shown[:2]
    assert shown[2] >= 1
    assert "" == page.locator("#here [role=status]").inner_text()
    assert [] == found


def test_an_image_is_checked_on_any_page(site: Served, scanned: Scanned, visitor: Visitor) -> None:
    """An image that is dropped elsewhere is checked there, and the page stays."""
    page = visitor.page
    image = (scanned.folder / "plain" / "dunes.jpg").read_bytes()
    for address in ("start", "scan/1", "scan/1/gallery", "scan/1/report"):
        page.goto(f"{site.url}{address}")
        drop(page, ("dunes.jpg", image))

        assert page.get_by_role("heading", name="Findings").is_visible()
        assert 1 == len(page.evaluate(SHOWN))
        assert f"{site.url}{address}" == page.url
    found = visitor.violations()
    page.get_by_role("dialog").get_by_role("button", name="Close").click()

    assert page.get_by_role("dialog").is_hidden()
    assert [] == found


def test_a_chosen_image_is_checked(site: Served, scanned: Scanned, visitor: Visitor) -> None:
    """So is an image that is chosen in the form; a refusal is a sentence."""
    page = visitor.page
    page.goto(f"{site.url}check")
    page.locator("[name=image]").set_input_files(scanned.folder / "plain" / "dunes.jpg")
    page.get_by_role("button", name="Check", exact=True).click()
    page.get_by_role("heading", name="Findings").wait_for()
    page.route("**/check", lambda route: route.abort())
    drop(page, ("a.jpg", b"x"))

    assert page.get_by_text("The server does not answer").is_visible()


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
