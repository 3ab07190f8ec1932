"""The detectors that the user has added: one folder each, in the user's data folder."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from workers.detectors.card import CardError, load_card

if TYPE_CHECKING:
    from workers.detectors.card import Card

# What a folder, a list of detectors with commas and a terminal all take.
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


# What the version of every added detector begins with.
VERSION = "added-"


def folder() -> Path:
    """Where they lie: copied to the same place of another machine, they are there as well."""
    return Path(platformdirs.user_data_path("scanner")) / "detectors"


def card_file(name: str) -> Path:
    """Where the card of an added detector lies, or would."""
    return folder() / name / f"{name}.toml"


def cards() -> tuple[dict[str, Card], list[str]]:
    """Give the cards of all added detectors by name, and a sentence on each that is damaged."""
    found, troubles = {}, []
    names = sorted(one.name for one in folder().glob("*/") if NAME.fullmatch(one.name))
    for name in names:
        try:
            found[name] = load_card(card_file(name))
        except CardError as error:
            troubles.append(f"{error}: `scanner detectors remove {name}`, then add it again")
    return found, troubles


def remove(name: str) -> None:
    """Remove an added detector, damaged or not; CardError where there is none of that name."""
    there = folder() / name
    if not NAME.fullmatch(name) or not there.is_dir():
        raise CardError(f"you have added no detector {name!r}")
    if there.is_symlink():
        raise CardError(f"{there} is a link to somewhere else: remove it yourself")
    shutil.rmtree(there)
