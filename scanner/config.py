"""Where settings come from: flag, then environment, then config file, then default.

Click does the ordering; this module has the file, the defaults and the folders. Nothing is read
at import.
"""

from __future__ import annotations

import os
import tomllib
from collections import UserDict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import platformdirs

if TYPE_CHECKING:
    from workers.sources.location import SourceLocation

APP = "scanner"
# Where a Redis of one's own listens by default.
DEFAULT_BROKER = "redis://localhost:6379/0"

# What the config file may hold, and what each is.
KEYS = {
    "store": "a text",
    "broker": "a text",
    "roots": "a list of texts NAME=PATH",
    "concurrency": "a number above 0",
}


def config_file() -> Path:
    """The config file: $SCANNER_CONFIG, else config.toml in the user's config folder."""
    named = os.environ.get("SCANNER_CONFIG")
    return Path(named) if named else Path(platformdirs.user_config_path(APP)) / "config.toml"


def state_dir() -> Path:
    """What this machine remembers for itself: its host id, logs, running servers."""
    return Path(platformdirs.user_state_path(APP))


def default_store() -> str:
    """The SQLite file that is the store where none is named."""
    return str(Path(platformdirs.user_data_path(APP)) / "store.db")


def file_settings() -> dict[str, Any]:
    """The config file's content; empty where there is none.

    Raises click.UsageError, with one sentence, where it is damaged or holds what it may not.
    """
    file = config_file()
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise click.UsageError(f"{_named(file)} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{_named(file)} is not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise click.UsageError(f"{_named(file)} is no TOML: {error}") from error
    for key, value in table.items():
        if key not in KEYS:
            raise click.UsageError(f"{_named(file)} knows no {key!r}, only {', '.join(KEYS)}")
        if not _fits(key, value):
            raise click.UsageError(f"{_named(file)}: {key!r} is not {KEYS[key]}")
    return table


def _named(file: Path) -> str:
    from storage.paths import shown  # noqa: PLC0415 - for the few who see it

    return f"The config file {shown(os.fsencode(file))}"


def _fits(key: str, value: object) -> bool:
    if key == "roots":
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if key == "concurrency":
        return isinstance(value, int) and not isinstance(value, bool) and value > 0
    return isinstance(value, str)


class FileSettings(UserDict[str, Any]):
    """The config file's content, read when it is first asked for.

    Where `lenient`, a file that cannot be used counts as empty: `doctor` has to say what is wrong
    with it.
    """

    def __init__(self, *, lenient: bool = False) -> None:
        self._lenient = lenient

    @cached_property
    def data(self) -> dict[str, Any]:  # type: ignore[override]
        """The content."""
        try:
            return file_settings()
        except click.UsageError:
            if self._lenient:
                return {}
            raise


def parse_roots(pairs: tuple[str, ...]) -> dict[str, SourceLocation]:
    """`NAME=PATH` pairs as a mapping; raises click.BadParameter for anything else.

    PATH may be a URL.
    """
    from workers.sources.location import UrlLocation  # noqa: PLC0415 - for the few who name a root

    roots: dict[str, SourceLocation] = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not (name and equals and path):
            raise click.BadParameter(f"{pair!r} is not NAME=PATH", param_hint="--root")
        roots[name] = UrlLocation(path) if "://" in path else Path(path).expanduser().absolute()
    return roots
