"""Single files as a source of bytes, for `scanner check`: their user names them, nobody else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from workers.sources.local import fetch_file

if TYPE_CHECKING:
    from workers.sources.local import Fetched


class SingleFiles:
    """Files by absolute path; a link is followed wherever it leads."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    def fetch(self, relative: bytes, _expected_size: int | None = None) -> Fetched:
        """The bytes of one file; FetchError where they cannot be had."""
        return fetch_file(Path(os.fsdecode(relative)), self._max_bytes)
