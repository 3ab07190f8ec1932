"""A detector's card as rows of name and text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.records import NEVER, SCORE_THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workers.detectors.card import Card, HeldOutSource, Input, Measured, SourceFigures


def card_rows(card: Card) -> Iterator[tuple[str, str]]:
    """Yield everything on a card, as (name, text)."""
    yield "name", f"{card.name}, version {card.version}"
    yield "summary", card.summary
    yield from (("reads", text) for text in card.reads)
    if card.source:
        yield "source", card.source
    if card.licence:
        yield "licence", card.licence
    yield from _model_rows(card)
    if not card.ratios:
        yield "thresholds", _thresholds(card)
    if card.calibration is not None:
        method, images = card.calibration.method, card.calibration.images
        uncalibrated = f"not calibrated here ({method})"
        yield "calibration", f"{method}, on {images:,} held-out images" if images else uncalibrated
    yield from (("evidence", f"{kind.score:.2f} {kind.meaning}") for kind in card.evidence)
    for ratio in card.ratios:
        shares = f"{ratio.ai:.1%} of AI-generated, {ratio.real:.1%} of real images"
        yield "ratio", f"{ratio.likelihood_ratio:.3g} {ratio.meaning} ({shares})"
    for data in card.data:
        yield "data", f"{data.name}, {data.use}: {data.real:,} real, {data.ai:,} AI. {data.terms}"
    if card.measured is None and not card.ratios:
        yield "measured", "not measured"
    if card.measured is not None:
        yield from _measured_rows(card, card.measured)
    if card.published:
        yield "published", f"{card.published} (its authors' figures, not measured here)"
    yield from (("limitation", text) for text in card.limits)


def _model_rows(card: Card) -> Iterator[tuple[str, str]]:
    if card.model is not None:
        yield "model", f"{card.model.file}, {card.model.bytes:,} bytes, {card.model.runtime}"
        if card.model.parameters:
            yield "parameters", f"{card.model.parameters:,}"
        yield "sha256", card.model.sha256
    if card.input is not None:
        size = f"{card.input.width}x{card.input.height} {card.input.channels} pixels"
        yield "input", f"{size}, 0 to {card.input.highest}{normalisation(card.input)}"
        yield "images", suitable_images(card, card.input)
    if card.output is not None:
        order = ", ".join(card.classes)
        yield "output", f"{card.output.count} ({card.output.kind}), classes 0 and 1: {order}"


def suitable_images(card: Card, of_model: Input) -> str:
    """Return which images a detector is for, and which part of them its model gets."""
    sides = f"with sides of {of_model.smallest_side} to {of_model.largest_side} px"
    if card.view.kind == "faces":
        return f"faces {sides}, in a square {card.view.margin:g} times as wide"
    if card.view.kind == "crops":
        return f"images {sides}, up to {card.view.crops} crops of each at full resolution"
    if card.view.kind == "centre":
        shorter = card.view.shorter
        return f"images {sides}, the centre of each, its shorter side scaled to {shorter}"
    return f"images {sides}, resized to the input's size"


def normalisation(of_model: Input) -> str:
    """Return how pixels are scaled for the model; empty where they are not."""
    scale = "" if of_model.scale == 1.0 else f", divided by {of_model.scale:g}"
    mean = f", minus {_listed(of_model.mean)}" if of_model.mean else ""
    deviation = f", divided by {_listed(of_model.std)}" if of_model.std else ""
    return scale + mean + deviation


def _listed(values: Sequence[float]) -> str:
    return "/".join(f"{value:g}" for value in dict.fromkeys(values))


def _thresholds(card: Card) -> str:
    thresholds = card.thresholds
    rate = "not measured"
    if thresholds.false_alarm_rate is not None:
        real = f"{thresholds.real_images:,} held-out real images"
        rate = f"{thresholds.false_alarm_rate:.2%} of {real}"
    ai = f"ai from {thresholds.ai:.3f}" if thresholds.ai < NEVER else "never ai"
    return f"unsure from {thresholds.unsure:.3f}, {ai} (false positives: {rate})"


def _measured_rows(card: Card, measured: Measured) -> Iterator[tuple[str, str]]:
    matrix = measured.confusion
    yield "measured on", f"{measured.on}: {measured.images:,} images"
    interval = f"95 % interval {measured.accuracy_low:.4f} to {measured.accuracy_high:.4f}"
    basis = f"a score of {SCORE_THRESHOLD} or more counts as AI"
    yield "accuracy", f"{measured.accuracy:.4f} ({interval}), {basis}"
    yield (
        "confusion",
        f"tp {matrix.tp:,}, fp {matrix.fp:,}, fn {matrix.fn:,}, tn {matrix.tn:,} (AI is positive)",
    )
    for name, figures in (("AI", measured.ai), ("real", measured.real)):
        precision = f"precision {figures.precision:.4f}, recall {figures.recall:.4f}"
        average = f"average precision {figures.average_precision:.4f}"
        yield name, f"{precision}, F1 {figures.f1:.4f}, {average}"
    yield "ROC AUC", f"{measured.roc_auc:.4f}, expected calibration error {measured.ece:.4f}"
    if card.thresholds.ai < NEVER:
        yield "at `ai`", _rates(measured.recall_at_ai, measured.false_alarms_at_ai)
    if measured.recall_at_unsure is not None and measured.false_alarms_at_unsure is not None:
        yield "at `unsure`", _rates(measured.recall_at_unsure, measured.false_alarms_at_unsure)
    if measured.without_view:
        yield "not counted", f"{measured.without_view:,} images without anything to score"
    for source in card.sources:
        yield f"{source.kind}, {source.source}" if source.source else source.kind, _source(source)
    for kind, title in (("ai", "generators"), ("real", "owners")):
        held_out = [source for source in card.held_out if source.kind == kind]
        if held_out:
            yield f"{title} held out", _held_out(held_out)
    for change in card.changes:
        rates = _rates(change.recall, change.false_alarms)
        yield f"after {change.change}", f"ROC AUC {change.roc_auc:.3f}, {rates}"


def _held_out(sources: Sequence[HeldOutSource]) -> str:
    images, flagged = (
        sum(getattr(each, name) for each in sources) for name in ("images", "flagged")
    )
    shares = sorted(each.flagged / each.images for each in sources)
    middle = shares[len(shares) // 2]
    return (
        f"{flagged / images:.1%} of {images:,} images of {len(sources)} flagged in "
        f"cross-validation; by source {shares[0]:.1%} to {shares[-1]:.1%}, median {middle:.1%}"
    )


def _rates(recall: float, false_positives: float) -> str:
    return f"recall {recall:.2%}, false-positive rate {false_positives:.2%}"


def _source(source: SourceFigures) -> str:
    text = (
        f"{source.flagged:.1%} of {source.images:,} flagged (95 % interval {source.low:.1%} to "
        f"{source.high:.1%}), ROC AUC {source.roc_auc:.3f}"
    )
    if source.at_least_unsure is None:
        return text
    return f"{text}, {source.at_least_unsure:.1%} at least unsure"
