"""Take a model of somebody else's into the user's detectors: ask, examine, try, write its card."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from storage.errors import ScannerError
from storage.records import AI_NAMES, NEVER, REAL_NAMES
from workers.detectors import custom
from workers.detectors.card import (
    KINDS,
    Calibration,
    Card,
    CardError,
    Input,
    Model,
    Output,
    Thresholds,
    View,
    load_card,
)
from workers.detectors.card_writer import to_toml
from workers.detectors.custom_model import prepared
from workers.detectors.loading import load
from workers.detectors.runtimes import ModelError
from workers.detectors.sessions import CHANNELS, Session, open_session
from workers.detectors.trial_run import Examined, examine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# An uncalibrated net's word, where the evidence is even by its own account.
UNSURE = 0.5
UNCALIBRATED = Calibration("none", 1.0, 0.0, 0)
# How far two outputs that are probabilities may be from a sum of 1.
SLACK = 0.01
# Where a size is named, images from half of it to twice it, as for the nets that ship.
STRETCH = 2
FORMS = {".tflite": "LiteRT", ".onnx": "ONNX Runtime"}


class AddError(ScannerError):
    """The model cannot be added; the message is one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user, or the catalogue, says of a model; None or () where it was not said."""

    name: str
    classes: tuple[str, ...]
    size: tuple[int, int] | None = None
    scale: float | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channels: str = "RGB"
    output: str | None = None
    sides: tuple[int, int] | None = None
    shorter: int | None = None
    ai_threshold: float | None = None
    tensor: str = ""
    head: Path | None = None
    calibration: Calibration | None = None
    summary: str = ""
    version: str = ""
    source: str = ""
    licence: str = ""
    published: str = ""
    limits: tuple[str, ...] = (
        "Pictures of another size are resized to its input, whatever its makers did.",
    )


def require_new(name: str, known: Sequence[str]) -> None:
    """Raise AddError for a name that cannot be had."""
    if not custom.NAME.fullmatch(name):
        raise AddError(
            f"{name!r} is no name for a detector: small letters, digits, dots, dashes and "
            "underscores, please (--name)"
        )
    if name in known or custom.card_file(name).parent.exists():
        raise AddError(
            f"there is a detector {name} already: choose another --name, or "
            f"`scanner detectors remove {name}` first"
        )


def index_of_ai(classes: Sequence[str]) -> int:
    """Which of two classes is the AI-made one; AddError where the names do not say."""
    kinds = [
        "ai" if one.lower() in AI_NAMES else "real" if one.lower() in REAL_NAMES else ""
        for one in classes
    ]
    if sorted(kinds) != ["ai", "real"]:
        raise AddError(
            "say with --classes what the model's classes 0 and 1 are, in that order: one of FAKE, "
            "AI or GENERATED, the other REAL or PHOTO"
        )
    return kinds.index("ai")


def add(model: Path, asked: Asked) -> Card:
    """Add a .tflite or .onnx model under the asked name; AddError, and nothing left, if not.

    The model is examined in a process of its own, then run on pictures made for the purpose; what
    the user did not say is read from the model or asked for, never guessed.
    """
    ai = index_of_ai(asked.classes)
    if model.suffix not in FORMS:
        raise AddError(f"{model.name} is neither .tflite nor .onnx")
    try:
        found = examine(model, asked.size, asked.tensor)
        given = input_of(asked, found)
        samples = pictures(found.height, found.width)
        session = open_session(model, (found.height, found.width), asked.tensor)
        numbers = run(session, [prepared(one, given) for one in samples], model.name)
    except ModelError as error:
        raise AddError(str(error)) from error
    count = found.count
    output = Output(kind(asked, found, numbers, model.name), count, ai, asked.tensor)
    return _written(model, asked, given, output, samples)


def run(session: Session, values: Sequence[NDArray[np.float32]], name: str) -> NDArray[np.float64]:
    """Give the numbers for some pictures, (n, count); AddError where they are none."""
    numbers = np.array([session.run(one) for one in values])
    if not np.isfinite(numbers).all():
        raise AddError(f"{name} gives NaN or infinity for ordinary pictures: is --scale right?")
    return numbers


def pictures(height: int, width: int) -> list[NDArray[np.uint8]]:
    """Sixteen pictures to try a model on, ever more patterned and noisy; the same each time."""
    draw = np.random.default_rng(1)
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    made = []
    for number in range(16):
        low, high = draw.uniform(0, 255, (2, CHANNELS))
        wave = 0.5 + 0.5 * np.sin((down + across * draw.uniform(0, 2)) * number * 3)
        noise = draw.normal(0, number * 4, (height, width, CHANNELS))
        made.append(low + (high - low) * wave[..., None] + noise)
    return [np.clip(one, 0, 255).astype(np.uint8) for one in made]


def kind(asked: Asked, found: Examined, numbers: NDArray[np.float64], name: str) -> str:
    """What the model's numbers are: as asked, else as the model itself shows; else AddError."""
    if asked.head is not None:
        return "embedding"
    if found.count not in (1, 2):
        raise AddError(f"{name} gives {found.count} numbers, where one or two are wanted")
    inside = bool(np.all((numbers >= -SLACK) & (numbers <= 1 + SLACK)))
    whole = found.count == 1 or bool(np.all(abs(numbers.sum(axis=1) - 1) <= SLACK))
    if asked.output == "probabilities" and not (inside and whole):
        raise AddError(f"{name} gives no probabilities: use --output logits")
    if asked.output in KINDS:
        return asked.output
    if not inside:
        return "logits"
    if found.last in ("LOGISTIC", "SOFTMAX") or (found.count > 1 and whole):
        return "probabilities"
    raise AddError(
        f"{name} does not say what its numbers are: --output logits, or --output probabilities"
    )


