"""The catalogue: what ships, and that looking at it costs nothing."""

from __future__ import annotations

import subprocess
import sys

from workers.detectors import installed
from workers.provenance.evidence import SCORES


def test_the_shipped_detectors_are_these() -> None:
    """Each card stands under its own name."""
    cards = installed.installed()

    assert ["faces", "faces-96", "objects-32", "provenance", "scenes"] == sorted(cards)
    assert all(name == card.name for name, card in cards.items())


def test_every_shipped_model_is_the_one_on_its_card() -> None:
    """The models that are packaged have the checksum and the size that their cards state."""
    models = [card for card in installed.installed().values() if card.model is not None]

    assert models
    for card in models:
        card.verify()
        assert card.model is not None
        assert card.model.bytes == card.model_path.stat().st_size


def test_the_catalogue_cannot_be_spoilt() -> None:
    """What a caller does to the dictionary does not reach the next caller."""
    installed.installed().clear()

    assert installed.installed()


def test_looking_at_cards_loads_no_runtime() -> None:
    """Neither NumPy nor LiteRT is imported before a model is loaded."""
    code = (
        "import sys; from workers.detectors import installed, loading; installed.installed();"
        "print(sorted({'numpy', 'ai_edge_litert', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_objects_32_says_what_it_was_measured_at() -> None:
    """Its card carries figures, terms and plain words, and its intervals hold its accuracy."""
    card = installed.installed()["objects-32"]

    assert card.measured is not None
    assert 10_000 == card.measured.images
    assert card.measured.accuracy_low < card.measured.accuracy < card.measured.accuracy_high
    assert (45_000, 43_702) == (card.data[0].real, card.data[0].ai)
    assert all("MIT" in one.terms and "CIFAR-10" in one.terms for one in card.data)
    assert card.limits


def test_objects_32_calls_few_held_out_real_images_ai() -> None:
    """Its threshold `ai` was put where at most 1 % of held-out real images reach it."""
    at = installed.installed()["objects-32"].thresholds

    assert at.false_alarm_rate is not None
    assert at.false_alarm_rate <= 0.01
    assert 0.5 == at.unsure < at.ai


def test_the_card_of_provenance_states_the_scores_that_provenance_gives() -> None:
    """The card's prose and the code's table of evidence agree."""
    card = installed.installed()["provenance"]

    assert {str(kind): score for kind, score in SCORES.items()} == {
        one.kind: one.score for one in card.evidence
    }
    assert "" == card.sha256
