"""Which images are exported, and whether anything is written."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from scanner.options.completion import complete_condition
from scanner.options.record import as_record
from scanner.options.store import open_store, scan_argument, store_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from scanner.writeback.keywords import Wanted
    from storage.database.store import Store
    from storage.writes.scans import Scan
    from workers.sources.location import LibraryLocation, SourceLocation

write_option = click.option(
    "--write", is_flag=True, help="Write. Without it, only what would be written is shown."
)
remove_option = click.option(
    "--remove", is_flag=True, help="Take back all keywords that scanner wrote, and nothing else."
)


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """The scan, and which of its images."""

    scan_id: int | None
    store: str
    which: str
    source: str
    where: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Export:
    """A scan whose images are exported, and the images of it that are in question."""

    store: Store
    scan: Scan
    options: ExportOptions

    def parts(self, *, remove: bool) -> Sequence[Export]:
        """Return an export for each scan in question: to remove, all of folders.

        Unless a scan is named.
        """
        from storage.writes.scans import list_scans  # noqa: PLC0415

        if not remove or self.options.scan_id is not None:
            return [self]
        parts = [replace(self, scan=scan) for scan in list_scans(self.store)]
        return [part for part in parts if part.library({}) is None] or [self]

    def wanted(self, *, remove: bool = False) -> Iterator[Wanted]:
        """Yield the images in question with their keyword, None for those not chosen.

        To remove, that is all of them, and of all scans each in the last that lists it. Raise
        ScannerError where reviews are asked for and there are none: nobody wants all keywords away
        for that.
        """
        from scanner.options.where import parse_where  # noqa: PLC0415 - `--help` should not cost it
        from scanner.writeback.keywords import Choice, Source, Wanted, choose  # noqa: PLC0415
        from storage.errors import ScannerError  # noqa: PLC0415
        from storage.reads.exports import any_reviewed, exported_images  # noqa: PLC0415

        source = Source(self.options.source)
        where = parse_where(self.options.where)
        by_reviews = source is Source.REVIEWS and not remove
        if by_reviews and not any_reviewed(self.store, self.scan.scan_id, where):
            which = " that matches --where" if where else ""
            raise ScannerError(
                f"no image of scan {self.scan.scan_id}{which} has been reviewed: answer on the "
                "pages (`scanner serve`), or take --from both or verdicts"
            )
        last = remove and self.options.scan_id is None
        images = exported_images(self.store, self.scan.scan_id, where, last=last)
        if remove:
            return (Wanted(image, None) for image in images)
        return choose(images, Choice(source, _words(self.options.which, source)))

    def chosen(self) -> Iterator[Wanted]:
        """Yield the images that are chosen."""
        return (wanted for wanted in self.wanted() if wanted.keyword is not None)

    def library(self, roots: Mapping[str, SourceLocation]) -> LibraryLocation | None:
        """Return the library that has the scan's images; None where they are in a folder."""
        from workers.sources.location import LibraryLocation, location_at  # noqa: PLC0415

        where = roots.get(self.scan.collection) or location_at(self.scan.root)
        return where if isinstance(where, LibraryLocation) else None

    def elsewhere(self, library: LibraryLocation) -> click.UsageError:
        """Return the error for an export to elsewhere than to the library with the images."""
        return click.UsageError(
            f"the images of scan {self.scan.scan_id} are in {library.kind.program}: "
            f"`scanner export {library.kind}`"
        )

    def root(self, roots: Mapping[str, SourceLocation]) -> bytes:
        """Return the scan's folder on this machine, without links; raise ScannerError."""
        import os  # noqa: PLC0415
        from pathlib import Path  # noqa: PLC0415

        from scanner.writeback.sidecars import real_root  # noqa: PLC0415

        library = self.library(roots)
        if library is not None:
            raise self.elsewhere(library)
        named = roots.get(self.scan.collection)
        if named is None:
            return real_root(self.scan.root)
        if not isinstance(named, Path):
            raise click.UsageError("--root names a URL: files can only be written in a folder")
        return real_root(os.fsencode(named))


_OPTIONS = (
    scan_argument,
    store_option,
    click.option(
        "--which",
        default="ai",
        show_default=True,
        metavar="WORDS",
        help="Which images: by verdicts ai, unsure, no_evidence; by reviews ai, not_ai, cant_tell. "
        "Several are separated by commas.",
    ),
    click.option(
        "--from",
        "source",
        type=click.Choice(["both", "verdicts", "reviews"]),
        default="both",
        show_default=True,
        help="Whose word counts; both: that of an image's reviewers, or of one without reviews the "
        "verdict. Reviewers who contradict each other have none.",
    ),
    click.option(
        "--where",
        multiple=True,
        shell_complete=complete_condition,
        metavar="FIELD=VALUE",
        help="Only images that match, as for `scanner verdicts`: --where folder=2019.",
    ),
)


def export_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets them as `options`, an ExportOptions."""
    decorated = as_record(ExportOptions)(function)
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


@contextmanager
def open_export(options: ExportOptions) -> Iterator[Export]:
    """Open the store with the scan; refuse words that do not fit."""
    from scanner.options.where import parse_where  # noqa: PLC0415
    from scanner.writeback.keywords import Source  # noqa: PLC0415
    from storage.writes.scans import find_scan  # noqa: PLC0415

    _words(options.which, Source(options.source))
    parse_where(options.where)
    with open_store(options.store) as store:
        yield Export(store, find_scan(store, options.scan_id), options)


def _words(which: str, source: Any) -> frozenset[str]:  # noqa: ANN401 - a Source
    from scanner.writeback.keywords import WORDS  # noqa: PLC0415

    words = [word.strip() for word in which.split(",")]
    known = WORDS[source]
    for word in words:
        if word not in known:
            raise click.BadParameter(
                f"invalid word {word!r}: expected {', '.join(known)} for --from {source}",
                param_hint="--which",
            )
    return frozenset(words)
