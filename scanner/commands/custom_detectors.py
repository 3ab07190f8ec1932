"""`scanner detectors add`, `remove` and `test`: the user's own models."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scanner.exits import DONE, INCOMPLETE
from scanner.options.completion import complete_custom_detector, complete_detector
from scanner.options.output import json_option
from scanner.options.parameters import FiniteRange, PathParameter
from scanner.options.record import as_record
from scanner.report.text.card import normalisation, suitable_images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.detectors.adding import ModelDescription
    from workers.detectors.card import Card

Numbers = tuple[float, ...]

ai_threshold_option = click.option(
    "--ai-threshold",
    type=FiniteRange(0, 1),
    help="Scores from this value up get the verdict `ai`.  [default: none, since nobody measured "
    "it]",
)


def _size(
    _ctx: click.Context, _parameter: click.Parameter, text: str | None
) -> tuple[int, int] | None:
    """Parse `N` or `WxH` as (height, width)."""
    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    try:
        sides = (int(height or width), int(width))
    except ValueError:
        sides = (0, 0)
    if min(sides) < 1:
        raise click.BadParameter(f"invalid size {text!r}: expected N or WxH")
    return sides


def _sides(
    _ctx: click.Context, _parameter: click.Parameter, text: str | None
) -> tuple[int, int] | None:
    if text is None:
        return None
    smallest, _, largest = text.partition("-")
    try:
        sides = (int(smallest), int(largest))
    except ValueError:
        sides = (0, 0)
    if not 1 <= sides[0] <= sides[1]:
        raise click.BadParameter(f"invalid sides {text!r}: expected MIN-MAX in pixels")
    return sides


def _numbers(_ctx: click.Context, parameter: click.Parameter, text: str | None) -> Numbers:
    if text is None:
        return ()
    try:
        values = tuple(float(value) for value in text.split(","))
    except ValueError:
        values = ()
    least = 0.0 if parameter.name == "std" else float("-inf")
    if len(values) not in (1, 3) or not all(least < value < float("inf") for value in values):
        raise click.BadParameter(f"invalid {text!r}: expected one number or three")
    return values


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What the user says of a model."""

    name: str
    classes: str
    size: tuple[int, int] | None
    scale: float | None
    mean: Numbers
    std: Numbers
    channels: str
    output: str | None
    sides: tuple[int, int] | None
    shorter: int | None
    ai_threshold: float | None

    def description(self, file: Path) -> ModelDescription:
        """Return the description for a model file."""
        from storage.paths import shown
        from workers.detectors.adding import ModelDescription

        return ModelDescription(
            name=self.name,
            classes=tuple(name.strip() for name in self.classes.split(",")),
            size=self.size,
            scale=self.scale,
            mean=self.mean,
            std=self.std,
            channels=self.channels,
            output=self.output,
            sides=self.sides,
            shorter=self.shorter,
            ai_threshold=self.ai_threshold,
            source=shown(os.fsencode(file.name)),
        )


