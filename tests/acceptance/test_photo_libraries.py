"""Photo libraries as collections, by the real command against servers as those of the programs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fleets import start_hub, wait_for
from photo_servers import KEY, PhotoServer, immich, photoprism, serve
from ports import free_port

from storage.asset_paths import without_key

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from typing import Any

    # The types of the fixtures, see conftest.py.
    Cli = Any
    Machine = Any

TAG = "ai-photo-scanner/scanner:ai"


@pytest.fixture
def server(samples: Path) -> Iterator[PhotoServer]:
    """Return a server with the sample images, those of a generator in three albums."""
    with serve(immich) as state:
        for file in sorted(samples.rglob("*")):
            if file.is_file():
                asset_id = state.add(file)
                if file.parent.name == "tagged":
                    for album in ("Zoo", "Alps", "Coast"):
                        state.albums.setdefault(album, set()).add(asset_id)
        yield state


def rows(cli: Cli, scan_id: int) -> dict[str, tuple[str, float | None]]:
    """Return the verdict and score of each image by its name."""
    found = [json.loads(line) for line in cli.run("verdicts", str(scan_id)).stdout.splitlines()]
    return {
        without_key(row["path"].encode()).decode().rpartition("/")[2]: (
            row["verdict"],
            row["score"],
        )
        for row in found
    }


def test_library_is_scanned_as_a_folder_is(
    cli: Cli, samples: Path, server: PhotoServer, tmp_path: Path
) -> None:
    """The verdicts are those of the files; kept by a second scan, and tagged in the library."""
    (tmp_path / "key").write_text(f"{KEY}\n")
    key = ("--key-file", tmp_path / "key")
    url = f"immich+{server.url}"
    local = cli.json("scan", samples, "--json", check=3)
    done = cli.run("scan", url, "--json", *key, check=3)
    report = json.loads(done.stdout)
    again = cli.json("scan", url, "--json", *key, check=3)
    verified = cli.json("scan", url, "--json", "--verify", *key, check=3)
    exported = cli.run("export", "immich", "--write", *key)

    assert rows(cli, local["scan"]) == rows(cli, report["scan"])
    assert report["images"] == local["images"] == again["kept"] == verified["kept"]
    assert "127.0.0.1" == report["collection"]
    assert {"Alps", "2019"} == {folder["path"] for folder in report["folders"]}
    ai = {name for name, (verdict, _) in rows(cli, report["scan"]).items() if verdict == "ai"}
    assert ai
    assert ai == server.of(TAG)
    assert f"{len(ai)} tagged" in exported.stdout
    data = Path(cli.env["XDG_DATA_HOME"])
    state = b"".join(file.read_bytes() for file in data.rglob("*") if file.is_file())
    assert b"immich+http" in state
    assert KEY.encode() not in state
    assert KEY not in done.stdout + done.stderr + exported.stdout + exported.stderr


def test_library_of_photoprism_is_scanned(cli: Cli, samples: Path) -> None:
    """The verdicts are those of the files; findings are labelled where they were listed from."""
    cli.env["SCANNER_PHOTOPRISM_KEY"] = KEY
    with serve(photoprism) as server:
        for file in sorted(samples.rglob("*")):
            if file.is_file():
                server.add(file, path=str(file.relative_to(samples)))
        local = cli.json("scan", samples, "--json", check=3)
        report = cli.json("scan", f"photoprism+{server.url}", "--json", check=3)
        exported = cli.run("export", "photoprism", "--write")
        ai = {name for name, (verdict, _) in rows(cli, report["scan"]).items() if verdict == "ai"}

        assert rows(cli, local["scan"]) == rows(cli, report["scan"])
        assert ai
        assert ai == server.of("scanner:ai")
        assert f"{len(ai)} tagged" in exported.stdout
    data = Path(cli.env["XDG_DATA_HOME"])
    state = b"".join(file.read_bytes() for file in data.rglob("*") if file.is_file())
    assert b"photoprism+http" in state
    assert KEY.encode() not in state
    assert server.token.encode() not in state


def test_scan_that_was_interrupted_goes_on(cli: Cli, server: PhotoServer) -> None:
    """A server that breaks off while it is listed ends the scan; the next run does the rest."""
    cli.env["SCANNER_IMMICH_KEY"] = KEY
    url = f"immich+{server.url}"
    server.refusals[:] = [400]
    first = cli.run("scan", url, check=1)
    done = cli.json("scan", url, "--json", check=3)

    assert re.fullmatch(
        r"Error: immich at \S+ refuses a request with status 400 .*\n", first.stderr
    )
    assert len(server.assets) == done["images"] == sum(done["verdicts"].values())


def test_machine_without_the_key_works_by_the_hub(
    machine: Callable[[str], Machine],
    server: PhotoServer,
    started: list[subprocess.Popen[str]],
) -> None:
    """The hub fetches images for machines that have only joined it."""
    hub, bare = machine("hub"), machine("bare")
    hub.cli.env["SCANNER_IMMICH_KEY"] = KEY
    _, line = start_hub(hub, free_port(), started)
    bare.join(line)
    scan_id = hub.cli.json("enqueue", f"immich+{server.url}", "--json")["scan"]
    started.append(bare.cli.start("worker", "--concurrency", "1"))
    wait_for(hub, scan_id, len(server.assets))

    assert {"ai", "unsure", "no_evidence", "error"} == {
        verdict for verdict, _ in rows(hub.cli, scan_id).values()
    }


def test_bad_url(cli: Cli) -> None:
    """What is wrong with a URL is one sentence, without a password in it."""
    cli.env["SCANNER_IMMICH_KEY"] = KEY
    failed = cli.run("scan", "immich://user:secret@nas", check=None)

    assert failed.returncode
    assert "invalid URL: expected immich://HOST" in failed.stderr.splitlines()[-1]
    assert "secret" not in failed.stderr


def test_library_is_not_watched(cli: Cli) -> None:
    """`watch` takes a folder."""
    cli.env["SCANNER_IMMICH_KEY"] = KEY
    failed = cli.run("watch", "immich://photos.example", check=None)

    assert "only folders can be watched: scan a library" in failed.stderr


def test_without_a_key(cli: Cli) -> None:
    """A scan says what it needs before it begins."""
    failed = cli.run("scan", "immich://photos.example", check=None)

    assert "Error: the server's key is needed: name a --key-file, or set SCANNER_IMMICH_KEY" in (
        failed.stderr
    )
