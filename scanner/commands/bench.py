"""`scanner bench`: the speed of this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scanner.options.output import json_option
from scanner.options.parameters import FiniteRange, PathParameter
from storage.errors import ScannerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.host.benchmark import Speed

# The images of the comparison that this project began with.
IMAGES = 10_905


@click.command()
@click.argument(
    "models",
    nargs=-1,
    type=PathParameter(exists=True, dir_okay=False, path_type=Path),
    metavar="[MODEL.tflite]...",
)
@click.option(
    "--images",
    "folder",
    type=PathParameter(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Images to measure with.  [default: generated samples]",
)
@click.option(
    "--seconds",
    type=FiniteRange(0.1),
    default=5.0,
    show_default=True,
    help="How long to measure each model.",
)
@click.option(
    "--make",
    type=PathParameter(file_okay=False, path_type=Path),
    metavar="DIR",
    help="First write models to measure there, ResNet50 among them (needs the extra `train`).",
)
@json_option
def command(
    *,
    models: tuple[Path, ...],
    folder: Path | None,
    seconds: float,
    make: Path | None,
    as_json: bool,
) -> None:
    """Measure the speed of this machine on the same images at 32 x 32 and at 224 x 224.

    One process on one core decodes each image, resizes it and runs the same model on it: quantised
    on LiteRT, and in floats on TensorFlow if that is installed. Needs no queue and no store.
    Compare the figures of a Pi and a laptop.

    \b
    Examples:
      scanner bench
      scanner bench --images ~/Pictures --json
      scanner bench --make models
      scanner bench models/*.tflite
    """
    from scanner.detectors.benchmark import benchmark_images, benchmark_subjects
    from workers.host.benchmark import BenchmarkFailed, measure
    from workers.host.health import hardware, health

    images = benchmark_images(folder)
    speeds: list[Speed] = []
    failures = 0
    for subject in [*benchmark_subjects(models, make)]:
        try:
            speed = measure(subject, images, seconds)
        except BenchmarkFailed as error:
            failures += 1
            click.echo(str(error), err=True)
        else:
            speeds += [] if speed is None else [speed]
    if not speeds and not failures:
        raise ScannerError(f"{folder} has no image that can be decoded")
    if as_json:
        body = {"machine": {**hardware(), **health()}, "speeds": [_body(each) for each in speeds]}
        click.echo(json.dumps(body))
    else:
        _print(speeds)
    if failures:
        raise ScannerError("some models could not be measured, see above")


def _print(speeds: Sequence[Speed]) -> None:
    from rich.text import Text

    from scanner.report.text import host_details
    from scanner.report.text.console import ReportConsole
    from scanner.report.text.tables import columns
    from workers.host.health import hardware, health

    console = ReportConsole(highlight=False)
    # Without the memory of this process, which measures nothing itself.
    state = {name: value for name, value in health().items() if name != "process_mb"}
    for line in filter(None, (host_details.hardware(hardware()), host_details.health(state))):
        console.print(Text(line))
    console.print()
    table = columns("Model", "Runtime", "Side", "Images/s", "Seconds", "File", "Memory", left=2)
    for speed in speeds:
        table.add_row(
            Text(speed.model),
            speed.runtime,
            str(speed.side),
            f"{speed.images_per_second:,.1f}",
            f"{_seconds(speed):,.1f}",
            f"{speed.size_mb:,.1f} MB",
            "-" if speed.memory_mb is None else f"{speed.memory_mb:,} MB",
        )
    console.print(table)
    console.print(Text(f"Seconds are for {IMAGES:,} images; memory is that of the process."))


def _body(speed: Speed) -> dict[str, Any]:
    body = {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in asdict(speed).items()
    }
    # `net` is the name of 0.1.
    return {**body, "net": speed.model, f"seconds_for_{IMAGES}": round(_seconds(speed), 3)}


def _seconds(speed: Speed) -> float:
    return IMAGES / speed.images_per_second
