"""`scanner export`: take findings to where the photographs live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from scanner.commands.export_servers import immich_command, photoprism_command
from scanner.exits import DONE, INCOMPLETE
from scanner.options.export import (
    ExportOptions,
    export_options,
    open_export,
    remove_option,
    write_option,
)
from scanner.options.output import output_option
from scanner.options.work import root_option

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from scanner.options.export import Export
    from scanner.writeback.tally import Tally
    from workers.sources.location import SourceLocation


@click.group()
@click.pass_context
def command(ctx: click.Context) -> None:
    """Take findings to where the photographs live: as a keyword of each image, or as a list.

    The keyword is `scanner:ai`, `scanner:unsure`, …, or of an image that people have reviewed
    `scanner:reviewed_ai`, …, below the parent `ai-photo-scanner`. A later export takes it back
    where verdict or answer have changed. Nothing is written without --write.

    \b
    Examples:
      scanner export list --null | xargs -0 ls -l
      scanner export xmp --which ai,unsure --write
      scanner export xmp --remove --write
      scanner export immich --url http://nas:2283 --key-file immich.key --album AI --write
    """
    # The config file's settings hold for the commands below, too.
    ctx.default_map = dict.fromkeys(command.commands, ctx.default_map)


command.add_command(immich_command)
command.add_command(photoprism_command)


@command.command("list", short_help="Print the paths of the chosen images.")
@export_options
@click.option("--null", "nul", is_flag=True, help="End each path with a NUL, for xargs -0.")
@output_option
def list_command(*, options: ExportOptions, nul: bool, output: Path | None) -> None:
    """Print the paths of the chosen images of SCAN (default: the latest), one a line.

    \b
    Examples:
      scanner export list > ai.txt
      scanner export list --null --which ai,unsure | xargs -0 ls -l
      scanner export list 7 --from reviews --which not_ai --where folder=2019
    """
    from scanner.report.formats.stream import stdout, written
    from scanner.writeback.lists import write_list

    with open_export(options) as export, stdout() if output is None else written(output) as out:
        left_out = write_list(export.chosen(), export.scan.root, out, nul=nul)
    if left_out:
        click.echo(f"left out: {_names(left_out)}; use --null", err=True)


@command.command("exiftool", short_help="Print an argument file of exiftool with the keywords.")
@export_options
@remove_option
@output_option
def exiftool_command(*, options: ExportOptions, remove: bool, output: Path | None) -> None:
    """Print an argument file of exiftool that gives each chosen image of SCAN its keyword.

    `exiftool -@ FILE` then writes into the images themselves, and keeps what they were as
    NAME_original. The keyword goes to the lists in which an image has keywords now, or to the
    usual ones. --remove goes through all scans of all collections, unless SCAN names one.

    \b
    Examples:
      scanner export exiftool --output tags.args
      scanner export exiftool --remove --output no-tags.args
    """
    from scanner.report.formats.stream import stdout, written
    from scanner.report.text.labels import count
    from scanner.writeback.lists import LeftOut, write_arguments

    with open_export(options) as export, stdout() if output is None else written(output) as out:
        left_out = LeftOut()
        for part in export.parts(remove=remove):
            wanted = part.wanted(remove=True) if remove else part.chosen()
            left_out += write_arguments(wanted, part.scan.root, out)
    if left_out.names:
        click.echo(f"left out: {_names(left_out.names)}", err=True)
    if left_out.signed:
        images = count(left_out.signed, "image", "images")
        click.echo(
            f"left out: {images} signed with C2PA, which writing would invalidate; sidecars leave "
            "them as they are: `scanner export xmp`",
            err=True,
        )
    if left_out.unread:
        images = count(left_out.unread, "image", "images")
        click.echo(
            f"left out: {images} whose keywords cannot be read here, so that none would be hidden",
            err=True,
        )


@command.command("xmp", short_help="Write keywords to XMP sidecars, or into the files.")
@export_options
@click.option(
    "--for",
    "program",
    type=click.Choice(["digikam", "darktable", "lightroom"]),
    help="Who reads the sidecars: digiKam and darktable NAME.JPG.xmp, Lightroom Classic NAME.xmp "
    "next to RAW files only.  [default: digikam]",
)
@click.option(
    "--into-files",
    is_flag=True,
    help="Write into the images themselves, by exiftool, which keeps each as NAME_original.",
)
@root_option
@remove_option
@write_option
@click.pass_context
def xmp_command(  # noqa: PLR0913 - one for each option
    ctx: click.Context,
    *,
    options: ExportOptions,
    program: str | None,
    into_files: bool,
    roots: Mapping[str, SourceLocation],
    remove: bool,
    write: bool,
) -> None:
    """Write the keyword of each chosen image of SCAN into its XMP sidecar, for photo managers.

    What others wrote into a sidecar stays. Images of SCAN that are not chosen lose a keyword of
    scanner's that they have; those that are pending or ended in an error keep it. An image that
    has changed since the scan is skipped. Rescans keep the verdicts, and take no keyword for
    evidence. A new sidecar has the image's own metadata, which programs do not read beside one.

    --remove goes through all scans of all collections, unless SCAN names one.

    \b
    Examples:
      scanner export xmp
      scanner export xmp --write
      scanner export xmp 7 --which ai,not_ai --write
      scanner export xmp --for lightroom --write
      scanner export xmp --into-files --write
      scanner export xmp --remove --write
    """
    from scanner.writeback.exiftool import write_into_files
    from scanner.writeback.sidecars import Program, SidecarExport, write_sidecars
    from scanner.writeback.tally import NOTHING_WRITTEN, Tally

    if into_files and program is not None:
        raise click.UsageError("--for and --into-files exclude each other: name one")
    tally = Tally(click.echo)
    with open_export(options) as export:
        parts = export.parts(remove=remove)
        for part, root in _with_folders(parts, roots, tally):
            wanted = part.wanted(remove=remove)
            if into_files:
                write_into_files(wanted, root, tally, write=write)
            else:
                into = SidecarExport(
                    part.store, part.scan.scan_id, root, Program(program or Program.DIGIKAM)
                )
                write_sidecars(into, wanted, tally, write=write)
        of = f"scan {export.scan.scan_id}" if len(parts) == 1 else "all scans"
        things = "files" if into_files else "sidecars"
        click.echo(tally.summary(f"{of}, {things}", written=write))
    if tally.done and not write:
        click.echo(NOTHING_WRITTEN, err=True)
    ctx.exit(INCOMPLETE if tally.skipped else DONE)


def _with_folders(
    parts: Sequence[Export], roots: Mapping[str, SourceLocation], tally: Tally
) -> Iterator[tuple[Export, bytes]]:
    """Yield exports with their folder; of several collections, skip those that have none here."""
    from storage.errors import ScannerError

    skipped: set[str] = set()
    for part in parts:
        name = part.scan.collection
        several = any(each.scan.collection != name for each in parts)
        if name in skipped:
            continue
        try:
            root = part.root(roots)
        except ScannerError as error:
            if not several:
                raise
            skipped.add(name)
            tally.skip(name.encode(), str(error))
            continue
        yield part, root


def _names(number: int) -> str:
    return f"{number:,} {'name' if number == 1 else 'names'} with a line break"
