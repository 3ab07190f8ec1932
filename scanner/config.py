"""The config file, the defaults and the folders of this machine. Nothing is read at import.

Click gives a flag precedence over the environment, the config file and the default, in that order.
"""

from __future__ import annotations

import os
import tomllib
from collections import UserDict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from storage.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workers.sources.location import SourceLocation

APP = "scanner"
# Where a Redis server listens by default.
DEFAULT_BROKER = "redis://localhost:6379/0"

# What the config file may hold, and the type of each.
KEYS = {
    "store": "a string",
    "broker": "a string",
    "roots": "a list of strings NAME=PATH",
    "concurrency": "a whole number above 0",
    "webhook": "a string",
    "mail_server": "a string",
    "mail_tls": "a string",
    "mail_from": "a string",
    "mail_to": "a string",
    "mail_user": "a string",
    "mail_password_file": "a string",
}


class ConfigError(InvalidInput):
    """The config file cannot be used."""


def config_file() -> Path:
    """Return $SCANNER_CONFIG, else config.toml in the user's config folder."""
    named = os.environ.get("SCANNER_CONFIG")
    return Path(named) if named else Path(platformdirs.user_config_path(APP)) / "config.toml"


def state_dir() -> Path:
    """Return the folder of this machine's own state: host id, logs, running servers."""
    return Path(platformdirs.user_state_path(APP))


def default_store() -> str:
    """Return the SQLite file that is the store by default."""
    return str(Path(platformdirs.user_data_path(APP)) / "store.db")


def file_settings() -> dict[str, Any]:
    """Read the config file; empty where there is none. Raise ConfigError."""
    file = config_file()
    try:
        settings = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"config file {_shown(file)} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"invalid config file {_shown(file)}: expected UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"invalid TOML in config file {_shown(file)}: {error}") from error
    for key, value in settings.items():
        if key not in KEYS:
            raise ConfigError(f"unknown key {key!r} in {_shown(file)} (allowed: {', '.join(KEYS)})")
        if not _is_valid(key, value):
            raise ConfigError(f"invalid {key!r} in {_shown(file)}: expected {KEYS[key]}")
    return settings


def _shown(file: Path) -> str:
    from storage.paths import shown  # noqa: PLC0415 - for error messages only

    return shown(os.fsencode(file))


def _is_valid(key: str, value: object) -> bool:
    if key == "roots":
        return isinstance(value, list) and all(isinstance(root, str) for root in value)
    if key == "concurrency":
        return isinstance(value, int) and not isinstance(value, bool) and value > 0
    return isinstance(value, str)


class FileSettings(UserDict[str, Any]):
    """The config file's content, read when it is first asked for.

    If `lenient`, an invalid file counts as empty: `doctor` reports what is wrong with it.
    """

    def __init__(self, *, lenient: bool = False) -> None:
        self._lenient = lenient

    @cached_property
    def data(self) -> dict[str, Any]:  # type: ignore[override]
        """Return the content."""
        try:
            return file_settings()
        except ConfigError:
            if self._lenient:
                return {}
            raise


def parse_roots(pairs: Iterable[str]) -> dict[str, SourceLocation]:
    """Return the sources of `NAME=PATH` or `NAME=URL` pairs by collection; raise InvalidInput."""
    from workers.sources.location import UrlLocation, library_location  # noqa: PLC0415 - `--help` should not cost its imports

    roots: dict[str, SourceLocation] = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not (name and equals and path):
            raise InvalidInput(f"invalid --root {pair!r}: expected NAME=PATH")
        remote = library_location(path) or (UrlLocation(path) if "://" in path else None)
        roots[name] = remote or Path(path).expanduser().absolute()
    return roots


def root_arguments(roots: Mapping[str, SourceLocation]) -> list[str]:
    """Return the `--root` options that name these sources to another process."""
    from workers.sources.location import UrlLocation  # noqa: PLC0415 - as above

    arguments: list[str] = []
    for name, source in roots.items():
        location = source.url if isinstance(source, UrlLocation) else source
        arguments += ["--root", f"{name}={location}"]
    return arguments
