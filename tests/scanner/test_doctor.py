"""What `doctor` finds in set-ups that are in order, and in some that are not."""

from __future__ import annotations

import platform
import shutil
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import redis

from scanner import doctor
from scanner.doctor import Level, examine
from storage.database.store import Store
from workers.detectors import installed
from workers.detectors.card import load_card

if TYPE_CHECKING:
    from pathlib import Path

    from scanner.doctor import Checked


@pytest.fixture
def store(tmp_path: Path) -> str:
    """An SQLite store as a first scan makes it."""
    file = tmp_path / "store.db"
    Store.open(str(file)).close()
    return str(file)


def found(store: str, broker: str | None = None, folder: Path | None = None) -> dict[str, Checked]:
    """The findings by what they are about."""
    return {one.what: one for one in examine(store, broker, folder)}


def test_all_is_well(store: str, clean_redis: str, tmp_path: Path) -> None:
    """With a store, a Redis that keeps what it gets, and a folder, nothing is wrong."""
    seen = found(store, clean_redis, tmp_path)

    assert set() == {one.what for one in seen.values() if one.level is Level.WRONG}
    assert {"broker", "store", "model objects-32", "model provenance", "folder", "imports"} <= {
        one.what for one in seen.values() if one.level is Level.OK
    }


def test_every_complaint_has_its_mend(tmp_path: Path) -> None:
    """What is not in order says what to do about it, and shows no password."""
    seen = found(
        "postgresql://ann:s3cret@127.0.0.1:1/x", "redis://:s3cret@127.0.0.1:1/0", tmp_path / "no"
    )
    complaints = [one for one in seen.values() if one.level is not Level.OK]

    assert {"broker", "store", "folder"} <= {one.what for one in complaints}
    assert [] == [one for one in complaints if not one.mend]
    assert [] == [one for one in seen.values() if "s3cret" in one.found]


def test_store_of_another_version(store: str) -> None:
    """A newer store asks for a newer scanner, an older one to be upgraded."""
    opened = Store.open(store)
    said = []
    for version in ("9999", "0000"):
        with opened.write() as connection:
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")
        said.append(found(store)["store"])
    opened.close()

    assert [Level.WRONG, Level.WRONG] == [one.level for one in said]
    assert ["upgrade scanner on this machine", "run `scanner store upgrade`"] == [
        one.mend for one in said
    ]


def test_no_store_yet(tmp_path: Path) -> None:
    """A store that the first scan will make is nothing to worry about."""
    said = found(str(tmp_path / "new.db"))["store"]

    assert (Level.NOTE, "the first scan makes it") == (said.level, said.mend)


def test_damaged_model(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is not the one of its card is found by its checksum."""
    for file in installed.MODELS.glob("objects-32.*"):
        shutil.copy(file, tmp_path)
    (tmp_path / "objects-32.tflite").write_bytes(b"something else")
    card = load_card(tmp_path / "objects-32.toml")
    monkeypatch.setattr(installed, "installed", lambda: {"objects-32": card})
    said = found(store)["model objects-32"]

    assert Level.WRONG is said.level
    assert "SHA-256" in said.found


def test_machine_of_32_bits(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 32-bit system is told at once that it will not do."""
    monkeypatch.setattr(platform, "machine", lambda: "armv7l")

    assert Level.WRONG is found(store)["machine"].level


def test_empty_folder(store: str, tmp_path: Path) -> None:
    """A folder without anything in it may be a mount point without its disk."""
    (tmp_path / "photos").mkdir()
    said = found(store, folder=tmp_path / "photos")["folder"]

    assert (Level.NOTE, "is its disk mounted?") == (said.level, said.mend)


def test_old_sqlite_is_named(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An SQLite from before the checkpoint fix is a note, a newer one is not."""
    levels = []
    for version in ((3, 40, 1), (3, 51, 3)):
        monkeypatch.setattr(doctor.sqlite3, "sqlite_version_info", version)
        levels.append(found(store)["sqlite"].level)

    assert [Level.NOTE, Level.OK] == levels


def test_wrong_password_has_a_mend_of_its_own(store: str, clean_redis: str) -> None:
    """A Redis that is there and refuses us is not to be started."""
    with redis.Redis.from_url(clean_redis) as client:
        client.acl_setuser("ann", enabled=True, passwords=["+right"])
        port = urlsplit(clean_redis).port
        said = found(store, f"redis://ann:wr0ng@127.0.0.1:{port}/0")["broker"]
        client.acl_deluser("ann")

    assert (Level.WRONG, "name the right password in --broker") == (said.level, said.mend)
    assert "wr0ng" not in said.found
    assert not said.found.endswith(".")


def test_store_that_is_no_database(tmp_path: Path) -> None:
    """A file of something else is not to be started, nor made writable."""
    (tmp_path / "store.db").write_bytes(b"something else" * 100)
    said = found(str(tmp_path / "store.db"))["store"]

    assert "restore a backup, or name another with --store" == said.mend


def test_store_whose_folder_is_a_file(tmp_path: Path) -> None:
    """What cannot be written asks for permissions."""
    (tmp_path / "folder").write_bytes(b"")
    said = found(str(tmp_path / "folder" / "store.db"))["store"]

    assert "can be written" in said.mend
