"""`scanner learn`: fit the detectors to the answers of the people who reviewed a scan."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import click

from scanner.options.output import json_option
from scanner.options.store import open_store, scan_argument, store_option
from scanner.options.work import root_option
from storage.errors import ScannerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scanner.detectors.learn import Learned
    from workers.sources.location import SourceLocation


@click.command()
@scan_argument
@store_option
@root_option
@json_option
def command(
    *,
    scan_id: int | None,
    store: str,
    roots: Mapping[str, SourceLocation],
    as_json: bool,
) -> None:
    """Fit the detectors to the answers that people gave on SCAN (default: the latest).

    \b
    Examples:
      scanner learn
      scanner learn 7 --root photos=/mnt/photos

    The last layer of each built-in detector with one (`scenes`, `faces`) is fitted to your answers
    together with what its training left. Each answer is judged by detectors that were fitted
    without its folder; where that shows no gain, nothing is written. Else a detector of its own is
    written: name it with --detectors. It takes 20 answers of each kind, and more help.
    """
    from scanner.detectors.learn import learn
    from storage.writes.scans import find_scan

    with open_store(store) as opened:
        results = learn(opened, find_scan(opened, scan_id), roots, partial(click.echo, err=True))
    if as_json:
        click.echo(json.dumps({"detectors": [asdict(result) for result in results]}))
    else:
        for result in results:
            click.echo(_sentence(result))
    if all(result.name is None for result in results):
        raise ScannerError("nothing was learned: the built-in detectors stay as they are")
    if not as_json:
        click.echo(f"Use it: scanner scan FOLDER --detectors {_detectors(results)}")


def _sentence(result: Learned) -> str:
    from scanner.detectors.learn import MIN_ANSWERS

    answers = f"{result.ai:,} answers AI-generated, {result.others:,} not"
    if result.before is None or result.after is None:
        return f"{result.detector}: {answers}; it takes {MIN_ANSWERS} of each"
    change = (
        f"{result.before.ai:,} → {result.after.ai:,} of the AI-generated ones found, "
        f"{result.before.others:,} → {result.after.others:,} of the others flagged"
    )
    if result.name is None:
        return f"{result.detector}: {answers}; {change} (held out): no certain gain"
    return f"{result.detector}: {answers}; {change} (held out): written as {result.name}"


def _detectors(results: Sequence[Learned]) -> str:
    """Return the built-in detectors by name, the learned ones in place of their originals."""
    from workers.detectors import installed

    learned = {result.detector: result.name for result in results if result.name}
    return ",".join(learned.get(name, name) for name in installed.NAMES)
