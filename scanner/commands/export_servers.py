"""`scanner export immich` and `scanner export photoprism`: keywords in a library on a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scanner.exits import DONE, INCOMPLETE
from scanner.options.export import (
    ExportOptions,
    export_options,
    open_export,
    remove_option,
    write_option,
)
from scanner.options.parameters import PathParameter
from scanner.options.record import as_record
from scanner.options.work import root_option

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scanner.listing.library_server import Server
    from scanner.options.export import Export
    from scanner.writeback.library import Library
    from workers.sources.location import LibraryKind, LibraryLocation, SourceLocation


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """A server, the file with its key, and what is done there."""

    url: str | None
    key_file: Path | None
    ca_file: Path | None
    album: str | None
    roots: Mapping[str, SourceLocation]
    remove: bool
    write: bool


def _server_options(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options of a server, whose variables begin with SCANNER_ and its name."""
    options = (
        click.option(
            "--url",
            envvar=f"SCANNER_{name}_URL",
            show_envvar=True,
            help="Where the server is.  [default: where the scan's images were listed from]",
        ),
        click.option(
            "--key-file",
            type=PathParameter(exists=True, dir_okay=False, path_type=Path),
            help=f"File with the server's key.  [default: the key in SCANNER_{name}_KEY]",
        ),
        click.option(
            "--ca-file",
            type=PathParameter(exists=True, dir_okay=False, path_type=Path),
            help="Certificate of the server, or of who signed it, where it is self-signed (PEM).",
        ),
        click.option(
            "--album", metavar="NAME", help="Put the chosen images in this album of yours, too."
        ),
        root_option,
        remove_option,
        write_option,
    )

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        decorated = as_record(ServerOptions, "into")(function)
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


@click.command("immich", short_help="Tag the images in immich, and fill an album.")
@export_options
@_server_options("IMMICH")
@click.pass_context
def immich_command(ctx: click.Context, *, options: ExportOptions, into: ServerOptions) -> None:
    """Tag the chosen images of SCAN in immich, and put them in an album.

    Images are found by checksum; those of an external library by name, size and the end of their
    path. Images of SCAN that are not chosen lose a tag of scanner's that they have. The key needs
    the permissions asset.read, asset.upload, tag.create, tag.read, tag.asset, and for an album
    album.create, album.read, albumAsset.create and albumAsset.delete.

    \b
    Examples:
      scanner export immich --url http://nas:2283 --key-file immich.key
      scanner export immich --url http://nas:2283 --key-file immich.key --album AI --write
    """
    from scanner.writeback.immich import Immich
    from workers.sources.location import LibraryKind

    _export(ctx, options, into, LibraryKind.IMMICH, Immich)


@click.command("photoprism", short_help="Label the images in PhotoPrism, and fill an album.")
@export_options
@_server_options("PHOTOPRISM")
@click.pass_context
def photoprism_command(ctx: click.Context, *, options: ExportOptions, into: ServerOptions) -> None:
    """Label the chosen images of SCAN in PhotoPrism, and put them in an album.

    Images are found by checksum. Images of SCAN that are not chosen lose a label of scanner's that
    they have. The key is an app password (Settings, Account, Apps and Devices) or an access token.

    \b
    Examples:
      scanner export photoprism --url http://nas:2342 --key-file photoprism.key
      scanner export photoprism --url http://nas:2342 --key-file photoprism.key --album AI --write
    """
    from scanner.writeback.photoprism import PhotoPrism
    from workers.sources.location import LibraryKind

    _export(ctx, options, into, LibraryKind.PHOTOPRISM, PhotoPrism)


def _export(
    ctx: click.Context,
    options: ExportOptions,
    into: ServerOptions,
    kind: LibraryKind,
    library: Callable[[Server], Library],
) -> None:
    from scanner.listing.library_server import Server, base_url, library_key, require_authorities
    from scanner.writeback.library import OUT_OF_ALBUM, LibraryExport, write_to_library
    from scanner.writeback.tally import NOTHING_WRITTEN, Tally
    from workers.sources.location import LibraryLocation

    location = None if into.url is None else LibraryLocation(kind, base_url(into.url))
    require_authorities(into.ca_file)
    key = library_key(kind, into.key_file)
    tally = Tally(click.echo)
    with open_export(options) as export:
        listed = export.library(into.roots)
        if listed is not None and listed.kind is not kind:
            raise export.elsewhere(listed)
        root = None if listed is not None else export.root(into.roots)
        server = Server(location or _listed_from(listed, export), key, into.ca_file)
        target = LibraryExport(library(server), root, into.album, into.write)
        write_to_library(target, lambda: export.wanted(remove=into.remove), tally)
        things = f"scan {export.scan.scan_id}, {server.name}"
        click.echo(tally.summary(things, written=into.write))
    if into.remove and tally.done[OUT_OF_ALBUM]:
        click.echo(f"The album {into.album!r} stays: scanner deletes no album.", err=True)
    if tally.done and not into.write:
        click.echo(NOTHING_WRITTEN, err=True)
    ctx.exit(INCOMPLETE if tally.skipped else DONE)


def _listed_from(listed: LibraryLocation | None, export: Export) -> LibraryLocation:
    """Return the library from which a scan was listed."""
    if listed is None:
        raise click.UsageError(
            f"name the server with --url: the images of scan {export.scan.scan_id} are in a folder"
        )
    return listed
