"""The card of a detector: everything known of it, in a TOML file beside its model."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from storage import records
from storage.errors import ScannerError
from workers.detectors.toml_tables import TableError, build

# Kinds of numbers that models return, see `Output`.
KINDS = ("logits", "probabilities", "embedding")


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file, in hex digits; OSError where it cannot be read."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


class CardError(ScannerError):
    """The card or its model is missing, damaged, or the two do not belong together."""


@dataclass(frozen=True, slots=True)
class Model:
    """The file of a model, beside the card, and its runtime."""

    file: str
    sha256: str
    bytes: int
    parameters: int
    runtime: str

    @classmethod
    def of(cls, path: Path, parameters: int, runtime: str) -> Model:
        """Describe the model in a file."""
        body = path.read_bytes()
        digest = hashlib.sha256(body).hexdigest()
        return cls(path.name, digest, len(body), parameters, runtime)


@dataclass(frozen=True, slots=True)
class Input:
    """The input of a model, height x width x channels, and the sides of images that it accepts.

    `lowest` and `highest` are the bounds of a channel's values. Sides are in pixels of the image
    before it is resized or cropped. A model that does not take raw pixels gets
    (pixel / scale - mean) / std, with mean and std per channel in the order of `channels`.
    """

    width: int
    height: int
    channels: str
    lowest: int
    highest: int
    smallest_side: int
    largest_side: int
    scale: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """The output of a model; without it, a model returns one int8 logit.

    `kind` is one of KINDS, `count` the number of numbers for one square of pixels, `ai` the index
    of the AI-generated class. The embeddings of an image's views go through a linear `head`, a JSON
    file beside the model, see `workers.detectors.head`. `tensor` names the output to use of a model
    with several.
    """

    kind: str
    count: int
    ai: int
    tensor: str = ""
    head: str = ""
    head_sha256: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """The parts of an image that the model gets.

    `whole`: all of it, resized to the input. `centre`: its shorter side is scaled to `shorter`, and
    the middle cut out. `crops`: up to `crops` crops of the input's size at the image's own
    resolution. `faces`: the square around each face, `margin` times as wide as the face, resized to
    the input; the input's sides are then those of a face, and `finder` is the model beside the card
    that finds faces.

    A model that returns an embedding may see an image in further views beside its crops:
    `reduced_crops` crops at the scale where the image has a megapixel (an image without much more
    shows its crops again), and with `overview` all of the image, resized to the input. With
    `close_up`, a face is seen also in the square of the input's size in its middle, not resized.
    """

    kind: Literal["whole", "centre", "crops", "faces"] = "whole"
    shorter: int = 0
    crops: int = 1
    margin: float = 1.0
    finder: str = ""
    finder_sha256: str = ""
    reduced_crops: int = 0
    overview: bool = False
    close_up: bool = False

    @property
    def count(self) -> int:
        """Return the number of views, each of which has its part in an image's embedding."""
        return 1 + (self.reduced_crops > 0) + self.overview + self.close_up


@dataclass(frozen=True, slots=True)
class Thresholds(records.Thresholds):
    """The thresholds of a card, and their false-positive rate.

    `false_alarm_rate` is the share of `real_images` held-out real images that score `ai` or more;
    None if it was not measured.
    """

    false_alarm_rate: float | None = None
    real_images: int = 0


@dataclass(frozen=True, slots=True)
class Calibration:
    """P(AI) = 1 / (1 + exp(-(slope * logit + intercept))), fitted on `images` held-out images."""

    method: str
    slope: float
    intercept: float
    images: int


@dataclass(frozen=True, slots=True)
class DataSet:
    """Images used to make the detector, for what, and their licence."""

    name: str
    use: str
    real: int
    ai: int
    terms: str


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class as the positive one."""

    precision: float
    recall: float
    f1: float
    average_precision: float


@dataclass(frozen=True, slots=True)
class Confusion:
    """Images by label and call; AI is positive."""

    tp: int
    fp: int
    fn: int
    tn: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures on a test set that was used for nothing else; a score of 0.5 or more counts as AI.

    `accuracy_low` and `accuracy_high` are the bounds of Wilson's 95 % interval, `ece` is the
    expected calibration error over ten bins of P(AI); `recall_at_ai` and `false_alarms_at_ai`
    are the shares of AI and of real images that score at or above the threshold `ai`, those at
    `unsure` likewise. `without_view` is the number of images that a scan would not give to the
    detector (no face, wrong size); they are not counted.
    """

    on: str
    images: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    roc_auc: float
    ece: float
    recall_at_ai: float
    false_alarms_at_ai: float
    ai: ClassFigures
    real: ClassFigures
    confusion: Confusion
    recall_at_unsure: float | None = None
    false_alarms_at_unsure: float | None = None
    without_view: int = 0


@dataclass(frozen=True, slots=True)
class SourceFigures:
    """Images of one source, all AI or all real, and the share of them that is flagged.

    Flagged means `ai`, or `unsure` by a detector that never says `ai`. `low` and `high` are the
    bounds of Wilson's 95 % interval; `roc_auc` is against all images of the other class;
    `at_least_unsure` is the share that is `unsure` or `ai`, None on cards of earlier versions.
    """

    source: str
    kind: Literal["ai", "real"]
    images: int
    flagged: float
    low: float
    high: float
    roc_auc: float
    at_least_unsure: float | None = None


@dataclass(frozen=True, slots=True)
class HeldOutSource:
    """How many of one source's images are flagged by a model that was trained without that source.

    Unlike those of `SourceFigures` they are of the training set, from cross-validation.
    """

    kind: Literal["ai", "real"]
    images: int
    flagged: int


