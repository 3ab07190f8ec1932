"""`scanner detectors add`, `remove` and `test`: the user's own models."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scanner.exits import DONE, INCOMPLETE, Failed
from scanner.options.common import FiniteRange, json_option, sound_models
from scanner.report.text.card import made_for, scaling
from storage.extras import with_extra

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from workers.detectors.adding import Asked
    from workers.detectors.card import Card
    from workers.detectors.detector import Detector
    from workers.pipeline.inputs import InputSelector

WITHOUT_EXTRA = (
    "Converting this model needs packages that are not installed ({name}): " + with_extra("train")
)
READY = (".tflite", ".onnx")
CONVERTED = (".keras", ".h5")


@click.command()
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--name", required=True, help="What to call the detector.")
@click.option(
    "--classes",
    required=True,
    metavar="A,B",
    help="What the model's outputs 0 and 1 are, in that order, as in FAKE,REAL; of a model with "
    "one output, what its values 0 and 1 stand for.",
)
@click.option(
    "--input",
    "size",
    metavar="N|WxH",
    help="The picture's size that the model takes.  [default: the model's own]",
)
@click.option(
    "--scale",
    type=FiniteRange(0, min_open=True),
    help="What pixels of 0 to 255 are divided by: 255 for a model that takes 0 to 1, 1 for one "
    "that takes them as they are.  [asked for, unless the model takes bytes]",
)
@click.option("--mean", metavar="R,G,B", help="What is then taken away, one number or three.")
@click.option("--std", metavar="R,G,B", help="What that is divided by, one number or three.")
@click.option(
    "--channels",
    type=click.Choice(["RGB", "BGR"]),
    default="RGB",
    show_default=True,
    help="The order of colours.",
)
@click.option(
    "--output",
    type=click.Choice(["logits", "probabilities"]),
    help="What the model's numbers are.  [default: as the model shows, else asked for]",
)
@click.option(
    "--sides",
    metavar="MIN-MAX",
    help="Pixels of the images' sides it is for.  [default: from half its input to twice]",
)
@click.option(
    "--shorter-side",
    "shorter",
    type=click.IntRange(1, 4096),
    help="Scale a picture's shorter side to this and show the model the middle.  [default: show "
    "it the whole picture, resized]",
)
@click.option(
    "--ai-threshold",
    type=FiniteRange(0, 1),
    help="Call AI-made what scores this and more.  [default: nothing, since nobody measured it]",
)
def add(file: Path, **options: Any) -> None:  # noqa: ANN401 - click passes one an option
    """Add a model of your own: .tflite, .onnx, .keras, .h5 or a SavedModel folder.

    \b
    Examples:
      scanner detectors add net.tflite --name mine --input 32 --scale 255 --classes FAKE,REAL
      scanner detectors add old.h5 --name old --scale 127.5 --mean 1 --classes REAL,FAKE

    Keras models and SavedModels are converted to .tflite (needs the `train` extra) and compared
    with the original. The detector is used where --detectors names it.
    """
    from workers.detectors import installed as catalogue
    from workers.detectors.adding import AddError, index_of_ai, require_new

    asked = _asked(file, options)
    try:
        with sound_models():
            require_new(asked.name, list(catalogue.installed()))
        index_of_ai(asked.classes)
        card = _added(file, asked)
    except AddError as error:
        raise Failed(str(error)) from error
    click.echo(added_words(card))


def added_words(card: Card) -> str:
    """What the user should know of a detector that was just added."""
    given, output = card.input, card.output
    if given is None or output is None:
        return f"added {card.name}"
    numbers = "one number" if output.count == 1 else f"{output.count} numbers"
    return "\n".join(
        [
            f"added {card.name}, version {card.version}, in {card.path.parent}",
            f"  takes {given.width}x{given.height} {given.channels} pixels{scaling(given)}",
            f"  gives {numbers} ({output.kind}); classes 0 and 1 are {', '.join(card.classes)}",
            f"  for {made_for(card, given)}",
            f"  {card.limits[0]}",
            f"use it: scanner scan FOLDER --detectors provenance,{card.name}",
        ]
    )


def _asked(file: Path, options: dict[str, Any]) -> Asked:
    from storage.paths import shown
    from workers.detectors.adding import Asked

    return Asked(
        name=options["name"],
        classes=tuple(one.strip() for one in options["classes"].split(",")),
        size=_size(options["size"]),
        scale=options["scale"],
        mean=_numbers(options["mean"], "--mean"),
        std=_numbers(options["std"], "--std"),
        channels=options["channels"],
        output=options["output"],
        sides=_sides(options["sides"]),
        shorter=options["shorter"],
        ai_threshold=options["ai_threshold"],
        source=shown(os.fsencode(file.name)),
    )


def _size(text: str | None) -> tuple[int, int] | None:
    """(height, width) of `N` or `WxH`."""
    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    try:
        sides = (int(height or width), int(width))
    except ValueError:
        sides = (0, 0)
    if min(sides) < 1:
        raise click.BadParameter(f"{text!r} is neither N nor WxH", param_hint="--input")
    return sides


def _sides(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    least, _, most = text.partition("-")
    try:
        sides = (int(least), int(most))
    except ValueError:
        sides = (0, 0)
    if not 1 <= sides[0] <= sides[1]:
        raise click.BadParameter(f"{text!r} is not MIN-MAX in pixels", param_hint="--sides")
    return sides


def _numbers(text: str | None, option: str) -> tuple[float, ...]:
    if text is None:
        return ()
    try:
        values = tuple(float(one) for one in text.split(","))
    except ValueError:
        values = ()
    usable = all(abs(one) < float("inf") and (one > 0 or option != "--std") for one in values)
    if len(values) not in (1, 3) or not usable:
        raise click.BadParameter(f"{text!r} is neither one number nor three", param_hint=option)
    return values


def _added(file: Path, asked: Asked) -> Card:
    from workers.detectors import adding

    if file.is_dir() or file.suffix in CONVERTED:
        with _converted(file, asked) as (model, described):
            return adding.add(model, described)
    if file.suffix not in READY:
        raise Failed(
            f"{asked.source} is neither .tflite, .onnx, .keras, .h5 nor a SavedModel folder"
        )
    return adding.add(file, asked)


@contextmanager
def _converted(file: Path, asked: Asked) -> Iterator[tuple[Path, Asked]]:
    """The model as .tflite, the same as the original on samples."""
    try:
        from workers.training import environment

        environment.prepare()
        from workers.training.export import keras_converter
    except ModuleNotFoundError as error:
        raise Failed(WITHOUT_EXTRA.format(name=error.name)) from error
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, f"{asked.name}.tflite")
        try:
            made_by = keras_converter.bring(file, asked, model)
        except ModuleNotFoundError as error:
            raise Failed(WITHOUT_EXTRA.format(name=error.name)) from error
        except keras_converter.BringError as error:
            raise Failed(str(error)) from error
        yield model, replace(asked, source=f"{asked.source}, saved by {made_by}, converted")


@click.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove the detector NAME that was added; those that ship stay.

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
@click.argument("name")
@click.argument(
    "images",
    nargs=-1,
    required=True,
    type=click.Path(readable=False, path_type=Path),
    metavar="IMAGE...",
)
@json_option
@click.pass_context
def test(ctx: click.Context, name: str, images: Sequence[Path], *, as_json: bool) -> None:
    """Print what the detector NAME scores each IMAGE, of whatever size.

    \b
    Example:
      scanner detectors test mine photo.jpg drawing.png

    With --json, one object a line. Exit codes: 0, or 3 if an image could not be read.
    """
    from storage.paths import fields, shown

    failed = False
    for image, score, trouble in _scores(name, images):
        failed = failed or trouble is not None
        path = os.fsencode(image)
        if as_json:
            click.echo(json.dumps(fields(path) | {"score": score, "error": trouble}))
        else:
            click.echo(f"{shown(path)}: {trouble or f'score {score:.3f}'}")
    ctx.exit(INCOMPLETE if failed else DONE)


def _scores(name: str, images: Sequence[Path]) -> Iterator[tuple[Path, float | None, str | None]]:
    """(image, score, what is wrong with it) for each."""
    from workers.detectors import installed as catalogue
    from workers.detectors.loading import load
    from workers.errors import ImageProblem
    from workers.limits import Limits
    from workers.pipeline.inputs import selector_for
    from workers.sources.files import FileSource

    with sound_models():
        installed = catalogue.installed()
    cards = {each: card for each, card in installed.items() if card.input is not None}
    if name not in cards:
        raise click.BadParameter(
            f"there is no detector {name!r} that looks at pixels, only {', '.join(cards)}",
            param_hint="NAME",
        )
    with sound_models():
        detector = load(cards[name])
    selector = selector_for(cards[name], any_size=True)
    source = FileSource(Limits().max_bytes)
    for image in images:
        try:
            data = source.fetch(os.fsencode(image.absolute())).data
            yield image, _score(detector, selector, data), None
        except (ImageProblem, ValueError) as error:
            yield image, None, str(error)


def _score(detector: Detector, selector: InputSelector, data: bytes) -> float:
    """Return the score that a scan would give; ValueError if it would not use the detector."""
    from workers.images.decode import decode
    from workers.limits import Limits

    decoded = decode(data, max_pixels=Limits().max_pixels, native=selector.native)
    name = detector.card.name
    score = selector.select(decoded).highest_score(name, detector)
    if score is None:
        raise ValueError(f"not examined: {name} is not for images like this (see its card)")
    return score
