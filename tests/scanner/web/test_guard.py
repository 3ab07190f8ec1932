"""Access control."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from storage.writes.reviews import list_reviews

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.database.store import Store
    from tests.scanner.web.conftest import Served

TOKEN = "a-token-of-many-characters"


def test_security_headers(site: Served) -> None:
    """Every response forbids inline scripts and styles, framing, and caching by proxies."""
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
def test_other_host_names_are_refused(site: Served, name: str) -> None:
    """Other host names for this machine are refused (DNS rebinding)."""
    assert 400 == site.get("/scan/1", Host=name).status


@pytest.mark.parametrize("name", ["localhost:9000", "127.0.0.2:80", "[::1]:80", "localhost"])
def test_own_host_names_are_served(site: Served, name: str) -> None:
    """This machine's own names are served with any port, as for an ssh tunnel."""
    assert 200 == site.get("/scan/1", Host=name).status


def test_token_becomes_a_cookie(serve: Callable[..., Served], store: Store) -> None:
    """A token in the URL becomes a cookie and leaves the URL; without it nothing is shown."""
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


def test_wrong_token_is_refused(serve: Callable[..., Served], store: Store) -> None:
    """A wrong token is refused in the URL, as a cookie, as a bearer token and in the form."""
    site = serve(store, token=TOKEN)
    name = site.get(f"/?token={TOKEN}").headers["set-cookie"].partition("=")[0]
    wrong = TOKEN[:-1]

    assert 401 == site.get(f"/scan/1?token={wrong}").status
    assert 401 == site.get("/scan/1", Cookie=f"{name}={TOKEN}").status
    assert 401 == site.get("/scan/1", Authorization=f"Bearer {wrong}").status
    assert 401 == site.get("/scan/1", Authorization="Bearer ").status
    assert 401 == site.post("/enter", {"token": wrong}).status
    assert 303 == site.post("/enter", {"token": TOKEN}).status


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/scan/2/review?verdict=ai", "/scan/2/review?verdict=ai"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("/\t/evil.example/", "/"),
        ("https://evil.example/", "/"),
        ("/enter", "/"),
    ],
)
def test_target_of_signing_in(
    serve: Callable[..., Served], store: Store, target: str, shown: str
) -> None:
    """The form leads to the page that was wanted, after wrong tokens too, on this site only."""
    site = serve(store, token=TOKEN)
    wrong = site.post("/enter", {"token": "x" * 20, "target": target})
    right = site.post("/enter", {"token": TOKEN, "target": target})

    assert f'name="target" value="{shown}"' in wrong.text
    assert shown == right.headers["location"]
    assert 'value="/scans?a=b"' in site.get("/scans?a=b").text


def test_health_needs_no_token(serve: Callable[..., Served], store: Store) -> None:
    """A health check learns whether the store answers, and nothing else."""
    site = serve(store, token=TOKEN)
    well = site.get("/health")
    store.close()
    Path(str(store.engine.url.database)).write_bytes(b"no store" * 1000)
    ill = site.get("/health")

    assert (200, "ok\n") == (well.status, well.text)
    assert (503, "The store is not available.\n") == (ill.status, ill.text)


def test_token_redirect_stays_on_the_site(serve: Callable[..., Served], store: Store) -> None:
    """The redirect after the token stays on this site, whatever the path."""
    answer = serve(store, token=TOKEN).get(f"//evil.example/?token={TOKEN}")

    assert "/evil.example/" == answer.headers["location"]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://127.0.0.1:1"])
def test_forms_of_other_sites_are_refused(site: Served, store: Store, origin: str) -> None:
    """A form from another site changes nothing; scanner's own does."""
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
def test_only_images_of_a_scan_are_served(site: Served, address: str) -> None:
    """Paths outside the site and unknown numbers are not found."""
    assert 404 == site.get(address).status


def test_long_url_is_refused(site: Served) -> None:
    """A URL with thousands of digits is refused."""
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
def test_invalid_query_is_a_bad_request(site: Served, query: str) -> None:
    """An invalid query is a bad request, without a traceback."""
    answer = site.get(f"/scan/1/gallery?{query}")

    assert 400 == answer.status
    assert "address" in answer.text


def test_odd_folder_selects_nothing(site: Served) -> None:
    """Invalid UTF-8, SQL wildcards and NUL in a folder select nothing."""
    for folder in ("%ff%fe", "%25", "a%00b", "..%2f..%2fetc"):
        answer = site.get(f"/scan/1/gallery?folder={folder}")

        assert 200 == answer.status
        assert "No images match these filters" in answer.text
