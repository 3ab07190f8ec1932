"""Users of the pages: their file, their sessions, and what `scanner users` says."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner

from scanner.cli import cli
from scanner.web import sessions
from scanner.web.accounts import Accounts, AccountsError
from storage.errors import InvalidInput, NotFound
from storage.writes.reviews import list_reviews

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from storage.database.store import Store
    from tests.scanner.web.conftest import Answer, Served, Visitor

PASSWORD = "correct horse battery"


@pytest.fixture
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Accounts:
    """Return two users, ann and bob, with cheap hashes."""
    made = Accounts(tmp_path / "state" / "users.json")
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(made, "_hasher", cheap)
    monkeypatch.setattr(made, "_nobody", cheap.hash("nobody"))
    for name in ("ann", "bob"):
        made.put(name, PASSWORD)
    return made


def enter(site: Served, name: str, password: str = PASSWORD) -> Answer:
    """Sign in."""
    return site.post("/enter", {"name": name, "password": password}, Referer=f"{site.url}scans?a=b")


def cookie_of(answer: Answer) -> str:
    """Return the cookie of a session."""
    return answer.headers["set-cookie"].partition(";")[0]


def test_the_file(accounts: Accounts, tmp_path: Path) -> None:
    """Passwords are Argon2 hashes in a file that others cannot read; invalid ones are refused."""
    file = tmp_path / "state" / "users.json"

    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert PASSWORD not in file.read_text()
    assert all(each.startswith("$argon2id$") for each in accounts.hashes().values())
    assert accounts.verified("ann", PASSWORD)
    assert not accounts.verified("ann", PASSWORD[:-1])
    assert not accounts.verified("eve", "nobody")
    assert not accounts.put("bob", PASSWORD * 2)
    for name in ("", " ann", "a\nb", "x" * 61):
        with pytest.raises(InvalidInput, match="invalid name"):
            accounts.put(name, PASSWORD)
    with pytest.raises(InvalidInput, match="invalid password"):
        accounts.put("cy", "short")
    with pytest.raises(NotFound):
        accounts.remove("eve")
    file.write_text('{"users": [1]}')
    with pytest.raises(AccountsError, match="repair the file"):
        accounts.hashes()


def test_only_users_see_anything(
    serve: Callable[..., Served], store: Store, accounts: Accounts
) -> None:
    """A user signs in and out; a token reads for programs, and changes nothing."""
    token = "a-token-of-many-characters"
    site = serve(store, accounts=accounts, token=token)
    entered = enter(site, "ann")
    cookie = cookie_of(entered)
    inside = site.get("/scans", Cookie=cookie)
    left = site.post("/leave", {}, Cookie=cookie)

    assert (303, "/scans?a=b") == (entered.status, entered.headers["location"])
    assert "httponly" in entered.headers["set-cookie"].lower()
    assert 200 == inside.status
    assert "Signed in as <bdi>ann</bdi>" in inside.text
    assert 401 == site.get("/scans").status
    assert 401 == site.get(f"/scans?token={token}").status
    assert 200 == site.get("/health").status
    assert 200 == site.get("/metrics", Authorization=f"Bearer {token}").status
    assert 401 == site.post("/scan/1/cancel", {}, Authorization=f"Bearer {token}").status
    assert 303 == left.status
    assert 401 == site.get("/scans", Cookie=cookie).status


def test_answers_have_the_name_of_the_user(
    serve: Callable[..., Served], store: Store, accounts: Accounts
) -> None:
    """Nobody reviews by another name, whatever the cookie of a reviewer says."""
    site = serve(store, accounts=accounts)
    cookie = f"{cookie_of(enter(site, 'bob'))}; scanner_reviewer=ann"
    said = site.post("/scan/1/review", {"image": "2", "answer": "ai"}, Cookie=cookie)
    page = site.get("/scan/1/review", Cookie=cookie).text

    assert 303 == said.status
    assert ["bob"] == [review.reviewer for review in list_reviews(store, 1, 2)]
    assert "Your name" not in page


def test_sessions_end_with_the_user(
    serve: Callable[..., Served], store: Store, accounts: Accounts, tmp_path: Path
) -> None:
    """A removed user, and one with another password, is out at once; others stay."""
    site = serve(store, accounts=accounts)
    ann, bob = cookie_of(enter(site, "ann")), cookie_of(enter(site, "bob"))
    accounts.remove("ann")
    without_ann = site.get("/scans", Cookie=ann).status, site.get("/scans", Cookie=bob).status
    removed = enter(site, "ann").status
    accounts.put("bob", PASSWORD + "!")
    changed = site.get("/scans", Cookie=bob).status

    (tmp_path / "state" / "users.json").write_text("{")
    damaged = enter(site, "bob")

    assert "Nobody can sign in at the moment." in damaged.text
    assert (401, 200) == without_ann
    assert (401, 401) == (removed, changed)


def test_guesses_are_limited(
    serve: Callable[..., Served], store: Store, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some wrong passwords for a name, even the right one has to wait; others do not."""
    monkeypatch.setattr(sessions, "TRIES", 2)
    site = serve(store, accounts=accounts)
    wrong = [enter(site, "ann", "guess").text for _ in range(2)]
    right = enter(site, "ann")
    other = enter(site, "bob")
    monkeypatch.setattr(sessions, "TRY_SECONDS", 0)

    assert all("Wrong name or password." in page for page in wrong)
    assert 401 == right.status
    assert "Too many wrong passwords" in right.text
    assert 303 == other.status
    assert 303 == enter(site, "ann").status


def test_the_sign_in_page(
    serve: Callable[..., Served], store: Store, accounts: Accounts, visitor: Visitor
) -> None:
    """A browser signs in with name and password, and comes to the page that it wanted."""
    site = serve(store, accounts=accounts)
    page = visitor.page
    page.goto(f"{site.url}scan/1/review")
    visitor.shoot("sign-in")
    found = visitor.violations()
    for password in (PASSWORD[:-1], PASSWORD):
        page.get_by_label("Name").fill("ann")
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/scan/1/review")
    visitor.shoot("signed-in")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()

    assert [] == found


def test_users_on_the_command_line(home: Path) -> None:
    """A password is asked for twice, or read from a file; no argument ever has it."""
    run = CliRunner().invoke
    none = run(cli, ["users"])
    added = run(cli, ["users", "add", "ann"], input=f"{PASSWORD}\n{PASSWORD}\n")
    changed = run(cli, ["users", "add", "ann", "--password-file", "-"], input=f"{PASSWORD}!\nmore")
    listed = run(cli, ["users", "--json"])
    removed = run(cli, ["users", "remove", "ann"])
    unknown = run(cli, ["users", "remove", "ann"])

    assert "no users yet\n" == none.stdout
    assert "ann may sign in\n" == added.stdout
    assert PASSWORD not in added.output
    assert "ann has another password now\n" == changed.stdout
    assert {"users": ["ann"]} == json.loads(listed.stdout)
    assert "ann may not sign in any more\n" == removed.stdout
    assert 1 == unknown.exit_code
    assert "user not found: 'ann'" in unknown.stderr
