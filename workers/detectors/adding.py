"""Adding a model as a custom detector: examine it, try it, write its card."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from storage.errors import ScannerError
from storage.private import make_private_folder
from storage.records import AI_NAMES, NEVER, REAL_NAMES, SCORE_THRESHOLD
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
    sha256_of,
)
from workers.detectors.card_writer import write_card
from workers.detectors.custom_model import prepared
from workers.detectors.loading import load
from workers.detectors.runtimes import ModelError
from workers.detectors.sessions import CHANNELS, Session, open_session
from workers.detectors.trial_run import Examined, examine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

UNCALIBRATED = Calibration("none", 1.0, 0.0, 0)
# How far the sum of two probabilities may be from 1.
SLACK = 0.01
# The default range of image sides: from half of the input's side to twice it.
STRETCH = 2
RUNTIMES = {".tflite": "LiteRT", ".onnx": "ONNX Runtime"}


class AddError(ScannerError):
    """The model cannot be added; the message is one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """A model as the user or the catalogue describes it; None or () where that is not known."""

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
        "Images of another size are resized to its input, whatever its authors did.",
    )


def require_new(name: str, known: Sequence[str]) -> None:
    """Raise AddError for a name that is malformed or taken."""
    if not custom.NAME.fullmatch(name):
        raise AddError(
            f"invalid name {name!r}: expected small letters, digits, dots, dashes and underscores "
            "(--name)"
        )
    if name in known or custom.card_file(name).parent.exists():
        raise AddError(
            f"detector {name} exists already: choose another --name, or run "
            f"`scanner detectors remove {name}` first"
        )


def index_of_ai(classes: Sequence[str]) -> int:
    """Return the index of the AI-generated one of two classes; AddError for unknown names."""
    kinds = [
        "ai" if name.lower() in AI_NAMES else "real" if name.lower() in REAL_NAMES else ""
        for name in classes
    ]
    if sorted(kinds) != ["ai", "real"]:
        raise AddError(
            "say with --classes what the classes 0 and 1 are, in this order: one FAKE, AI or "
            "GENERATED, the other REAL or PHOTO"
        )
    return kinds.index("ai")


def add(model: Path, description: ModelDescription) -> Card:
    """Add a .tflite or .onnx model as a detector; AddError, and no file left, if that fails.

    The model is examined in a limited child process, then run on synthetic images. What the
    description leaves open is read from the model or demanded by AddError, never guessed.
    """
    ai = index_of_ai(description.classes)
    if model.suffix not in RUNTIMES:
        raise AddError(f"{model.name} not supported: expected .tflite or .onnx")
    try:
        examined = examine(model, description.size, description.tensor)
        model_input = input_of(description, examined)
        images = synthetic_images(examined.height, examined.width)
        session = open_session(model, (examined.height, examined.width), description.tensor)
        numbers = run(session, [prepared(image, model_input) for image in images], model.name)
    except ModelError as error:
        raise AddError(str(error)) from error
    kind = output_kind(description, examined, numbers, model.name)
    output = Output(kind, examined.count, ai, description.tensor)
    return _write(model, description, model_input, output, images)


def run(session: Session, values: Sequence[NDArray[np.float32]], name: str) -> NDArray[np.float64]:
    """Return the numbers for some images, (n, count); AddError for NaN and infinity."""
    numbers = np.array([session.run(array) for array in values])
    if not np.isfinite(numbers).all():
        raise AddError(f"{name} gives NaN or infinity for ordinary images: is --scale right?")
    return numbers


def synthetic_images(height: int, width: int) -> list[NDArray[np.uint8]]:
    """Return 16 images to try a model on, with more and more pattern and noise; always the same."""
    random = np.random.default_rng(1)
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    images = []
    for number in range(16):
        low, high = random.uniform(0, 255, (2, CHANNELS))
        wave = 0.5 + 0.5 * np.sin((down + across * random.uniform(0, 2)) * number * 3)
        noise = random.normal(0, number * 4, (height, width, CHANNELS))
        images.append(low + (high - low) * wave[..., None] + noise)
    return [np.clip(image, 0, 255).astype(np.uint8) for image in images]


