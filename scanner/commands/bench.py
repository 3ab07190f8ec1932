"""`scanner bench`: how fast this machine alone is."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scanner.exits import Failed
from scanner.options import json_option

if TYPE_CHECKING:
    from workers.speed import Speed

# The pictures of the comparison that this project began with.
IMAGES = 10_905
MOST_PICTURES = 500


@click.command()
@click.option(
    "--images",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Pictures to measure with.  [default: some that are drawn]",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1),
    default=5.0,
    show_default=True,
    help="How long to measure each size.",
)
@json_option
def command(*, folder: Path | None, seconds: float, as_json: bool) -> None:
    """Measure this machine alone: the same pictures at 32 x 32 and at 224 x 224.

    One process on one core decodes each picture, fits it to the size and runs the same net on it.
    Needs no queue and no store. Put a Pi's figures and a laptop's side by side.

    \b
    Examples:
      scanner bench
      scanner bench --images ~/Pictures --json
    """
    from workers.health import health, made_of
    from workers.speed import SIDES, measure

    pictures = _pictures(folder)
    measured = [measure(pictures, side, seconds) for side in SIDES]
    found = [one for one in measured if one is not None]
    if not found:
        raise Failed(f"{folder} has no picture that can be decoded")
    machine = {**made_of(), **health()}
    if as_json:
        click.echo(json.dumps({"machine": machine, "speeds": [_body(one) for one in found]}))
        return
    click.echo(", ".join(f"{name} {value}" for name, value in machine.items()))
    for one in found:
        click.echo(
            f"{one.runtime}, {one.side} x {one.side}: {one.images_per_second:,.0f} images/s "
            f"({one.decode_ms:.2f} ms decode, {one.infer_ms:.2f} ms infer), "
            f"{_seconds(one):,.1f} s for {IMAGES:,} images"
        )


def _body(one: Speed) -> dict[str, Any]:
    body = {name: _rounded(value) for name, value in asdict(one).items()}
    return {**body, f"seconds_for_{IMAGES}": round(_seconds(one), 3)}


def _rounded(value: object) -> object:
    return round(value, 3) if isinstance(value, float) else value


def _seconds(one: Speed) -> float:
    return IMAGES / one.images_per_second


def _pictures(folder: Path | None) -> list[bytes]:
    """The bytes of the first pictures of a folder, or of the samples."""
    import tempfile
    from itertools import islice

    from scanner.samples import draw
    from scanner.walk import Walk, WalkOptions
    from workers.fetch import FetchError, open_root

    if folder is None:
        with tempfile.TemporaryDirectory() as drawn:
            draw(Path(drawn))
            return _pictures(Path(drawn))
    found = []
    with open_root(folder) as root:
        for one in islice(Walk(folder, WalkOptions()), MOST_PICTURES):
            try:
                found.append(root.fetch(one.path).data)
            except FetchError:
                continue
    return found
