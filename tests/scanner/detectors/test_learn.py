"""Learning from answers: too few, no gain, and a detector of its own where there is a gain."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scanner.detectors import learn
from workers.detectors import custom, installed
from workers.detectors.card import load_card
from workers.detectors.detector import EmbeddingDetector
from workers.detectors.loading import load

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = 12


@pytest.fixture(scope="module")
def scenes() -> EmbeddingDetector:
    """Return the built-in detector."""
    detector = load(installed.built_in()["scenes"])
    assert isinstance(detector, EmbeddingDetector)
    return detector


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep custom detectors in a folder of the test's own."""
    monkeypatch.setattr(custom, "folder", lambda: tmp_path / "detectors")
    return tmp_path / "detectors"


def examples(scenes: EmbeddingDetector, count: int, effect: float) -> list[learn._Example]:
    """Return answered images that differ by class where the head looks, by `effect` logits."""
    random = np.random.default_rng(3)
    head = scenes.head
    assert head.precision is not None
    spread = 1 / np.sqrt(head.precision)
    direction = np.zeros_like(head.mean)
    # What answers can move most: the numbers whose weights training holds least.
    loosest = np.unravel_index(np.argsort(head.precision, axis=None)[:40], head.mean.shape)
    direction[loosest] = spread[loosest]
    direction /= np.sum(direction**2) / np.sum(np.abs(direction))
    made = []
    for number in range(count):
        is_ai = number % 2 == 1
        noise = random.normal(0, 0.05, head.mean.shape)
        embedding = head.mean + noise + effect * direction * (1 if is_ai else -1)
        made.append(learn._Example(embedding, is_ai, b"%d/%d.jpg" % (number % FOLDERS, number)))
    return made


def test_too_few_answers(scenes: EmbeddingDetector) -> None:
    """Below twenty answers of a kind nothing is fitted."""
    result = learn._learned(scenes, examples(scenes, 2 * learn.MIN_ANSWERS - 2, 1.0))
    assert (19, 19) == (result.ai, result.others)
    assert result.before is None
    assert result.name is None


def test_no_gain(scenes: EmbeddingDetector, own_folder: Path) -> None:
    """Answers that teach nothing write nothing."""
    same = [replace(each, is_ai=n % 4 > 1) for n, each in enumerate(examples(scenes, 60, 0.0))]
    result = learn._learned(scenes, same)
    assert result.gain is not None
    assert result.gain <= 0
    assert result.name is None
    assert not own_folder.exists()


def test_learned_detector(scenes: EmbeddingDetector, own_folder: Path) -> None:
    """A gain writes a detector with a card of its own, which finds more at no more expense."""
    answered = examples(scenes, 120, 3.0)
    result = learn._learned(scenes, answered)
    assert result.before is not None
    assert result.after is not None
    assert "scenes-learned" == result.name
    assert result.after.others <= result.before.others

    card = load_card(own_folder / "scenes-learned" / "scenes-learned.toml")
    card.verify()
    assert card.sha256 != scenes.card.sha256
    assert card.measured is None
    assert ("your answers", 60, 60) == (card.data[-1].name, card.data[-1].real, card.data[-1].ai)
    assert card.thresholds.unsure >= scenes.card.thresholds.unsure
    fitted = load(card)
    assert isinstance(fitted, EmbeddingDetector)
    gaps = [
        np.mean([each.head.logit(example.embedding) * (1 if example.is_ai else -1)
                 for example in answered])
        for each in (scenes, fitted)
    ]  # fmt: skip
    assert gaps[1] > gaps[0]
    # Once more: it replaces the earlier one.
    assert learn._learned(scenes, answered).name == result.name
