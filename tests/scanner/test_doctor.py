"""Checks of sound and broken set-ups."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path
from types import SimpleNamespace
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
    from scanner.doctor import Check


@pytest.fixture
def store(tmp_path: Path) -> str:
    """Return an SQLite store as the first scan creates it."""
    file = tmp_path / "store.db"
    Store.open(str(file)).close()
    return str(file)


def checks(store: str, broker: str | None = None, folder: Path | None = None) -> dict[str, Check]:
    """Return the checks by name."""
    return {check.name: check for check in examine(store, broker, folder)}


def test_sound_setup(store: str, clean_redis: str, tmp_path: Path) -> None:
    """With a store, a persistent Redis server and a folder, nothing is wrong."""
    results = checks(store, clean_redis, tmp_path)

    assert set() == {check.name for check in results.values() if check.level is Level.WRONG}
    assert {"broker", "store", "model objects-32", "model provenance", "folder", "imports"} <= {
        check.name for check in results.values() if check.level is Level.OK
    }


def test_every_problem_has_a_fix(tmp_path: Path) -> None:
    """Every failed check says how to fix it, and shows no password."""
    results = checks(
        "postgresql://ann:s3cret@127.0.0.1:1/x", "redis://:s3cret@127.0.0.1:1/0", tmp_path / "no"
    )
    problems = [check for check in results.values() if check.level is not Level.OK]

    assert {"broker", "store", "folder"} <= {check.name for check in problems}
    assert [] == [check for check in problems if not check.fix]
    assert [] == [check for check in results.values() if "s3cret" in check.result]


def test_store_of_another_version(store: str) -> None:
    """A newer store needs a newer scanner; an older one has to be upgraded."""
    opened = Store.open(store)
    results = []
    for version in ("9999", "0000"):
        with opened.write() as connection:
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")
        results.append(checks(store)["store"])
    opened.close()

    assert [Level.WRONG, Level.WRONG] == [check.level for check in results]
    assert ["upgrade scanner on this machine", "run `scanner store upgrade`"] == [
        check.fix for check in results
    ]


def test_no_store_yet(tmp_path: Path) -> None:
    """A store that does not exist yet is only a note."""
    check = checks(str(tmp_path / "new.db"))["store"]

    assert (Level.NOTE, "the first scan creates it") == (check.level, check.fix)


def test_damaged_model(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model with another checksum than on its card is wrong."""
    for file in installed.MODELS.glob("objects-32.*"):
        shutil.copy(file, tmp_path)
    (tmp_path / "objects-32.tflite").write_bytes(b"something else")
    card = load_card(tmp_path / "objects-32.toml")
    monkeypatch.setattr(installed, "installed", lambda: {"objects-32": card})
    check = checks(store)["model objects-32"]

    assert Level.WRONG is check.level
    assert "SHA-256" in check.result


def test_machine_of_32_bits(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 32-bit system is not supported."""
    monkeypatch.setattr(platform, "machine", lambda: "armv7l")

    assert Level.WRONG is checks(store)["machine"].level


def test_empty_folder(store: str, tmp_path: Path) -> None:
    """An empty folder may be a mount point without its disk."""
    (tmp_path / "photos").mkdir()
    check = checks(store, folder=tmp_path / "photos")["folder"]

    assert (Level.NOTE, "is its disk mounted?") == (check.level, check.fix)


def test_old_sqlite(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An SQLite version before the checkpoint fix is a note, a newer one is fine."""
    levels = []
    for version in ((3, 40, 1), (3, 51, 3)):
        monkeypatch.setattr(doctor.sqlite3, "sqlite_version_info", version)
        levels.append(checks(store)["sqlite"].level)

    assert [Level.NOTE, Level.OK] == levels


def test_wrong_password(store: str, clean_redis: str) -> None:
    """A Redis server that refuses the password needs another password."""
    with redis.Redis.from_url(clean_redis) as client:
        client.acl_setuser("ann", enabled=True, passwords=["+right"])
        port = urlsplit(clean_redis).port
        check = checks(store, f"redis://ann:wr0ng@127.0.0.1:{port}/0")["broker"]
        client.acl_deluser("ann")

    assert (Level.WRONG, "name the right password in --broker") == (check.level, check.fix)
    assert "wr0ng" not in check.result
    assert not check.result.endswith(".")


def test_store_that_is_not_a_database(tmp_path: Path) -> None:
    """A file that is not a database has to be restored."""
    (tmp_path / "store.db").write_bytes(b"something else" * 100)
    check = checks(str(tmp_path / "store.db"))["store"]

    assert "restore a backup, or name another with --store" == check.fix


def test_store_whose_folder_is_a_file(tmp_path: Path) -> None:
    """A store that cannot be written needs permissions."""
    (tmp_path / "folder").write_bytes(b"")
    check = checks(str(tmp_path / "folder" / "store.db"))["store"]

    assert "writable" in check.fix


@pytest.mark.parametrize(
    ("blocks", "files", "level", "said"),
    [
        (10**6, 5, Level.OK, "4.1 GB free"),
        (10**5, 5, Level.NOTE, "0.4 GB free"),
        (0, 5, Level.WRONG, "it is full"),
        (10**6, 0, Level.WRONG, "no file more"),
    ],
)
def test_room_on_the_disk(
    monkeypatch: pytest.MonkeyPatch, blocks: int, files: int, level: Level, said: str
) -> None:
    """A full disk, and one without a free file, is wrong; one that is nearly full is a note."""
    room = SimpleNamespace(f_bavail=blocks, f_frsize=4096, f_files=9, f_favail=files)
    monkeypatch.setattr("os.statvfs", lambda _: room)
    check = doctor._disk(Path("/"))

    assert level is check.level
    assert said in check.result


def test_redis_without_a_password(store: str, open_redis: str) -> None:
    """A Redis without a password is noted on this machine, and wrong beyond it."""
    here = checks(store, open_redis)["broker"]
    beyond = checks(store, "redis://10.255.255.1/0")["broker"]

    assert (Level.NOTE, True) == (here.level, "has no password" in here.result)
    assert (Level.WRONG, True) == (beyond.level, "has no password" in beyond.result)


def test_redis_that_evicts(store: str, open_redis: str) -> None:
    """A server that drops keys when its memory is full is wrong; one without a limit drops none."""
    with redis.Redis.from_url(open_redis) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        unlimited = checks(store, open_redis)["broker"]
        client.config_set("maxmemory", "100mb")
        limited = checks(store, open_redis)["broker"]

    assert (Level.NOTE, Level.WRONG) == (unlimited.level, limited.level)
    assert limited.result.endswith(", which drops keys when it is full (allkeys-lru)")
    assert "set `maxmemory-policy noeviction` there" in limited.fix
