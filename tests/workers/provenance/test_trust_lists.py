"""Trust lists: the built-in ones, those taken over, and what they do to plans."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from storage.records import PlanError
from workers.detectors import installed
from workers.pipeline.pipeline import make_pipeline
from workers.pipeline.plan import make_plan
from workers.provenance import trust_lists
from workers.provenance.trust_lists import Trust, TrustList, TrustListError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.workers.conftest import Authority


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a user without lists."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    return trust_lists.folder()


def own_list(authority: Authority, name: str = "own") -> TrustList:
    """Return a list with a test's authority."""
    return TrustList(name, "Own", "own.pem", "", "2026-11-29", (authority.root_pem,), ())


def install(folder: Path, trust_list: TrustList) -> None:
    """Write a list into the user's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{trust_list.name}.json").write_bytes(trust_list.to_json())


def test_built_in_lists_are_those_of_their_date() -> None:
    """The built-in lists are C2PA's of 2026-08-05: raise the card's version where they change."""
    lists = trust_lists.built_in()
    parsed = {
        name: [x509.load_pem_x509_certificate(pem.encode()) for pem in each.authorities]
        for name, each in lists.items()
    }

    assert {"c2pa-trust-list": 30, "c2pa-tsa-trust-list": 22} == {
        name: len({each.fingerprint(each.signature_hash_algorithm) for each in body})
        for name, body in parsed.items()
    }
    assert {"2026-08-05"} == {each.issued for each in lists.values()}
    assert ("3", "18c19650529f") == (
        installed.built_in()["provenance"].version,
        trust_lists.load().digest,
    )


def test_digest_is_of_certificates(authority: Authority) -> None:
    """The digest depends on the certificates and their role, not on lines, order and repeats."""
    other = next(iter(trust_lists.built_in().values())).authorities[0]
    root = authority.root_pem

    assert Trust(root + other).digest == Trust(other + root.replace("\n", "\r\n") + other).digest
    assert Trust(root + other).digest != Trust(root).digest
    assert Trust(root).digest != Trust("", root).digest


def test_list_of_the_same_name_replaces_the_built_in_one(
    folder: Path, authority: Authority
) -> None:
    """A list that was taken over counts instead of the built-in one, so removals count too."""
    install(folder, own_list(authority, "c2pa-trust-list"))
    trust = trust_lists.load()

    assert authority.root_pem in trust.authorities
    assert "Google" not in "".join(
        x509.load_pem_x509_certificate(pem.encode()).subject.rfc4514_string()
        for pem in trust_lists.installed()["c2pa-trust-list"].authorities
    )


def test_lists_are_a_part_of_the_plan(folder: Path, authority: Authority) -> None:
    """Machines with other lists refuse a plan, whichever of them has more; equal ones agree."""
    plain = make_plan(installed.installed(), ["provenance"])
    install(folder, own_list(authority))
    planned = make_plan(installed.installed(), ["provenance"])

    assert plain.digest() != planned.digest()
    make_pipeline(planned, 1)
    with pytest.raises(PlanError, match="trust lists were taken over"):
        make_pipeline(plain, 1)
    (folder / "own.json").unlink()
    make_pipeline(plain, 1)
    with pytest.raises(PlanError, match=str(folder)):
        make_pipeline(planned, 1)


def test_the_built_in_lists_taken_over_change_nothing(folder: Path) -> None:
    """The same certificates, taken over, are the same plan."""
    before = make_plan(installed.installed(), ["provenance"])
    install(folder, replace(trust_lists.built_in()["c2pa-trust-list"], source="a copy"))

    assert before == make_plan(installed.installed(), ["provenance"])


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[1]", b'{"authorities": [1], "signers": []}', b"\xff", b'{"authorities": 3}'],
)
def test_damaged_list_is_named(folder: Path, body: bytes) -> None:
    """A damaged list is one sentence with its path and what to do, and is not left out silently."""
    folder.mkdir(parents=True)
    (folder / "own.json").write_bytes(body)

    with pytest.raises(TrustListError, match=r"own\.json is damaged: .*--remove own"):
        trust_lists.load()
    # Reports of earlier scans need the cards all the same; no scan is planned with them.
    assert "3+trust.damaged" == installed.installed()["provenance"].version
    assert any("own.json is damaged" in message for message in installed.troubles())
