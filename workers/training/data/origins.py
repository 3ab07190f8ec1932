"""Where labelled images come from: owner, generator, and the original of a crop.

A listing is a CSV with a row for each image. It is found by the column `member`, its name in a zip,
or by `blob`, the name of its file without the extension. `repo` is OWNER/NAME of the repository
that holds it, `made_by` the generator of an AI-generated image, and `crop_of` is the name of an
image in a zip that was cut out of it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from workers.training.data.datasets import DataError, label_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from workers.training.data.datasets import LabelledFile


@dataclass(frozen=True, slots=True)
class Origins:
    """Rows of listings by the key of their image."""

    rows: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, listings: Iterable[Path]) -> Origins:
        """Read listings; DataError where one is missing or has other columns."""
        rows = {}
        for listing in listings:
            try:
                with listing.open(newline="", encoding="utf-8") as file:
                    rows.update(
                        {row.get("member") or row["blob"]: row for row in csv.DictReader(file)}
                    )
            except (OSError, KeyError, UnicodeDecodeError) as error:
                raise DataError(
                    f"{listing} does not tell the origins of images: {error}"
                ) from error
        return cls(rows)

    def owner(self, file: LabelledFile) -> str:
        """Return who owns an image; its source where no listing says so."""
        owner, _, _ = (self._of(file, "repo") or file.source.replace("+", "/")).partition("/")
        return owner.lower()

    def source(self, file: LabelledFile) -> str:
        """Return what an image is counted under: its generator, or the folder it is in.

        An original is counted as the crop of it is.
        """
        crop = label_of(PurePosixPath(self._of(file, "crop_of")))
        return (crop[1] if crop else self._of(file, "made_by")) or file.source

    def without_repeats(self, files: Iterable[LabelledFile]) -> list[LabelledFile]:
        """Leave out crops of images that are there as a whole."""
        files = list(files)
        crops = {self._of(file, "crop_of") for file in files}
        return [file for file in files if file.name not in crops]

    def _of(self, file: LabelledFile, column: str) -> str:
        row = self.rows.get(file.name) or self.rows.get(PurePosixPath(file.name).stem) or {}
        return row.get(column) or ""
