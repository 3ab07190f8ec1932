"""A folder for one command, and a store with an enqueued scan."""

from __future__ import annotations

import shutil
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from commands import Here

from scanner.cli import cli
from storage.database.schema import entry, host, verdict
from storage.database.store import Store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def scanned(tmp_path_factory: pytest.TempPathFactory, drawn_samples: Path, redis_url: str) -> Path:
    """Return a store with an enqueued scan of the samples; read only."""
    folder = tmp_path_factory.mktemp("scanned")
    file = folder / "store.db"
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
            patch.setenv(name, str(folder / name))
        words = ["enqueue", str(drawn_samples), "--store", str(file), "--broker", redis_url]
        assert 0 == CliRunner().invoke(cli, words).exit_code
        with closing(Store.open(str(file))) as store:
            with store.write() as connection:
                columns = {"id": "a" * 32, "label": "pi", "arch": "aarch64", "info": {}}
                connection.execute(host.insert().values(columns))
                connection.execute(verdict.insert().values(_first_image_is_ai(connection)))
            store.checkpoint()
    return file


def _first_image_is_ai(connection: sa.Connection) -> dict[str, object]:
    """Return a verdict, so that exports have something to write."""
    numbers = dict.fromkeys(("fetch_us", "decode_us", "infer_us"), 0)
    return numbers | {
        "scan_id": 1,
        "image_id": connection.scalar(sa.select(sa.func.min(entry.c.image_id))),
        "outcome": "ai",
        "score": 0.99,
        "examined": True,
        "attempt": 1,
    }


@pytest.fixture
def here(
    tmp_path: Path, drawn_samples: Path, scanned: Path, monkeypatch: pytest.MonkeyPatch
) -> Here:
    """Return a folder with a store of its own, in which commands cannot run for ever."""
    monkeypatch.setenv("PATH", "/nowhere")  # no systemctl
    monkeypatch.setattr("scanner.web.server.serve", lambda *_: None)
    made = Here(tmp_path, drawn_samples)
    shutil.copy(scanned, made.store)
    return made
