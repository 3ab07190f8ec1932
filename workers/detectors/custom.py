"""Custom detectors: one folder each, in the user's data folder."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from workers.detectors.card import CardError, load_card

if TYPE_CHECKING:
    from workers.detectors.card import Card

# Names that are safe as a folder, in a list with commas, and on a terminal.
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


# The version of every custom detector begins with this.
VERSION = "added-"


def folder() -> Path:
    """Return the folder of custom detectors, which can be copied to other machines."""
    return Path(platformdirs.user_data_path("scanner")) / "detectors"


def card_file(name: str) -> Path:
    """Return the path of a custom detector's card."""
    return folder() / name / f"{name}.toml"


def cards() -> tuple[dict[str, Card], list[str]]:
    """Return the cards of all custom detectors by name, and a message for each damaged one."""
    loaded, errors = {}, []
    names = sorted(path.name for path in folder().glob("*/") if NAME.fullmatch(path.name))
    for name in names:
        try:
            loaded[name] = load_card(card_file(name))
        except CardError as error:
            errors.append(f"{error}: `scanner detectors remove {name}`, then add it again")
    return loaded, errors


def remove(name: str) -> None:
    """Remove a custom detector, damaged or not; CardError if it does not exist."""
    path = folder() / name
    if not NAME.fullmatch(name) or not path.is_dir():
        raise CardError(f"custom detector not found: {name!r}")
    if path.is_symlink():
        raise CardError(f"{path} is a symbolic link: remove it yourself")
    shutil.rmtree(path)
