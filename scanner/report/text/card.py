"""What a detector's card says, as rows of what and text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.records import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workers.detectors.card import Card, Input, SourceFigures


def rows_of(card: Card) -> Iterator[tuple[str, str]]:
    """All that a card says, as (what, text)."""
    yield "name", f"{card.name}, version {card.version}"
    yield "what it is", card.summary
    yield from (("reads", one) for one in card.reads)
    if card.source:
        yield "from", card.source
    if card.licence:
        yield "licence", card.licence
    yield from _model_rows(card)
    yield "thresholds", _thresholds(card)
    if card.calibration is not None and not card.calibration.images:
        yield "calibration", f"not calibrated here ({card.calibration.method})"
    elif card.calibration is not None:
        yield (
            "calibration",
            f"{card.calibration.method}, on {card.calibration.images:,} held-out images",
        )
    yield from (("evidence", f"{one.score:.2f} {one.meaning}") for one in card.evidence)
    for one in card.data:
        yield "data", f"{one.name}, {one.use}: {one.real:,} real, {one.ai:,} AI. {one.terms}"
    yield from _measured(card)
    if card.published:
        yield "published", f"{card.published} (its makers' figures, not measured here)"
    yield from (("bad at", one) for one in card.limits)


def _model_rows(card: Card) -> Iterator[tuple[str, str]]:
    if card.model is not None:
        yield "model", f"{card.model.file}, {card.model.bytes:,} bytes, {card.model.runtime}"
        if card.model.parameters:
            yield "parameters", f"{card.model.parameters:,}"
        yield "sha256", card.model.sha256
    if card.input is not None:
        given = card.input
        taken = f"{given.width}x{given.height} {given.channels} pixels, 0 to {given.highest}"
        yield "input", taken + scaling(given)
        yield "made for", made_for(card, given)
    if card.output is not None:
        order = ", ".join(card.classes)
        yield "output", f"{card.output.count} ({card.output.kind}), classes 0 and 1: {order}"


def made_for(card: Card, given: Input) -> str:
    """Which images a detector is for, and what of them it is shown."""
    sides = f"with sides of {given.smallest_side} to {given.largest_side} px"
    if card.view.kind == "faces":
        return f"faces {sides}, in a square {card.view.margin:g} times as wide"
    if card.view.kind == "crops":
        return f"images {sides}, up to {card.view.crops} pieces of each at its own resolution"
    if card.view.kind == "centre":
        shorter = card.view.shorter
        return f"images {sides}, the middle of each when its shorter side is scaled to {shorter}"
    return f"images {sides}, resized where they are not of its input's size"


def scaling(given: Input) -> str:
    """How pixels are scaled before the model gets them; empty where they are not."""
    divided = "" if given.scale == 1.0 else f", divided by {given.scale:g}"
    minus = "".join(f", less {_listed(given.mean)}" for _ in given.mean[:1])
    by = "".join(f", divided by {_listed(given.std)}" for _ in given.std[:1])
    return divided + minus + by


def _listed(values: Sequence[float]) -> str:
    return "/".join(f"{one:g}" for one in dict.fromkeys(values))


def _thresholds(card: Card) -> str:
    at = card.thresholds
    rate = "not measured"
    if at.false_alarm_rate is not None:
        rate = f"{at.false_alarm_rate:.2%} of {at.real_images:,} held-out real images"
    word = f"ai from {at.ai:.3f}" if at.ai < NEVER else "never ai"
    return f"unsure from {at.unsure:.3f}, {word} (false alarms: {rate})"


def _measured(card: Card) -> Iterator[tuple[str, str]]:
    found = card.measured
    if found is None:
        yield "measured", "not measured"
        return
    at = found.confusion
    yield "measured on", f"{found.on}: {found.images:,} images"
    yield (
        "accuracy",
        (
            f"{found.accuracy:.4f} (95 % interval {found.accuracy_low:.4f} to "
            f"{found.accuracy_high:.4f}), a score of 0.5 and more counting as AI"
        ),
    )
    yield "confusion", f"tp {at.tp:,}, fp {at.fp:,}, fn {at.fn:,}, tn {at.tn:,} (AI is positive)"
    for name, of_class in (("AI", found.ai), ("real", found.real)):
        yield (
            name,
            (
                f"precision {of_class.precision:.4f}, recall {of_class.recall:.4f}, "
                f"F1 {of_class.f1:.4f}, average precision {of_class.average_precision:.4f}"
            ),
        )
    yield "ROC AUC", f"{found.roc_auc:.4f}, expected calibration error {found.ece:.4f}"
    if card.thresholds.ai < NEVER:
        yield "at `ai`", _found(found.recall_at_ai, found.false_alarms_at_ai)
    if found.recall_at_unsure is not None and found.false_alarms_at_unsure is not None:
        yield "at `unsure`", _found(found.recall_at_unsure, found.false_alarms_at_unsure)
    if found.without_view:
        yield "left out", f"{found.without_view:,} images with nothing for it in them"
    for source in card.sources:
        yield f"{source.kind}, {source.source}" if source.source else source.kind, _source(source)
    for one in card.changes:
        said = f"ROC AUC {one.roc_auc:.3f}, {_found(one.recall, one.false_alarms)}"
        yield f"after: {one.change}", said


def _found(recall: float, false_alarms: float) -> str:
    return f"finds {recall:.2%} of AI images, with {false_alarms:.2%} of real ones taken for AI"


def _source(source: SourceFigures) -> str:
    return (
        f"{source.flagged:.1%} of {source.images:,} flagged (95 % interval {source.low:.1%} to "
        f"{source.high:.1%}), ROC AUC {source.roc_auc:.3f}"
    )