def input_of(asked: Asked, found: Examined) -> Input:
    """What the model is given; AddError where nobody says how pixels are scaled."""
    if asked.scale is None and not found.raw:
        raise AddError(
            "say with --scale what the pixels 0 to 255 are divided by: 255 where the model was "
            "trained on 0 to 1, 127.5 with --mean 1 for -1 to 1, 1 for pixels as they are"
        )
    least, most = min(found.height, found.width), max(found.height, found.width)
    if asked.shorter is not None and asked.shorter < most:
        raise AddError(
            f"of a picture whose shorter side is {asked.shorter} no {found.width}x{found.height} "
            "pixels can be cut (--shorter-side)"
        )
    smallest, largest = asked.sides or (max(1, least // STRETCH), most * STRETCH)
    return Input(
        width=found.width,
        height=found.height,
        channels=asked.channels,
        lowest=0,
        highest=255,
        smallest_side=smallest,
        largest_side=largest,
        scale=1.0 if asked.scale is None else asked.scale,
        mean=_three(asked.mean),
        std=_three(asked.std),
    )


def _three(values: tuple[float, ...]) -> tuple[float, ...]:
    return values * CHANNELS if len(values) == 1 else values


def _written(
    model: Path, asked: Asked, given: Input, output: Output, samples: list[NDArray[np.uint8]]
) -> Card:
    """Write model and card, load them as a worker would, and put them in their place."""
    custom.folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=custom.folder(), prefix=".adding-") as place:
        there = Path(place, asked.name)
        there.mkdir()
        file = there / f"{asked.name}{model.suffix}"
        shutil.copyfile(model, file)
        if asked.head is not None:
            head = there / f"{asked.name}.head.json"
            shutil.copyfile(asked.head, head)
            output = replace(output, head=head.name, head_sha256=_sha256(head))
        card = _card(file, asked, given, output)
        card.path.write_text(to_toml(card), encoding="utf-8")
        try:
            load(load_card(card.path)).score(samples)
        except (CardError, ValueError) as error:
            raise AddError(str(error)) from error
        there.rename(custom.folder() / asked.name)
    return load_card(custom.card_file(asked.name))


def _card(file: Path, asked: Asked, given: Input, output: Output) -> Card:
    experimental = "experimental: not measured here, its scores are its makers' own claim"
    says_ai = (
        "It calls nothing AI-made, `unsure` at most: nobody has measured here how often it is "
        "wrong."
        if asked.ai_threshold is None
        else f"It calls AI-made what it scores {asked.ai_threshold:g} and more, as its user chose."
    )
    ai = NEVER if asked.ai_threshold is None else asked.ai_threshold
    card = Card(
        name=asked.name,
        version="",
        summary=f"{asked.summary or 'Added by its user'} ({experimental}).",
        thresholds=Thresholds(min(UNSURE, ai), ai),
        limits=(says_ai, *asked.limits),
        classes=asked.classes,
        model=Model.of(file, 0, FORMS[file.suffix]),
        input=given,
        output=output,
        view=View() if asked.shorter is None else View("centre", asked.shorter),
        calibration=asked.calibration or UNCALIBRATED,
        source=asked.source,
        licence=asked.licence,
        published=asked.published,
        path=file.with_suffix(".toml"),
    )
    return replace(card, version=f"{custom.VERSION}{asked.version}{_reading(card)}")


def _reading(card: Card) -> str:
    """Eight digits that differ where the same model is read otherwise: plans tell them apart."""
    parts = (card.input, card.output, card.view, card.calibration)
    read = [asdict(one) for one in parts if one is not None]
    return hashlib.sha256(repr(read).encode()).hexdigest()[:8]


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
