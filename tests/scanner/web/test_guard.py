"""Who sees a page, and who may change anything."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from storage.writes.reviews import list_reviews

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.database.store import Store
    from tests.scanner.web.conftest import Served

TOKEN = "a-token-of-many-characters"


def test_every_answer_keeps_a_browser_in_check(site: Served) -> None:
    """No inline script or style may run, no page may be framed, nothing is kept by a proxy."""
    for address in ("/scan/1", "/scan/1/image/1/thumbnail", "/nowhere", "/static/style.css"):
        headers = site.get(address).headers
        policy = headers["content-security-policy"]

        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "nosniff" == headers["x-content-type-options"]
    page = site.get("/scan/1/gallery").text

    assert [] == re.findall(
        r"<script>|<style|\sstyle=|\son\w+=\"|javascript:|https?://(?!www.w3)", page
    )


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1.evil.example:80", ""])
def test_without_a_token_no_other_name_leads_here(site: Served, name: str) -> None:
    """A web site that has its own name lead to this machine gets nothing (DNS rebinding)."""
    assert 400 == site.get("/scan/1", Host=name).status


@pytest.mark.parametrize("name", ["localhost:9000", "127.0.0.2:80", "[::1]:80", "localhost"])
def test_this_machines_own_names_do(site: Served, name: str) -> None:
    """Whatever the port: it may be the other end of an ssh tunnel."""
    assert 200 == site.get("/scan/1", Host=name).status


def test_a_token_lets_in_once_and_for_all(serve: Callable[..., Served], store: Store) -> None:
    """In the address it becomes a cookie and leaves the address; without it nothing is seen."""
    site = serve(store, token=TOKEN)
    shut = [site.get(page) for page in ("/", "/scan/1", "/metrics", "/scan/1/image/1/large")]
    first = site.get(f"/scan/1/gallery?verdict=ai&token={TOKEN}")
    cookie = first.headers["set-cookie"]

    assert [401] * 4 == [answer.status for answer in shut]
    assert not any(b"photos" in answer.body for answer in shut)
    assert (303, "/scan/1/gallery?verdict=ai") == (first.status, first.headers["location"])
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    assert TOKEN not in cookie
    assert 200 == site.get("/scan/1", Cookie=cookie.split(";")[0]).status
    assert 200 == site.get("/metrics", Authorization=f"Bearer {TOKEN}").status


def test_a_wrong_token_lets_nobody_in(serve: Callable[..., Served], store: Store) -> None:
    """Neither in the address, nor as a cookie, a bearer token, or in the form."""
    site = serve(store, token=TOKEN)
    name = site.get(f"/?token={TOKEN}").headers["set-cookie"].partition("=")[0]
    wrong = TOKEN[:-1]

    assert 401 == site.get(f"/scan/1?token={wrong}").status
    assert 401 == site.get("/scan/1", Cookie=f"{name}={TOKEN}").status
    assert 401 == site.get("/scan/1", Authorization=f"Bearer {wrong}").status
    assert 401 == site.get("/scan/1", Authorization="Bearer ").status
    assert 401 == site.post("/enter", {"token": wrong}).status
    assert 303 == site.post("/enter", {"token": TOKEN}).status


def test_a_token_leads_to_no_other_host(serve: Callable[..., Served], store: Store) -> None:
    """What follows the token stays on this site, whatever the path looks like."""
    answer = serve(store, token=TOKEN).get(f"//evil.example/?token={TOKEN}")

    assert "/evil.example/" == answer.headers["location"]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://127.0.0.1:1"])
def test_no_other_site_can_answer_in_our_name(site: Served, store: Store, origin: str) -> None:
    """A form that comes from elsewhere changes nothing; our own does."""
    form = {"image": "1", "answer": "ai"}

    assert 403 == site.post("/scan/1/review", form, Origin=origin).status
    assert () == list_reviews(store, 1, 1)
    assert 303 == site.post("/scan/1/review", form).status
    assert 1 == len(list_reviews(store, 1, 1))


@pytest.mark.parametrize(
    "address",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/scan/1/image/../../../etc/passwd",
        "/scan/1/image/%2e%2e%2fetc%2fpasswd/large",
        "/scan/1/image/99999/large",
        "/scan/99999999999999999999/image/1/large",
        "/scan/1/image/99999999999999999999/large",
        "/scan/-1",
        "/scan/" + 900 * "9",
    ],
)
def test_nothing_but_images_of_a_scan_can_be_fetched(site: Served, address: str) -> None:
    """No path, and no number of what is not there, gives anything."""
    assert 404 == site.get(address).status


def test_an_address_without_end_is_refused(site: Served) -> None:
    """Python reads no number of so many digits."""
    assert 414 == site.get("/scan/" + 5000 * "9").status


@pytest.mark.parametrize(
    "query",
    [
        "verdict=real",
        "after=1",
        "after=x:1",
        "after=0.5:99999999999999999999",
        "error=nothing",
        "reviewed=maybe",
        "detector=%00",
        "folder=" + 5000 * "a",
    ],
)
def test_an_address_that_cannot_be_read_gets_one_sentence(site: Served, query: str) -> None:
    """It is the asker's mistake, and no traceback's."""
    answer = site.get(f"/scan/1/gallery?{query}")

    assert 400 == answer.status
    assert "address" in answer.text


def test_an_odd_folder_is_no_mistake(site: Served) -> None:
    """Bytes that are no UTF-8, SQL's wildcards and NUL select nothing, quietly."""
    for folder in ("%ff%fe", "%25", "a%00b", "..%2f..%2fetc"):
        answer = site.get(f"/scan/1/gallery?folder={folder}")

        assert 200 == answer.status
        assert "No images match these filters" in answer.text