@click.command()
@click.argument("file", type=PathParameter(exists=True, path_type=Path))
@click.option("--name", required=True, help="Name of the detector.")
@click.option(
    "--classes",
    required=True,
    metavar="A,B",
    help="What the model's outputs 0 and 1 mean, in that order, as in FAKE,REAL; of a model with "
    "one output, what its values 0 and 1 mean.",
)
@click.option(
    "--input",
    "size",
    callback=_size,
    metavar="N|WxH",
    help="Size of the model's input in pixels.  [default: the model's own]",
)
@click.option(
    "--scale",
    type=FiniteRange(0, min_open=True),
    help="Number that pixels of 0 to 255 are divided by: 255 for a model that takes 0 to 1, 1 for "
    "one that takes them as they are.  [required unless the model takes bytes]",
)
@click.option(
    "--mean",
    callback=_numbers,
    metavar="R,G,B",
    help="Mean subtracted per channel: one number or three.",
)
@click.option(
    "--std",
    callback=_numbers,
    metavar="R,G,B",
    help="Standard deviation divided by per channel: one number or three.",
)
@click.option(
    "--channels",
    type=click.Choice(["RGB", "BGR"]),
    default="RGB",
    show_default=True,
    help="Order of the channels.",
)
@click.option(
    "--output",
    type=click.Choice(["logits", "probabilities"]),
    help="Output type of the model.  [default: as the model shows, else required]",
)
@click.option(
    "--sides",
    callback=_sides,
    metavar="MIN-MAX",
    help="Sides of the images it is for, in pixels.  [default: from half its input to twice]",
)
@click.option(
    "--shorter-side",
    "shorter",
    type=click.IntRange(1, 4096),
    help="Scale an image's shorter side to this and use its middle.  [default: resize the whole "
    "image]",
)
@ai_threshold_option
@as_record(ModelOptions)
def add(file: Path, *, options: ModelOptions) -> None:
    """Add a custom model: .tflite, .onnx, .keras, .h5 or a SavedModel folder.

    \b
    Examples:
      scanner detectors add net.tflite --name mine --input 32 --scale 255 --classes FAKE,REAL
      scanner detectors add old.h5 --name old --scale 127.5 --mean 1 --classes REAL,FAKE

    Keras models and SavedModels are converted to .tflite (needs the `train` extra) and compared
    with the original. The detector is used where --detectors names it.
    """
    from scanner.detectors.add import add_model

    click.echo(added_text(add_model(file, options.description(file))))


def added_text(card: Card) -> str:
    """Return what the user should know about a detector that was just added."""
    model_input, output = card.input, card.output
    if model_input is None or output is None:
        return f"added {card.name}"
    count = "1 number" if output.count == 1 else f"{output.count} numbers"
    size = f"{model_input.width}x{model_input.height} {model_input.channels}"
    return "\n".join(
        [
            f"added {card.name}, version {card.version}, in {card.path.parent}",
            f"  input: {size} pixels{normalisation(model_input)}",
            f"  output: {count} ({output.kind}); classes 0 and 1 are {', '.join(card.classes)}",
            f"  for {suitable_images(card, model_input)}",
            f"  {card.limits[0]}",
            f"use it: scanner scan FOLDER --detectors provenance,{card.name}",
        ]
    )


@click.command()
@click.argument("name", shell_complete=complete_custom_detector)
def remove(name: str) -> None:
    """Remove the custom detector NAME; the built-in ones stay.

    \b
    Example:
      scanner detectors remove mine
    """
    from workers.detectors import custom
    from workers.detectors.card import CardError

    try:
        custom.remove(name)
    except CardError as error:
        raise click.BadParameter(str(error), param_hint="NAME") from error
    click.echo(f"removed {name}")


@click.command()
@click.argument("name", shell_complete=complete_detector)
@click.argument(
    "images",
    nargs=-1,
    required=True,
    type=PathParameter(readable=False, path_type=Path),
    metavar="IMAGE...",
)
@json_option
@click.pass_context
def test(ctx: click.Context, name: str, images: Sequence[Path], *, as_json: bool) -> None:
    """Print the score of the detector NAME for each IMAGE, of any size.

    \b
    Example:
      scanner detectors test mine photo.jpg drawing.png

    With --json, one object a line. Exit codes: 0 done, 3 an image could not be read.
    """
    from scanner.detectors.score import score_each
    from storage.paths import fields, shown

    failed = False
    for image, score, problem in score_each(name, images):
        failed = failed or score is None
        path = os.fsencode(image)
        if as_json:
            click.echo(json.dumps(fields(path) | {"score": score, "error": problem or None}))
        else:
            click.echo(f"{shown(path)}: {problem or f'score {score:.3f}'}")
    ctx.exit(INCOMPLETE if failed else DONE)
