"""`scanner detectors trust`: lists taken over from files and addresses, shown and removed."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from scanner.cli import cli
from scanner.doctor import Level, examine
from workers.provenance import trust_lists
from workers.provenance.trust_lists import certificates

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# Two authorities of different lists.
FIRST, SECOND = (each.authorities[0] for each in trust_lists.built_in().values())


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a user without lists."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return trust_lists.folder()


def run(*arguments: str | Path) -> Any:  # noqa: ANN401 - click's result
    """Run `scanner detectors trust`."""
    return CliRunner().invoke(cli, ["detectors", "trust", *map(str, arguments)])


def c2pa_json(pems: Sequence[str], status: str = "trusted", title: str = "C2PA Trust List") -> str:
    """Return a list as C2PA publishes it (ETSI TS 119 602)."""
    services = [
        {
            "ServiceInformation": {
                "ServiceStatus": f"http://c2pa.org/conformance/trust-list/{status}",
                "ServiceDigitalIdentity": {
                    "X509Certificates": [{"val": base64.b64encode(certificates(pem)[0]).decode()}]
                },
            }
        }
        for pem in pems
    ]
    head = {"SchemeName": [{"value": title}], "ListIssueDateTime": "2027-01-02T03:04:05Z"}
    entities = [{"TrustedEntityServices": services}]
    return json.dumps({"LoTE": {"ListAndSchemeInformation": head, "TrustedEntitiesList": entities}})


def test_show_the_built_in_lists() -> None:
    """Without an argument the lists are shown, with dates, numbers and where to put others."""
    shown = run()

    assert 0 == shown.exit_code
    assert "C2PA Trust List" in shown.stdout
    assert "30 authorities, 0 signers; issued 2026-08-05; built in" in shown.stdout
    assert str(trust_lists.folder()) in shown.stdout
    rows = json.loads(run("--json").stdout)
    assert ["c2pa-trust-list", "c2pa-tsa-trust-list"] == [row["name"] for row in rows["lists"]]


def test_pem_with_text_around(tmp_path: Path, folder: Path) -> None:
    """A PEM file with comments is taken over, repeated certificates once; again changes nothing."""
    file = tmp_path / "My Anchors.pem"
    file.write_text(f"## a frozen list\nSubject: x\n{FIRST}\n# again\n{FIRST}{SECOND}")
    done = run(file)

    assert 0 == done.exit_code, done.output
    assert "installed my-anchors: 2 certificates added, 0 removed" in done.stdout
    assert str(folder) in done.stdout
    assert "0 certificates added, 0 removed" in run(file).stdout
    assert FIRST in trust_lists.load().authorities


def test_newer_list_replaces_the_built_in_one(tmp_path: Path) -> None:
    """C2PA's JSON replaces the built-in list, and says what was added, removed, and the dates."""
    file = tmp_path / "download.json"
    file.write_text(c2pa_json([FIRST, SECOND]))
    done = run(file)

    assert "installed c2pa-trust-list: 1 certificates added, 29 removed" in done.stdout
    assert "issued 2027-01-02" in done.stdout
    assert "before: 30 authorities, 0 signers; issued 2026-08-05; built in" in done.stdout
    assert (FIRST, SECOND) == trust_lists.installed()["c2pa-trust-list"].authorities


def test_withdrawn_services_are_not_trusted(tmp_path: Path) -> None:
    """What a list calls withdrawn is not taken over."""
    file = tmp_path / "list.json"
    file.write_text(c2pa_json([FIRST], "withdrawn"))

    assert 2 == run(file).exit_code


def test_remove_and_bring_back(tmp_path: Path) -> None:
    """A list that was taken over is removed; a built-in one is emptied, and comes back."""
    file = tmp_path / "own.pem"
    file.write_text(FIRST)
    before = trust_lists.load().digest
    run(file, "--name", "mine")

    assert "removed mine: 0 certificates added, 1 removed" in run("--remove", "mine").stdout
    assert before == trust_lists.load().digest
    for name in trust_lists.built_in():
        assert "which is built in" in run("--remove", name).stdout
    assert not trust_lists.load()
    assert "no trust list installed" in run().stdout
    assert "30 certificates added" not in run("--remove", "c2pa-tsa-trust-list").stdout
    assert "installed c2pa-trust-list: 30 certificates added" in (
        run("--remove", "c2pa-trust-list").stdout
    )
    assert before == trust_lists.load().digest


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\0",
        b"not a list",
        b"{",
        b'{"LoTE": []}',
        b'{"LoTE": {"ListAndSchemeInformation": {"SchemeName": []}}}',
        b"[" * 100_000,
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        FIRST.encode() + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        FIRST.encode() * 8_000,
    ],
    ids=lambda body: repr(body[:30]),
)
def test_bad_list_is_refused(tmp_path: Path, folder: Path, body: bytes) -> None:
    """A list with anything wrong is refused in one sentence, and changes nothing."""
    file = tmp_path / "list.pem"
    file.write_bytes(body)
    done = run(file)

    assert 2 == done.exit_code, done.output
    assert 1 == done.stderr.count("\n"), done.stderr
    assert done.stderr.startswith("Error: invalid ")
    assert not folder.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.pem"], "No such file"),
        (["http://example.com/list.pem"], "expected https://"),
        (["ftp://example.com/list.pem"], "expected https://"),
        (["https://[/list.pem"], "invalid address"),
        (["--remove", "nothing"], "unknown trust list"),
        (["--remove", "../../x"], "unknown trust list"),
        (["--remove", "a", "b.pem"], "cannot be used"),
        (["a.pem", "b.pem", "--name", "c"], "exactly one"),
    ],
)
def test_bad_usage_is_one_sentence(arguments: list[str], message: str) -> None:
    """Wrong arguments are usage errors, without a traceback."""
    done = run(*arguments)

    assert 2 == done.exit_code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_bad_name_is_refused(tmp_path: Path) -> None:
    """A name cannot lead out of the folder."""
    file = tmp_path / "own.pem"
    file.write_text(FIRST)

    assert "invalid name '../x'" in run(file, "--name", "../x").stderr


def test_damaged_list_stops_scans_and_can_be_removed(folder: Path, tmp_path: Path) -> None:
    """With a damaged list no scan is planned; the message says how to remove it, and that works."""
    folder.mkdir(parents=True)
    (folder / "own.json").write_text("{")
    (tmp_path / "photos").mkdir()
    done = CliRunner().invoke(cli, ["scan", str(tmp_path / "photos"), "--dry-run"])
    checked = CliRunner().invoke(cli, ["check", str(tmp_path / "photos" / "a.jpg")])

    for result in (done, checked):
        assert 1 == result.exit_code, result.output
        assert "own.json is damaged: `scanner detectors trust --remove own`" in result.stderr
    assert [Level.WRONG] == [
        check.level for check in examine("", None, None) if check.name == "trust lists"
    ]
    assert 0 == run("--remove", "own").exit_code
    assert 0 == run().exit_code


@pytest.fixture
def server() -> Iterator[str]:
    """Serve a list at /list.pem; yield the server's address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/list.pem":
                self.send_error(404)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(FIRST.encode())

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


def test_list_at_an_address(server: str) -> None:
    """A list is fetched where the user gives its address; errors of the server are sentences."""
    done = run(f"{server}/list.pem", "--json")
    missing = run(f"{server}/other.pem")

    assert "list" == json.loads(done.stdout)["name"]
    assert FIRST == trust_lists.installed()["list"].authorities[0]
    assert 1 == missing.exit_code
    assert "HTTP status 404" in missing.stderr
