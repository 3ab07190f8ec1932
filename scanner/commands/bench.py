"""`scanner bench`: how fast this machine alone is."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scanner.options.output import json_option
from scanner.options.parameters import FiniteRange
from storage.errors import ScannerError
from storage.extras import with_extra

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workers.host.benchmark import Speed, Subject

# The pictures of the comparison that this project began with.
IMAGES = 10_905
MOST_PICTURES = 500
WITHOUT_EXTRA = (
    "Nets to measure are made by TensorFlow, which is not installed ({name}): make them on a "
    f"machine that has it and name them here, or {with_extra('train')}"
)


@click.command()
@click.argument(
    "models",
    nargs=-1,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="[MODEL.tflite]...",
)
@click.option(
    "--images",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Pictures to measure with.  [default: some that are drawn]",
)
@click.option(
    "--seconds",
    type=FiniteRange(0.1),
    default=5.0,
    show_default=True,
    help="How long to measure each net.",
)
@click.option(
    "--make",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="First write nets to measure there, ResNet50 among them (needs the extra `train`).",
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
    """Measure this machine alone: the same pictures at 32 x 32 and at 224 x 224.

    One process on one core decodes each picture, fits it to the size and runs the same net on it:
    quantised on LiteRT, and in floats on TensorFlow where that is installed. Needs no queue and no
    store. Put a Pi's figures and a laptop's side by side.

    \b
    Examples:
      scanner bench
      scanner bench --images ~/Pictures --json
      scanner bench --make nets
      scanner bench nets/*.tflite
    """
    pictures = _pictures(folder)
    rows: list[Speed] = []
    failed: list[str] = []
    for one in _measured([*_subjects(models, make)], pictures, seconds):
        if isinstance(one, str):
            failed.append(one)
            click.echo(one, err=True)
        else:
            rows.append(one)
    if not rows and not failed:
        raise ScannerError(f"{folder} has no picture that can be decoded")
    if as_json:
        from workers.host.health import hardware, health

        body = {"machine": {**hardware(), **health()}, "speeds": [_body(one) for one in rows]}
        click.echo(json.dumps(body))
    else:
        _print(rows)
    if failed:
        raise ScannerError("Not all of the nets could be measured, see above")


def _subjects(models: Sequence[Path], make: Path | None) -> Iterator[Subject]:
    from workers.host.benchmark import built_in_subjects, subject_of_file

    yield from built_in_subjects()
    try:
        from workers.training import environment

        environment.prepare()
        # TensorFlow reads what `prepare` sets when it is imported.
        from workers.training.networks import benchmark_models
    except ModuleNotFoundError as error:
        if make is not None:
            raise ScannerError(WITHOUT_EXTRA.format(name=error.name)) from error
    else:
        if make is not None:
            # Keras says much of what it converts, and this command's data go there.
            with redirect_stdout(io.StringIO()):
                made = benchmark_models.make(make)
            yield from map(subject_of_file, made)
        yield from benchmark_models.on_tensorflow()
    yield from map(subject_of_file, models)


def _measured(
    subjects: Sequence[Subject], pictures: Sequence[bytes], seconds: float
) -> Iterator[Speed | str]:
    """What was measured; a sentence for what cannot be."""
    from workers.host.benchmark import BenchmarkFailed, measure

    for subject in subjects:
        try:
            speed = measure(subject, pictures, seconds)
        except BenchmarkFailed as error:
            yield str(error)
        else:
            if speed is not None:
                yield speed


def _print(rows: Sequence[Speed]) -> None:
    from rich.console import Console
    from rich.text import Text

    from scanner.report.text import machine
    from scanner.report.text.grid import columns
    from workers.host.health import hardware, health

    console = Console(highlight=False)
    # Of this process, which only asks, the memory would say nothing.
    now = {name: value for name, value in health().items() if name != "process_mb"}
    for line in filter(None, (machine.hardware(hardware()), machine.health(now))):
        console.print(Text(line))
    console.print()
    table = columns("Net", "On", "Side", "Images/s", "Seconds", "File", "Memory", left=2)
    for one in rows:
        table.add_row(
            Text(one.net),
            one.runtime,
            str(one.side),
            f"{one.images_per_second:,.1f}",
            f"{_seconds(one):,.1f}",
            f"{one.size_mb:,.1f} MB",
            "-" if one.memory_mb is None else f"{one.memory_mb:,} MB",
        )
    console.print(table)
    console.print(Text(f"Seconds are those for {IMAGES:,} images; memory is a whole process's."))


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

    from scanner.listing.sample_images import draw
    from scanner.listing.walk import Walk, WalkOptions
    from workers.sources.local import LocalSource
    from workers.sources.source import FetchError

    if folder is None:
        with tempfile.TemporaryDirectory() as drawn:
            draw(Path(drawn))
            return _pictures(Path(drawn))
    found = []
    with LocalSource(folder) as root:
        for one in islice(Walk(folder, WalkOptions()), MOST_PICTURES):
            try:
                found.append(root.fetch(one.path).data)
            except FetchError:
                continue
    return found
