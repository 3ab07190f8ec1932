"""Where settings come from: flag, then environment, then config file, then default.

Click does the ordering; this module has the file, the defaults and the folders. Nothing is read
at import.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import click
import platformdirs

APP = "scanner"
# Where a Redis of one's own listens by default.
DEFAULT_BROKER = "redis://localhost:6379/0"


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
    """The config file's content; empty where there is none, a sentence where it is damaged.

    Raises click.UsageError.
    """
    file = config_file()
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.UsageError(f"The config file {file} cannot be used: {error}") from error


def parse_roots(pairs: tuple[str, ...]) -> dict[str, Path]:
    """`NAME=PATH` pairs as a mapping; raises click.BadParameter for anything else."""
    roots = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not (name and equals and path):
            raise click.BadParameter(f"{pair!r} is not NAME=PATH", param_hint="--root")
        roots[name] = Path(path).expanduser().absolute()
    return roots
