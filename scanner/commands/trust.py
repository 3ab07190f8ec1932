"""`scanner detectors trust`: the trust lists by which C2PA signers are known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from scanner.options.output import json_option

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scanner.detectors.trust import Change
    from workers.provenance.trust_lists import TrustList

# Names of certificates to print for a change; --json has all.
_MAX_NAMES = 20


@click.command()
@click.argument("sources", nargs=-1, metavar="[FILE-or-URL]...")
@click.option("--name", help="Name of the list.  [default: its own, or that of the file]")
@click.option("--remove", metavar="NAME", help="Remove the list NAME.")
@json_option
def trust(*, sources: Sequence[str], name: str | None, remove: str | None, as_json: bool) -> None:
    """Show the C2PA trust lists, or take over a list from each FILE-or-URL.

    \b
    Examples:
      scanner detectors trust
      scanner detectors trust C2PA-TRUST-LIST.json C2PA-TSA-TRUST-LIST.json
      scanner detectors trust anchors.pem --name interim

    A list is PEM, or JSON as C2PA publishes it, and replaces the list of its name. Nothing is
    fetched without this command. All machines of a scan need the same lists, and later scans judge
    images again.
    """
    if remove is not None and (sources or name is not None):
        raise click.UsageError("--remove cannot be used with FILE-or-URL or --name")
    if name is not None and len(sources) != 1:
        raise click.UsageError("--name needs exactly one FILE-or-URL")
    if sources or remove is not None:
        _print_changes(_changes(sources, name, remove), as_json=as_json)
    elif as_json:
        click.echo(json.dumps(_overview()))
    else:
        _show()


def _changes(sources: Sequence[str], name: str | None, remove: str | None) -> Iterator[Change]:
    from scanner.detectors import trust as lists

    if remove is not None:
        yield lists.remove(remove)
    for source in sources:
        yield lists.take_over(source, name)


def _print_changes(changes: Iterator[Change], *, as_json: bool) -> None:
    for change in changes:
        if as_json:
            row = {"name": change.name, "added": change.added, "removed": change.removed}
            click.echo(json.dumps(row | {"list": _row(change.after)}))
        else:
            click.echo("\n".join(_change_lines(change)))
    if not as_json:
        from workers.provenance import trust_lists

        click.echo(f"machines that scan with this one need a copy of {trust_lists.folder()}")


def _change_lines(change: Change) -> Iterator[str]:
    """Yield what a change did: one line, the dates, and the certificates."""
    counts = f"{len(change.added)} certificates added, {len(change.removed)} removed"
    if change.after is None:
        yield f"removed {change.name}: {counts}"
    elif not (change.after.authorities or change.after.signers):
        yield (
            f"removed {change.name}, which is built in: {counts}; "
            f"`scanner detectors trust --remove {change.name}` again brings it back"
        )
    else:
        yield f"installed {change.name}: {counts}"
        yield f"  now: {_summary(change.after)}"
    if change.before is not None:
        yield f"  before: {_summary(change.before)}"
    for sign, names in (("+", change.added), ("-", change.removed)):
        yield from (f"  {sign} {each}" for each in names[:_MAX_NAMES])
        if len(names) > _MAX_NAMES:
            yield f"  {sign} and {len(names) - _MAX_NAMES} more"


def _summary(trust_list: TrustList) -> str:
    row = _row(trust_list)
    if row is None:
        return ""
    parts = [
        f"{row['authorities']} authorities, {row['signers']} signers",
        f"issued {row['issued']}" if row["issued"] else "without a date of issue",
        f"installed {row['installed']}" if row["installed"] else "built in",
        f"{row['expired']} expired" if row["expired"] else "none expired",
    ]
    if row["next_expiry"]:
        parts.append(f"the next expires {row['next_expiry']}")
    return "; ".join(parts)


def _row(trust_list: TrustList | None) -> dict[str, Any] | None:
    from scanner.detectors.trust import validity

    if trust_list is None:
        return None
    expired, next_expiry = validity(trust_list)
    return {
        "name": trust_list.name,
        "title": trust_list.title,
        "source": trust_list.source,
        "issued": trust_list.issued or None,
        "installed": trust_list.installed or None,
        "authorities": len(trust_list.authorities),
        "signers": len(trust_list.signers),
        "expired": expired,
        "next_expiry": next_expiry or None,
    }


def _overview() -> dict[str, Any]:
    from workers.provenance import trust_lists

    lists = trust_lists.installed()
    return {
        "lists": [_row(each) for each in lists.values()],
        "folder": str(trust_lists.folder()),
        "digest": trust_lists.load().digest,
    }


def _show() -> None:
    from workers.provenance import trust_lists

    lists = trust_lists.installed().values()
    for each in lists:
        click.echo(f"{each.name}: {each.title}")
        click.echo(f"  {_summary(each)}")
        click.echo(f"  from {each.source}")
    if not any(each.authorities or each.signers for each in lists):
        click.echo("no trust list installed")
    click.echo(f"lists are taken over into {trust_lists.folder()}")
    click.echo(f"digest of their certificates: {trust_lists.load().digest}")
