"""Fitting the built-in detectors to the answers of the people who reviewed a scan."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from storage.errors import ScannerError
from storage.private import make_private_folder
from storage.reads.answers import agreed_answers
from workers.detectors import custom, installed, refit
from workers.detectors.card import DataSet, Thresholds, load_card, sha256_of
from workers.detectors.card_writer import write_card
from workers.detectors.detector import EmbeddingDetector
from workers.detectors.loading import load
from workers.errors import ImageProblem
from workers.images.decoding_process import DecodingProcess
from workers.limits import Limits
from workers.pipeline.inputs import InputSelector, face_finder
from workers.sources.location import mapped_location
from workers.sources.registry import open_source
from workers.sources.source import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from storage.database.store import Store
    from storage.reads.answers import AnsweredImage
    from storage.writes.scans import Scan
    from workers.detectors.card import Card
    from workers.detectors.head import Head
    from workers.images.decode import Decoded
    from workers.sources.location import SourceLocation

# Answers of each kind that a detector needs, and groups from which folders are kept apart.
MIN_ANSWERS, MIN_FOLDERS = 20, 10
# Resamples of groups, and the share of them in which the answers have to be judged better.
RESAMPLES, CONFIDENCE, SEED = 2_000, 0.95, 20_262
PROGRESS_EVERY = 100
SUFFIX = "-learned"


@dataclass(frozen=True, slots=True)
class Found:
    """Answered images that a detector flags: AI-generated ones, and others."""

    ai: int
    others: int


@dataclass(frozen=True, slots=True)
class Learned:
    """The result for one detector, by answers that were held out.

    `before` and `after` are what the detector flags, `gain` is the lower bound of how much the mean
    log loss falls, in nats. `name` is the new detector's, None where nothing was gained or there
    were too few answers; then `before` and `after` are None.
    """

    detector: str
    ai: int
    others: int
    before: Found | None = None
    after: Found | None = None
    gain: float | None = None
    name: str | None = None


def learn(
    store: Store, scan: Scan, roots: Mapping[str, SourceLocation], say: Callable[[str], object]
) -> list[Learned]:
    """Fit each detector that can be fitted; write a custom detector where that gains something.

    Raises ScannerError where nobody has answered, or the images cannot be reached.
    """
    answered = agreed_answers(store, scan.scan_id)
    if not answered:
        raise ScannerError(
            f"nobody has answered for an image of scan {scan.scan_id}: `scanner serve` has a page "
            "for that"
        )
    detectors = _fittable()
    answers = _embeddings(_files(scan, answered, roots, say), detectors)
    return [_learned(detectors[name], answers.get(name, [])) for name in sorted(detectors)]


def _fittable() -> dict[str, EmbeddingDetector]:
    """Load the built-in detectors whose heads can be fitted again."""
    loaded = {
        name: load(card)
        for name, card in installed.built_in().items()
        if card.output is not None and card.output.head
    }
    return {
        name: detector
        for name, detector in loaded.items()
        if isinstance(detector, EmbeddingDetector) and detector.head.precision is not None
    }


def _files(
    scan: Scan,
    answered: Sequence[AnsweredImage],
    roots: Mapping[str, SourceLocation],
    say: Callable[[str], object],
) -> Iterator[tuple[AnsweredImage, Decoded]]:
    """Yield the answered images that are as they were when they were judged."""
    root = mapped_location(roots, scan.collection, scan.root)
    limits, left_out = Limits(), 0
    try:
        source_of_all = closing(open_source(root, limits.max_bytes))
        with source_of_all as source, DecodingProcess(limits) as decoder:
            for number, image in enumerate(answered, start=1):
                try:
                    fetched = source.fetch(image.path)
                    if fetched.digest == image.digest:
                        yield image, decoder.decode(fetched.data)
                    else:
                        left_out += 1
                except ImageProblem:
                    left_out += 1
                if number % PROGRESS_EVERY == 0:
                    say(f"{number:,} of {len(answered):,} answered images read")
    except SourceUnavailable as error:
        raise ScannerError(f"{error}: --root {scan.collection}=FOLDER says where it is") from error
    if left_out:
        say(f"{left_out:,} left out: they changed since, or cannot be read")


@dataclass(frozen=True, slots=True)
class _Example:
    embedding: NDArray[np.float64]
    is_ai: bool
    path: bytes


def _embeddings(
    files: Iterator[tuple[AnsweredImage, Decoded]], detectors: Mapping[str, EmbeddingDetector]
) -> dict[str, list[_Example]]:
    """Return what each detector sees of the images: of several faces, the one that decides."""
    cards = installed.built_in()
    selector = InputSelector(cards, {}, face_finder(cards.values()))
    examples: dict[str, list[_Example]] = {}
    for image, decoded in files:
        inputs = selector.select(decoded)
        # Degraded images, and those outside the detectors' domain, teach nothing.
        if inputs.findings:
            continue
        for name, detector in detectors.items():
            embeddings = [detector.embedding(each.views) for each in inputs.of(name)]
            if embeddings:
                deciding = max(embeddings, key=detector.head.logit)
                example = _Example(deciding, image.is_ai, image.path)
                examples.setdefault(name, []).append(example)
    return examples


def _learned(detector: EmbeddingDetector, examples: Sequence[_Example]) -> Learned:
    card = detector.card
    ai = sum(example.is_ai for example in examples)
    result = Learned(card.name, ai, len(examples) - ai)
    if min(result.ai, result.others) < MIN_ANSWERS or card.calibration is None:
        return result
    answers = refit.Answers(
        np.stack([example.embedding for example in examples]),
        np.array([example.is_ai for example in examples], np.uint8),
        _groups([example.path for example in examples]),
    )
    prior = refit.Prior(detector.head, card.calibration)
    judged = refit.cross_validate(prior, answers)
    thresholds = _thresholds(card.thresholds, judged, answers.labels)
    result = replace(
        result,
        before=_found(judged.before, answers.labels, card.thresholds.flagged_from),
        after=_found(judged.after, answers.labels, thresholds.flagged_from),
        gain=_gain(judged, answers),
    )
    if result.gain is None or result.gain <= 0:
        return result
    head = prior.fitted(answers, judged.firmness)
    return replace(result, name=_write(card, head, thresholds, result).name)


def _groups(paths: Sequence[bytes]) -> NDArray[np.intp]:
    """Return a group for each path: its folder, or itself where there are few folders."""
    folders = [str(PurePosixPath(os.fsdecode(path)).parent) for path in paths]
    names = folders if len(set(folders)) >= MIN_FOLDERS else [os.fsdecode(path) for path in paths]
    return np.unique(np.array(names), return_inverse=True)[1].ravel()


def _thresholds(
    shipped: Thresholds, judged: refit.CrossValidated, labels: NDArray[np.uint8]
) -> Thresholds:
    """Return the shipped thresholds, raised so that no more of the other images reach them."""
    before = refit.probability(judged.before[labels == 0])
    after = np.sort(refit.probability(judged.after[labels == 0]))[::-1]

    def raised(threshold: float) -> float:
        allowed = int(np.sum(before >= threshold))
        lowest = float(np.nextafter(after[allowed], 1.0)) if allowed < len(after) else 0.0
        return max(threshold, min(lowest, 1.0))

    return Thresholds(raised(shipped.unsure), raised(shipped.ai))


def _found(logits: NDArray[np.float64], labels: NDArray[np.uint8], threshold: float) -> Found:
    flagged = refit.probability(logits) >= threshold
    return Found(int(np.sum(flagged & (labels == 1))), int(np.sum(flagged & (labels == 0))))


def _gain(judged: refit.CrossValidated, answers: refit.Answers) -> float:
    """Return the bound that the fall of the mean log loss exceeds in CONFIDENCE of resamples.

    Groups are resampled, since images of one folder resemble each other.
    """
    fall = refit.log_loss(judged.before, answers.labels) - refit.log_loss(
        judged.after, answers.labels
    )
    sums = np.bincount(answers.groups, weights=fall)
    sizes = np.bincount(answers.groups)
    random = np.random.default_rng(SEED)
    drawn = random.integers(0, len(sums), (RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return float(np.quantile(means, 1 - CONFIDENCE))


def _write(card: Card, head: Head, thresholds: Thresholds, result: Learned) -> Card:
    """Write the fitted detector as a custom one, in place of an earlier one of that name."""
    name = card.name + SUFFIX
    make_private_folder(custom.folder())
    with tempfile.TemporaryDirectory(dir=custom.folder(), prefix=".learning-") as partial:
        folder = Path(partial, name)
        folder.mkdir()
        for original in filter(None, (card.model_path.name, card.view.finder)):
            shutil.copyfile(card.path.with_name(original), folder / original)
        file = folder / f"{name}.head.json"
        head.write(file)
        digest = sha256_of(file)
        learned = _card(card, result, thresholds, folder / f"{name}.toml")
        if learned.output is not None:
            output = replace(learned.output, head=file.name, head_sha256=digest)
            version = f"{custom.VERSION}{card.version}-{digest[:8]}"
            learned = replace(learned, output=output, version=version)
        write_card(learned)
        load(load_card(learned.path))
        if (custom.folder() / name).exists():
            custom.remove(name)
        folder.rename(custom.folder() / name)
    return load_card(custom.card_file(name))


def _card(card: Card, result: Learned, thresholds: Thresholds, path: Path) -> Card:
    answers = DataSet(
        "your answers",
        "fitting the last layer again; thresholds were raised by cross-validation",
        real=result.others,
        ai=result.ai,
        terms="your own",
    )
    return replace(
        card,
        name=path.stem,
        summary=f"`{card.name}` fitted to the answers of people who reviewed a scan.",
        thresholds=thresholds,
        limits=(
            "Fitted to the answers in one collection: use it there, and on ones like it.",
            "It was measured on those answers alone, so reports give no estimate by it.",
            *card.limits,
        ),
        data=(*card.data, answers),
        measured=None,
        sources=(),
        changes=(),
        path=path,
    )
