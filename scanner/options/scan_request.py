"""What to scan and how; `enqueue` and `scan` both take these options."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scanner.options.completion import complete_collection, complete_detector
from scanner.options.parameters import PathParameter
from scanner.options.record import as_record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scanner.fleet.producer import ScanRequest
    from workers.sources.location import LibraryLocation


class FolderOrLibrary(PathParameter):
    """A folder that exists, or the URL of a library of immich or PhotoPrism."""

    def __init__(self) -> None:
        super().__init__(exists=True, path_type=Path)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:  # noqa: ANN401 - as click's
        """Return the folder as a Path, a library as its location."""
        from workers.sources.location import library_location  # noqa: PLC0415

        library = library_location(value) if isinstance(value, str) else None
        return library or super().convert(value, param, ctx)


@dataclass(frozen=True, slots=True)
class ScanRequestOptions:
    """The folder to scan and the options that select images, detectors and labels."""

    folder: Path | LibraryLocation
    name: str | None
    detectors: str | None
    labels_from_folders: bool
    labels: Path | None
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    hidden: bool
    follow_symlinks: bool
    all_files: bool
    raw: bool
    library: str
    key_file: Path | None
    with_context: bool
    with_file_names: bool
    with_marks: bool
    rescan: bool = False
    verify: bool = False
    retry_errors: bool = False


detectors_option = click.option(
    "--detectors",
    metavar="A,B",
    shell_complete=complete_detector,
    help="Use only these detectors.  [default: the one that suits each image]",
)

context_option = click.option(
    "--context/--no-context",
    "with_context",
    default=True,
    show_default=True,
    help="Let a camera's metadata, or a size that generators write, move the thresholds of models.",
)

file_names_option = click.option(
    "--file-names/--no-file-names",
    "with_file_names",
    default=True,
    show_default=True,
    help="Call an image unsure that has a generator's name, such as 'ChatGPT Image …'.",
)

marks_option = click.option(
    "--marks/--no-marks",
    "with_marks",
    default=True,
    show_default=True,
    help="Read marks that generators leave in the pixels, such as Gemini's sparkle.",
)

_AGAIN = (
    click.option(
        "--rescan",
        is_flag=True,
        help="Judge every image again, changed or not. Otherwise an image whose file has the size "
        "and time that it had keeps its verdict, even if it was replaced: see --verify.",
    ),
    click.option(
        "--verify",
        is_flag=True,
        help="Read every file, and judge again those whose content differs from what was judged.",
    ),
    click.option(
        "--retry-errors", is_flag=True, help="Judge again only the images that ended in an error."
    ),
)

_OPTIONS = (
    click.argument("folder", type=FolderOrLibrary()),
    click.option(
        "--name",
        shell_complete=complete_collection,
        help="Name of the collection.  [default: the folder's name]",
    ),
    detectors_option,
    context_option,
    file_names_option,
    marks_option,
    *_AGAIN,
    click.option(
        "--labels-from-folders",
        is_flag=True,
        help="Take ground truth from folder names: FAKE, AI, GENERATED or REAL, PHOTO. The report "
        "then includes accuracy.",
    ),
    click.option(
        "--labels",
        type=PathParameter(exists=True, dir_okay=False, path_type=Path),
        help="Take ground truth from a CSV file with the columns path,label.",
    ),
    click.option("--include", multiple=True, metavar="GLOB", help="Scan only matching files."),
    click.option(
        "--exclude", multiple=True, metavar="GLOB", help="Skip matching files and folders."
    ),
    click.option("--hidden", is_flag=True, help="Scan hidden files and folders, too."),
    click.option(
        "--follow-symlinks",
        is_flag=True,
        help="Follow links to elsewhere in the folder; links that lead out of it are skipped.",
    ),
    click.option(
        "--raw",
        is_flag=True,
        help="Scan cameras' RAW files, too: the metadata, and the preview in each.",
    ),
    click.option(
        "--library",
        type=click.Choice(["auto", "google", "apple", "none"]),
        default="auto",
        show_default=True,
        help="Where Google Takeout or Apple Photos wrote the folder, list an image that is in "
        "several folders once, leave out what was deleted, and mark edited versions; 'none' lists "
        "every file.",
    ),
    click.option(
        "--key-file",
        type=PathParameter(exists=True, dir_okay=False, path_type=Path),
        help="File with the key of a photo library's API.  [default: the key in "
        "SCANNER_IMMICH_KEY or SCANNER_PHOTOPRISM_KEY]",
    ),
    click.option(
        "--all-files",
        is_flag=True,
        help="Scan all files regardless of extension; the type is detected from the content.",
    ),
)


dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Only count images, bytes and batches."
)


def request_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets them as `requested`, a ScanRequestOptions."""
    return _with(function, _OPTIONS)