def output_kind(
    description: ModelDescription, examined: Examined, numbers: NDArray[np.float64], name: str
) -> str:
    """Return the kind of the numbers, as described or as the model shows; AddError if unknown."""
    if description.head is not None:
        return "embedding"
    if examined.count not in (1, 2):
        raise AddError(f"{name} returns {examined.count} numbers: expected one or two")
    inside = bool(np.all((numbers >= -SLACK) & (numbers <= 1 + SLACK)))
    sums_to_one = examined.count == 1 or bool(np.all(abs(numbers.sum(axis=1) - 1) <= SLACK))
    if description.output == "probabilities" and not (inside and sums_to_one):
        raise AddError(f"{name} does not return probabilities: use --output logits")
    if description.output in KINDS:
        return description.output
    if not inside:
        return "logits"
    if examined.last in ("LOGISTIC", "SOFTMAX") or (examined.count > 1 and sums_to_one):
        return "probabilities"
    raise AddError(
        f"cannot tell what {name} returns: use --output logits, or --output probabilities"
    )


def input_of(description: ModelDescription, examined: Examined) -> Input:
    """Return the model's input; AddError where the scaling of pixels is unknown."""
    if description.scale is None and not examined.raw:
        raise AddError(
            "say with --scale what the pixels 0 to 255 are divided by: 255 where the model was "
            "trained on 0 to 1, 127.5 with --mean 1 for -1 to 1, 1 for pixels as they are"
        )
    least, most = sorted((examined.height, examined.width))
    if description.shorter is not None and description.shorter < most:
        raise AddError(
            f"--shorter-side {description.shorter} is too small for an input of "
            f"{examined.width}x{examined.height} pixels"
        )
    smallest, largest = description.sides or (max(1, least // STRETCH), most * STRETCH)
    return Input(
        width=examined.width,
        height=examined.height,
        channels=description.channels,
        lowest=0,
        highest=255,
        smallest_side=smallest,
        largest_side=largest,
        scale=1.0 if description.scale is None else description.scale,
        mean=_three(description.mean),
        std=_three(description.std),
    )


def _three(values: tuple[float, ...]) -> tuple[float, ...]:
    return values * CHANNELS if len(values) == 1 else values


def _write(
    model: Path,
    description: ModelDescription,
    model_input: Input,
    output: Output,
    images: list[NDArray[np.uint8]],
) -> Card:
    """Write model and card, load them as a worker would, and move them into place."""
    make_private_folder(custom.folder())
    with tempfile.TemporaryDirectory(dir=custom.folder(), prefix=".adding-") as partial:
        folder = Path(partial, description.name)
        folder.mkdir()
        file = folder / f"{description.name}{model.suffix}"
        shutil.copyfile(model, file)
        if description.head is not None:
            head = folder / f"{description.name}.head.json"
            shutil.copyfile(description.head, head)
            output = replace(output, head=head.name, head_sha256=sha256_of(head))
        card = _card(file, description, model_input, output)
        write_card(card)
        try:
            load(load_card(card.path)).score(images)
        except (CardError, ValueError) as error:
            raise AddError(str(error)) from error
        folder.rename(custom.folder() / description.name)
    return load_card(custom.card_file(description.name))


def _card(file: Path, description: ModelDescription, model_input: Input, output: Output) -> Card:
    ai = description.ai_threshold
    experimental = "experimental: not measured here, its scores are its authors' own claim"
    verdict = (
        "It calls nothing AI-generated, `unsure` at most: its error rates were not measured here."
        if ai is None
        else f"It calls AI-generated what scores {ai:g} and more, as its user chose."
    )
    threshold = NEVER if ai is None else ai
    card = Card(
        name=description.name,
        version="",
        summary=f"{description.summary or 'Added by its user'} ({experimental}).",
        thresholds=Thresholds(min(SCORE_THRESHOLD, threshold), threshold),
        limits=(verdict, *description.limits),
        classes=description.classes,
        model=Model.of(file, 0, RUNTIMES[file.suffix]),
        input=model_input,
        output=output,
        view=View() if description.shorter is None else View("centre", description.shorter),
        calibration=description.calibration or UNCALIBRATED,
        source=description.source,
        licence=description.licence,
        published=description.published,
        path=file.with_suffix(".toml"),
    )
    return replace(card, version=f"{custom.VERSION}{description.version}{_fingerprint(card)}")


def _fingerprint(card: Card) -> str:
    """Return eight hex digits of how the model is used, by which plans tell its cards apart."""
    parts = (card.input, card.output, card.view, card.calibration)
    tables = [asdict(part) for part in parts if part is not None]
    return hashlib.sha256(repr(tables).encode()).hexdigest()[:8]