@dataclass(frozen=True, slots=True)
class ChangeFigures:
    """Figures on the same images after a change; `recall` and `false_alarms` count flagged ones."""

    change: str
    images: int
    roc_auc: float
    recall: float
    false_alarms: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """A kind of finding with a fixed score, of a detector without a model."""

    kind: str
    score: float
    meaning: str


@dataclass(frozen=True, slots=True)
class LikelihoodRatio:
    """A kind of finding without a score that moves the thresholds of models.

    `ai` and `real` are the shares of AI-generated and of real images that have it, means over
    owners; `likelihood_ratio` is the bound nearer to 1 of the interval of their ratio.
    """

    kind: str
    likelihood_ratio: float
    ai: float
    real: float
    meaning: str


@dataclass(frozen=True, slots=True)
class _Body:
    """The content of the file."""

    name: str
    version: str
    summary: str
    thresholds: Thresholds
    limits: tuple[str, ...]
    classes: tuple[str, ...] = ("real", "ai")
    reads: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    ratios: tuple[LikelihoodRatio, ...] = ()
    data: tuple[DataSet, ...] = ()
    model: Model | None = None
    input: Input | None = None
    view: View = View()
    calibration: Calibration | None = None
    measured: Measured | None = None
    sources: tuple[SourceFigures, ...] = ()
    held_out: tuple[HeldOutSource, ...] = ()
    changes: tuple[ChangeFigures, ...] = ()
    output: Output | None = None
    source: str = ""
    licence: str = ""
    published: str = ""


@dataclass(frozen=True, slots=True)
class Card(_Body):
    """A detector's card; `path` is its file. A detector without a model may have no input.

    `limits` are sentences on its weaknesses; `classes` are in the order of the model's labels, 0
    and 1. `source`, `licence` and `published` describe a model by others; `published` is the
    accuracy that they state.
    """

    path: Path = Path()

    @property
    def sha256(self) -> str:
        """Return the checksum of the model and of its head if it has one, or "" without a model."""
        if self.model is None:
            return ""
        if self.output is None or not self.output.head:
            return self.model.sha256
        both = self.model.sha256 + self.output.head_sha256
        return hashlib.sha256(both.encode()).hexdigest()

    @property
    def model_path(self) -> Path:
        """Return the path of the model's file; CardError without a model."""
        if self.model is None:
            raise CardError(f"{self.name} has no model")
        return self.path.with_name(self.model.file)

    def verify(self) -> None:
        """Raise CardError unless the model's file is the one that the card describes."""
        if self.model is None:
            return
        self._verify(self.model.file, self.model.sha256)
        if self.output is not None and self.output.head:
            self._verify(self.output.head, self.output.head_sha256)
        if self.view.finder:
            self._verify(self.view.finder, self.view.finder_sha256)

    def _verify(self, file: str, sha256: str) -> None:
        try:
            digest = sha256_of(self.path.with_name(file))
        except OSError as error:
            raise CardError(f"the model of {self.name} cannot be read: {error}") from error
        if digest != sha256:
            raise CardError(
                f"{file} is not the model that its card describes: its SHA-256 is "
                f"{digest[:12]}..., the card says {sha256[:12]}..."
            )


def load_card(path: Path) -> Card:
    """Read a card; CardError when it is missing, malformed, incomplete or inconsistent."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        body = build(_Body, table, path.stem)
    except OSError as error:
        raise CardError(f"the card {path} cannot be read: {error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TableError) as error:
        raise CardError(f"the card {path} is damaged: {error}") from error
    card = Card(**{name: getattr(body, name) for name in _Body.__slots__}, path=path)
    _check(card)
    return card


def _check(card: Card) -> None:
    if card.name != card.path.stem:
        raise CardError(
            f"the card {card.path} has the name {card.name!r}: expected {card.path.stem!r}"
        )
    thresholds = card.thresholds
    if not 0.0 <= thresholds.unsure <= thresholds.ai <= 1.0:
        raise CardError(f"invalid thresholds of {card.name}: expected 0 <= unsure <= ai <= 1")
    if any(ratio.likelihood_ratio <= 0 for ratio in card.ratios):
        raise CardError(f"invalid likelihood ratio of {card.name}: expected a number above 0")
    if card.model is None:
        return
    if card.input is None or card.calibration is None:
        raise CardError(f"the card of {card.name} has a model but no input or no calibration")
    if Path(card.model.file).name != card.model.file:
        raise CardError(f"the model of {card.name} has to be in the folder of its card")
    if card.output is not None:
        _check_output(card, card.input, card.output)


def _check_output(card: Card, model_input: Input, output: Output) -> None:
    if output.kind not in KINDS or output.ai not in (0, 1) or len(card.classes) != 2:  # noqa: PLR2004
        raise CardError(f"the card of {card.name} has an invalid output or number of classes")
    if output.kind != "embedding" and output.count not in (1, 2):
        raise CardError(
            f"the model of {card.name} returns {output.count} numbers: expected one or two"
        )
    if Path(output.head).name != output.head or bool(output.head) != (output.kind == "embedding"):
        raise CardError(
            f"the card of {card.name} needs a head if its output is an embedding, and only then"
        )
    if card.view.count > 1 and output.kind != "embedding":
        raise CardError(f"the card of {card.name} has several views, but its model no embedding")
    if model_input.channels not in ("RGB", "BGR"):
        raise CardError(
            f"invalid channels of {card.name} {model_input.channels!r}: expected RGB or BGR"
        )
    sizes = {len(model_input.mean), len(model_input.std)}
    if not sizes <= {0, 3} or min((model_input.scale, *model_input.std)) <= 0:
        raise CardError(f"invalid scale, mean or std of {card.name}")