def watch_request_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the same options but those that have images judged again."""
    return _with(function, [option for option in _OPTIONS if option not in _AGAIN])


def _with(
    function: Callable[..., Any], options: Sequence[Callable[..., Any]]
) -> Callable[..., Any]:
    decorated = as_record(ScanRequestOptions, "requested")(function)
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def make_request(requested: ScanRequestOptions, owner: str) -> ScanRequest:
    """Return the request for a scan of `owner`; refuse options that do not fit."""
    from scanner.detectors.plan import plan_for  # noqa: PLC0415 - `--help` should not cost it
    from scanner.fleet.producer import ScanRequest  # noqa: PLC0415
    from scanner.listing.libraries import APPLE, GOOGLE, find_library  # noqa: PLC0415
    from scanner.listing.walk import WalkOptions  # noqa: PLC0415
    from storage.paths import shown  # noqa: PLC0415

    folder = requested.folder
    if isinstance(folder, Path) and not folder.is_dir():
        name = shown(os.fsencode(folder))
        raise click.UsageError(f"{name} is a file: use `scanner check {name}` for single files")
    _use_key(requested)
    _require_one(requested)
    _require_patterns(requested)
    root = folder.resolve() if isinstance(folder, Path) else folder
    folder_name = root.name if isinstance(root, Path) else root.host
    library = {"google": GOOGLE, "apple": APPLE}.get(requested.library)
    if requested.library == "auto" and isinstance(root, Path):
        library = find_library(root)
    if library is not None:
        click.echo(
            f"{library}: an image in several folders is listed once, edited versions are marked "
            "(--library none lists every file)",
            err=True,
        )
    return ScanRequest(
        root=root,
        # Stores take no half characters: a name that is not UTF-8 is stored as it is shown.
        name=shown(os.fsencode(requested.name or folder_name)) or "root",
        plan=plan_for(
            requested.detectors,
            with_context=requested.with_context,
            with_file_names=requested.with_file_names,
            with_marks=requested.with_marks,
        ),
        owner=owner,
        walk=WalkOptions(
            include=requested.include,
            exclude=requested.exclude,
            hidden=requested.hidden,
            follow_symlinks=requested.follow_symlinks,
            all_files=requested.all_files,
            raw=requested.raw,
            library=library is not None,
        ),
        label=_label(requested, root if isinstance(root, Path) else Path("/")),
        rescan=requested.rescan,
        retry_errors=requested.retry_errors,
        verify=requested.verify,
    )


def _require_one(requested: ScanRequestOptions) -> None:
    """Refuse two of the options that say which images to judge again."""
    wanted = {
        "--rescan": requested.rescan,
        "--verify": requested.verify,
        "--retry-errors": requested.retry_errors,
    }
    named = [option for option, is_named in wanted.items() if is_named]
    if len(named) > 1:
        raise click.UsageError(f"{' and '.join(named)} exclude each other: name one")


def _require_patterns(requested: ScanRequestOptions) -> None:
    if not requested.include and not requested.exclude:
        return
    from scanner.listing.globs import compile_patterns  # noqa: PLC0415 - 0.05 s

    for option, patterns in (("--include", requested.include), ("--exclude", requested.exclude)):
        try:
            compile_patterns(patterns)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint=option) from error


def _use_key(requested: ScanRequestOptions) -> None:
    """Put the key where this process and the worker that it starts look for it."""
    from scanner.listing.library_server import read_key  # noqa: PLC0415

    if requested.key_file is not None and not isinstance(requested.folder, Path):
        os.environ[requested.folder.kind.key_variable] = read_key(requested.key_file)


def _label(requested: ScanRequestOptions, root: Path) -> Callable[[bytes], bool | None] | None:
    from scanner.listing.labels import CsvLabels, label_from_folders  # noqa: PLC0415

    if requested.labels and requested.labels_from_folders:
        raise click.UsageError("--labels and --labels-from-folders exclude each other: name one")
    if requested.labels:
        return CsvLabels.read(requested.labels, root)
    if requested.labels_from_folders:
        return lambda path: label_from_folders(path, root)
    return None
