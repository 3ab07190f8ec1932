"""`scanner detectors catalog` and `get`: published detectors."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import click

from scanner.commands.custom_detectors import added_text, ai_threshold_option
from scanner.options.output import json_option

if TYPE_CHECKING:
    from workers.detectors.card import Card
    from workers.detectors.published import PublishedDetector


@click.command()
@json_option
def catalog(*, as_json: bool) -> None:
    """List the published detectors that `get` can add.

    \b
    Example:
      scanner detectors catalog
    """
    entries = _entries()
    if as_json:
        click.echo(json.dumps({"detectors": [asdict(entry) for entry in entries.values()]}))
        return
    for entry in entries.values():
        click.echo(f"{entry.name}: {entry.summary}")
        for title, text in (
            ("from", f"{entry.source}, {entry.model}"),
            ("licence", entry.licence),
            ("sha256", entry.model_sha256),
            ("published", entry.published),
            ("note", entry.note),
        ):
            click.echo(f"  {title:<10}  {text}")


@click.command()
@click.argument("name")
@ai_threshold_option
def get(name: str, *, ai_threshold: float | None) -> None:
    """Fetch the published detector NAME and add it.

    \b
    Example:
      scanner detectors get community-forensics

    Files with other checksums than the catalogue's are refused. HF_ENDPOINT and pip's settings
    name mirrors. ONNX models need the `onnx` extra, those of Hugging Face the `hub` entry.
    """
    from scanner.detectors.add import require_unused

    entries = _entries()
    if name not in entries:
        raise click.BadParameter(
            f"unknown detector {name!r}: expected one of {', '.join(entries)}", param_hint="NAME"
        )
    require_unused(name)
    click.echo(added_text(_fetched(entries[name], ai_threshold)))


def _entries() -> dict[str, PublishedDetector]:
    from scanner.detectors.plan import sound_models
    from workers.detectors.published import catalogue

    with sound_models():
        return catalogue()


def _fetched(entry: PublishedDetector, ai_threshold: float | None) -> Card:
    from workers.detectors.adding import ModelDescription, add
    from workers.detectors.published import downloaded

    description = ModelDescription(
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
    with downloaded(entry) as (model, head):
        return add(model, replace(description, head=head))
