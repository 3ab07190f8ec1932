"""The truth known beforehand: from the names of folders, or from a CSV file."""
# ruff: noqa: PTH100, PTH118 -- paths are bytes here, which pathlib does not take

from __future__ import annotations

import csv
import hashlib
import os
import posixpath
from functools import lru_cache
from typing import TYPE_CHECKING

from storage.paths import shown
from storage.records import AI_NAMES, REAL_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# What may stand in the column `label`, in any case.
_LABELS = dict.fromkeys((*AI_NAMES, "1"), True) | dict.fromkeys((*REAL_NAMES, "0"), False)
# The same of folders: what is below `FAKE` is AI-made, what is below `REAL` is not.
_FOLDERS = {name.encode(): name in AI_NAMES for name in AI_NAMES + REAL_NAMES}

_PATH, _LABEL = "path", "label"


class LabelError(Exception):
    """The labels cannot be used; the message is one sentence for people."""


def from_folders(path: bytes, root: Path) -> bool | None:
    """Whether an image is AI-made (True) or not (False) by the nearest folder that says so.

    Looks at the folders of the relative path from the image upwards, then at the root's own name
    and those above it. None where no folder says.
    """
    return _label_of_folder(path.rpartition(b"/")[0], root)


# Candidates come folder by folder, so a few folders are enough.
@lru_cache(maxsize=64)
def _label_of_folder(folder: bytes, root: Path) -> bool | None:
    full = os.path.join(os.path.abspath(os.fsencode(root)), folder)
    names = (name.lower() for name in reversed(full.split(b"/")))
    return next((_FOLDERS[name] for name in names if name in _FOLDERS), None)


class CsvLabels:
    """Labels by path, read from a CSV file with the columns `path` and `label`.

    Paths are relative to the root, or absolute and below it. Labels are fake, ai, generated or 1,
    and real, photo or 0, in any case. Calling it gives the label of a relative path or None.
    """

    def __init__(self, labels: dict[bytes, bool]) -> None:
        self._labels = labels

    def __call__(self, path: bytes) -> bool | None:
        """Whether the image at this relative path is AI-made; None where the file does not say."""
        return self._labels.get(path)

    def digest(self) -> str:
        """Tells these labels from others."""
        return hashlib.sha256(repr(sorted(self._labels.items())).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self._labels)

    @classmethod
    def read(cls, file: Path, root: Path) -> CsvLabels:
        """The labels in this file; all of them are held in memory (about 150 bytes each).

        Raises `LabelError`, with the number of the line, for what is not as the class says, and
        for two different labels of one path.
        """
        name = shown(os.fsencode(file))
        try:
            # Paths are bytes: those that are not UTF-8 go through as surrogates and back.
            with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
                return cls(_read(lines, name, os.path.abspath(os.fsencode(root))))
        except OSError as error:
            raise LabelError(f"{name} cannot be read: {error.strerror}.") from error


def _read(lines: Iterable[str], name: str, root: bytes) -> dict[bytes, bool]:
    rows = csv.DictReader(lines)
    labels: dict[bytes, bool] = {}
    try:
        missing = [column for column in (_PATH, _LABEL) if column not in (rows.fieldnames or ())]
        if missing:
            raise LabelError(f"{name} has no column {' and no column '.join(missing)} in line 1.")
        for row in rows:
            path = _relative(row[_PATH] or "", root)
            label = _LABELS.get((row[_LABEL] or "").strip().lower())
            if not path:
                raise LabelError(f"{name}, line {rows.line_num}: this path is not below the root.")
            if label is None:
                raise LabelError(
                    f"{name}, line {rows.line_num}: a label is one of {', '.join(_LABELS)}, "
                    f"not {shown(os.fsencode(row[_LABEL] or ''))!r}."
                )
            if labels.setdefault(path, label) != label:
                raise LabelError(
                    f"{name}, line {rows.line_num}: {shown(path)} has the other label already."
                )
    except csv.Error as error:
        raise LabelError(f"{name} is not CSV after line {rows.line_num}: {error}.") from error
    return labels


def _relative(text: str, root: bytes) -> bytes | None:
    """The path below the root, normalised; None where it is empty or leads out of the root."""
    if not text:
        return None
    path = posixpath.normpath(os.path.join(root, os.fsencode(text)))
    start = os.path.join(root, b"")
    return path[len(start) :] if path.startswith(start) else None
